"""The console's lists of lines and findings over any period, as pages and as files of what they show."""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl, quote, urlencode
from zoneinfo import ZoneInfo

import orjson
import sqlalchemy as sa
from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, StreamingResponse
from starlette.background import BackgroundTask

from renzheng.central.access.roles import Permission
from renzheng.central.lists import asked as asking
from renzheng.central.lists import sheets, views
from renzheng.central.lists.asked import FILTERS, GROUP_SORTS, GROUPS, SORTS, Asked, Wrong, write_cursor
from renzheng.central.lists.lists import NONE, Lists, Row
from renzheng.central.lists.months import KINDS, Kind
from renzheng.central.pictures import drawing, matrices
from renzheng.central.settings import Settings
from renzheng.central.store import reading, viewer
from renzheng.central.store.database import Database
from renzheng.central.store.times import day_bounds_us, to_us
from renzheng.central.texts import Texts, texts
from renzheng.central.web.access import is_from_here
from renzheng.central.web.console.forms import read_fields
from renzheng.central.web.console.pages import XLSX, Times, choose_language, render, rule_names
from renzheng.central.web.console.summaries import by_day, cards_of, period_of
from renzheng.central.web.console.trails import LONGEST_LIST
from renzheng.central.web.guard import needs
from renzheng.contracts.ids import is_bureau
from renzheng.contracts.money import in_wan

SHOWN: Mapping[Kind, tuple[str, ...]] = {
    "lines": ("verdict", "reason", "line", "person", "item", "time", "amount", "coverage"),
    "findings": ("severity", "verdict", "rule", "institution", "person", "day", "amount"),
}
"""Columns of the page that can be ordered by, in order; the files have those of `WRITTEN`."""
WRITTEN: Mapping[Kind, tuple[str, ...]] = {
    "lines": (
        "verdict",
        "reason",
        "line",
        "institution",
        "institution_id",
        "ward",
        "person",
        "doctor",
        "item",
        "time",
        "quantity",
        "amount",
        "coverage",
        "device",
        "rule",
        "evidence",
    ),
    "findings": (
        "severity",
        "verdict",
        "finding",
        "institution",
        "institution_id",
        "person",
        "day",
        "amount",
        "rule",
        "finding.lines",
        "evidence",
    ),
}
WRITTEN_OF_GROUPS = ("group", "rows", "amount", "contradicted", "insufficient")
REASONS_SHOWN = 12


def build_router(
    database: Database, settings: Settings, clock: Callable[[], datetime], lists: Lists
) -> APIRouter:
    """Build the pages over a store."""
    router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
    zone = ZoneInfo(settings.timezone)
    _add_lists(router, database, lists, settings)
    _add_files(router, database, lists, zone)
    _add_views(router, database, clock)

    @router.get("/days/{day}")
    @needs(Permission.VERDICTS)
    def show_day(request: Request, day: date) -> Response:
        pairs = [("from", day.isoformat()), ("to", day.isoformat()), *request.query_params.multi_items()]
        with database.reading() as connection:
            if reading.run_of_day(connection, day.isoformat()) is None:
                raise HTTPException(404)
        return RedirectResponse(f"/lines?{urlencode([(k, v) for k, v in pairs if v])}", status_code=303)

    return router


def read_address(connection: sa.Connection, kind: Kind, request: Request) -> tuple[Asked, Sequence[Wrong]]:
    """Read what a page's address asks for; without a period it is the newest audited month."""
    newest = reading.audited_days(connection, limit=1)
    return asking.read(kind, request.query_params.multi_items(), newest[0] if newest else None)


