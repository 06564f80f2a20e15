"""One case: how far it is, its doubts, letters and journal, and the steps on the whole of it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
import sqlalchemy as sa
from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse

from renzheng.central.access import accounts
from renzheng.central.access.roles import Permission, Role
from renzheng.central.cases import desk, lists, reading
from renzheng.central.cases.acts import CASE_ACTS
from renzheng.central.cases.doubts import ENDED, Case, CaseState, Doubt, State
from renzheng.central.cases.errors import CaseError, NotFoundError
from renzheng.central.cases.guards import Actor, Body
from renzheng.central.cases.letters import Letter
from renzheng.central.cases.money import ledger_of
from renzheng.central.cases.worklists import Choice, Worklist
from renzheng.central.store import viewer
from renzheng.central.web.api.cases import is_tied, letters_of, must_fit
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
from renzheng.central.web.console.pages import REPORT_POLICY
from renzheng.central.web.guard import needs

DOUBTS_SHOWN = 200
ENTRIES_SHOWN = 60


def build_router(office: Office) -> APIRouter:
    """Build the pages."""
    router = APIRouter(include_in_schema=False)

    @router.get("/cases/{case_id}")
    @needs(Permission.CASES)
    def show_case(request: Request, case_id: str) -> Response:
        return _show(request, office, case_id)

    @router.post("/cases/{case_id}/{act}")
    @needs(Permission.CASES_STEP)
    async def take(request: Request, case_id: str, act: str) -> Response:
        sent = await read_sent(request)
        return await run_in_threadpool(_take, request, office, case_id, act, sent)

    @router.get("/cases/{case_id}/letters/{kind}")
    @needs(Permission.CASES)
    def show_letter(request: Request, case_id: str, kind: str) -> Response:
        actor = office.actor(request)
        try:
            with office.database.reading() as connection:
                _, written = letters_of(connection, actor, case_id, office.zone)
        except CaseError as error:
            return refused_page(request, error)
        html = next((one.html for one in written if one.kind == kind), None)
        if html is None:
            return refused_page(request, NotFoundError("There is no such letter."))
        return HTMLResponse(html, headers={"Content-Security-Policy": REPORT_POLICY})

    return router


def _take(request: Request, office: Office, case_id: str, act: str, sent: Sent) -> Response:
    actor = office.actor(request)
    try:
        _acts(office)[act](actor, case_id, sent)
    except KeyError:
        return refused_page(request, NotFoundError(f"There is no step {act[:40]!r} on a case."))
    except CaseError as error:
        return _show(request, office, case_id, outcome=refused(request, error, sent))
    return RedirectResponse(f"/cases/{case_id}?did={act}", status_code=303)


def _acts(office: Office) -> Mapping[str, Callable[[Actor, str, Sent], Case]]:
    cases = office.cases
    return {
        "issue": lambda actor, case_id, sent: cases.issue(actor, case_id, sent.seen()),
        "receive": lambda actor, case_id, sent: cases.receive(actor, case_id, sent.seen()),
        "close": lambda actor, case_id, sent: cases.close(actor, case_id, sent.seen()),
        "panel": lambda actor, case_id, sent: cases.panel(
            actor, case_id, _panel_of(sent), lambda one: is_tied(office.database, case_id, one), sent.seen()
        ),
    }


def _panel_of(sent: Sent) -> Body:
    """Read a panel: its members, and what members have declared.

    Raises:
        BodyError: a name or a declaration is too long.
    """
    members = sent.names("member")
    conflicts = {
        name.removeprefix("conflict_"): values[0].strip()
        for name, values in sent.fields.items()
        if name.startswith("conflict_") and values[0].strip()
    }
    for account, said in conflicts.items():
        must_fit("member", account)
        must_fit("reason", said)
    return Body(members=members, conflicts=conflicts)


def _show(
    request: Request,
    office: Office,
    case_id: str,
    *,
    outcome: Outcome = NOTHING_SENT,
) -> Response:
    actor = office.actor(request)
    try:
        with office.database.reading() as connection:
            case = reading.case_of(connection, actor, case_id)
            values = _known(connection, office, actor, case)
    except CaseError as error:
        return refused_page(request, error)
    return page(
        request,
        office,
        "case.html",
        outcome=outcome,
        case=case,
        did=request.query_params.get("did", "") if request.query_params.get("did") in CASE_ACTS else "",
        at_hospital=reading.is_of_a_hospital(actor),
        now=office.clock(),
        **values,
    )


def _known(connection: sa.Connection, office: Office, actor: Actor, case: Case) -> dict[str, Any]:
    doubts = lists.doubts_seen(connection, actor, case.case_id)
    name, _ = reading.institution_of(connection, case, office.zone)
    whole = not reading.is_of_a_hospital(actor) or Role.HOSPITAL_OFFICE in actor.roles
    # an institution opens a case by receiving it: what it holds is shown from then on
    unopened = reading.is_of_a_hospital(actor) and case.received_at is None
    rows: list[desk.Row] = []
    shapes: list[desk.Group] = []
    if not unopened:
        held = Worklist(connection, actor, Choice(case=case.case_id))
        rows, (_, shapes) = held.rows(DOUBTS_SHOWN), held.groups("shape")
        viewer.note_persons(row.person_id for row in rows)
    offered = _offered(actor, case, doubts)
    written: Sequence[Letter] = ()
    if whole and not unopened:
        _, written = letters_of(connection, actor, case.case_id, office.zone)
    return {
        "institution": name,
        "rows": rows,
        "counted": len(doubts),
        "at_stake": sum(one.at_stake_fen for one in doubts),
        "by_state": _by_state(doubts),
        "shapes": shapes,
        "ledger": ledger_of(doubts),
        "letters": written,
        "journal": _journal(connection, case) if whole and not reading.is_of_a_hospital(actor) else [],
        "whole": whole,
        "unopened": unopened,
        "offered": offered,
        "waiting": sum(one.state is State.DRAFTED and not one.confirmed for one in doubts),
        "open": sum(one.state not in ENDED for one in doubts),
        "for_panel": sum(one.state is State.PANEL and not one.members for one in doubts),
        "experts": _experts(connection) if "panel" in offered else [],
    }


def _offered(actor: Actor, case: Case, doubts: Sequence[Doubt]) -> list[str]:
    """Name the steps on a case that an actor's roles do in its state."""
    ended = bool(doubts) and all(one.state in ENDED for one in doubts)
    starts = {
        "issue": case.state is CaseState.DRAFTED and any(one.state is State.DRAFTED for one in doubts),
        "receive": case.state is CaseState.ISSUED and case.received_at is None,
        "panel": any(one.state is State.PANEL and not one.members for one in doubts),
        "close": case.state is CaseState.ISSUED and ended,
    }
    return [act for act, can in starts.items() if can and CASE_ACTS[act] & actor.roles]


def _by_state(doubts: Sequence[Doubt]) -> Sequence[tuple[State, int, int]]:
    found = []
    for state in State:
        held = [one for one in doubts if one.state is state]
        if held:
            found.append((state, len(held), sum(one.at_stake_fen for one in held)))
    return found


def _experts(connection: sa.Connection) -> list[accounts.Account]:
    return [one for one in accounts.listed(connection) if Role.PANEL in one.roles and not one.disabled]


def _journal(connection: sa.Connection, case: Case) -> list[Mapping[str, Any]]:
    """Read the newest entries of a case's journal."""
    return [
        orjson.loads(kept.entry)
        for kept in reading.read_journal(connection, case.case_id)[-ENTRIES_SHOWN:][::-1]
    ]
