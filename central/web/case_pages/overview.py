"""The first page of cases: what waits for whom, a month's cases, and the two acts for a whole month."""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse

from renzheng.central.access.roles import Permission, Role
from renzheng.central.cases import lists, worklists
from renzheng.central.cases.errors import CaseError
from renzheng.central.cases.guards import Actor
from renzheng.central.cases.reading import is_of_a_hospital
from renzheng.central.cases.worklists import Lane
from renzheng.central.store import reading
from renzheng.central.store.times import to_us
from renzheng.central.web.api.cases import STATUSES
from renzheng.central.web.case_pages import asked as asking
from renzheng.central.web.case_pages.parts import (
    Count,
    Office,
    Refusal,
    page,
    read_sent,
    refusal_of,
    words,
)
from renzheng.central.web.console.pages import Text
from renzheng.central.web.guard import needs

MOST_CASES = 1000
MONTHS_SHOWN = 13
LANES: Mapping[Role, Sequence[str]] = {
    Role.AUDITOR: ("drafted", "confirmed", "late", "panel"),
    Role.REVIEWER: ("submitted", "overdue", "first_review"),
    Role.PANEL: ("panel",),
    Role.APPROVER: ("accepted", "final"),
    Role.FINANCE: ("decided",),
    Role.HOSPITAL_OFFICE: ("issued", "assigned", "answered"),
    Role.DOCTOR: ("assigned",),
}
"""What waits for a role; the order is that of the work."""
ADDRESSES: Mapping[str, str] = {
    "drafted": "state=drafted&confirmed=no",
    "confirmed": "state=drafted&confirmed=yes",
    "late": "late=yes&sort=due",
    "final": "state=final&decided=no",
    "decided": "state=final&decided=yes",
    "issued": "state=issued&sort=due",
    "assigned": "state=assigned&sort=due",
    "answered": "state=answered&sort=due",
}
"""The list that a lane leads to, where it is not that of its state."""


def build_router(office: Office) -> APIRouter:
    """Build the pages."""
    router = APIRouter(include_in_schema=False)

    @router.get("/cases")
    @needs(Permission.CASES)
    def show_cases(request: Request, month: Text = "", issued: Count = 0) -> Response:
        return _show(request, office, month, done=issued)

    @router.post("/cases/draft")
    @needs(Permission.CASES_DRAFT)
    async def draft(request: Request) -> Response:
        month = (await read_sent(request)).text("month")
        return await run_in_threadpool(_draft, request, office, month)

    @router.post("/cases/issue")
    @needs(Permission.CASES_DRAFT)
    async def issue(request: Request) -> Response:
        month = (await read_sent(request)).text("month")
        return await run_in_threadpool(_issue, request, office, month)

    return router


def _show(
    request: Request,
    office: Office,
    month: str = "",
    *,
    status: int = 200,
    refused: Sequence[Refusal] = (),
    done: int = 0,
) -> Response:
    actor = office.actor(request)
    with office.database.reading() as connection:
        months = months_of(connection, actor)
        chosen = month or (months[0] if months else "")
        choice = lists.CaseChoice(month=chosen, sort="institution_id", limit=MOST_CASES)
        total, found = lists.cases(connection, actor, choice)
        lanes = worklists.lanes(connection, actor, to_us(office.clock()))
        progress = worklists.progress(connection, actor, chosen)
        names = reading.institution_names(connection)
        to_receive = worklists.to_receive(connection, actor)
        since = to_us(asking.day_begins(asking.YESTERDAY, office.clock(), office.zone))
        changed = [] if is_of_a_hospital(actor) else worklists.changed_since(connection, actor, since)
    mine = [one for role, held in LANES.items() if role in actor.roles for one in held]
    return page(
        request,
        office,
        "cases.html",
        status=status,
        month=chosen,
        months=months,
        cases=found,
        total=total,
        progress=progress,
        nothing=worklists.NOTHING,
        names=names,
        lanes=[lanes.get(one, Lane(one)) for one in dict.fromkeys(mine)],
        everywhere=[lane for name, lane in lanes.items() if name != "late"],
        address_of=lambda lane: f"/doubts?{ADDRESSES.get(lane, f'state={lane}')}",
        to_receive=to_receive,
        changed=changed,
        ready=sum(progress.get(case.case_id, worklists.NOTHING).ready for case, _ in found),
        at_hospital=is_of_a_hospital(actor),
        refused=refused,
        done=done,
    )


def _draft(request: Request, office: Office, month: str) -> Response:
    try:
        drafted = office.cases.draft(office.actor(request), month)
    except CaseError as error:
        return _show(
            request, office, status=STATUSES[type(error)], refused=[refusal_of(error, words(request))]
        )
    query = f"month={month}&state=drafted&confirmed=no&added={drafted.added}"
    return RedirectResponse(f"/doubts?{query}", status_code=303)


def _issue(request: Request, office: Office, month: str) -> Response:
    """Issue every case of a month of which nothing waits to be looked at, each in its own transaction."""
    actor, t = office.actor(request), words(request)
    with office.database.reading() as connection:
        progress = worklists.progress(connection, actor, month)
    done, refused = 0, []
    for case_id in (case_id for case_id, one in progress.items() if one.ready):
        try:
            office.cases.issue(actor, case_id)
            done += 1
        except CaseError as error:
            refused.append(refusal_of(error, t))
    if refused or not done:
        return _show(request, office, month, status=409, refused=refused, done=done)
    return RedirectResponse(f"/cases?month={month}&issued={done}", status_code=303)


def months_of(connection: sa.Connection, actor: Actor) -> Sequence[str]:
    """Name the months that have cases, or of the bureau's view days that were audited; the newest first."""
    found = set(worklists.months(connection, actor))
    if not is_of_a_hospital(actor):
        found |= {day[:7] for day in reading.audited_days(connection, limit=400)}
    return sorted(found, reverse=True)[:MONTHS_SHOWN]
