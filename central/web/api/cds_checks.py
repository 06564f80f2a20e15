"""The routes of CDS Hooks 2: `/cds-services`, each service, and what was done about its cards."""

import datetime as dt
from collections.abc import Callable, Iterable
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, HTTPException, Path, Request
from fastapi.responses import JSONResponse

from renzheng.central.access.roles import Permission
from renzheng.central.checks import cds_hooks
from renzheng.central.checks.asked import NotReadableError
from renzheng.central.checks.keeping import Answer
from renzheng.central.checks.service import Checks
from renzheng.central.store import viewer
from renzheng.central.store.times import to_us
from renzheng.central.web.api.checks import Door, Way, is_theirs, note_person, parsed, who
from renzheng.central.web.guard import needs
from renzheng.contracts.ids import normalised_id

Service = Annotated[str, Path(min_length=1, max_length=100)]


def build_router(door: Door, clock: Callable[[], dt.datetime]) -> APIRouter:
    """Build the routes."""
    router = APIRouter(prefix=cds_hooks.PREFIX, tags=["CDS Hooks"])
    ways = {name: _way(name, clock) for name in cds_hooks.SERVICES}
    door.ways |= {f"{cds_hooks.PREFIX}/{name}": way for name, way in ways.items()}

    @router.get("", summary="Services there are", operation_id="cds_services")
    @needs(Permission.CHECKS)
    async def discover() -> Any:
        return cds_hooks.discovery()

    @router.post("/{service}", summary="Check orders or a stay that ends", operation_id="cds_service")
    @needs(Permission.CHECKS)
    async def check(service: Service, request: Request) -> Any:
        _must_be(service)
        return await door.answer(ways[service], request)

    @router.post("/{service}/feedback", summary="What was done about cards", operation_id="cds_feedback")
    @needs(Permission.CHECKS)
    async def feed_back(service: Service, request: Request) -> Any:
        _must_be(service)
        account, content = who(request), await request.body()
        try:
            answers = cds_hooks.feedback_in(parsed(content))
        except NotReadableError as error:
            return JSONResponse({"error": {"what": str(error)}}, status_code=400)
        await anyio.to_thread.run_sync(_kept, door.checks, answers, account, to_us(clock()))
        return JSONResponse({})

    return router


def _way(service: str, clock: Callable[[], dt.datetime]) -> Way:
    return Way(
        lambda checks, content, account: _made(checks, service, content, account, clock()),
        lambda _, code: cds_hooks.no_cards(code),
    )


def _must_be(service: str) -> None:
    if service not in cds_hooks.SERVICES:
        raise HTTPException(404, "There is no such service.")


def _made(
    checks: Checks, service: str, content: bytes, account: str, now: dt.datetime
) -> dict[str, Any] | str:
    own = viewer.institutions() or frozenset()
    institution = next(iter(own)) if len(own) == 1 else None
    try:
        asked, left_out = cds_hooks.check_in(parsed(content), service, institution, now)
    except NotReadableError as error:
        return str(error)
    if not is_theirs(asked.institution_id):
        return "institution_not_yours"
    note_person(asked)
    return cds_hooks.cards(checks.check(asked, account), left_out)


def _kept(checks: Checks, answers: Iterable[Answer], account: str, at_us: int) -> None:
    """Keep feedback durably, if every card is of an institution for which the caller speaks."""
    told = list(answers)
    known = checks.keeper.institutions_of({one.advice_id for one in told})
    if not all(viewer.sees(normalised_id(known.get(one.advice_id, ""))) for one in told) or len(known) < len(
        {one.advice_id for one in told}
    ):
        raise HTTPException(404, "There is no such card.")
    checks.answer(told, account, at_us)
