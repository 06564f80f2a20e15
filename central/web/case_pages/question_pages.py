"""The bureau's list of patients to call, and one call: three equal answers, and what is no answer."""

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse

from renzheng.central.access.roles import Permission
from renzheng.central.cases import patient_questions
from renzheng.central.cases.errors import CaseError, NotFoundError
from renzheng.central.cases.patient_questions import CALLS
from renzheng.central.cases.reading import must_be_of_the_bureau
from renzheng.central.cases.worklists import rows_of
from renzheng.central.store import viewer
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
from renzheng.central.web.guard import needs
from renzheng.contracts.patient_questions import ANSWERS, NO_ANSWERS

HERE = "/calls"


def build_router(office: Office) -> APIRouter:
    """Build the pages."""
    router = APIRouter(include_in_schema=False)

    @router.get(HERE)
    @needs(Permission.CASES)
    def show_calls(request: Request, all: bool = False) -> Response:  # noqa: A002 - as the address has it
        return _list(request, office, every=all)

    @router.get(f"{HERE}/{{doubt_id}}")
    @needs(Permission.CASES)
    def show_call(request: Request, doubt_id: str) -> Response:
        return _show(request, office, doubt_id)

    @router.post(f"{HERE}/{{doubt_id}}")
    @needs(Permission.CASES_STEP)
    async def put(request: Request, doubt_id: str) -> Response:
        return await run_in_threadpool(_take, request, office, doubt_id, await read_sent(request))

    return router


def _take(request: Request, office: Office, doubt_id: str, sent: Sent) -> Response:
    actor, outcome = office.actor(request), sent.text("outcome")
    try:
        if outcome:
            alone = sent.text("alone") == "1"
            office.questions.record(actor, doubt_id, outcome, alone=alone)
        else:
            office.questions.put(actor, doubt_id, sent.short("reason"))
    except CaseError as error:
        return _show(request, office, doubt_id, outcome=refused(request, error, sent))
    return RedirectResponse(HERE if outcome else f"/doubts/{doubt_id}", status_code=303)


def _list(request: Request, office: Office, *, every: bool) -> Response:
    try:
        must_be_of_the_bureau(office.actor(request))
    except CaseError as error:
        return refused_page(request, error)
    now = office.clock()
    with office.database.reading() as connection:
        found = patient_questions.read(connection)
        chosen = [one for one in found.values() if every or not one.over(now)]
        rows = {row.doubt_id: row for row in rows_of(connection, [one.doubt_id for one in chosen])}
    viewer.note_persons(row.person_id for row in rows.values())
    return page(
        request,
        office,
        "calls.html",
        calls=[(one, rows[one.doubt_id]) for one in chosen],
        every=every,
        now=now,
    )


def _show(
    request: Request,
    office: Office,
    doubt_id: str,
    *,
    outcome: Outcome = NOTHING_SENT,
) -> Response:
    actor = office.actor(request)
    try:
        must_be_of_the_bureau(actor)
        with office.database.reading() as connection:
            row = next(iter(rows_of(connection, [doubt_id])), None)
            question = patient_questions.read(connection, [doubt_id]).get(doubt_id)
        if row is None:
            raise NotFoundError("There is no such doubt.")
    except CaseError as error:
        return refused_page(request, error)
    viewer.note_persons([row.person_id])
    return page(
        request,
        office,
        "call.html",
        outcome=outcome,
        row=row,
        question=question,
        over=question is not None and question.over(office.clock()),
        may_call=bool(CALLS & actor.roles) and question is not None and question.put_by != actor.account,
        answers=ANSWERS,
        no_answers=NO_ANSWERS,
    )
