"""Put the parts of checks together for a site."""

import datetime as dt
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from joserfc.jwk import OKPKey

from renzheng.central.cases.powers import Power, Rule, powers
from renzheng.central.checks.filling import fill
from renzheng.central.checks.history import History
from renzheng.central.checks.in_force import InForce
from renzheng.central.checks.keeping import Keeper
from renzheng.central.checks.losing_power import settle
from renzheng.central.checks.service import Checks, Terms
from renzheng.central.settings import Settings
from renzheng.central.site.succession import verifying_keys
from renzheng.central.store.database import Database
from renzheng.central.store.faults import describe
from renzheng.contracts import keys
from renzheng.rules.pack import load_pack

logger = logging.getLogger(__name__)
HISTORY_SECONDS = 20.0
SETTLE_SECONDS = 3600.0
POWER_SECONDS = 60.0


def checks_of(
    settings: Settings, clock: Callable[[], dt.datetime], database: Database, count: Callable[..., None]
) -> Checks:
    """Put a site's checks together; nothing is opened before the first one."""
    lost = LostPowers(database)

    def known() -> Sequence[OKPKey]:
        return verifying_keys(settings.key_file)

    folder = settings.checks_dir
    return Checks(
        InForce(settings.knowledge_dir, known, settings.audit.region),
        History(folder / "history.sqlite"),
        Keeper(folder / "checks.sqlite"),
        Terms(settings.timezone, blocks=settings.checks.blocks),
        clock,
        lost.now,
        count,
    )


class LostPowers:
    """Points that have lost power, read again after a minute.

    Args:
        database: the store.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._until, self._held = 0.0, dict[Rule, Power]()

    def now(self) -> Mapping[Rule, Power]:
        """Return them; while the store cannot be read, as they were."""
        if time.monotonic() >= self._until:
            self._until = time.monotonic() + POWER_SECONDS
            try:
                with self._database.reading() as connection:
                    self._held = powers(connection)
            except sa.exc.SQLAlchemyError as error:
                logger.warning("what points have lost cannot be read: %s", describe(error))
        return self._held


def settle_points(database: Database, settings: Settings, now: dt.datetime) -> None:
    """Take power from points that are overridden with good reason too often."""
    path = settings.checks_dir / "checks.sqlite"
    if not path.exists():
        return
    zone, told = ZoneInfo(settings.timezone), settings.audit
    numbers = (
        load_pack(told.rules_dir).for_region(told.region).casework(told.region, now.astimezone(zone).date())
    )
    keeper = Keeper(path)
    try:
        with database.writing() as connection:
            settle(connection, keeper, numbers, now, keys.load_private_key(settings.key_file.read_bytes()))
    finally:
        keeper.close()


def fill_history(settings: Settings) -> None:
    """Bring the history up to the imported tables, if they have changed."""
    fill(settings.tables_dir, settings.checks_dir / "history.sqlite", settings.timezone)
