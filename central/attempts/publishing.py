"""Keeps the sign-in figures of the last weeks at hand, for the console and for whoever reads `/metrics`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from renzheng.central.attempts.figures import Figures, Group, publishable
from renzheng.central.attempts.service import Asked, Published, publish
from renzheng.central.metrics import Labels
from renzheng.central.settings import Settings
from renzheng.central.store.database import Database
from renzheng.central.store.faults import StoreRefusesError
from renzheng.common.supervised import Worker
from renzheng.models.evaluation.metrics import Rate

DAYS_BACK = 27
"""With today four weeks: a dialysis patient comes twelve times."""
EVERY_SECONDS = 1_800.0
LONGEST_SECONDS = 600.0
Gauge = tuple[str, Labels, float]


class Publisher:
    """Works out the figures of the last weeks again and again.

    Args:
        database: a store.
        settings: time zone and lake.
        clock: when it is.

    Attributes:
        worker: the thread that does so.
        latest: the newest figures; None until the first are there.
    """

    def __init__(self, database: Database, settings: Settings, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self.latest: Published | None = None
        self.worker = Worker(
            "sign-in-figures",
            self.look,
            every_seconds=EVERY_SECONDS,
            longest_turn_seconds=LONGEST_SECONDS,
            expected=(sa.exc.SQLAlchemyError, StoreRefusesError),
        )

    def look(self) -> None:
        """Work them out once."""
        with self._database.reading() as connection:
            self.latest = publish(connection, self._settings.lake_dir, self.usual())

    def usual(self) -> Asked:
        """Return which days are usual: the last four weeks, today included."""
        zone = ZoneInfo(self._settings.timezone)
        today = self._clock().astimezone(zone).date()
        return Asked(today - timedelta(days=DAYS_BACK), today, zone)

    def gauges(self) -> Sequence[Gauge]:
        """Make gauges of the newest figures; groups of few people are left out."""
        return [] if self.latest is None else list(gauges_of(self.latest.whole))


def gauges_of(found: Figures) -> Iterator[Gauge]:
    """Make gauges of figures, by group; institutions are not among them, so their number stays small."""
    for group in publishable([found.whole]):
        yield from _of_group("all", group)
    for by, groups in found.groups.items():
        for group in publishable(groups):
            yield from _of_group(by.value, group)


def _of_group(by: str, group: Group) -> Iterator[Gauge]:
    labels: Labels = (("by", by), ("group", group.name))
    yield "renzheng_sign_in_people", labels, float(group.people)
    shares: Mapping[str, Rate | None] = {
        "face": group.face,
        "again": group.again,
        "failed": group.failed,
        "other_way": group.other_way,
    }
    for ended, share in shares.items():
        yield from _bounds("renzheng_sign_in_share", (*labels, ("visits", ended)), share)
    yield from _bounds("renzheng_sign_in_tries", labels, group.tries)
    yield from _bounds("renzheng_sign_in_seconds_to_green", labels, group.seconds)


def _bounds(name: str, labels: Labels, rate: Rate | None) -> Iterator[Gauge]:
    if rate is not None:
        for bound, value in (("value", rate.value), ("low", rate.low), ("high", rate.high)):
            yield name, (*labels, ("bound", bound)), round(value, 4)
