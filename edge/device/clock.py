"""Time on the device: one Protocol, the machine's own clock, and one that tests and the demo step.

`watch` is the pure part: it compares two readings and names what happened to the wall clock in between.
"""

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, Protocol

from renzheng.common.kernel_clock import is_synchronised
from renzheng.contracts import events

JUMP_MS = 2_000
"""A wall clock that gains or loses this much against the boot clock between two readings has been stepped:
crystal drift is under 100 ppm, so two seconds would take more than five hours."""

CLOSE_MS = 50
"""Looks at the two clocks that lie further apart are taken again: the process was held up in between."""
_LOOKS = 20
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class ClockReading:
    """One look at the clock; `wall` is aware UTC, `monotonic_ms` counts sleep too."""

    wall: datetime
    monotonic_ms: int
    boot_id: str
    trusted: bool

    def as_event_clock(self) -> events.Clock:
        """Say it the way an event does."""
        return events.Clock(trusted=self.trusted, boot_id=self.boot_id, monotonic_ms=self.monotonic_ms)


class Clock(Protocol):
    """Where time comes from."""

    def read(self) -> ClockReading:
        """Read wall clock, boot clock and trust at one moment."""


class SystemClock:
    """The machine's clock; trusted while the kernel says that it is synchronised (adjtimex)."""

    def __init__(self) -> None:
        self._boot_id = _BOOT_ID.read_text(encoding="ascii").strip() if _BOOT_ID.exists() else "unknown"

    def read(self) -> ClockReading:
        """Read the machine's clocks, as one moment: a process held up between two looks has seen no jump."""
        for _ in range(_LOOKS):
            before_ms, wall, after_ms = _boot_ms(), datetime.now(UTC), _boot_ms()
            if after_ms - before_ms <= CLOSE_MS:
                break
        return ClockReading(wall, after_ms, self._boot_id, is_synchronised())


def _boot_ms() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


class SteppedClock:
    """A clock that moves when it is told to, for tests and the demo's day.

    Args:
        start: the first wall time, aware.
        runs: let it also run with real time between the steps.
        trusted: what `trusted` says until `trust` changes it.
    """

    def __init__(self, start: datetime, *, runs: bool = False, trusted: bool = True) -> None:
        self._lock = threading.Lock()
        self._wall = start.astimezone(UTC)
        self._elapsed = timedelta()
        self._origin = time.monotonic() if runs else None
        self._trusted = trusted

    def read(self) -> ClockReading:
        """Read the stepped time."""
        with self._lock:
            ran = (
                timedelta(seconds=time.monotonic() - self._origin)
                if self._origin is not None
                else timedelta()
            )
            boot_ms = round((self._elapsed + ran).total_seconds() * 1000)
            return ClockReading(self._wall + ran, boot_ms, "stepped", self._trusted)

    def advance(self, by: timedelta) -> None:
        """Let time pass, on both clocks."""
        with self._lock:
            self._wall += by
            self._elapsed += by

    def set_wall(self, by: timedelta) -> None:
        """Step the wall clock alone, as an operator or a time server would; `by` may be negative."""
        with self._lock:
            self._wall += by

    def trust(self, trusted: bool) -> None:
        """Say from now on that the clock is, or is not, synchronised."""
        with self._lock:
            self._trusted = trusted


@dataclass(frozen=True, slots=True)
class ClockChange:
    """What happened to the wall clock; `offset_ms` is how far it was stepped forward."""

    change: Literal["synchronised", "lost", "jumped"]
    offset_ms: int | None = None


def watch(before: ClockReading, now: ClockReading) -> list[ClockChange]:
    """Name what happened to the wall clock between two readings of one boot; of two boots: only its trust."""
    changes = []
    if before.boot_id == now.boot_id:
        passed_ms = now.monotonic_ms - before.monotonic_ms
        offset_ms = round((now.wall - before.wall).total_seconds() * 1000) - passed_ms
        if abs(offset_ms) >= JUMP_MS:
            changes.append(ClockChange("jumped", offset_ms))
    if before.trusted != now.trusted:
        changes.append(ClockChange("synchronised" if now.trusted else "lost"))
    return changes
