"""The pages that are open before this kiosk: who hears of a new screen, and when one was last there."""

import asyncio


class Pages:
    """The open pages."""

    def __init__(self) -> None:
        self.seen_ms: int | None = None
        self._changed: dict[object, asyncio.Event] = {}

    def add(self, page: object, now_ms: int) -> asyncio.Event:
        """Register a page; its event is set whenever the screen changes."""
        self._changed[page] = asyncio.Event()
        self.seen_ms = now_ms
        return self._changed[page]

    def remove(self, page: object) -> None:
        """Forget a page that went away."""
        self._changed.pop(page, None)

    def note(self, now_ms: int) -> None:
        """Keep that a page is open now, if one is."""
        if self._changed:
            self.seen_ms = now_ms

    def announce(self) -> None:
        """Have every page fetch the screen."""
        for changed in self._changed.values():
            changed.set()
