"""Enforcement files: what is due next, one file with its dates and bounds, and its next steps as forms."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import sqlalchemy as sa
from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse

from renzheng.central.access import accounts
from renzheng.central.access.roles import Permission, Role
from renzheng.central.cases import penalty_keeping, reading
from renzheng.central.cases.errors import CaseError
from renzheng.central.cases.guards import Actor
from renzheng.central.cases.penalties import (
    ACTS,
    DEGREES,
    DELIVERIES,
    ENDED,
    FEWEST_IN_COUNCIL,
    SOURCES,
    Asked,
    Penalty,
    fine_range,
)
from renzheng.central.cases.penalty_keeping import ARTICLES, COUNCIL, PARTIES
from renzheng.central.store.reading import institution_names
from renzheng.central.web.case_pages.parts import (
    NOTHING_SENT,
    Office,
    Outcome,
    Sent,
    page,
    read_sent,
    refused,
    refused_page,
)
from renzheng.central.web.console.pages import Text
from renzheng.central.web.guard import needs

FIELDS: Mapping[str, Sequence[str]] = {
    "file": ("officers",),
    "review": ("qualified",),
    "notify": ("degree", "amount"),
    "state": ("text",),
    "decide": ("amount", "members"),
    "deliver": ("delivery",),
    "close": ("paid",),
}
"""What a step asks for beside its reason."""
OFFICERS = 2


def build_router(office: Office) -> APIRouter:
    """Build the pages."""
    router = APIRouter(include_in_schema=False)

    @router.get("/penalties")
    @needs(Permission.CASES)
    def show_files(request: Request, doubt: Text = "") -> Response:
        return _list(request, office, doubt)

    @router.post("/penalties")
    @needs(Permission.CASES_STEP)
    async def open_file(request: Request) -> Response:
        return await run_in_threadpool(_open, request, office, await read_sent(request))

    @router.get("/penalties/{penalty_id}")
    @needs(Permission.CASES)
    def show_file(request: Request, penalty_id: str) -> Response:
        return _show(request, office, penalty_id)

    @router.post("/penalties/{penalty_id}/{act}")
    @needs(Permission.CASES_STEP)
    async def take(request: Request, penalty_id: str, act: str) -> Response:
        return await run_in_threadpool(_take, request, office, penalty_id, act, await read_sent(request))

    return router


def _list(
    request: Request,
    office: Office,
    doubt_id: str = "",
    *,
    outcome: Outcome = NOTHING_SENT,
) -> Response:
    actor = office.actor(request)
    doubt = None
    try:
        with office.database.reading() as connection:
            found = penalty_keeping.listed(connection, actor)
            names = institution_names(connection)
            if doubt_id and Role.AUDITOR in actor.roles:
                doubt = reading.doubt_of(connection, actor, doubt_id)
    except CaseError as error:
        return refused_page(request, error)
    return page(
        request,
        office,
        "penalties.html",
        outcome=outcome,
        files=found,
        names=names,
        doubt=doubt,
        ended=ENDED,
        sources=SOURCES,
        parties=PARTIES,
        articles=ARTICLES,
        now=office.clock(),
    )


def _open(request: Request, office: Office, sent: Sent) -> Response:
    article = sent.text("article")
    try:
        after = office.penalties.open(
            office.actor(request),
            [one for one in sent.names("doubt") if one],
            sent.short("source"),
            sent.short("party"),
            int(article) if article in {str(one) for one in ARTICLES} else 0,
            sent.amount("loss") or 0,
        )
    except CaseError as error:
        return _list(request, office, sent.text("doubt"), outcome=refused(request, error, sent))
    return RedirectResponse(f"/penalties/{after.penalty_id}", status_code=303)


def _take(request: Request, office: Office, penalty_id: str, act: str, sent: Sent) -> Response:
    try:
        office.penalties.act(office.actor(request), penalty_id, act, _asked(sent), sent.seen())
    except CaseError as error:
        return _show(request, office, penalty_id, outcome=refused(request, error, sent, act))
    return RedirectResponse(f"/penalties/{penalty_id}?did={act}", status_code=303)


def _asked(sent: Sent) -> Asked:
    """Read what was sent with a step.

    Raises:
        BodyError: a text is too long, an officer is named twice, or an amount cannot be read.
    """
    said = {name: sent.short(name) for name in ("reason", "text", "to", "degree")}
    named = [(sent.short(f"officer_{n}"), sent.short(f"certificate_{n}")) for n in range(1, OFFICERS + 1)]
    return Asked(
        **said,
        amount_fen=sent.amount("amount"),
        officers={account: certificate for account, certificate in named if account},
        members=sent.names("member"),
        qualified=sent.text("qualified") == "1",
        consent=sent.text("consent") == "1",
        paid=sent.text("paid") == "1",
    )


def _show(
    request: Request,
    office: Office,
    penalty_id: str,
    *,
    outcome: Outcome = NOTHING_SENT,
) -> Response:
    actor = office.actor(request)
    try:
        with office.database.reading() as connection:
            found = penalty_keeping.read(connection, actor, penalty_id)
            names = institution_names(connection)
            entries = [orjson.loads(one.entry) for one in penalty_keeping.journal_of(connection, penalty_id)]
            people = _people(connection, found)
    except CaseError as error:
        return refused_page(request, error)
    numbers = office.penalties.numbers()
    did = request.query_params.get("did", "")
    return page(
        request,
        office,
        "penalty.html",
        outcome=outcome,
        file=found,
        names=names,
        entries=entries,
        people=people,
        fewest=FEWEST_IN_COUNCIL,
        possible=possible(actor, found),
        fields=FIELDS,
        needing=[name for name, one in ACTS.items() if one.needs_reason],
        bounds=[(degree, *fine_range(found.article, degree, found.loss_fen, numbers)) for degree in DEGREES],
        numbers=numbers,
        deliveries=DELIVERIES,
        officers=range(1, OFFICERS + 1),
        at_hospital=reading.is_of_a_hospital(actor),
        did=did if did in ACTS else "",
        now=office.clock(),
    )


def possible(actor: Actor, found: Penalty) -> list[str]:
    """Name the steps that an actor's roles do in a file's state."""
    return [name for name, one in ACTS.items() if one.roles & actor.roles and found.state in one.origins]


def _people(connection: sa.Connection, found: Penalty) -> Mapping[str, Any]:
    """Name who could be an officer of a file, and who could discuss a fine."""
    free = [
        one
        for one in accounts.listed(connection)
        if not one.disabled and found.institution_id not in one.institutions | one.ties
    ]
    return {
        "officers": [one.account_id for one in free if Role.AUDITOR in one.roles],
        "council": [
            one.account_id for one in free if one.roles & COUNCIL and one.account_id not in found.officers
        ],
    }
