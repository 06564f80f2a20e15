"""The console's pages: each reads from the store, and fills one template."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import orjson
import sqlalchemy as sa
from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from renzheng.central.access.roles import Permission
from renzheng.central.audit.oracle.running import parameters_of
from renzheng.central.lists.lists import Lists
from renzheng.central.nightly import evidence
from renzheng.central.nightly.finding_evidence import agreement, read_finding
from renzheng.central.nightly.report import REPORT, named_in, read_named
from renzheng.central.nightly.unanswered import find_unanswered
from renzheng.central.nightly.what_if import OF_OTHER_INSTITUTIONS, what_would_change
from renzheng.central.nightly.workbook import write_workbook
from renzheng.central.settings import AuditSettings, Settings
from renzheng.central.store import reading, viewer
from renzheng.central.store.database import Database
from renzheng.central.store.times import from_us, to_us
from renzheng.central.texts import LANGUAGES, Language, Texts, texts
from renzheng.central.web.console.rule_facts import facts_of, pack_in_force, titles_of
from renzheng.central.web.console.run_outcome import outcome_of
from renzheng.central.web.console.summaries import month_of
from renzheng.central.web.console.timeline import lay_out
from renzheng.central.web.console.trails import trail
from renzheng.central.web.guard import needs, visitor_of
from renzheng.central.web.scoped import seen_of
from renzheng.contracts.money import in_wan, in_yuan
from renzheng.contracts.tables import BOXES

MOST_WHAT_IF = 3
"""Lines of a finding for which its page shows what would change their verdict."""
LANGUAGE_COOKIE = "renzheng_language"
ROWS_A_PAGE = 50
REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'none'"
"""A report brings its own style, and nothing else; what it says is escaped."""
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
NAVIGATION: Mapping[str, Permission] = {
    "verdicts": Permission.VERDICTS,
    "findings": Permission.FINDINGS,
    "own_lines": Permission.OWN_LINES,
    "self_check": Permission.SELF_CHECK,
    "cases": Permission.CASES,
    "rounds": Permission.ROUNDS,
    "rate": Permission.STATISTICS,
    "reminders": Permission.STATISTICS,
    "attempts": Permission.ATTEMPTS,
    "inpatients": Permission.STAYS,
    "problems": Permission.HEALTH,
    "devices": Permission.DEVICES,
    "quarantine": Permission.DEVICES,
    "data": Permission.IMPORTS,
    "runs": Permission.RUNS,
    "privacy": Permission.PRIVACY,
    "crops": Permission.CROPS,
    "accounts": Permission.ACCOUNTS,
    "access_log": Permission.ACCESS_LOG,
    "find_person": Permission.UNMASK,
}
"""What each part of the navigation needs; only what a visitor may open is shown to them."""
HOMES: Mapping[Permission, str] = {
    Permission.CASES: "/cases",
    Permission.HEALTH: "/problems",
    Permission.ACCESS_LOG: "/access/log",
    Permission.STATISTICS: "/rate",
    Permission.ROUNDS: "/rounds",
}
"""Where somebody arrives who sees no verdicts."""
Text = Annotated[str, Query(max_length=200)]
PageNumber = Annotated[int, Query(ge=1, le=100_000)]
_environment = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=select_autoescape(default=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
_environment.filters["person"] = viewer.labelled
_environment.filters["handle"] = viewer.shown


def money(fen: int | None) -> str:
    """Write fen as yuan with thousands set apart."""
    return in_yuan(fen or 0)


def percent(ratio: float | None) -> str:
    """Write a share of 1 in per cent."""
    return "—" if ratio is None else f"{ratio * 100:.0f}%"


def choose_language(request: Request) -> Language:
    """Take the language from the address, else from the cookie, else Chinese."""
    for asked in (request.query_params.get("lang"), request.cookies.get(LANGUAGE_COOKIE)):
        for language in LANGUAGES:
            if asked == language:
                return language
    return "zh"


def render(request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """Fill a template in the visitor's language; a language asked for in the address is remembered."""
    language = choose_language(request)
    other: Language = "en" if language == "zh" else "zh"
    pairs = [(name, value) for name, value in request.query_params.multi_items() if name != "lang"]
    visitor = visitor_of(request)
    page = _environment.get_template(template).render(
        t=texts(language),
        language=language,
        other=other,
        other_address=f"{request.url.path}?{urlencode([*pairs, ('lang', other)])}",
        here=request.url.path,
        account=visitor.account_id if visitor and visitor.session_id else "",
        sees=lambda key: key not in NAVIGATION or visitor is None or NAVIGATION[key] in visitor.permissions,
        money=money,
        percent=percent,
        **{"total": lambda fen: in_wan(fen or 0, language), **values},  # lists count their rows by this name
    )
    answer = HTMLResponse(page, status_code=status)
    if request.query_params.get("lang") in LANGUAGES:
        answer.set_cookie(LANGUAGE_COOKIE, language, samesite="lax", max_age=365 * 86400)
    return answer


