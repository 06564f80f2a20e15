"""Lists of doubts as pages and files, and steps on many of them at once."""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, StreamingResponse

from renzheng.central.access import accounts
from renzheng.central.access.roles import Permission, Role
from renzheng.central.cases import acts, desk, filters, worklists
from renzheng.central.cases.desk import Row
from renzheng.central.cases.doubts import State
from renzheng.central.cases.errors import CaseError, StaleError
from renzheng.central.cases.guards import Actor
from renzheng.central.cases.reading import is_of_a_hospital
from renzheng.central.cases.worklists import Total, Worklist
from renzheng.central.lists import sheets
from renzheng.central.store import viewer
from renzheng.central.store.reading import institution_names
from renzheng.central.store.times import to_us
from renzheng.central.texts import Texts
from renzheng.central.web.api.cases import MOST_DOUBTS, STATUSES
from renzheng.central.web.case_pages import asked as asking
from renzheng.central.web.case_pages.asked import Asked
from renzheng.central.web.case_pages.parts import (
    Count,
    Office,
    Refusal,
    Sent,
    page,
    read_sent,
    refusal_of,
    words,
)
from renzheng.central.web.console.pages import XLSX, PageNumber, Text
from renzheng.central.web.guard import needs

ROWS_A_PAGE = 50
WRITTEN = (
    "certainty", "state", "institution", "institution_id", "person", "doctor", "line", "day", "item",
    "rule", "reason", "amount_at_stake", "amount", "newest", "due", "case", "doubt",
)  # fmt: skip
"""Columns of the files."""
BULK: Mapping[str, tuple[str, ...]] = {
    "confirm": (),
    "drop": ("reason",),
    "assign": ("doctor",),
    "submit": ("position", "text"),
    "overdue": (),
    "review": ("decision", "reason"),
    "vote": ("decision", "reason"),
    "finalise": ("reason",),
    "deduct": ("period",),
    "withdraw": ("reason",),
}
"""Steps that can be done on many, with what each asks for."""


def build_router(office: Office) -> APIRouter:
    """Build the pages."""
    router = APIRouter(include_in_schema=False)
    _add_pages(router, office)
    _add_files(router, office)
    return router


def list_of(connection: sa.Connection, office: Office, actor: Actor, asked: Asked) -> Worklist:
    """Return a list of doubts; of an institution's people only those of cases that it has opened."""
    at_hospital = is_of_a_hospital(actor)
    if at_hospital:  # when something was done tells of steps that it is not told of
        asked = asked.without("changed")
    return Worklist(connection, actor, asked.choice(office.clock(), office.zone), of_received=at_hospital)


def _add_pages(router: APIRouter, office: Office) -> None:
    @router.get("/doubts")
    @needs(Permission.CASES)
    def show_doubts(  # noqa: PLR0917 - each is a query parameter
        request: Request,
        page: PageNumber = 1,
        done: Count = 0,
        act: Text = "",
        added: Count = 0,
        after: Text = "",
        before: Text = "",
    ) -> Response:
        told = {"done": done, "act": act if act in BULK else "", "added": added}
        return _show(request, office, number=page, beside=(after or before, bool(before)), told=told)

    @router.post("/doubts/filters")
    @needs(Permission.CASES)
    async def keep_filter(request: Request) -> Response:
        sent = await read_sent(request)
        return await run_in_threadpool(_keep_filter, request, office, sent)

    @router.post("/doubts/acts")
    @needs(Permission.CASES_STEP)
    async def take_many(request: Request) -> Response:
        sent = await read_sent(request)
        return await run_in_threadpool(_take_many, request, office, sent)


