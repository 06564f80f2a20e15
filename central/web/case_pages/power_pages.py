"""Rules that have lost power by themselves: since when and why, and giving them back what they lost."""

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse

from renzheng.central.access.roles import Permission, Role
from renzheng.central.cases import lists, powers
from renzheng.central.cases.errors import CaseError
from renzheng.central.cases.reading import is_of_a_hospital
from renzheng.central.web.case_pages.parts import (
    NOTHING_SENT,
    Office,
    Outcome,
    Sent,
    page,
    read_sent,
    refused,
)
from renzheng.central.web.console.pages import rule_names
from renzheng.central.web.guard import needs

HERE = "/powers"


def build_router(office: Office) -> APIRouter:
    """Build the pages."""
    router = APIRouter(include_in_schema=False)

    @router.get(HERE)
    @needs(Permission.CASES)
    def show(request: Request, did: str = "") -> Response:
        return _show(request, office, did="restore" if did == "restore" else "")

    @router.post(HERE)
    @needs(Permission.CASES_STEP)
    async def restore(request: Request) -> Response:
        return await run_in_threadpool(_restore, request, office, await read_sent(request))

    return router


def _restore(request: Request, office: Office, sent: Sent) -> Response:
    try:
        rule, version = sent.short("rule"), sent.short("rule_version")
        office.cases.restore_rule(office.actor(request), rule, version, sent.short("reason"))
    except CaseError as error:
        return _show(request, office, outcome=refused(request, error, sent))
    return RedirectResponse(f"{HERE}?did=restore", status_code=303)


def _show(
    request: Request,
    office: Office,
    *,
    outcome: Outcome = NOTHING_SENT,
    did: str = "",
) -> Response:
    actor = office.actor(request)
    with office.database.reading() as connection:
        held = sorted(powers.powers(connection).items())
        fared = lists.overturns_of(connection)
        since = {rule: powers.fared_since(connection, rule, one.since) for rule, one in held}
    return page(
        request,
        office,
        "powers.html",
        outcome=outcome,
        held=held,
        since=since,
        full=powers.FULL,
        titles=rule_names(office.audit, request),
        fared={rule: [one for one in fared if one.rule_id == rule[0]] for rule, _ in held},
        at_hospital=is_of_a_hospital(actor),
        may_restore=Role.APPROVER in actor.roles,
        did=did,
    )
