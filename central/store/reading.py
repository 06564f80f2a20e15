"""What pages and API read. Verdicts and findings are seen only through the run that speaks for their day."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa

from renzheng.central.store import schema, viewer
from renzheng.central.store.audits import speaks

Row = Mapping[str, Any]
VERDICTS, FINDINGS, DAYS, RUNS = schema.verdicts, schema.findings, schema.audit_days, schema.audit_runs


def _rows(connection: sa.Connection, query: sa.Select[Any]) -> list[Row]:
    rows: list[Row] = [dict(row) for row in connection.execute(query).mappings()]
    viewer.note(rows)
    return rows


def _row(connection: sa.Connection, query: sa.Select[Any]) -> Row | None:
    found = connection.execute(query).mappings().first()
    row = dict(found) if found else None
    viewer.note([row] if row else [])
    return row


def _spoken(table: sa.Table) -> sa.FromClause:
    """Join verdicts or findings to the run that speaks for their day, as far as their viewer may see them."""
    return table.join(DAYS, speaks(table) & viewer.may_see(table.c.institution_id))


def institution_names(connection: sa.Connection) -> Mapping[str, str]:
    """Return the names of the institutions that the viewer sees, by id."""
    table = schema.institutions
    query = sa.select(table.c.institution_id, table.c.name).where(viewer.may_see(table.c.institution_id))
    return {
        row.institution_id: row.name for row in connection.execute(query.order_by(table.c.institution_id))
    }


@dataclass(frozen=True, slots=True)
class Choice:
    """Which rows of a list are wanted; empty text takes all."""

    day: str = ""
    verdict: str = ""
    reason: str = ""
    institution_id: str = ""
    text: str = ""
    limit: int = 100
    offset: int = 0


def audited_days(connection: sa.Connection, limit: int = 60) -> list[str]:
    """Name the days that have verdicts to show, newest first."""
    query = sa.select(DAYS.c.service_day).order_by(DAYS.c.service_day.desc()).limit(limit)
    return list(connection.execute(query).scalars())


def folders_of_days(connection: sa.Connection, first: str, last: str) -> Mapping[str, Sequence[str]]:
    """Name the folders of the runs that speak for days (ISO, both included), each with its days in order."""
    query = (
        sa.select(DAYS.c.service_day, RUNS.c.folder)
        .join(RUNS, RUNS.c.run_id == DAYS.c.run_id)
        .where(DAYS.c.service_day.between(first, last))
    )
    found: dict[str, list[str]] = {}
    for row in connection.execute(query.order_by(DAYS.c.service_day)):
        found.setdefault(row.folder, []).append(row.service_day)
    return found


def run_of_day(connection: sa.Connection, day: str) -> Row | None:
    """Read the run that speaks for a day."""
    return _row(connection, sa.select(RUNS).join(DAYS).where(DAYS.c.service_day == day))


def day_totals(connection: sa.Connection, day: str) -> list[Row]:
    """Count a day's lines and money by verdict and reason."""
    query = (
        sa.select(
            VERDICTS.c.verdict,
            VERDICTS.c.reason,
            sa.func.count().label("lines"),
            sa.func.sum(VERDICTS.c.amount_fen).label("amount_fen"),
        )
        .select_from(_spoken(VERDICTS))
        .where(VERDICTS.c.service_day == day)
        .group_by(VERDICTS.c.verdict, VERDICTS.c.reason)
        .order_by(VERDICTS.c.verdict, sa.desc("amount_fen"), VERDICTS.c.reason)
    )
    return _rows(connection, query)


def day_institutions(connection: sa.Connection, day: str) -> list[Row]:
    """Name the institutions with lines on a day."""
    named = schema.institutions
    query = (
        sa.select(VERDICTS.c.institution_id, sa.func.min(named.c.name).label("name"))
        .select_from(_spoken(VERDICTS).outerjoin(named, named.c.institution_id == VERDICTS.c.institution_id))
        .where(VERDICTS.c.service_day == day)
        .group_by(VERDICTS.c.institution_id)
        .order_by(VERDICTS.c.institution_id)
    )
    return _rows(connection, query)