def rule_names(audit: AuditSettings, request: Request) -> Mapping[str, str]:
    """Return the titles of the rules in force in the visitor's language, by id."""
    return titles_of(pack_in_force(audit.rules_dir), audit.region, choose_language(request))


def error_page(request: Request, status: int, fields: Sequence[str] = ()) -> HTMLResponse:
    """Say that there is nothing here, that parts of the address cannot be read, or that something failed."""
    return render(request, "error.html", status=status, code=status, fields=fields)


class Times:
    """Writes moments of the store in one time zone."""

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone

    def __call__(self, us: int | None) -> str:
        """Write a moment to the second."""
        return "—" if us is None else f"{from_us(us).astimezone(self.zone):%Y-%m-%d %H:%M:%S}"

    def minute(self, moment: int | datetime | None) -> str:
        """Write a moment to the minute."""
        if moment is None:
            return "—"
        aware = from_us(moment) if isinstance(moment, int) else moment
        return f"{aware.astimezone(self.zone):%m-%d %H:%M}"

    def any(self, moment: int | datetime | date | None) -> str:
        """Write a moment to the minute, with its year, or a day."""
        if moment is None:
            return "—"
        if isinstance(moment, date) and not isinstance(moment, datetime):
            return moment.isoformat()
        aware = from_us(moment) if isinstance(moment, int) else moment
        return f"{aware.astimezone(self.zone):%Y-%m-%d %H:%M}"


def build_router(
    database: Database, settings: Settings, clock: Callable[[], datetime], lists: Lists
) -> APIRouter:
    """Build the pages over a store."""
    router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
    zone = ZoneInfo(settings.timezone)
    _add_workbook(router, database, zone)
    _add_lines(router, database, zone, lists, settings.audit)
    _add_what_if(router, database, zone, settings.audit)
    _add_findings(router, database, zone, lists, settings.audit)
    _add_devices(router, database, settings, clock, lists)
    _add_runs(router, database, zone, settings.audit)
    return router


def _add_workbook(router: APIRouter, database: Database, zone: ZoneInfo) -> None:
    @router.get("/days/{day}/verdicts.xlsx")
    @needs(Permission.EXPORTS)
    def send_workbook(request: Request, day: date) -> Response:
        key = day.isoformat()
        with database.reading() as connection, tempfile.TemporaryDirectory() as folder:
            if reading.run_of_day(connection, key) is None:
                raise HTTPException(404)
            path = Path(folder) / "verdicts.xlsx"
            write_workbook(connection, key, path, texts(choose_language(request)), zone)
            content = path.read_bytes()
        named = {"Content-Disposition": f'attachment; filename="renzheng-{key}.xlsx"'}
        return Response(content, media_type=XLSX, headers=named)


