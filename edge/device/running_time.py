"""How long this machine has run, over restarts: time that nobody passes by setting a clock.

Within one boot it is the boot clock's (sleep included); a new boot adds what it has run so far. What lies
between the last count and a power cut is not counted, nor is the time in which the machine was off.
"""

import threading

from renzheng.edge.device.clock import Clock
from renzheng.edge.device.store.database import Store

KEEP_EVERY_MS = 60_000
"""At most this much is not counted when the machine is switched off."""


class RunningTime:
    """Counts the milliseconds in which the machine ran.

    Args:
        store: where the count is kept.
        clock: names the boot, and how long ago it was.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()

    def read_ms(self) -> int:
        """Return the count; it never goes back."""
        with self._lock:
            reading = self._clock.read()
            kept = self._store.row("SELECT * FROM running_time")
            if kept is None:
                counted_ms, passed_ms = 0, None
            else:
                same = kept["boot_id"] == reading.boot_id and reading.monotonic_ms >= kept["boot_ms"]
                counted_ms = kept["counted_ms"]
                passed_ms = reading.monotonic_ms - kept["boot_ms"] if same else None
            now_ms = int(counted_ms + (reading.monotonic_ms if passed_ms is None else passed_ms))
            if passed_ms is None or passed_ms >= KEEP_EVERY_MS:
                with self._store.writing() as database:
                    database.execute(
                        "INSERT OR REPLACE INTO running_time VALUES (1, ?, ?, ?)",
                        (reading.boot_id, reading.monotonic_ms, now_ms),
                    )
            return now_ms