def verdicts(connection: sa.Connection, choice: Choice) -> tuple[int, list[Row]]:
    """Read the verdicts that a choice takes, and how many there are in all; contradicted and dear first."""
    where = _matching(choice)
    count = sa.select(sa.func.count()).select_from(_spoken(VERDICTS)).where(*where)
    order = sa.case({"contradicted": 0, "insufficient": 1}, value=VERDICTS.c.verdict, else_=2)
    query = (
        sa.select(VERDICTS, schema.institutions.c.name.label("institution_name"))
        .select_from(
            _spoken(VERDICTS).outerjoin(
                schema.institutions, schema.institutions.c.institution_id == VERDICTS.c.institution_id
            )
        )
        .where(*where)
        .order_by(order, VERDICTS.c.amount_fen.desc(), VERDICTS.c.line_id)
        .limit(choice.limit)
        .offset(choice.offset)
    )
    return int(connection.execute(count).scalar_one()), _rows(connection, query)


def _matching(choice: Choice) -> Sequence[sa.ColumnElement[bool]]:
    wanted = {
        VERDICTS.c.service_day: choice.day,
        VERDICTS.c.verdict: choice.verdict,
        VERDICTS.c.reason: choice.reason,
        VERDICTS.c.institution_id: choice.institution_id,
    }
    where = [column == value for column, value in wanted.items() if value]
    if choice.text:
        where.append(
            (VERDICTS.c.line_id == choice.text) | (VERDICTS.c.person_id == viewer.meant(choice.text))
        )
    return where


def verdict(connection: sa.Connection, line_id: str, institution_id: str = "") -> Row | None:
    """Read the verdict of one line, with the folder of the run that gave it.

    Where several institutions use the number and none is named, it is the newest line's; see
    `institutions_of_line`.
    """
    query = (
        sa.select(
            VERDICTS,
            RUNS.c.folder,
            RUNS.c.finished_at.label("run_finished_at"),
            schema.institutions.c.name.label("institution_name"),
            schema.institutions.c.timezone,
        )
        .select_from(
            _spoken(VERDICTS)
            .join(RUNS, RUNS.c.run_id == VERDICTS.c.run_id)
            .outerjoin(schema.institutions, schema.institutions.c.institution_id == VERDICTS.c.institution_id)
        )
        .where(VERDICTS.c.line_id == line_id)
        .order_by(VERDICTS.c.service_day.desc(), VERDICTS.c.institution_id)
    )
    if institution_id:
        query = query.where(VERDICTS.c.institution_id == institution_id)
    return _row(connection, query)


def institutions_of_line(connection: sa.Connection, line_id: str) -> list[str]:
    """List the institutions that have an audited line of this number."""
    query = sa.select(VERDICTS.c.institution_id).select_from(_spoken(VERDICTS))
    found = query.where(VERDICTS.c.line_id == line_id).distinct().order_by(VERDICTS.c.institution_id)
    return list(connection.execute(found).scalars())


def institutions(connection: sa.Connection) -> list[Row]:
    """Read every institution that the viewer sees, by id."""
    table = schema.institutions
    query = sa.select(table).where(viewer.may_see(table.c.institution_id))
    return _rows(connection, query.order_by(table.c.institution_id))


def stays_of(connection: sa.Connection, person_id: str, from_us: int, to_us: int) -> list[Row]:
    """Read a person's stays that touch a stretch of time."""
    table = schema.stays
    query = sa.select(table).where(
        table.c.person_id == person_id,
        table.c.admitted_at < to_us,
        sa.func.coalesce(table.c.discharged_at, to_us) >= from_us,
        viewer.may_see(table.c.institution_id),
    )
    return _rows(connection, query.order_by(table.c.admitted_at))


def checks_of(connection: sa.Connection, person_id: str, from_us: int, to_us: int) -> list[Row]:
    """Read the answers to a person's bedside checks that were drawn in a stretch of time."""
    table = schema.spot_checks
    query = sa.select(table).where(table.c.drawn_at.between(from_us, to_us), table.c.person_id == person_id)
    return _rows(connection, query.where(viewer.may_see(table.c.institution_id)).order_by(table.c.drawn_at))


