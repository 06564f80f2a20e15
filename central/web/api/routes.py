"""The routes of the API: thin, over `store.reading`."""

from datetime import date
from pathlib import Path as FilePath
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, HTTPException, Path, Query

from renzheng.central.access.roles import Permission
from renzheng.central.nightly import evidence
from renzheng.central.settings import Settings
from renzheng.central.store import reading
from renzheng.central.store.database import Database
from renzheng.central.store.reading import Choice
from renzheng.central.watch.service_status import ServiceStatus
from renzheng.central.web.api import models
from renzheng.central.web.guard import needs, open_to_all
from renzheng.central.web.scoped import masked_rows, seen_of

Limit = Annotated[int, Query(ge=1, le=1000)]
Offset = Annotated[int, Query(ge=0, le=10_000_000)]
Text = Annotated[str, Query(max_length=200)]
Id = Annotated[str, Path(min_length=1, max_length=200)]


def build_router(database: Database, settings: Settings, standing: ServiceStatus | None = None) -> APIRouter:
    """Build the routes over a store."""
    router = APIRouter()
    _add_service(router, database, standing or ServiceStatus())
    _add_devices(router, database)
    _add_verdicts(router, database, settings)
    _add_findings(router, database)
    _add_runs(router, database)
    return router


def _missing(kind: str) -> HTTPException:
    return HTTPException(404, f"There is no such {kind}.")


def _add_service(router: APIRouter, database: Database, standing: ServiceStatus) -> None:
    @router.get("/health", tags=["service"])
    @open_to_all
    def read_health() -> models.Health:
        """Say whether the service does its work, and what waits for a person."""
        well, wrong = standing.well(), [models.problem(one) for one in standing.problems()]
        try:
            with (standing.database or database).reading() as connection:
                counts = reading.counts(connection)
        except Exception:  # noqa: BLE001 - a store that cannot be read is what this says
            well, counts = False, {"devices": 0, "open_alarms": {}, "quarantined": {}}
        return models.Health(state="ok" if well else "failing", problems=wrong, **counts)

    @router.get("/problems", tags=["service"])
    @needs(Permission.HEALTH)
    def read_problems() -> models.Problems:
        """List what is wrong now and since when; the console's page says what to do."""
        return models.Problems(problems=[models.problem(one) for one in standing.problems()])


def _add_devices(router: APIRouter, database: Database) -> None:
    @router.get("/devices", tags=["devices"])
    @needs(Permission.DEVICES)
    def read_devices() -> models.Devices:
        """List every device."""
        with database.reading() as connection:
            return models.Devices(devices=[models.device(row) for row in reading.devices(connection)])

    @router.get("/devices/{device_id}", tags=["devices"])
    @needs(Permission.DEVICES)
    def read_device(device_id: Id) -> models.Device:
        """Read one device."""
        with database.reading() as connection:
            rows = reading.devices(connection, device_id)
        if not rows:
            raise _missing("device")
        return models.device(rows[0])

    @router.get("/alarms", tags=["devices"])
    @needs(Permission.DEVICES)
    def read_alarms(device_id: Text = "", limit: Limit = 100) -> models.Alarms:
        """List alarms, open and newest first."""
        with database.reading() as connection:
            rows = reading.alarms(connection, device_id=device_id, limit=limit)
        return models.Alarms(alarms=[models.Alarm(**models.plain(row)) for row in rows])

    @router.get("/quarantine", tags=["devices"])
    @needs(Permission.DEVICES)
    def read_quarantine(limit: Limit = 100, offset: Offset = 0) -> models.QuarantinePage:
        """List messages that were not taken."""
        with database.reading() as connection:
            total, rows = reading.quarantined(connection, limit=limit, offset=offset)
        kept = [models.Quarantined(**models.plain(row)) for row in rows]
        return models.QuarantinePage(total=total, quarantined=kept)