def _add_lists(router: APIRouter, database: Database, lists: Lists, settings: Settings) -> None:
    zone = ZoneInfo(settings.timezone)

    def show(request: Request, kind: Kind) -> Response:
        with database.reading() as connection:
            asked, wrong = read_address(connection, kind, request)
            page = lists.page(connection, asked)
            one_day = asked.first if asked.first == asked.last else ""
            values: dict[str, Any] = {
                "run": reading.run_of_day(connection, one_day) if one_day else None,
                "incomplete": _incomplete(connection, one_day, zone) if one_day else (),
                "views": views.read_views(connection, kind) if viewer.sees_all() else (),  # the bureau's
                "institutions": institutions(connection),
            }
            values["figures"] = _figures(connection, lists, asked, values["institutions"], request)
            if asked.group == "institution":
                values["institution_names"] = {
                    one["institution_id"]: one["name"] for one in values["institutions"]
                }
        return render(
            request,
            "list.html",
            status=400 if wrong else 200,
            asked=asked,
            wrong={one.field: one.value for one in wrong},
            page=page,
            cards=cards_of(kind, page.totals),
            period=period_of(asked),
            filters=FILTERS[kind],
            groups=GROUPS[kind],
            columns=[(name, name in SORTS[kind]) for name in SHOWN[kind]],
            group_columns=GROUP_SORTS,
            sorts=GROUP_SORTS if asked.group else SORTS[kind],
            chosen=[(name, value) for name, held in asked.filters.items() for value in held],
            list_query=quote(urlencode(asked.query())),
            list_address=urlencode(asked.query()),
            by_verdict=lambda verdict: asked.with_filter("verdict", verdict).address(),
            before=asked.address(before=write_cursor(*page.before)) if page.before else None,
            after=asked.address(after=write_cursor(*page.after)) if page.after else None,
            reasons=page.totals[:REASONS_SHOWN] if kind == "lines" else (),
            known=_known(kind),
            rule_names=rule_names(settings.audit, request),
            none=NONE,
            when=Times(zone),
            **{"institution_names": {}, **values},
        )

    @router.get("/lines")
    @needs(Permission.VERDICTS)
    def show_lines(request: Request) -> Response:
        return show(request, "lines")

    @router.get("/findings")
    @needs(Permission.FINDINGS)
    def show_findings(request: Request) -> Response:
        return show(request, "findings")


def _figures(
    connection: sa.Connection, lists: Lists, asked: Asked, known: Sequence[Row], request: Request
) -> Sequence[drawing.Figure]:
    """Draw a list of lines: its month by day when it is one, and institutions by reason."""
    if asked.kind != "lines" or asked.cursor is not None:
        return ()
    t, figures = texts(choose_language(request)), []

    def totals(fen: int) -> str:
        return in_wan(fen, t.language)

    if asked.first and asked.first[:7] == asked.last[:7] and asked.first != asked.last:
        figures.append(
            drawing.month(t, asked.first[:7], by_day(lists.sums(connection, asked, "day")), totals)
        )
    wrong = asked if "verdict" in asked.filters else asked.with_filter("verdict", "contradicted")
    cells = {
        (row["institution"], row["reason"]): int(row["amount_fen"])
        for row in lists.sums(connection, wrong, "institution", "reason")
    }
    if cells:
        names = {one["institution_id"]: one["name"] for one in known}
        figures.append(matrices.reasons(t, cells, names, totals))
    return figures


def _incomplete(connection: sa.Connection, day: str, zone: ZoneInfo) -> Sequence[Row]:
    only = date.fromisoformat(day)
    return reading.incomplete_devices(connection, day_bounds_us(only, only, zone)[1])


def institutions(connection: sa.Connection) -> list[Row]:
    """List institutions for a choice: id and name."""
    return [row for row in reading.institutions(connection) if not is_bureau(row["institution_id"])]


def _known(kind: Kind) -> Mapping[str, Sequence[str]]:
    """Name the values of the filters that have few."""
    if kind == "findings":
        return {"verdict": ("contradicted", "suspicious"), "severity": ("high", "medium", "low")}
    catalogue = texts("en").catalogue
    reasons = [key.removeprefix("reason.") for key in catalogue if key.startswith("reason.")]
    return {"verdict": ("contradicted", "insufficient", "supported"), "reason": sorted(reasons)}