def page_addresses(request: Request, page: int, total: int) -> Mapping[str, Any]:
    """Give the addresses of the page before and after."""

    def address(number: int) -> str:
        return f"{request.url.path}?{urlencode({**dict(request.query_params), 'page': number})}"

    last = max((total + ROWS_A_PAGE - 1) // ROWS_A_PAGE, 1)
    return {
        "number": page,
        "last": last,
        "before": address(page - 1) if page > 1 else None,
        "after": address(page + 1) if page < last else None,
    }


def _add_lines(
    router: APIRouter, database: Database, zone: ZoneInfo, lists: Lists, audit: AuditSettings
) -> None:
    @router.get("/lines/{line_id:path}")
    @needs(Permission.VERDICTS)
    def show_line(request: Request, line_id: str, institution: Text = "") -> Response:
        with database.reading() as connection:
            row = reading.verdict(connection, line_id, institution)
            several = [] if institution else reading.institutions_of_line(connection, line_id)
            folders = [] if row else reading.folders_of_runs(connection)
            named = reading.findings_of_line(connection, row) if row else []
            opened = (
                trail(connection, lists, "lines", request, (row["institution_id"], line_id)) if row else None
            )
        if len(several) > 1:
            return render(request, "lines.html", line_id=line_id, institutions=several)
        if row is None:
            return _show_unanswered(request, [Path(one) for one in folders], line_id, institution, zone)
        own_zone = ZoneInfo(row["timezone"]) if row["timezone"] else zone
        found = seen_of(evidence.read_line(Path(row["folder"]), row["institution_id"], line_id, own_zone))
        cited, t = orjson.loads(row["evidence"]), texts(choose_language(request))
        return render(
            request,
            "line.html",
            line=row,
            trail=opened,
            found=found,
            cited=set(cited),
            timeline=lay_out(found, cited, own_zone, t) if found else None,
            witnesses=evidence.witnesses_of(found) if found else (),
            rule=facts_of(
                pack_in_force(audit.rules_dir),
                audit.region,
                (row["rule_id"], {}),
                [found.item_class] if found else [],
                t,
            ),
            findings=named,
            when=Times(own_zone),
            zone=str(own_zone),
        )


def _add_what_if(router: APIRouter, database: Database, zone: ZoneInfo, audit: AuditSettings) -> None:
    @router.get("/what-if")
    @needs(Permission.VERDICTS)
    def show_what_if(request: Request, line: Text, institution: Text, part: bool = False) -> Response:
        """Show what would change a line's verdict: as a page, or the part of one that a script puts in."""
        with database.reading() as connection:
            row = reading.verdict(connection, line, institution)
        if row is None:
            raise HTTPException(404)
        own_zone = ZoneInfo(row["timezone"]) if row["timezone"] else zone
        folder = Path(row["folder"])
        case = evidence.read_case_of(folder, row["institution_id"], line, own_zone)
        answers = None
        if case is not None and not case.too_large:
            on = parameters_of(audit.region, pack_in_force(audit.rules_dir))
            answers = what_would_change(case, row["verdict"], row["reason"], on)
        if answers is not None and not viewer.sees_all():
            answers = [one for one in answers if one.kind not in OF_OTHER_INSTITUTIONS]
        template = "what_if_part.html" if part else "what_if.html"
        return render(request, template, line=row, case=case, changes=answers)


def _show_unanswered(
    request: Request, folders: Sequence[Path], line_id: str, institution: str, zone: ZoneInfo
) -> Response:
    """Show why a line has no verdict; 404 when no run has read it."""
    found = [
        one
        for one in find_unanswered(folders, line_id, institution, zone)
        if viewer.sees(one.line["institution_id"])
    ]
    viewer.note(one.line for one in found)
    if not found:
        raise HTTPException(404)
    return render(request, "unanswered.html", line_id=line_id, found=found, when=Times(zone))


def _add_findings(
    router: APIRouter, database: Database, zone: ZoneInfo, lists: Lists, audit: AuditSettings
) -> None:
    @router.get("/findings/{finding_id}")
    @needs(Permission.FINDINGS)
    def show_finding(request: Request, finding_id: str) -> Response:
        with database.reading() as connection:
            row = reading.finding(connection, finding_id)
            if row is None:
                raise HTTPException(404)
            lines = reading.verdicts_of_finding(connection, row, orjson.loads(row["line_ids"]))
            opened = trail(connection, lists, "findings", request, (row["institution_id"], finding_id))
        own_zone = ZoneInfo(row["timezone"]) if row["timezone"] else zone
        cited, named = orjson.loads(row["evidence"]), orjson.loads(row["line_ids"])
        codes = sorted({line["item_code"] for line in lines})
        found = read_finding(Path(row["folder"]) / "tables", row, cited, codes, own_zone, sees=viewer.sees)
        if found is not None:
            viewer.note({"person_id": person} for person in found.persons)
        t = texts(choose_language(request))
        return render(
            request,
            "finding.html",
            finding=row,
            trail=opened,
            lines=lines,
            named=len(named),
            agreement=agreement(lines, len(named)),
            found=found,
            rule=facts_of(
                pack_in_force(audit.rules_dir),
                audit.region,
                (row["rule_id"], orjson.loads(row["parameters"])),
                [*codes, *(found.classes if found else ())],
                t,
            ),
            open_to_change=[one for one in lines if one["verdict"] != "supported"][:MOST_WHAT_IF],
            when=Times(own_zone),
        )


def _add_devices(
    router: APIRouter, database: Database, settings: Settings, clock: Callable[[], datetime], lists: Lists
) -> None:
    zone = ZoneInfo(settings.timezone)

    @router.get("/devices")
    @needs(Permission.DEVICES)
    def show_devices(request: Request) -> Response:
        with database.reading() as connection:
            rows, alarms = reading.devices(connection), reading.alarms(connection, limit=50)
            silent = reading.devices_with(connection, "device_silent")
        now_us = to_us(clock())
        return render(
            request,
            "devices.html",
            silent=silent,
            devices=rows,
            alarms=alarms,
            when=Times(zone),
            ago=ago_from(now_us),
        )

    @router.get("/devices/{device_id}")
    @needs(Permission.DEVICES)
    def show_device(request: Request, device_id: str) -> Response:
        with database.reading() as connection:
            rows = reading.devices(connection, device_id)
            if not rows:
                raise HTTPException(404)
            values: dict[str, Any] = {
                "alarms": reading.alarms(connection, device_id=device_id),
                "coverage": with_gaps(reading.coverage(connection, device_id, limit=60)),
                "tail": reading.log_tail(connection, device_id),
                "archives": reading.archives_of(connection, device_id),
                "rule_names": rule_names(settings.audit, request),
                **month_of(connection, lists, "device", device_id, request),
            }
        now_us = to_us(clock())
        return render(
            request, "device.html", device=rows[0], when=Times(zone), ago=ago_from(now_us), **values
        )

    @router.get("/quarantine")
    @needs(Permission.DEVICES)
    def show_quarantine(request: Request, page: PageNumber = 1) -> Response:
        with database.reading() as connection:
            total, rows = reading.quarantined(connection, limit=ROWS_A_PAGE, offset=(page - 1) * ROWS_A_PAGE)
        pages = page_addresses(request, page, total)
        return render(request, "quarantine.html", kept=rows, total=total, pages=pages, when=Times(zone))


def with_gaps(stretches: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Put the time that nobody reported between a device's stretches; newest first, as they come.

    A gap may still be filled by what the device has not sent yet; each stretch says when it was received.
    """
    rows: list[Mapping[str, Any]] = []
    earliest: int | None = None
    for row in stretches:
        if earliest is not None and row["to_at"] < earliest:
            gap = {"state": "unreported", "from_at": row["to_at"], "to_at": earliest}
            rows.append({**gap, "cause": None, "received_at": None})
        rows.append(row)
        earliest = row["from_at"] if earliest is None else min(earliest, row["from_at"])
    return rows


def ago_from(now_us: int) -> Callable[[Texts, int | None], str]:
    """Write how long ago a moment was, in the largest unit that fits."""

    def ago(t: Texts, us: int | None) -> str:
        if us is None:
            return "—"
        seconds = max((now_us - us) // 1_000_000, 0)
        units = (("days", 86400), ("hours", 3600), ("minutes", 60))
        for unit, length in units:
            if seconds >= 2 * length:
                return t(f"ago.{unit}", n=seconds // length)
        return t("ago.seconds", n=seconds)

    return ago


def _add_runs(router: APIRouter, database: Database, zone: ZoneInfo, audit: AuditSettings) -> None:
    @router.get("/runs")
    @needs(Permission.RUNS)
    def show_runs(request: Request) -> Response:
        with database.reading() as connection:
            rows = reading.runs(connection)
        return render(request, "runs.html", runs=rows, when=Times(zone))

    @router.get("/runs/{run_id}")
    @needs(Permission.RUNS)
    def show_run(request: Request, run_id: str) -> Response:
        with database.reading() as connection:
            row = reading.run(connection, run_id)
        if row is None:
            raise HTTPException(404)
        summary = orjson.loads(row["summary"]) if row["summary"] else {}
        reported = row["state"] == "done" and (Path(row["folder"]) / REPORT).is_file()
        first, last = date.fromisoformat(row["from_day"]), date.fromisoformat(row["to_day"])
        days = [(first + timedelta(days=n)).isoformat() for n in range((last - first).days + 1)]
        with database.reading() as connection:
            spoken = [day for day in days[:62] if _speaks(connection, run_id, day)]
            boxes = reading.ledger(connection, run_id)
        return render(
            request,
            "run.html",
            run=row,
            ledger=ledger_table(boxes),
            boxes=BOXES,
            summary=summary,
            outcome=outcome_of(summary),
            rule_names=rule_names(audit, request),
            reported=reported,
            days=days[:62],
            spoken=spoken,
            when=Times(zone),
        )

    @router.get("/runs/{run_id}/report.html")
    @needs(Permission.VERDICTS)
    def send_report(run_id: str) -> Response:
        with database.reading() as connection:
            row = reading.run(connection, run_id)
            path = Path(row["folder"]) / REPORT if row else None
            named = read_named(path.parent) if path else None
            if named is None:  # a run of an earlier version
                judged = reading.persons_judged(connection, run_id)
        if not viewer.sees_all():  # it names every institution
            raise HTTPException(404)
        if row is None or row["state"] != "done" or path is None or not path.is_file():
            raise HTTPException(404)
        text = path.read_text(encoding="utf-8")
        persons = set(named_in(text, judged) if named is None else named)
        viewer.note_persons(persons)
        masks = viewer.masks()
        text = text if masks is None else masks.cover(text, *persons)
        return HTMLResponse(text, headers={"Content-Security-Policy": REPORT_POLICY})


def ledger_table(rows: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Lay the ledger out: one row an institution with its boxes and their sum, dearest first."""
    table: dict[str, dict[str, Any]] = {}
    for row in rows:
        own = table.setdefault(
            row["institution_id"],
            {"institution_id": row["institution_id"], "institution_name": row["institution_name"]},
        )
        own[row["box"]] = row["amount_fen"]
    for own in table.values():
        own["sum"] = sum(own.get(box, 0) for box in BOXES)
    return sorted(table.values(), key=lambda own: (-own["sum"], own["institution_id"]))


def _speaks(connection: sa.Connection, run_id: str, day: str) -> bool:
    """Tell whether a day is still told by a run, so that the day's workbook is the run's."""
    run = reading.run_of_day(connection, day)
    return run is not None and run["run_id"] == run_id