def _add_verdicts(router: APIRouter, database: Database, settings: Settings) -> None:
    @router.get("/days", tags=["verdicts"])
    @needs(Permission.STATISTICS)
    def read_days() -> models.Days:
        """List the service days that have verdicts."""
        with database.reading() as connection:
            return models.Days(days=[date.fromisoformat(day) for day in reading.audited_days(connection)])

    @router.get("/days/{day}", tags=["verdicts"])
    @needs(Permission.STATISTICS)
    def read_day(day: date) -> models.Day:
        """Read a day's totals by verdict and reason."""
        with database.reading() as connection:
            run = reading.run_of_day(connection, day.isoformat())
            totals = reading.day_totals(connection, day.isoformat())
        if run is None:
            raise _missing("audited day")
        of_day = [models.Total(**models.plain(row)) for row in totals]
        return models.Day(service_day=day, run_id=run["run_id"], totals=of_day)

    @router.get("/verdicts", tags=["verdicts"])
    @needs(Permission.VERDICTS)
    def read_verdicts(  # noqa: PLR0917 - each is a query parameter
        day: date | None = None,
        verdict: Text = "",
        reason: Text = "",
        institution_id: Text = "",
        text: Text = "",
        limit: Limit = 100,
        offset: Offset = 0,
    ) -> models.VerdictPage:
        """List verdicts; `text` is a line's or a person's id."""
        of_day = day.isoformat() if day else ""
        choice = Choice(of_day, verdict, reason, institution_id, text, limit, offset)
        with database.reading() as connection:
            total, rows = reading.verdicts(connection, choice)
        return models.VerdictPage(total=total, verdicts=[models.Verdict(**models.plain(row)) for row in rows])

    @router.get("/lines/{line_id:path}/events", tags=["verdicts"])
    @needs(Permission.VERDICTS)
    def read_events(line_id: Id, institution_id: Text = "") -> models.LineEvidence:
        """Read what the run knew around a line: events, machine sessions, coverage, checks, leaves."""
        row = _one_line(database, line_id, institution_id)
        zone = ZoneInfo(row["timezone"] or settings.timezone)
        found = seen_of(evidence.read_line(FilePath(row["folder"]), row["institution_id"], line_id, zone))
        if found is None:
            raise HTTPException(410, "The tables of the run that gave this verdict are gone.")
        return models.LineEvidence(
            verdict=models.Verdict(**models.plain(row)),
            item_class=found.item_class,
            attendance=masked_rows(found.attendance),
            machine_sessions=masked_rows(found.machine_sessions),
            coverage=masked_rows(found.coverage),
            spot_checks=masked_rows(found.spot_checks),
            leaves=masked_rows(found.leaves),
            stays=masked_rows(found.stays),
            prescription=masked_rows([found.prescription])[0] if found.prescription else None,
            days=masked_rows(found.days),
        )

    @router.get("/lines/{line_id:path}", tags=["verdicts"])
    @needs(Permission.VERDICTS)
    def read_line(line_id: Id, institution_id: Text = "") -> models.Verdict:
        """Read the verdict of one billed line; `institution_id` where several use its number."""
        return models.Verdict(**models.plain(_one_line(database, line_id, institution_id)))


def _one_line(database: Database, line_id: str, institution_id: str) -> reading.Row:
    """Read one line's verdict.

    Raises:
        HTTPException: 404 when there is none, 409 when several institutions use its number.
    """
    with database.reading() as connection:
        row = reading.verdict(connection, line_id, institution_id)
        several = [] if institution_id else reading.institutions_of_line(connection, line_id)
    if row is None:
        raise _missing("line")
    if len(several) > 1:
        raise HTTPException(
            409, f"Several institutions use this number: {', '.join(several)}. Give institution_id."
        )
    return row


def _add_findings(router: APIRouter, database: Database) -> None:
    @router.get("/findings", tags=["findings"])
    @needs(Permission.FINDINGS)
    def read_findings(
        day: date | None = None, rule_id: Text = "", limit: Limit = 100, offset: Offset = 0
    ) -> models.FindingPage:
        """List findings, severe and dear ones first."""
        of_day = day.isoformat() if day else ""
        with database.reading() as connection:
            total, rows = reading.findings(
                connection, day=of_day, rule_id=rule_id, limit=limit, offset=offset
            )
        found = [models.Finding(**models.plain(row)) for row in rows]
        return models.FindingPage(total=total, findings=found)

    @router.get("/findings/{finding_id}", tags=["findings"])
    @needs(Permission.FINDINGS)
    def read_finding(finding_id: Id) -> models.Finding:
        """Read one finding."""
        with database.reading() as connection:
            row = reading.finding(connection, finding_id)
        if row is None:
            raise _missing("finding")
        return models.Finding(**models.plain(row))


def _add_runs(router: APIRouter, database: Database) -> None:
    @router.get("/audit-runs", tags=["audit"])
    @needs(Permission.RUNS)
    def read_runs() -> models.Runs:
        """List the latest audit runs."""
        with database.reading() as connection:
            return models.Runs(runs=[models.Run(**models.plain(row)) for row in reading.runs(connection)])

    @router.get("/audit-runs/{run_id}", tags=["audit"])
    @needs(Permission.RUNS)
    def read_run(run_id: Id) -> models.Run:
        """Read one run and how far it is."""
        with database.reading() as connection:
            row = reading.run(connection, run_id)
        if row is None:
            raise _missing("audit run")
        return models.Run(**models.plain(row))
