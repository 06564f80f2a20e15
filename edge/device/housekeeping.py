"""Space and retention: what may go, in which order, and when. Deciding is pure; `Housekeeper` carries it out.

Never deleted: an entry that central has not acknowledged, and a crop that central holds for an open case.
Kept besides, for as long as there is room: what central would lack if it were restored (`DeviceLog.safe`).
When space is short, crops go first (oldest first, each loss told in an event), then entries that are safe at
central, last those that it has only acknowledged.
"""

import logging
import shutil
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from renzheng.contracts.ids import EventId
from renzheng.edge.device.evidence import Evidence
from renzheng.edge.device.log import DeviceLog
from renzheng.edge.device.store.holds import CropHolds
from renzheng.edge.settings import DeviceSettings

LOGGER = logging.getLogger(__name__)
TOLD_AT_ONCE = 100
Crop = tuple[EventId, datetime, int]
Reason = Literal["disk_full", "retention", "consent_withdrawn"]


@dataclass(frozen=True, slots=True)
class Retention:
    """How long things are kept, and how much space stays free.

    Args:
        crops: how long a crop is kept.
        entries: how long an entry is kept after central has it.
        free_bytes: with less than this, things go before their time.
    """

    crops: timedelta
    entries: timedelta
    free_bytes: int


def retention_of(device: DeviceSettings, crop_days: float) -> Retention:
    """What a device's settings say, with the crops of its own kind kept for `crop_days`."""
    return Retention(
        crops=timedelta(days=crop_days),
        entries=timedelta(days=device.entry_days),
        free_bytes=device.keep_free_megabytes * 1_000_000,
    )


@dataclass(frozen=True, slots=True)
class Plan:
    """What goes now.

    Args:
        expired: crops past their retention.
        shed: crops that go for space.
        entries_before: acknowledged entries older than this go.
        short: space is short.
    """

    expired: tuple[EventId, ...]
    shed: tuple[EventId, ...]
    entries_before: datetime
    short: bool


def plan(
    crops: Sequence[Crop],
    free_bytes: int,
    now: datetime,
    retention: Retention,
    held: AbstractSet[EventId] = frozenset(),
) -> Plan:
    """Decide what goes; `crops` are oldest first, and those that are `held` do not go."""
    crops = [crop for crop in crops if crop[0] not in held]
    expired = tuple(event_id for event_id, taken, _ in crops if now - taken >= retention.crops)
    missing = retention.free_bytes - free_bytes
    shed: list[EventId] = []
    for event_id, taken, size in crops:
        if now - taken >= retention.crops:
            missing -= size
        elif missing > 0:
            missing -= size
            shed.append(event_id)
    short = free_bytes < retention.free_bytes
    return Plan(expired, tuple(shed), now if short else now - retention.entries, short)


class Housekeeper:
    """Carries plans out.

    Args:
        log: entries that central has are pruned here.
        evidence: the crops.
        retention: how long things are kept.
        tell: writes an event about deleted crops.
        free_bytes: how much space there is.
        warn: called with whether space is short, whenever that changes.
        holds: which crops stay as evidence in cases that are not decided.
    """

    def __init__(
        self,
        log: DeviceLog,
        evidence: Evidence,
        retention: Retention,
        *,
        tell: Callable[[tuple[EventId, ...], Reason], None],
        free_bytes: Callable[[], int],
        warn: Callable[[bool], None],
        holds: CropHolds | None = None,
    ) -> None:
        self._log = log
        self._evidence = evidence
        self._retention = retention
        self._tell = tell
        self._free_bytes = free_bytes
        self._warn = warn
        self._holds = holds or CropHolds(log.store)
        self.short = False

    def tidy(self, now: datetime) -> Plan:
        """Look once, and let go of what may go."""
        crops = self._evidence.oldest_first()
        decided = plan(crops, self._free_bytes(), now, self._retention, self._holds.kept())
        self._delete(self._holds.due([event_id for event_id, _, _ in crops]), "consent_withdrawn")
        self._delete(decided.expired, "retention")
        self._delete(decided.shed, "disk_full")
        pruned = self._prune(decided.entries_before, unsafe=False)
        if pruned:
            LOGGER.info("let go of %d entries that are safe at central", pruned)
        if decided.short and self._free_bytes() < self._retention.free_bytes // 2:
            pruned = self._prune(decided.entries_before, unsafe=True)
            LOGGER.error("the disk is full: let go of %d entries that no backup of central need hold", pruned)
        if decided.short != self.short:
            LOGGER.log(
                logging.ERROR if decided.short else logging.INFO,
                "the disk is nearly full" if decided.short else "the disk has room again",
            )
            self._warn(decided.short)
        self.short = decided.short
        return decided

    def _prune(self, older_than: datetime, *, unsafe: bool) -> int:
        pruned = 0
        while taken := self._log.prune(older_than, unsafe=unsafe):
            pruned += taken
        return pruned

    def delete_crops(self, event_ids: Iterable[EventId]) -> tuple[int, int]:
        """Delete the crops of a person who took their consent back, but for those that a hold keeps.

        The latter go as soon as nothing holds them any more.

        Returns:
            How many were deleted, and how many are held.
        """
        here = {event_id for event_id, _, _ in self._evidence.oldest_first()}
        asked = [event_id for event_id in event_ids if event_id in here]
        held = self._holds.kept() & set(asked)
        self._holds.let_go_later(held)
        gone = tuple(event_id for event_id in asked if event_id not in held)
        self._delete(gone, "consent_withdrawn")
        return len(gone), len(held)

    def _delete(self, event_ids: tuple[EventId, ...], reason: Reason) -> None:
        """Delete first, tell after: on a full disk the event needs the room that the crops gave up."""
        for start in range(0, len(event_ids), TOLD_AT_ONCE):
            gone = event_ids[start : start + TOLD_AT_ONCE]
            for event_id in gone:
                self._evidence.delete(event_id)
            self._tell(gone, reason)


def free_bytes_of(folder: Path) -> int:
    """Free space of the disk that a folder lies on."""
    return shutil.disk_usage(folder).free
