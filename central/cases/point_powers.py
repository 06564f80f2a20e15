"""Points overridden with good reason too often lose power, as rules whose doubts are overturned do."""

import datetime as dt
import logging
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from joserfc.jwk import OKPKey

from renzheng.central.cases import powers
from renzheng.central.cases.guards import Actor
from renzheng.central.cases.powers import FULL, LOWER, Rule
from renzheng.central.checks.keeping import Keeper
from renzheng.central.checks.reminders import Advised, Figures, Limits, too_often
from renzheng.central.settings import Settings
from renzheng.central.store.database import Database
from renzheng.central.store.faults import describe
from renzheng.central.store.times import to_us
from renzheng.contracts import keys
from renzheng.rules.pack import load_pack

ACTOR = Actor("(answers to checks)", frozenset())
SETTLE_SECONDS, POWER_SECONDS = 3600.0, 60.0
logger = logging.getLogger(__name__)
DAYS = 180
"""Answers are looked at over so many days, or since the point's last change."""


def settle(
    connection: sa.Connection, keeper: Keeper, numbers: Mapping[str, Decimal], now: dt.datetime, key: OKPKey
) -> list[Rule]:
    """Take power from points that are overridden with good reason too often; return which.

    Args:
        connection: a writing transaction of the store.
        keeper: of the answers.
        numbers: `override_limit`, `override_fewest` and `override_institutions`.
        now: when.
        key: central's, for the journal of rules.
    """
    limits = Limits(
        float(numbers["override_limit"]),
        int(numbers["override_fewest"]),
        int(numbers["override_institutions"]),
    )
    held = powers.powers(connection)
    since = to_us(now - dt.timedelta(days=DAYS))
    found = []
    for rule, advised in _by_rule(keeper.advised_between(since, to_us(now))).items():
        last = held.get(rule)
        power = last.power if last else FULL
        fresh = advised if last is None else _after(advised, to_us(last.since))
        where = too_often(_by_institution(fresh), limits)
        if where and LOWER[power] != power:
            told = f"{len(where)} institutions override with good reason; > {limits.limit:g} (Wilson, 95 %)"
            powers.change(connection, rule, LOWER[power], ACTOR, told, now, key)
            found.append(rule)
    return found


def _by_rule(advised: Iterable[tuple[int, Advised]]) -> dict[Rule, list[tuple[int, Advised]]]:
    found: dict[Rule, list[tuple[int, Advised]]] = defaultdict(list)
    for at_us, one in advised:
        found[one.point, one.version].append((at_us, one))
    return found


def _after(advised: Iterable[tuple[int, Advised]], since_us: int) -> list[tuple[int, Advised]]:
    return [(at_us, one) for at_us, one in advised if at_us > since_us]


def _by_institution(advised: Iterable[tuple[int, Advised]]) -> dict[str, Figures]:
    found: dict[str, Figures] = defaultdict(Figures)
    for _, one in advised:
        found[one.institution_id].add(one)
    return found


class LostPowers:
    """Points that have lost power, read again after a minute.

    Args:
        database: the store.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._until, self._held = 0.0, dict[Rule, str]()

    def now(self) -> Mapping[Rule, str]:
        """Return them; while the store cannot be read, as they were."""
        if time.monotonic() >= self._until:
            self._until = time.monotonic() + POWER_SECONDS
            try:
                with self._database.reading() as connection:
                    held = powers.powers(connection)
                self._held = {rule: one.power for rule, one in held.items()}
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
