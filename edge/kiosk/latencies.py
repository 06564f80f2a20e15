"""How long sign-ins took, from the first usable face to green, as the pages measured it."""

from collections import deque
from dataclasses import dataclass

from renzheng.edge.errors import CallError
from renzheng.edge.kiosk.screen import LatencyCall

KEPT = 1_000


@dataclass(frozen=True, slots=True)
class Latency:
    """One report of the page."""

    event_id: str
    person_id: str
    intent: str
    milliseconds: float


class Latencies:
    """Keeps the newest reports; a report counts once, for an event of this kiosk."""

    def __init__(self) -> None:
        self.reports: deque[Latency] = deque(maxlen=KEPT)
        self._recent: dict[str, tuple[str, str]] = {}

    def expect(self, event_id: str, person_id: str, intent: str) -> None:
        """Expect the page's report of an event."""
        self._recent[event_id] = person_id, intent
        while len(self._recent) > KEPT:
            self._recent.pop(next(iter(self._recent)))

    def keep(self, call: LatencyCall) -> None:
        """Keep what the page measured.

        Raises:
            CallError: no recent green screen has that event.
        """
        if call.event_id not in self._recent:
            raise CallError("No recent sign-in has that event_id.")
        person_id, intent = self._recent.pop(call.event_id)
        self.reports.append(Latency(call.event_id, person_id, intent, call.milliseconds))
