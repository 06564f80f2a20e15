"""Checks by a short way: many made together, written down in one transaction, then answered.

The routes of checks are ordinary ones. A call of theirs that is plain (a program that is known, a body of
ordinary size) does not pass through them but is made here, by the same functions, because what surrounds a
route costs more than a check. Nothing is asked less: whether the token still holds is read in the transaction
that writes the entry of the access log, and nothing is shown before that entry is durable. Every other call
goes the ordinary way.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio
import orjson
import pysqlite3.dbapi2 as sqlite3
import sqlalchemy as sa
from fastapi import HTTPException
from fastapi.concurrency import run_in_threadpool

from renzheng.central.access.access_log import Access
from renzheng.central.access.roles import Permission
from renzheng.central.access.visitors import Known, Visitor, Visitors
from renzheng.central.checks.keeping import Check, Grouped
from renzheng.central.store.faults import describe
from renzheng.central.store.masking import Masks
from renzheng.central.store.viewer import Viewer, look_as
from renzheng.central.web.api.checks import MOST_AT_ONCE, Door, Way
from renzheng.central.web.guard import Use
from renzheng.central.web.guesses import Guesses
from renzheng.common.limits import Application, Receive, Scope, Send, replayed

logger = logging.getLogger(__name__)
MOST_BYTES = 65_536
"""A larger call goes the ordinary way, so that smaller ones do not wait for it."""
MOST_TOGETHER = 16
_BEARER = b"Bearer "
_Told = tuple[int, bytes]
"""Status and body."""


@dataclass(eq=False, slots=True)
class _Call:
    """One call while it is answered.

    Args:
        way: makes it.
        content: its body.
        path, address: which address was called, and from where.
        token: that it shows.
        known: for whom that stood.
        told: the answer, for whoever waits; None where the ordinary way must answer.
        made: the same, before it may be shown.
        access: its entry in the access log; None where it was refused or failed: the ordinary way tells that.
        checks: that were made for it.
    """

    way: Way
    content: bytes
    path: str
    address: str
    token: str
    known: Known
    told: asyncio.Future[_Told | None]
    made: _Told = (200, b"")
    access: Access | None = None
    checks: Sequence[Check] = field(default=())

    def tell(self, told: _Told | None) -> None:
        if not self.told.done():
            self.told.set_result(told)

    def nothing(self, code: str) -> _Told:
        return 200, orjson.dumps(self.way.nothing(self.content, code))


class Lane:
    """The middleware; everything but plain calls of checks passes it.

    Args:
        app: what answers everything else.
        door: of the checks.
        visitors: knows programs, and writes the access log.
        guesses: forgets wrong tokens of an address that shows a right one.
        masks: of persons' numbers.
        headers: of every answer.
    """

    def __init__(  # noqa: PLR0917 - what answers stand on
        self,
        app: Application,
        door: Door,
        visitors: Visitors,
        guesses: Guesses,
        masks: Masks,
        headers: Mapping[str, str],
    ) -> None:
        self._app, self._door, self._visitors, self._guesses = app, door, visitors, guesses
        self._masks = masks
        told = {"content-type": "application/json", **headers}
        self._headers = [(name.lower().encode(), value.encode()) for name, value in told.items()]
        self._making, self._writing = _Line(self._make), _Line(self._write)
        self._keys: set[str] = set()
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a plain call of a check; pass everything else on."""
        way = self._door.ways.get(scope["path"]) if scope["type"] == "http" else None
        token = _plain(scope) if way is not None else ""
        known = await self._known(token) if token else None
        if way is None or known is None:
            await self._app(scope, receive, send)
            return
        address = scope["client"][0] if scope.get("client") else "-"
        self._guesses.forget(address)
        content = (await receive()).get("body", b"")
        loop = asyncio.get_running_loop()
        call = _Call(way, content, scope["path"], address, token, known, loop.create_future())
        answer = await self._answered(call, loop)
        if answer is None:
            await self._app(scope, replayed(content, receive), send)
            return
        status, told = answer
        length = (b"content-length", str(len(told)).encode())
        await send({"type": "http.response.start", "status": status, "headers": [*self._headers, length]})
        await send({"type": "http.response.body", "body": told})

    async def _known(self, token: str) -> Known | None:
        try:
            known = self._visitors.recent(token)
            if known is None:
                known = await run_in_threadpool(self._visitors.known_by_token, token)
        except sa.exc.SQLAlchemyError:
            return None
        return known if known is not None and Permission.CHECKS in known.visitor.permissions else None

    async def _answered(self, call: _Call, loop: asyncio.AbstractEventLoop) -> _Told | None:
        if self._waiting >= MOST_AT_ONCE:
            return call.nothing("overloaded")
        self._waiting += 1
        late = loop.call_later(self._door.deadline_seconds, lambda: call.tell(call.nothing("late")))
        try:
            self._making.add(call)
            return await call.told
        finally:
            self._waiting -= 1
            late.cancel()

    async def _make(self, calls: Sequence[_Call]) -> None:
        waiting = [one for one in calls if not one.told.done()]
        await anyio.to_thread.run_sync(self._made, waiting)
        for call in waiting:
            self._writing.add(call)

    def _made(self, calls: Iterable[_Call]) -> None:
        """Make checks, each for its own visitor; what they are kept by is not written yet."""
        checks = self._door.checks.together()
        for call in calls:
            visitor = call.known.visitor
            use = Use(visitor, Permission.CHECKS, self._viewer(visitor))
            look_as(use.viewer)
            grouped = Grouped(self._door.checks.keeper, self._keys)
            try:
                made = call.way.make(checks.kept_by(grouped), call.content, visitor.account_id)
                call.made = call.nothing(made) if isinstance(made, str) else (200, orjson.dumps(made))
                call.access = use.access_to("POST", call.path, call.address)
                call.checks = grouped.checks
            except Exception as error:  # noqa: BLE001 - a fault of ours holds up nobody's care
                if not isinstance(error, HTTPException):
                    logger.error("a check failed: %s", type(error).__name__)  # noqa: TRY400 - may name people
                self._keys.difference_update(key for check in grouped.checks for key in check.keys)

    def _viewer(self, visitor: Visitor) -> Viewer:
        masks = None if Permission.IDENTITIES in visitor.permissions else self._masks
        return Viewer(visitor.institutions, masks=masks)

    async def _write(self, calls: Sequence[_Call]) -> None:
        answers = await anyio.to_thread.run_sync(self._written, calls)
        for call, answer in zip(calls, answers, strict=True):
            call.tell(answer)

    def _written(self, calls: Sequence[_Call]) -> list[_Told | None]:
        """Write what was made, and return what may be shown of it (see `_Call.told`)."""
        waiting = {id(one): one for one in calls if not one.told.done()}
        entries = [(one.token, one.known, one.access) for one in waiting.values() if one.access]
        try:
            holding = self._visitors.note_holding(entries) if entries else frozenset()
        except sa.exc.SQLAlchemyError as error:
            logger.error("the access log did not take an entry: %s", describe(error))  # noqa: TRY400
            self._keep(calls, shown=frozenset())
            return [one.nothing("error") for one in calls]
        shown = frozenset(name for name, one in waiting.items() if one.access and one.token in holding)
        if not self._keep(calls, shown):
            return [one.nothing("error") for one in calls]
        return [one.made if id(one) in shown else None for one in calls]

    def _keep(self, calls: Sequence[_Call], shown: frozenset[int]) -> bool:
        """Keep every check; advices that nobody saw are not kept as shown."""
        checks = [check if id(one) in shown else check.unseen() for one in calls for check in one.checks]
        try:
            self._door.checks.keeper.keep_all(checks)
        except (sqlite3.Error, OSError) as error:
            logger.error("checks were not kept: %s", type(error).__name__)  # noqa: TRY400 - may name people
            return False
        finally:
            self._keys.difference_update(key for one in calls for check in one.checks for key in check.keys)
        return True