def ledger(connection: sa.Connection, run_id: str) -> list[Row]:
    """Read what each institution sent in a run's days, by box."""
    table, named = schema.ledger, schema.institutions
    query = (
        sa.select(table, named.c.name.label("institution_name"))
        .select_from(table.outerjoin(named, named.c.institution_id == table.c.institution_id))
        .where(table.c.run_id == run_id)
    )
    return _rows(connection, query.order_by(table.c.institution_id, table.c.box))


def findings(
    connection: sa.Connection, *, day: str = "", rule_id: str = "", limit: int = 100, offset: int = 0
) -> tuple[int, list[Row]]:
    """Read findings, and how many there are in all; severe and dear ones first."""
    wanted = {FINDINGS.c.service_day: day, FINDINGS.c.rule_id: rule_id}
    where = [column == value for column, value in wanted.items() if value]
    count = sa.select(sa.func.count()).select_from(_spoken(FINDINGS)).where(*where)
    severity = sa.case({"high": 0, "medium": 1}, value=FINDINGS.c.severity, else_=2)
    query = (
        sa.select(FINDINGS, schema.institutions.c.name.label("institution_name"))
        .select_from(
            _spoken(FINDINGS).outerjoin(
                schema.institutions, schema.institutions.c.institution_id == FINDINGS.c.institution_id
            )
        )
        .where(*where)
        .order_by(severity, FINDINGS.c.amount_fen.desc(), FINDINGS.c.finding_id)
        .limit(limit)
        .offset(offset)
    )
    return int(connection.execute(count).scalar_one()), _findings(connection, query)


def _findings(connection: sa.Connection, query: sa.Select[Any]) -> list[Row]:
    names = viewer.names_elsewhere(connection)
    return [viewer.covered(row, names) for row in _rows(connection, query)]


def finding(connection: sa.Connection, finding_id: str) -> Row | None:
    """Read one finding, with the folder of the run that made it."""
    query = (
        sa.select(
            FINDINGS,
            RUNS.c.folder,
            schema.institutions.c.name.label("institution_name"),
            schema.institutions.c.timezone,
        )
        .select_from(
            _spoken(FINDINGS)
            .join(RUNS, RUNS.c.run_id == FINDINGS.c.run_id)
            .outerjoin(schema.institutions, schema.institutions.c.institution_id == FINDINGS.c.institution_id)
        )
        .where(FINDINGS.c.finding_id == finding_id)
    )
    found = _findings(connection, query)
    return found[0] if found else None


def verdicts_of_finding(connection: sa.Connection, finding: Row, line_ids: Sequence[str]) -> list[Row]:
    """Read the verdicts of the lines that a finding names."""
    query = sa.select(VERDICTS).where(
        VERDICTS.c.run_id == finding["run_id"],
        VERDICTS.c.institution_id == finding["institution_id"],
        VERDICTS.c.line_id.in_(line_ids[:500]),
    )
    return _rows(connection, query.order_by(VERDICTS.c.service_at, VERDICTS.c.line_id))


def findings_of_line(connection: sa.Connection, line: Row) -> list[Row]:
    """Read the findings that name a line, of the run that gave its verdict."""
    listed = FINDINGS.c.line_ids.contains(orjson.dumps(line["line_id"]).decode(), autoescape=True)
    own = FINDINGS.c.institution_id == line["institution_id"]
    query = sa.select(FINDINGS).where(FINDINGS.c.run_id == line["run_id"], own, listed)
    return _findings(connection, query.order_by(FINDINGS.c.finding_id))


def runs(connection: sa.Connection, limit: int = 50) -> list[Row]:
    """Read the latest runs, newest first."""
    return _rows(connection, sa.select(RUNS).order_by(RUNS.c.started_at.desc()).limit(limit))


def folders_of_runs(connection: sa.Connection, limit: int = 20) -> list[str]:
    """List the folders of the latest runs that came to an end, newest first."""
    query = sa.select(RUNS.c.folder).where(RUNS.c.state == "done")
    return list(connection.execute(query.order_by(RUNS.c.started_at.desc()).limit(limit)).scalars())


