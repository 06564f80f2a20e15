"""Writes presences: the event, the last report, and the encrypted crop; of listed patients only."""

import logging
from datetime import datetime, timedelta

import cv2
import numpy as np
from numpy.typing import NDArray
from sqlite_utils import Database

from renzheng.contracts.events import AttendanceData, Outcome, Pad, Presence, Purpose, device_source
from renzheng.contracts.ids import EventId
from renzheng.edge.device.clock import Clock
from renzheng.edge.device.evidence import Evidence
from renzheng.edge.device.log import DeviceLog
from renzheng.edge.device.store.database import Store
from renzheng.edge.look.attendance import comparison_fields
from renzheng.edge.settings import Settings
from renzheng.edge.ward.crossing import Direction
from renzheng.edge.ward.identify import Identified
from renzheng.edge.ward.presence import LastReport, after, is_due
from renzheng.models.decision import Compared

LOGGER = logging.getLogger(__name__)
_JPEG_QUALITY = 88


class PresenceWriter:
    """Writes presences, at most one an interval for each patient.

    Args:
        settings: device, institution, interval.
        log: where events go.
        evidence: where crops are kept.
        clock: when it is.
        engine_name: name and model of the face engine.
    """

    def __init__(
        self, settings: Settings, log: DeviceLog, evidence: Evidence, clock: Clock, engine_name: str
    ) -> None:
        self._device = settings.device
        self._interval: timedelta = settings.ward.presence_interval
        self._log = log
        self._evidence = evidence
        self._clock = clock
        self._engine_name = engine_name
        self.told = 0

    def tell(
        self,
        seen: Identified,
        camera_id: str,
        direction: Direction | None,
        shots: int,
        crop: NDArray[np.uint8] | None,
    ) -> EventId | None:
        """Tell that a patient was seen, if it is due; None when it was told lately enough.

        The reading of what was told last and the writing are one transaction, so that two cameras that see a
        patient at one moment tell it once.

        Raises:
            StoreError: nothing was written.
        """
        with self._log.store.writing():
            reading = self._clock.read()
            last = told_last(self._log.store, seen.person_id)
            if not is_due(last, reading.wall, direction, self._interval):
                return None
            event = Presence(
                source=device_source(self._device.device_id),
                time=reading.wall,
                subject=seen.person_id,
                data=AttendanceData(
                    institution_id=self._device.institution_id,
                    clock=reading.as_event_clock(),
                    purpose=Purpose.INPATIENT,
                    outcome=Outcome.MATCH,
                    pad=Pad.NOT_SHOWN,  # a few pictures a second apart show no motion to speak of
                    **comparison_fields(Compared(seen.comparison_score, seen.threshold), self._engine_name),
                    identifiers=("face",),  # one, so a sighting and no sign-in (WS/T 840-2025)
                    attempts=shots,
                    camera=camera_id,
                    direction=direction,
                    gallery_size=seen.gallery_size,
                ),
            )
            now_told = after(last, reading.wall, direction)
            self._log.append(event, lambda database: _remember(database, seen.person_id, now_told))
        self.told += 1
        self._keep(EventId(event.id), crop)
        return EventId(event.id)

    def _keep(self, event_id: EventId, crop: NDArray[np.uint8] | None) -> None:
        if crop is None or crop.size == 0:
            return
        done, jpeg = cv2.imencode(".jpg", crop[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        try:
            if done:
                self._evidence.put(event_id, jpeg.tobytes())
        except OSError as error:
            LOGGER.warning("the crop of event %s was not kept: %s", event_id, error.strerror)


def told_last(store: Store, person_id: str) -> LastReport | None:
    """Read what was told of a patient last."""
    row = store.row("SELECT * FROM ward_presences WHERE person_id = ?", person_id)
    if row is None:
        return None
    crossed_at = row["crossed_at"]
    return LastReport(
        datetime.fromisoformat(row["seen_at"]),
        row["direction"],
        None if crossed_at is None else datetime.fromisoformat(crossed_at),
    )


def forget_told(store: Store, before: datetime) -> None:
    """Forget what was told long ago; who left the hospital leaves nothing here."""
    with store.writing() as database:
        database.execute("DELETE FROM ward_presences WHERE seen_at < ?", (before.isoformat(),))


def _remember(database: Database, person_id: str, told: LastReport) -> None:
    crossed_at = None if told.crossed_at is None else told.crossed_at.isoformat()
    database.execute(
        "INSERT OR REPLACE INTO ward_presences VALUES (?, ?, ?, ?)",
        (person_id, told.seen_at.isoformat(), told.direction, crossed_at),
    )
