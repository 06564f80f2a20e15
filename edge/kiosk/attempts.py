"""What a finished attempt leaves: its event, the crop behind it, a count, and a latency to be reported."""

import logging
from collections import Counter

from renzheng.contracts.errors import RenzhengError
from renzheng.contracts.ids import EventId
from renzheng.edge.device.evidence import Evidence
from renzheng.edge.kiosk.latencies import Latencies
from renzheng.edge.kiosk.recorder import Recorder
from renzheng.edge.kiosk.session import RecordAttempt
from renzheng.edge.kiosk.verifying import Verifying

LOGGER = logging.getLogger(__name__)


class Attempts:
    """Writes finished attempts, one at a time, in a worker thread.

    Args:
        recorder: writes the event.
        evidence: where the crop is kept.
        latencies: expects the page's report.
        verifying: hears whether events can be written.
    """

    def __init__(
        self, recorder: Recorder, evidence: Evidence, latencies: Latencies, verifying: Verifying
    ) -> None:
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self._recorder = recorder
        self._evidence = evidence
        self._latencies = latencies
        self._verifying = verifying

    def write(self, effect: RecordAttempt, crop: bytes | None) -> EventId:
        """Write the event, durably, then the crop; the event stands without it too.

        Raises:
            StoreError: nothing was written.
        """
        try:
            event_id = self._recorder.attempt(effect)
        except RenzhengError:
            self._verifying.recorded(done=False)
            raise
        self._verifying.recorded(done=True)
        self.outcomes[effect.kind.value, effect.outcome.value] += 1
        if crop is not None:
            self._keep(event_id, crop)
        self._latencies.expect(event_id, effect.patient.person_id, effect.kind.value)
        return event_id

    def _keep(self, event_id: EventId, crop: bytes) -> None:
        try:
            self._evidence.put(event_id, crop)
        except OSError as error:
            LOGGER.warning("no crop was kept for event %s: %s", event_id, error)
