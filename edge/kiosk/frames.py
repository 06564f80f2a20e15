"""Where a frame goes: to the look under way, or to a glance for a QR code and for movement."""

from collections.abc import Callable

from renzheng.edge.kiosk import session
from renzheng.edge.kiosk.frame_scan import FrameScanner
from renzheng.edge.kiosk.session import Looking, Scanning
from renzheng.edge.look.watcher import Frame, Watcher, now_ms

GLANCE_MS = 500
"""A frame is glanced at this often while the camera serves something else."""

OWN_KEPT = 600


class Frames:
    """Takes the frames of the page or of the agent's own camera; returns at once.

    Args:
        watcher: looks at frames while somebody signs in.
        scanner: scans them for codes and movement.
        state: the visit's state now.
    """

    def __init__(self, watcher: Watcher, scanner: FrameScanner, state: Callable[[], session.State]) -> None:
        self._watcher = watcher
        self._scanner = scanner
        self._state = state
        self._glanced_ms = 0
        self._own: dict[int, int] = {}
        self._own_number = 0

    def show(self, number: int, jpeg: bytes) -> None:
        """Take a frame by its number on the page's socket."""
        frame, state = Frame(number, jpeg, now_ms()), self._state()
        if isinstance(state, Looking):
            self._watcher.show(frame)
        scanning = isinstance(state, Scanning)
        if scanning or frame.at_ms - self._glanced_ms >= GLANCE_MS:
            self._glanced_ms = frame.at_ms
            self._scanner.show(frame, for_code=scanning)

    def show_own(self, jpeg: bytes) -> None:
        """Take a frame of the agent's own camera."""
        self._own_number += 1
        self._own[self._own_number] = now_ms()
        while len(self._own) > OWN_KEPT:
            self._own.pop(next(iter(self._own)))
        self.show(self._own_number, jpeg)

    def own_age_ms(self, number: int | None) -> int | None:
        """Return how long ago the agent's own camera took a frame; None for a page's."""
        at = None if number is None else self._own.get(number)
        return None if at is None else now_ms() - at

    @property
    def wanted(self) -> bool:
        """Whether somebody is to see themselves before the agent's own camera."""
        return isinstance(self._state(), Looking | Scanning)
