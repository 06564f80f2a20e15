"""What scanned frames lead to: the kiosk wakes, staff hear of a covered lens, a QR code names somebody."""

import asyncio

from renzheng.contracts.errors import RenzhengError
from renzheng.edge.errors import UnknownPersonError
from renzheng.edge.kiosk.controller import Controller
from renzheng.edge.kiosk.frame_scan import FrameScan
from renzheng.edge.kiosk.lens import Lens
from renzheng.edge.kiosk.loop import KioskLoop
from renzheng.edge.kiosk.pages import Pages
from renzheng.edge.kiosk.session import Scanning
from renzheng.edge.kiosk.visitors import Visitors
from renzheng.edge.look.watcher import now_ms

REPEATED_CODE_MS = 3_000
"""A QR code that names nobody is looked up again only after this long: it is still being held there."""


class ScanHandler:
    """Handles each scanned frame, on the event loop.

    Args:
        controller: is told who is named, and that somebody is here.
        lens: is told what the pictures show.
        visitors: finds whose code it is.
        pages: show what is wrong with the lens.
        loop: where codes are looked up.
    """

    def __init__(
        self, controller: Controller, lens: Lens, visitors: Visitors, pages: Pages, loop: KioskLoop
    ) -> None:
        self._controller = controller
        self._lens = lens
        self._visitors = visitors
        self._pages = pages
        self._loop = loop
        self._refused: tuple[str, int] = ("", 0)
        self._reading = False

    def take(self, scan: FrameScan) -> None:
        """Take what one frame showed."""
        if self._lens.see(scan.trouble):
            self._pages.announce()
        if scan.stirs:
            self._controller.stir()
        scanning = isinstance(self._controller.state, Scanning)
        if scan.code is not None and scanning and not self._reading and self._is_fresh(scan.code):
            self._reading = True
            self._loop.soon(self._read(scan.code))

    def _is_fresh(self, code: str) -> bool:
        refused, at_ms = self._refused
        return code != refused or now_ms() - at_ms > REPEATED_CODE_MS

    async def _read(self, code: str) -> None:
        try:
            await self._controller.take(await asyncio.to_thread(self._visitors.named_by_code, code))
        except UnknownPersonError:
            self._refused = code, now_ms()
            self._controller.refuse("unknown_code")
        except RenzhengError as error:
            self._controller.fail(error)
        finally:
            self._reading = False