def run(connection: sa.Connection, run_id: str) -> Row | None:
    """Read one run."""
    return _row(connection, sa.select(RUNS).where(RUNS.c.run_id == run_id))


def persons_judged(connection: sa.Connection, run_id: str) -> list[str]:
    """Read of whom a run has verdicts or findings, without noting that somebody has read of them."""
    found = [
        sa.select(table.c.person_id).where(table.c.run_id == run_id, table.c.person_id.is_not(None))
        for table in (VERDICTS, FINDINGS)
    ]
    return list(connection.execute(sa.union(*found)).scalars())


def devices(connection: sa.Connection, device_id: str = "") -> list[Row]:
    """Read devices with their status, latest clock word and open alarms."""
    table, said, clocks, alarms = (
        schema.devices,
        schema.device_status,
        schema.device_clocks,
        schema.alarms,
    )
    latest = (
        sa.select(clocks.c.device_id, sa.func.max(clocks.c.sequence).label("sequence"))
        .group_by(clocks.c.device_id)
        .subquery()
    )
    open_alarms = (
        sa.select(alarms.c.device_id, sa.func.count().label("open_alarms"))
        .where(alarms.c.resolved_at.is_(None))
        .group_by(alarms.c.device_id)
        .subquery()
    )
    source = (
        table.outerjoin(said, said.c.device_id == table.c.device_id)
        .outerjoin(schema.institutions, schema.institutions.c.institution_id == table.c.institution_id)
        .outerjoin(latest, latest.c.device_id == table.c.device_id)
        .outerjoin(
            clocks, (clocks.c.device_id == latest.c.device_id) & (clocks.c.sequence == latest.c.sequence)
        )
        .outerjoin(open_alarms, open_alarms.c.device_id == table.c.device_id)
    )
    query = sa.select(
        table,
        schema.institutions.c.name.label("institution_name"),
        said.c.state,
        said.c.sequence.label("said_sequence"),
        said.c.acknowledged.label("said_acknowledged"),
        said.c.waiting_since,
        said.c.software,
        said.c.said_at,
        said.c.received_at.label("status_received_at"),
        said.c.status_seconds,
        said.c.halted,
        said.c.certificate_until,
        said.c.shard.label("said_shard"),
        clocks.c.offset_ms.label("clock_offset_ms"),
        clocks.c.trusted.label("clock_trusted"),
        sa.func.coalesce(open_alarms.c.open_alarms, 0).label("open_alarms"),
    ).select_from(source)
    if device_id:
        query = query.where(table.c.device_id == device_id)
    return _rows(connection, query.order_by(table.c.institution_id, table.c.device_id))


def device_standings(connection: sa.Connection) -> list[Row]:
    """Read of every device what tells whether it is well: two small tables, however long the logs are."""
    table, said = schema.devices, schema.device_status
    query = sa.select(
        table.c.device_id,
        table.c.shard,
        table.c.revoked_at,
        table.c.registered_at,
        table.c.head_received_at,
        said.c.received_at.label("status_received_at"),
        said.c.status_seconds,
        said.c.halted,
        said.c.certificate_until,
    ).select_from(table.outerjoin(said, said.c.device_id == table.c.device_id))
    return _rows(connection, query)


def devices_with(connection: sa.Connection, problem: str) -> set[str]:
    """Name the devices of which an alarm of one kind is open."""
    table = schema.alarms
    query = sa.select(table.c.device_id).where(table.c.problem == problem, table.c.resolved_at.is_(None))
    return set(connection.execute(query).scalars())


def clock_jumps(connection: sa.Connection, since_us: int) -> list[Row]:
    """Read the jumps of devices' clocks that came in since a moment, oldest first."""
    table = schema.device_clocks
    query = sa.select(table.c.device_id, table.c.offset_ms, table.c.received_at).where(
        table.c.received_at >= since_us, table.c.change == "jumped"
    )
    return _rows(connection, query.order_by(table.c.received_at))


