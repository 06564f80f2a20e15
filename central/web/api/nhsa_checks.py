"""The routes `/nhsa/3101`, `/nhsa/3102` and `/nhsa/3103`, as hospital systems call the national platform."""

import datetime as dt
import logging
from collections.abc import Callable, Mapping
from typing import Any

import anyio
import pysqlite3.dbapi2 as sqlite3
from fastapi import APIRouter, Request

from renzheng.central.access.roles import Permission
from renzheng.central.checks import nhsa
from renzheng.central.checks.asked import NotReadableError
from renzheng.central.checks.service import Checks
from renzheng.central.store import viewer
from renzheng.central.store.times import to_us
from renzheng.central.web.api.checks import Door, Way, is_theirs, note_person, parsed, who
from renzheng.central.web.guard import needs
from renzheng.contracts.ids import normalised_id

logger = logging.getLogger(__name__)
Clock = Callable[[], dt.datetime]


def build_router(door: Door, clock: Clock, stages: Mapping[str, str]) -> APIRouter:
    """Build the routes.

    Args:
        door: makes checks.
        clock: when it is.
        stages: the stage of each `trig_scen`, as the region has it.
    """
    router = APIRouter(prefix="/nhsa", tags=["national interface"])

    def add(number: str, purpose: str) -> None:
        way = door.ways[f"/nhsa/{number}"] = Way(
            lambda checks, content, account: _made(checks, number, content, account, stages, clock),
            lambda content, code: _nothing(content, code, clock),
        )

        @router.post(f"/{number}", summary=purpose, operation_id=f"nhsa_{number}")
        @needs(Permission.CHECKS)
        async def check(request: Request) -> Any:
            return await door.answer(way, request)

    add("3101", "Check before: an order")
    add("3102", "Check during: a charge or a settlement")

    @router.post("/3103", summary="What was done about advices")
    @needs(Permission.CHECKS)
    async def feed_back(request: Request) -> Any:
        account, content = who(request), await request.body()
        return await anyio.to_thread.run_sync(_taken, door.checks, content, account, clock)

    return router


def _made(  # noqa: PLR0917 - what a message is judged by
    checks: Checks, number: str, content: bytes, account: str, stages: Mapping[str, str], clock: Clock
) -> dict[str, Any] | str:
    """Make the checks of a message; a code where it cannot be read."""
    try:
        head, data = nhsa.envelope(parsed(nhsa.as_utf8(content)))
        asked = nhsa.checks_in(head, data, nhsa.scenario(data, number, stages))
    except NotReadableError as error:
        return str(error)
    if not all(is_theirs(one.asked.institution_id) for one in asked):
        return "institution_not_yours"
    answers: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for one in asked:
        note_person(one.asked)
        answers.append(checks.check(one.asked, account))
        results += nhsa.results(one, answers[-1], str(data.get("task_id") or ""))
    return nhsa.answered(head, {"result": results}, _now(clock), warning=nhsa.warning_of(asked, answers))


def _nothing(content: bytes, code: str, clock: Clock) -> dict[str, Any]:
    """Answer that nothing is advised; the message's own number where it can be read."""
    return nhsa.answered(_head(content), {"result": []}, _now(clock), warning=code)


def _head(content: bytes) -> Mapping[str, Any]:
    try:
        found = parsed(nhsa.as_utf8(content))
    except NotReadableError:
        return {}
    return found if isinstance(found, dict) else {}


def _taken(checks: Checks, content: bytes, account: str, clock: Clock) -> dict[str, Any]:
    """Keep what was done about advices; the answer says that it is on the disk, or why it is not."""
    try:
        head, data = nhsa.envelope(parsed(nhsa.as_utf8(content)))
        answers = nhsa.feedback_in(data)
    except NotReadableError as error:
        return nhsa.refused(_head(content), str(error), _now(clock))
    try:
        known = checks.keeper.institutions_of({one.advice_id for one in answers})
        for one in answers:
            institution = known.get(one.advice_id)
            if institution is None or not viewer.sees(normalised_id(institution)):
                return nhsa.refused(head, f"warn_rslt_id {one.advice_id[:50]}: unknown", _now(clock))
        checks.answer(answers, account, to_us(clock()))
    except (sqlite3.Error, OSError) as error:
        logger.error("an answer to advices was not kept: %s", type(error).__name__)  # noqa: TRY400
        return nhsa.refused(head, "not_kept", _now(clock))
    return nhsa.answered(head, {"result": []}, _now(clock))


def refused_before(code: str) -> Mapping[str, Any]:
    """Return what a check is answered that is refused before it is read."""
    return nhsa.answered({}, {"result": []}, "", warning=code)


def feedback_refused_before(code: str) -> Mapping[str, Any]:
    """Return what a message 3103 is answered that is refused before it is read."""
    return nhsa.refused({}, code, "")


def _now(clock: Clock) -> str:
    return clock().strftime("%Y%m%d%H%M%S%f")[:17]
