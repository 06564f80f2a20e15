"""When each device could see: outages, darkness, clocks without a source, nights without a network."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from renzheng.bench.simulate import rates
from renzheng.bench.simulate.ledger import DAY, HOUR, MINUTE
from renzheng.bench.simulate.world import Institution

WINDOW = (5 * HOUR, 24 * HOUR)
"""The part of a day for which a dialysis unit's coverage counts (AUDIT.md)."""
NEEDED = 0.95


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch in which a device was not up; `state` is degraded or down, None where nobody reported."""

    start: int
    end: int
    state: str | None


@dataclass(slots=True)
class DeviceLife:
    """One device over the whole simulation.

    Args:
        gaps: in order, not overlapping, over a minute apart.
        untrusted_days: days on which its clock was not synchronised.
        offline: stretches in which its events waited for the network.
    """

    device_id: str
    institution_id: str
    purpose: str
    days: int
    gaps: list[Gap] = field(default_factory=list)
    untrusted_days: frozenset[int] = frozenset()
    offline: tuple[tuple[int, int], ...] = ()

    def is_up(self, at: int) -> bool:
        """Whether it could see at a moment."""
        return all(not gap.start <= at < gap.end for gap in self.gaps)

    def received(self, at: int) -> int:
        """When central has an event of that moment."""
        return next((end + 40 for start, end in self.offline if start <= at < end), at + 3)

    def rows(self) -> list[tuple[str, str, str, int, int, str]]:
        """Its rows of the coverage table: days cut at midnight, gaps cut out."""
        rows = []
        for day in range(self.days + 1):
            at, end = day * DAY, (day + 1) * DAY
            for gap in self.gaps:
                start, stop = max(gap.start, at), min(gap.end, end)
                if start >= stop:
                    continue
                if start > at:
                    rows.append((self.institution_id, self.device_id, self.purpose, at, start, "up"))
                if gap.state:
                    rows.append((self.institution_id, self.device_id, self.purpose, start, stop, gap.state))
                at = stop
            if at < end:
                rows.append((self.institution_id, self.device_id, self.purpose, at, end, "up"))
        return rows


def live(
    random: np.random.Generator, device_id: str, institution_id: str, purpose: str, days: int
) -> DeviceLife:
    """Make a device's life; two outages in five are short."""
    life = DeviceLife(device_id, institution_id, purpose, days)
    untrusted, offline = [], []
    for day in range(days):
        if random.random() < rates.OUTAGE:
            start = day * DAY + int(random.integers(5 * HOUR, 18 * HOUR))
            minutes = int(random.choice((15, 30, 120, 240, 300)))
            state = (None, "down", "degraded")[int(random.integers(0, 3))]
            end = min(start + minutes * MINUTE, (day + 1) * DAY)
            if not life.gaps or life.gaps[-1].end + MINUTE < start:
                life.gaps.append(Gap(start, end, state))
        if random.random() < rates.UNTRUSTED_CLOCK:
            untrusted.append(day)
        if random.random() < rates.NETWORK_DOWN:
            start = day * DAY + int(random.integers(0, 20 * HOUR))
            offline.append((start, start + int(random.integers(HOUR, 30 * HOUR))))
    life.untrusted_days = frozenset(untrusted)
    life.offline = tuple(offline)
    return life


def live_all(
    random: np.random.Generator, institutions: Sequence[Institution], days: int
) -> dict[str, DeviceLife]:
    """Make the lives of every device of the county."""
    lives: dict[str, DeviceLife] = {}
    for one in institutions:
        devices = [(kiosk, "dialysis") for kiosk in one.kiosks]
        devices += [(camera, "inpatient") for camera in one.ward_cameras]
        devices.append((one.desk, "outpatient"))
        for device_id, purpose in devices:
            lives[device_id] = live(random, device_id, one.institution_id, purpose, days)
    return lives


def covered_share(lives: Sequence[DeviceLife], day: int, hours: tuple[int, int] = WINDOW) -> float:
    """Give the share of a day's hours (seconds of the day) in which at least one of the devices was up."""
    start, end = day * DAY + hours[0], day * DAY + hours[1]
    dark = [(start, end)] if lives else []
    for life in lives:
        gaps = [
            (max(gap.start, start), min(gap.end, end))
            for gap in life.gaps
            if gap.start < end and gap.end > start
        ]
        dark = [
            (max(a, c), min(b, d)) for a, b in dark for c, d in gaps if max(a, c) < min(b, d)
        ]  # dark is where every one of them is
    return 1 - sum(b - a for a, b in dark) / (end - start) if lives else 0.0