def _add_files(router: APIRouter, database: Database, lists: Lists, zone: ZoneInfo) -> None:
    def parts(asked: Asked, t: Texts) -> Iterator[Iterable[Sequence[sheets.Cell]]]:
        with database.reading() as connection:
            for rows in lists.stream(connection, asked):
                yield [written(asked, row, t, Times(zone)) for row in rows]

    def told(request: Request, kind: Kind) -> tuple[Asked, Texts, list[str]]:
        with database.reading() as connection:
            asked, wrong = read_address(connection, kind, request)
        if wrong:
            raise HTTPException(400)
        t = texts(choose_language(request))
        heads = WRITTEN_OF_GROUPS if asked.group else WRITTEN[kind]
        return asked, t, [t(f"column.{name}") for name in heads]

    @router.get("/{kind}.csv")
    @needs(Permission.EXPORTS)
    def send_csv(request: Request, kind: Kind) -> Response:
        asked, t, heads = told(request, kind)
        body = sheets.write_csv(heads, parts(asked, t))
        return StreamingResponse(body, media_type="text/csv; charset=utf-8", headers=_named(asked, "csv"))

    @router.get("/{kind}.xlsx")
    @needs(Permission.EXPORTS)
    def send_xlsx(request: Request, kind: Kind) -> Response:
        asked, t, heads = told(request, kind)
        folder = tempfile.TemporaryDirectory()
        path = Path(folder.name) / "list.xlsx"
        amounts = [place for place, name in enumerate(WRITTEN[kind]) if name == "amount"]
        try:
            title = t("nav.verdicts" if kind == "lines" else "nav.findings")
            sheets.write_xlsx(path, title, heads, parts(asked, t), [2, 3, 4] if asked.group else amounts)
        except BaseException:
            folder.cleanup()
            raise
        gone = BackgroundTask(folder.cleanup)
        return FileResponse(path, media_type=XLSX, headers=_named(asked, "xlsx"), background=gone)


def _named(asked: Asked, suffix: str) -> dict[str, str]:
    parts = [asked.kind, *dict.fromkeys(day for day in (asked.first, asked.last) if day), asked.group]
    name = "-".join(["renzheng", *(part for part in parts if part)])
    return {"Content-Disposition": f'attachment; filename="{name}.{suffix}"'}


def written(asked: Asked, row: Row, t: Texts, when: Times) -> Sequence[sheets.Cell]:
    """Write a row of a file, in the order of its heads."""
    if asked.group:
        group = row["grouped"] if asked.group not in ("verdict", "reason", "severity") else ""
        sums = (row["rows"], *(row[name] / 100 for name in ("amount_fen", "contradicted", "insufficient")))
        return (group or t.code(asked.group, row["grouped"]), *sums)
    place = (row["institution_name"] or row["institution_id"], row["institution_id"])
    rule = f"{row['rule_id']} {row['rule_version']}"
    if asked.kind == "findings":
        return (
            t.code("severity", row["severity"]),
            t.code("verdict", row["verdict"]),
            row["explanation_zh"] if t.language == "zh" else row["explanation_en"],
            *place,
            viewer.shown(row["person_id"]),
            row["service_day"],
            row["amount_fen"] / 100,
            rule,
            " ".join(orjson.loads(row["line_ids"])),
            " ".join(orjson.loads(row["evidence"])),
        )
    return (
        t.code("verdict", row["verdict"]),
        t.code("reason", row["reason"]),
        row["line_id"],
        *place,
        row["ward"],
        viewer.shown(row["person_id"]),
        row["doctor_id"],
        row["item_name"] or row["item_code"],
        when(row["service_at"]),
        row["quantity"],
        row["amount_fen"] / 100,
        row["coverage_ratio"],
        " ".join(orjson.loads(row["devices"] or "[]")),
        rule,
        " ".join(orjson.loads(row["evidence"])),
    )


def _add_views(router: APIRouter, database: Database, clock: Callable[[], datetime]) -> None:
    def save(form: Mapping[str, str]) -> Response:
        kind = cast("Kind", form.get("kind", ""))
        name = " ".join(form.get("name", "").split())[: views.LONGEST_NAME]
        if kind not in KINDS:
            raise HTTPException(400)
        asked, _ = asking.read(kind, parse_qsl(form.get("query", "")[:LONGEST_LIST]))
        if name:
            with database.writing() as connection:
                views.save_view(connection, kind, name, urlencode(asked.query()), to_us(clock()))
        return RedirectResponse(asked.address(), status_code=303)

    def remove(form: Mapping[str, str]) -> Response:
        with database.writing() as connection:
            views.remove_view(connection, form.get("view", ""))
        kind = form.get("kind", "")
        return RedirectResponse(f"/{kind if kind in KINDS else 'lines'}", status_code=303)

    @router.post("/views")
    @needs(Permission.LISTS_KEEP)
    async def take_view(request: Request) -> Response:
        if not is_from_here(request):
            raise HTTPException(403)
        form = await read_fields(request)
        return await run_in_threadpool(remove if form.get("remove") else save, form)
