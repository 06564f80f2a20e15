"""The routes of checks: what waits for an answer is never held up, so every answer is one."""

import codecs
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import anyio
import orjson
from fastapi import APIRouter, HTTPException, Path, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from renzheng.central.access.roles import Permission
from renzheng.central.checks.asked import CheckAsked, NotReadableError, read_asked
from renzheng.central.checks.keeping import Answer
from renzheng.central.checks.service import Checks, nothing
from renzheng.central.store import viewer
from renzheng.central.web.guard import needs, visitor_of
from renzheng.contracts.ids import normalised_id

logger = logging.getLogger(__name__)
MOST_BYTES = 4_000_000
MOST_AT_ONCE, THREADS = 64, 4
Id = Annotated[str, Path(min_length=1, max_length=200)]


class Advice(BaseModel):
    """What a check advises; see docs/checks.md."""

    id: str
    point: str
    version: str
    kind: str
    power: str
    items: list[str]
    amount: float
    text_zh: str
    text_en: str
    basis: str
    source: str
    clears: dict[str, str]
    override_reasons: list[dict[str, str]]


class NotChecked(BaseModel):
    """What was not checked, and why, as a code."""

    what: str
    code: str


class CheckAnswer(BaseModel):
    """The answer to a check; `check_id` is null where none was kept."""

    check_id: str | None
    advices: list[Advice]
    not_checked: list[NotChecked]
    code: str


class AnswerAsked(BaseModel):
    """What somebody did about an advice."""

    model_config = ConfigDict(extra="ignore")

    advice: Annotated[str, Field(min_length=1, max_length=200)]
    action: Annotated[str, Field(pattern="^(followed|overridden)$")]
    reason: Annotated[str, Field(max_length=2000)] | dict[str, str] | None = None


class Taken(BaseModel):
    """Whether an answer was taken: `ok`, or why not."""

    code: str


@dataclass(frozen=True, slots=True)
class Way:
    """How calls of one address are answered.

    Args:
        make: makes the checks of a body for an account, in the viewer's thread; an answer, or a code.
        nothing: returns "no advice" to a body, with a code.
    """

    make: Callable[[Checks, bytes, str], dict[str, Any] | str]
    nothing: Callable[[bytes, str], Mapping[str, Any]]


class Door:
    """Makes checks beside the event loop, a few at a time and none for longer than the deadline.

    Args:
        checks: makes them.
        deadline_seconds: after which the answer is "no advice".
    """

    def __init__(self, checks: Checks, deadline_seconds: float) -> None:
        self.checks, self.deadline_seconds = checks, deadline_seconds
        self.ways: dict[str, Way] = {}
        self._limiter = anyio.CapacityLimiter(THREADS)
        self._waiting = 0

    async def answer(self, way: Way, request: Request) -> Mapping[str, Any]:
        """Return the answer to a call, within the deadline."""
        content, account = await request.body(), who(request)
        made = await self._within(lambda: way.make(self.checks, content, account))
        return way.nothing(content, made) if isinstance(made, str) else made

    async def _within(self, made: Callable[[], dict[str, Any] | str]) -> dict[str, Any] | str:
        """Return what is made within the deadline; else, or where it gives one, a code."""
        if self._waiting >= MOST_AT_ONCE:
            return "overloaded"
        self._waiting += 1
        try:
            found: dict[str, Any] | str = "late"
            with anyio.move_on_after(self.deadline_seconds):
                found = await anyio.to_thread.run_sync(made, limiter=self._limiter, abandon_on_cancel=True)
        except HTTPException:
            raise
        except Exception as error:  # noqa: BLE001 - a fault of ours holds up nobody's care
            logger.error("a check failed: %s", type(error).__name__)  # noqa: TRY400 - values may name people
            return "error"
        else:
            return found
        finally:
            self._waiting -= 1


def _made(checks: Checks, content: bytes, account_id: str) -> dict[str, Any] | str:
    try:
        asked = read_asked(parsed(content))
    except NotReadableError as error:
        return str(error)
    if not is_theirs(asked.institution_id):
        raise HTTPException(404, "There is no such institution.")
    note_person(asked)
    told = checks.check(asked, account_id)
    return {**told, "advices": [{name: one[name] for name in Advice.model_fields} for one in told["advices"]]}


def is_theirs(institution_id: str) -> bool:
    """Return whether the caller speaks for an institution."""
    return viewer.sees(normalised_id(institution_id))


def note_person(asked: CheckAsked) -> None:
    """Keep, for the access log, whose history is read."""
    viewer.note_persons([asked.patient.person_id and normalised_id(asked.patient.person_id)])


def parsed(content: bytes) -> Any:
    """Read JSON.

    Raises:
        NotReadableError: it is none.
    """
    try:
        return orjson.loads(content.removeprefix(codecs.BOM_UTF8))
    except ValueError as error:
        raise NotReadableError("not_json") from error


def who(request: Request) -> str:
    """Return the caller's account."""
    visitor = visitor_of(request)
    return visitor.account_id if visitor else "-"


def _inlined(part: Any, shapes: dict[str, Any]) -> Any:
    """Put shapes in the place of their references: the API's description has them nowhere else."""
    if isinstance(part, dict):
        if "$ref" in part:
            return _inlined(shapes[part["$ref"].rpartition("/")[2]], shapes)
        return {name: _inlined(value, shapes) for name, value in part.items() if name != "$defs"}
    return [_inlined(one, shapes) for one in part] if isinstance(part, list) else part


def _body(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema()
    inlined = _inlined(schema, schema.get("$defs", {}))
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": inlined}}}}


def build_router(door: Door, now_us: Callable[[], int]) -> APIRouter:
    """Build the routes."""
    router = APIRouter(tags=["checks"])
    way = door.ways["/api/v1/checks"] = Way(_made, lambda _, code: nothing(code))

    @router.post("/checks", response_model=CheckAnswer, openapi_extra=_body(CheckAsked))
    @needs(Permission.CHECKS)
    async def check(request: Request) -> Any:
        """Check an order or a settlement; the answer is always one, and may be "no advice" with a code."""
        return await door.answer(way, request)

    @router.post("/checks/{check_id}/answers", response_model=Taken, openapi_extra=_body(AnswerAsked))
    @needs(Permission.CHECKS)
    async def answer(check_id: Id, request: Request) -> Any:
        """Tell what was done about an advice: followed, or overridden with a reason."""
        content, account = await request.body(), who(request)
        return await anyio.to_thread.run_sync(_taken, door.checks, check_id, content, account, now_us())

    return router


def _taken(checks: Checks, check_id: str, content: bytes, account_id: str, at_us: int) -> dict[str, str]:
    keeper = checks.keeper
    institution = keeper.institution_of(check_id)
    if institution is None or not viewer.sees(institution):
        raise HTTPException(404, "There is no such check.")
    try:
        told = AnswerAsked.model_validate(parsed(content))
    except NotReadableError as error:
        return {"code": str(error)}
    except ValidationError:
        return {"code": "not_valid"}
    if keeper.check_of(told.advice) != check_id:
        raise HTTPException(404, "There is no such advice.")
    reason = told.reason.get("code", "") if isinstance(told.reason, dict) else told.reason or ""
    checks.answer([Answer(told.advice, told.action, reason)], account_id, at_us)
    return {"code": "ok"}
