"""The event loop that the kiosk's pages and its visit live on, as other threads reach it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import ParamSpec

P = ParamSpec("P")


class KioskLoop:
    """Hands work over to the loop; before it runs and after its end there is nobody to do it."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def enter(self) -> None:
        """Take the loop that runs now."""
        self._loop = asyncio.get_running_loop()

    def call(self, work: Callable[P, object], *args: P.args, **values: P.kwargs) -> bool:
        """Have the loop do something, from any thread; False when there is no loop."""
        if self._loop is None or self._loop.is_closed():
            return False
        self._loop.call_soon_threadsafe(lambda: work(*args, **values))
        return True

    def soon(self, work: Coroutine[None, None, None]) -> None:
        """Have the loop do something that takes a while; from the loop itself."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