def _show(
    request: Request,
    office: Office,
    *,
    number: int = 1,
    beside: tuple[str, bool] = ("", False),
    status: int = 200,
    told: Mapping[str, Any] | None = None,
    refused: Sequence[tuple[Refusal, Sequence[str]]] = (),
    query: str | None = None,
) -> Response:
    actor = office.actor(request)
    pairs = request.query_params.multi_items() if query is None else parse_qsl(query)
    asked = asking.read(pairs)
    with office.database.reading() as connection:
        held = list_of(connection, office, actor, asked)
        totals = held.totals()
        names = institution_names(connection)
        month = asked.chosen.get("month", "")
        progress = (
            worklists.progress(connection, actor, month) if month and Role.AUDITOR in actor.roles else {}
        )
        offered = _offered(actor, totals)
        doctors = doctors_of(connection, actor.institutions) if "assign" in offered else []
        first = (number - 1) * ROWS_A_PAGE
        seen = held.versions(MOST_DOUBTS) if offered else {}
        own = filters.of_account(connection, actor.account)
        shown = [] if asked.group else _page_of(held, list(seen), first, beside)
        counted, groups = held.groups(asked.group, ROWS_A_PAGE, first) if asked.group else (0, [])
    seal = desk.seal(seen)
    total = sum(one.doubts for one in totals)
    viewer.note_persons(row.person_id for row in shown)
    if asked.group == "person":
        viewer.note_persons(group.key for group in groups)
    in_all = counted if asked.group else total
    last = max((in_all + ROWS_A_PAGE - 1) // ROWS_A_PAGE, 1)
    return page(
        request,
        office,
        "doubts.html",
        status=status,
        asked=asked,
        filters=own,
        rows=shown,
        groups=groups,
        total=total,
        in_all=in_all,
        at_stake=sum(one.at_stake_fen for one in totals),
        seal=seal,
        most=MOST_DOUBTS,
        number=number,
        last=last,
        names=names,
        offered=offered,
        fields=sorted({name for act in offered for name in BULK[act]}),
        asks=BULK,
        doctors=doctors,
        ready=sum(one.ready for one in progress.values()),
        month=month,
        group_names=desk.GROUPS,
        sorts=desk.SORTS,
        states=list(State),
        refused=refused,
        now=office.clock(),
        **{"done": 0, "act": "", "added": 0, **(told or {})},
    )


def _keep_filter(request: Request, office: Office, sent: Sent) -> Response:
    """Keep a list under a name of one's own, or let go of one; of whom a list is, is not kept."""
    asked = asking.read(parse_qsl(sent.text("list"))).without("person")
    account, query = office.actor(request).account, asked.query()
    try:
        with office.database.writing() as connection:
            if removed := sent.text("remove"):
                filters.remove(connection, account, removed)
            else:
                filters.save(connection, account, sent.short("name"), query, to_us(office.clock()))
    except CaseError as error:
        refusal = refusal_of(error, words(request))
        return _show(request, office, status=STATUSES[type(error)], refused=[(refusal, ())], query=query)
    return RedirectResponse(asked.address(), status_code=303)


def _page_of(held: Worklist, seen: Sequence[str], first: int, beside: tuple[str, bool]) -> list[Row]:
    """Read a page of a list: from what was read for the seal, or from a doubt of the page beside it on.

    A list changes while it is worked through, so the doubt is what a page is found by, where it still is in
    the list; the number of the page stands in for it where it is not.
    """
    doubt_id, before = beside
    ids = held.beyond(doubt_id, ROWS_A_PAGE, before=before) if doubt_id else None
    if ids is None:
        ids = list(seen[first : first + ROWS_A_PAGE])
    return held.rows_of(ids) if ids else held.rows(ROWS_A_PAGE, first)


def _offered(actor: Actor, totals: Sequence[Total]) -> list[str]:
    """Name the steps that an actor's roles do on something of a list, in the order of the work."""
    states = {one.state for one in totals}
    undone = {one.state for one in totals if not one.looked_at}
    beyond = {"confirm": undone, "withdraw": states - {State.DRAFTED}}  # what is drafted is dropped
    return [
        act
        for act in BULK
        if acts.ACTS[act].roles & actor.roles and acts.ACTS[act].origins & beyond.get(act, states)
    ]


def doctors_of(connection: sa.Connection, institutions: frozenset[str]) -> list[str]:
    """Name the accounts of doctors of institutions."""
    return [
        one.account_id
        for one in accounts.listed(connection)
        if Role.DOCTOR in one.roles and one.institutions & institutions and not one.disabled
    ]


def _take_many(request: Request, office: Office, sent: Sent) -> Response:
    """Do a step on the ticked doubts of a list, or on all of it as it was seen."""
    act, _, scope = sent.text("do").partition(":")
    query, actor, t = sent.text("list"), office.actor(request), words(request)
    try:
        wanted = _all_of(office, actor, query, sent) if scope == "all" else _ticked(sent)
        many = office.cases.act_on_many(actor, wanted, act, sent.body())
    except CaseError as error:
        refusal = refusal_of(error, t)
        return _show(request, office, status=STATUSES[type(error)], refused=[(refusal, ())], query=query)
    viewer.note_persons(one.person_id for one in many.done)
    if not many.refused:
        asked = asking.read(parse_qsl(query))
        return RedirectResponse(f"{asked.address()}&done={len(many.done)}&act={act}", status_code=303)
    by_sentence: dict[Refusal, list[str]] = {}
    for doubt_id, why in many.refused:
        by_sentence.setdefault(refusal_of(why, t), []).append(doubt_id)
    told = {"done": len(many.done), "act": act}
    return _show(request, office, status=409, told=told, refused=list(by_sentence.items()), query=query)


def _ticked(sent: Sent) -> dict[str, int | None]:
    wanted: dict[str, int | None] = {}
    for value in sent.fields.get("doubt", ())[:MOST_DOUBTS]:
        doubt_id, _, version = value.rpartition(":")
        wanted[doubt_id] = int(version) if version.isascii() and version.isdigit() else None
    return wanted


def _all_of(office: Office, actor: Actor, query: str, sent: Sent) -> dict[str, int | None]:
    """Read a list anew, and take it only as it was when it was shown."""
    with office.database.reading() as connection:
        found = list_of(connection, office, actor, asking.read(parse_qsl(query))).versions(MOST_DOUBTS)
    if desk.seal(found) != sent.text("seal"):
        raise StaleError("The list is no longer what it was when it was shown.")
    return dict(found)


def _add_files(router: APIRouter, office: Office) -> None:
    def read(request: Request) -> tuple[list[str], Iterable[Sequence[sheets.Cell]]]:
        t, actor = words(request), office.actor(request)
        with office.database.reading() as connection:
            asked = asking.read(request.query_params.multi_items())
            rows = list_of(connection, office, actor, asked).rows()
        viewer.note_persons(row.person_id for row in rows)
        heads = [t(f"doubts.{name}") for name in WRITTEN]
        return heads, [_written(row, t, office.named(row.reason, t)) for row in rows]

    @router.get("/doubts.csv")
    @needs(Permission.EXPORTS)
    def send_csv(request: Request) -> Response:
        heads, rows = read(request)
        return StreamingResponse(
            sheets.write_csv(heads, [rows]), media_type="text/csv; charset=utf-8", headers=_named("csv")
        )

    @router.get("/doubts.xlsx")
    @needs(Permission.EXPORTS)
    def send_xlsx(request: Request) -> Response:
        heads, rows = read(request)
        money = [place for place, name in enumerate(WRITTEN) if name.startswith("amount")]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "doubts.xlsx"
            sheets.write_xlsx(path, words(request)("doubts.title"), heads, [rows], money)
            content = path.read_bytes()
        return Response(content, media_type=XLSX, headers=_named("xlsx"))


def _named(suffix: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="renzheng-doubts.{suffix}"'}


def _written(row: Row, t: Texts, reason: str) -> Sequence[sheets.Cell]:
    return (
        t.code("certainty", row.certainty),
        t.code("doubt.state", row.state),
        row.institution,
        row.institution_id,
        viewer.shown(row.person_id) or "",
        row.doctor,
        row.line_id,
        row.day,
        row.item,
        row.rule_id,
        reason,
        row.at_stake_fen / 100,
        row.amount_fen / 100,
        t.code("verdict", row.newest) if row.newest else "",
        row.due_at.date().isoformat() if row.due_at else "",
        row.case_id,
        row.doubt_id,
    )
