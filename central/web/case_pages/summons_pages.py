"""Summonses as pages: who is summoned, one summons with what can be done, and its letter."""

from datetime import date

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse

from renzheng.central.access.roles import Permission
from renzheng.central.cases import summons_keeping
from renzheng.central.cases.errors import CaseError
from renzheng.central.cases.reading import is_of_a_hospital
from renzheng.central.cases.summonses import ACTS, ISSUES
from renzheng.central.store.reading import institution_names
from renzheng.central.web.api.case_summonses import days_of
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

HERE = "/summonses"
MOST = 500
DAYS_BACK = 90


def build_router(office: Office) -> APIRouter:
    """Build the pages."""
    router = APIRouter(include_in_schema=False)

    @router.get(HERE)
    @needs(Permission.CASES)
    def show_list(request: Request) -> Response:
        return _list(request, office)

    @router.post(HERE)
    @needs(Permission.CASES_STEP)
    async def issue(request: Request) -> Response:
        return await run_in_threadpool(_issue, request, office, await read_sent(request))

    @router.get(f"{HERE}/{{summons_id}}")
    @needs(Permission.CASES)
    def show(request: Request, summons_id: str) -> Response:
        return _show(request, office, summons_id)

    @router.get(f"{HERE}/{{summons_id}}/letter")
    @needs(Permission.CASES)
    def show_letter(request: Request, summons_id: str) -> Response:
        try:
            with office.database.reading() as connection:
                found = summons_keeping.read(connection, office.actor(request), summons_id)
                name = institution_names(connection).get(found.institution_id) or found.institution_id
        except CaseError as error:
            return refused_page(request, error)
        html = summons_keeping.letter(found, name)
        return HTMLResponse(html, headers={"Content-Security-Policy": REPORT_POLICY})

    @router.post(f"{HERE}/{{summons_id}}/{{act}}")
    @needs(Permission.CASES_STEP)
    async def take(request: Request, summons_id: str, act: str) -> Response:
        return await run_in_threadpool(_take, request, office, summons_id, act, await read_sent(request))

    return router


def _issue(request: Request, office: Office, sent: Sent) -> Response:
    try:
        first, last = days_of(sent.short("first"), sent.short("last"))
        made = office.summonses.issue(
            office.actor(request), sent.short("institution"), first, last, office.figure_of
        )
    except CaseError as error:
        return _list(request, office, outcome=refused(request, error, sent))
    return RedirectResponse(f"{HERE}/{made.summons_id}", status_code=303)


def _take(request: Request, office: Office, summons_id: str, act: str, sent: Sent) -> Response:
    try:
        text, reason = sent.short("text"), sent.short("reason")
        office.summonses.act(office.actor(request), summons_id, act, text, reason, sent.seen())
    except CaseError as error:
        return _show(request, office, summons_id, outcome=refused(request, error, sent, act))
    return RedirectResponse(f"{HERE}/{summons_id}", status_code=303)


def _list(request: Request, office: Office, *, outcome: Outcome = NOTHING_SENT) -> Response:
    actor = office.actor(request)
    with office.database.reading() as connection:
        rows = summons_keeping.listed(connection, actor, MOST)
        names = institution_names(connection)
    last = office.clock().astimezone(office.zone).date()
    return page(
        request,
        office,
        "summonses.html",
        outcome=outcome,
        rows=rows,
        names=names,
        may_issue=bool(ISSUES & actor.roles),
        first=date.fromordinal(last.toordinal() - DAYS_BACK),
        last=last,
    )


def _show(request: Request, office: Office, summons_id: str, *, outcome: Outcome = NOTHING_SENT) -> Response:
    actor = office.actor(request)
    try:
        with office.database.reading() as connection:
            found = summons_keeping.read(connection, actor, summons_id)
            names = institution_names(connection)
    except CaseError as error:
        return refused_page(request, error)
    return page(
        request,
        office,
        "summons.html",
        outcome=outcome,
        one=found,
        institution=names.get(found.institution_id) or found.institution_id,
        at_hospital=is_of_a_hospital(actor),
        possible=[
            name for name, act in ACTS.items() if act.roles & actor.roles and found.state in act.origins
        ],
    )
