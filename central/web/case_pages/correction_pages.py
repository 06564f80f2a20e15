"""What institutions have found and returned themselves: declared by their office, proven by money."""

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse

from renzheng.central.access.roles import Permission, Role
from renzheng.central.cases import corrections
from renzheng.central.cases.amounts import fen
from renzheng.central.cases.errors import CaseError
from renzheng.central.store.reading import institution_names
from renzheng.central.web.case_pages.parts import (
    NOTHING_SENT,
    Count,
    Office,
    Outcome,
    Sent,
    page,
    read_sent,
    refused,
)
from renzheng.central.web.console.pages import PageNumber
from renzheng.central.web.guard import needs

ROWS_A_PAGE = 50
HERE = "/self-corrections"


def build_router(office: Office) -> APIRouter:
    """Build the pages."""
    router = APIRouter(include_in_schema=False)

    @router.get(HERE)
    @needs(Permission.CASES)
    def show(request: Request, page: PageNumber = 1, declared: Count = 0, proven: Count = 0) -> Response:
        return _show(request, office, page, declared=declared, proven=proven)

    @router.post(HERE)
    @needs(Permission.CASES_STEP)
    async def declare(request: Request) -> Response:
        return await run_in_threadpool(_declare, request, office, await read_sent(request))

    @router.post(f"{HERE}/{{correction_id}}/receipt")
    @needs(Permission.CASES_STEP)
    async def record(request: Request, correction_id: str) -> Response:
        return await run_in_threadpool(_record, request, office, correction_id, await read_sent(request))

    return router


def _declare(request: Request, office: Office, sent: Sent) -> Response:
    lines = sent.text("lines").replace(",", " ").replace("，", " ").split()
    try:
        ids = office.corrections.declare(office.actor(request), lines, sent.short("text"))
    except CaseError as error:
        return _show(request, office, 1, outcome=refused(request, error, sent))
    return RedirectResponse(f"{HERE}?declared={len(ids)}", status_code=303)


def _record(request: Request, office: Office, correction_id: str, sent: Sent) -> Response:
    try:
        amount, reference = fen(sent.yuan("amount")), sent.short("reference")
        office.corrections.record_receipt(office.actor(request), correction_id, reference, amount)
    except CaseError as error:
        return _show(request, office, 1, outcome=refused(request, error, sent))
    return RedirectResponse(f"{HERE}?proven=1", status_code=303)


def _show(
    request: Request,
    office: Office,
    number: int,
    *,
    outcome: Outcome = NOTHING_SENT,
    declared: int = 0,
    proven: int = 0,
) -> Response:
    actor = office.actor(request)
    with office.database.reading() as connection:
        total, rows = corrections.listed(connection, ROWS_A_PAGE, (number - 1) * ROWS_A_PAGE)
        names = institution_names(connection)
    return page(
        request,
        office,
        "self_corrections.html",
        outcome=outcome,
        rows=rows,
        names=names,
        counted=total,
        number=number,
        last=max((total + ROWS_A_PAGE - 1) // ROWS_A_PAGE, 1),
        may_declare=Role.HOSPITAL_OFFICE in actor.roles,
        may_record=Role.FINANCE in actor.roles,
        declared=declared,
        proven=proven,
    )
