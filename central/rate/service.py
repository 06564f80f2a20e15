"""Rates by institution, ward and month, with the region's own threshold."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from renzheng.central.draw.answers import SettledCheck
from renzheng.central.draw.export import read_settled
from renzheng.central.rate.core import Call, InBed, in_bed
from renzheng.central.store import schema, viewer
from renzheng.central.store.times import from_us
from renzheng.contracts.ids import is_bureau
from renzheng.rules.pack import Pack, load_pack
from renzheng.rules.parameters import resolve

RULE, THRESHOLD = "in-bed-rate", "threshold"


@dataclass(frozen=True, slots=True)
class WardRate:
    """The rate of one ward."""

    ward: str
    rate: InBed


@dataclass(frozen=True, slots=True)
class MonthRate:
    """The rate of one month, `YYYY-MM` in the site's time zone."""

    month: str
    rate: InBed


@dataclass(frozen=True, slots=True)
class InstitutionRate:
    """The rate of one institution, by ward and over time."""

    institution_id: str
    name: str
    region_code: str
    rate: InBed
    wards: Sequence[WardRate]
    months: Sequence[MonthRate]


@dataclass(frozen=True, slots=True)
class Asked:
    """Which checks are asked for: due on the local days `first` to `last`, both included."""

    first: date
    last: date
    region: str | None
    rules_dir: Path | None
    zone: ZoneInfo


@lru_cache(maxsize=4)
def _pack(rules_dir: Path | None) -> Pack:
    return load_pack(rules_dir)


def threshold_of(region: str | None, rules_dir: Path | None, day: date) -> float:
    """Give the threshold of the rule `in-bed-rate` in a region on a day, a share of 1."""
    pack = _pack(rules_dir)
    if RULE not in pack.rules:
        pack = _pack(None)
    return float(resolve(pack.rules[RULE].header, pack.overrides(region, RULE), day)[THRESHOLD])


def rates(connection: sa.Connection, asked: Asked, now_us: int) -> Sequence[InstitutionRate]:
    """Work out the rate of every institution that was checked; who is summoned comes first."""
    by_institution: dict[str, list[SettledCheck]] = defaultdict(list)
    for one in read_settled(connection, now_us):
        if asked.first <= _day(one, asked.zone) <= asked.last:
            by_institution[one.check.institution_id].append(one)
    table = schema.institutions
    known = {row.institution_id: row for row in connection.execute(sa.select(table))}
    found = []
    for institution_id, checks in by_institution.items():
        if is_bureau(institution_id) or not viewer.sees(institution_id):
            continue
        row = known.get(institution_id)
        region = asked.region or (row.region_code if row else None)
        threshold = threshold_of(region, asked.rules_dir, asked.last)
        wards = _grouped(checks, lambda one: one.check.ward)
        months = _grouped(checks, lambda one: f"{_day(one, asked.zone):%Y-%m}")
        found.append(
            InstitutionRate(
                institution_id,
                row.name if row else institution_id,
                row.region_code if row else "",
                in_bed(checks, threshold),
                [WardRate(ward, in_bed(part, threshold)) for ward, part in wards.items()],
                [MonthRate(month, in_bed(part, threshold)) for month, part in months.items()],
            )
        )
    order = list(Call)
    return sorted(
        found, key=lambda one: (order.index(one.rate.call), one.rate.share.value, one.institution_id)
    )


def _grouped(
    checks: Sequence[SettledCheck], key: Callable[[SettledCheck], str]
) -> Mapping[str, list[SettledCheck]]:
    groups: dict[str, list[SettledCheck]] = defaultdict(list)
    for one in checks:
        groups[key(one)].append(one)
    return dict(sorted(groups.items()))


def _day(one: SettledCheck, zone: ZoneInfo) -> date:
    return from_us(one.check.due_at).astimezone(zone).date()