def last_night(connection: sa.Connection) -> int | None:
    """Tell when a run last ended well."""
    query = sa.select(sa.func.max(RUNS.c.finished_at)).where(RUNS.c.state == "done")
    return connection.execute(query).scalar_one_or_none()


def broker_devices(connection: sa.Connection) -> int | None:
    """Return for how many devices the broker's files were last made; None when that is not known."""
    table = schema.broker_configs
    return connection.execute(sa.select(table.c.devices).order_by(table.c.config_id.desc()).limit(1)).scalar()


def alarms(connection: sa.Connection, *, device_id: str = "", limit: int = 200) -> list[Row]:
    """Read alarms, open and newest first."""
    table = schema.alarms
    query = sa.select(table)
    if device_id:
        query = query.where(table.c.device_id == device_id)
    order = (table.c.resolved_at.is_not(None), table.c.last_at.desc())
    return _rows(connection, query.order_by(*order).limit(limit))


def quarantined(connection: sa.Connection, *, limit: int = 100, offset: int = 0) -> tuple[int, list[Row]]:
    """Read what is in quarantine, newest first, without the messages themselves."""
    table = schema.quarantine
    columns = [column for column in table.c if column.name != "payload"]
    query = sa.select(*columns, sa.func.length(table.c.payload).label("bytes"))
    count = connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
    return int(count), _rows(
        connection, query.order_by(table.c.last_received_at.desc()).limit(limit).offset(offset)
    )


def coverage(connection: sa.Connection, device_id: str, *, limit: int = 200) -> list[Row]:
    """Read a device's stretches of coverage, newest first."""
    table = schema.coverage
    query = sa.select(table).where(table.c.device_id == device_id)
    return _rows(connection, query.order_by(table.c.from_at.desc()).limit(limit))


def log_tail(connection: sa.Connection, device_id: str, *, limit: int = 20) -> list[Row]:
    """Read the end of a device's log: sequence, hash, receipt, flaw; not the events."""
    table = schema.log_entries
    query = sa.select(table.c.sequence, table.c.hash, table.c.received_at, table.c.flaw).where(
        table.c.device_id == device_id
    )
    return _rows(connection, query.order_by(table.c.sequence.desc()).limit(limit))


def archives_of(connection: sa.Connection, device_id: str) -> list[Row]:
    """Read which archives hold entries of a device, the latest first; `pruned_at` of those no longer here."""
    table, archives = schema.archived_entries, schema.archives
    query = sa.select(archives.c.year, table.c.upto_sequence, table.c.pruned_at).join_from(table, archives)
    return _rows(
        connection, query.where(table.c.device_id == device_id).order_by(table.c.upto_sequence.desc())
    )


def incomplete_devices(connection: sa.Connection, before_us: int) -> list[Row]:
    """Name the devices that hold events from before a moment which central does not have yet."""
    table, said = schema.devices, schema.device_status
    query = (
        sa.select(
            table.c.device_id,
            table.c.institution_id,
            said.c.waiting_since,
            (said.c.sequence - table.c.head_sequence).label("waiting"),
        )
        .join_from(table, said, said.c.device_id == table.c.device_id)
        .where(said.c.sequence > table.c.head_sequence, said.c.waiting_since < before_us)
        .where(viewer.may_see(table.c.institution_id))
    )
    return _rows(connection, query.order_by(table.c.device_id))


def counts(connection: sa.Connection) -> Row:
    """Count what a health check and the metrics show."""
    held, alarms_, kept = schema.devices, schema.alarms, schema.quarantine
    open_by = (
        sa.select(alarms_.c.problem, sa.func.count())
        .where(alarms_.c.resolved_at.is_(None))
        .group_by(alarms_.c.problem)
    )
    kept_by = sa.select(kept.c.problem, sa.func.count()).group_by(kept.c.problem)
    of_use = sa.select(sa.func.count()).select_from(held).where(held.c.revoked_at.is_(None))
    return {
        "devices": connection.execute(of_use).scalar_one(),
        "open_alarms": {row[0]: row[1] for row in connection.execute(open_by)},
        "quarantined": {row[0]: row[1] for row in connection.execute(kept_by)},
    }