class _Line:
    """Hands on together what has come while the last ones were at work.

    Args:
        work: takes what waits, a few at a time.
    """

    def __init__(self, work: Callable[[Sequence[_Call]], Any]) -> None:
        self._work = work
        self._waiting: list[_Call] = []
        self._task: asyncio.Task[None] | None = None

    def add(self, call: _Call) -> None:
        """Let a call be worked on soon."""
        self._waiting.append(call)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        while self._waiting:
            some, self._waiting = self._waiting[:MOST_TOGETHER], self._waiting[MOST_TOGETHER:]
            try:
                await self._work(some)
            except Exception as error:  # noqa: BLE001 - a fault of ours holds up nobody's care
                logger.error("checks failed: %s", type(error).__name__)  # noqa: TRY400 - may name people
                for call in some:
                    call.tell(call.nothing("error"))


def _plain(scope: MutableMapping[str, Any]) -> str:
    """Return the token of a call that is plain; empty where it is not."""
    if scope["method"] != "POST" or scope["query_string"]:
        return ""
    shown, length = b"", -1
    for name, value in scope["headers"]:
        if name == b"authorization":
            shown = value
        elif name == b"content-length" and value.isdigit():
            length = int(value)
    if not shown.startswith(_BEARER) or not 0 <= length <= MOST_BYTES:
        return ""
    return shown.removeprefix(_BEARER).decode("latin-1")
