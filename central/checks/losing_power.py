"""Points overridden with good reason too often lose power, as rules whose doubts are overturned do."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal

import sqlalchemy as sa
from joserfc.jwk import OKPKey

from renzheng.central.cases import powers
from renzheng.central.cases.guards import Actor
from renzheng.central.cases.powers import BUREAU, FULL, LOWER, Rule
from renzheng.central.checks.keeping import Keeper
from renzheng.central.checks.reminders import Advised, Figures, Limits, too_often
from renzheng.central.store.times import to_us
from renzheng.rules.knowledge.points import Power

Powers = Mapping[Rule, powers.Power]
ACTOR = Actor("(answers to checks)", frozenset())
DAYS = 180
"""Answers are looked at over so many days, or since the point's last change."""


def lowered(held: Powers, point: str, version: str, power: Power) -> Power:
    """Return what an advice may still do once its point has lost power."""
    kept = held.get((point, version))
    if kept is None or kept.power == FULL or power is Power.WATCH:
        return power
    return Power.WATCH if kept.power == BUREAU else Power.WARN


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
