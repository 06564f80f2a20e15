"""Which tables of the lake are partitioned, by which day, and which local days a row speaks of; as SQL."""

# ruff: noqa: S608 - SQL is put together from our own names

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

import pyarrow as pa

from renzheng.central.audit.loading import offsets
from renzheng.central.audit.request import DAY_US
from renzheng.contracts.tables import INPUT_TABLES, MACHINE_SESSIONS, Table

SPAN = (date(1991, 9, 15), date(2099, 12, 31))
"""Years in which changes of clocks are looked up; before and after, the nearest one's offset holds."""
FROM_STORE = ("attendance", "counter_identifications", "coverage", "spot_checks")
"""Tables that come from the devices' logs alone."""
RUNS = "machine_runs"
"""Runs that gateways signed: rows of `machine_sessions`, kept apart from those that were imported."""
TOLD = ("attendance", "counter_identifications", "coverage", RUNS)
"""Tables of the lake to which the devices' logs only add."""
SHAPES: Mapping[str, Table] = {**INPUT_TABLES, RUNS: MACHINE_SESSIONS}
"""The columns of each table of the lake."""
CHECKS = "spot_checks"
"""Of these the one made anew each time: how an answer counts depends on its round, which closes later."""
SHARED: Mapping[str, tuple[str, ...]] = {
    "institutions": ("institution_id",),
    "persons": ("person_id",),
    "stays": ("institution_id", "visit_id"),
    "leaves": ("institution_id", "visit_id"),
    "person_aliases": ("person_id", "alias_of"),
}
"""Tables that imports and the store both fill, by the key under which the one goes before the other."""
STORE_FIRST = ("stays", "leaves")
"""Of these the tables in which the store goes first: it knows when it was told of a leave."""
BIAS_DAYS = 100_000
"""Keeps times before 1970 right: whole-number division truncates towards zero."""


@dataclass(frozen=True, slots=True)
class DayColumns:
    """How a partitioned table tells days.

    Args:
        moment: expression of the moment (microseconds) whose local day names the partition.
        earliest: of the earliest moment that the row speaks of.
        latest: of the latest.
    """

    moment: str
    earliest: str
    latest: str


_DOUBTFUL = "CASE WHEN NOT clock_trusted THEN epoch_us(received_at) END"
DAYED: Mapping[str, DayColumns] = {
    # the clock of an untrusted event may be years off: the audit also looks for it on the day it was received
    "attendance": DayColumns(
        "epoch_us(occurred_at)",
        f"least(epoch_us(occurred_at), {_DOUBTFUL})",
        f"greatest(epoch_us(occurred_at), {_DOUBTFUL})",
    ),
    "counter_identifications": DayColumns(
        "epoch_us(occurred_at)", "epoch_us(occurred_at)", "epoch_us(occurred_at)"
    ),
    "coverage": DayColumns(
        "epoch_us(from_at)", "epoch_us(from_at)", "greatest(epoch_us(from_at), epoch_us(to_at) - 1)"
    ),
    "spot_checks": DayColumns(
        "epoch_us(coalesce(answered_at, drawn_at))",
        "epoch_us(drawn_at)",
        "epoch_us(coalesce(answered_at, drawn_at))",
    ),
    "machine_sessions": DayColumns("epoch_us(started_at)", "epoch_us(started_at)", "epoch_us(ended_at)"),
    RUNS: DayColumns("epoch_us(started_at)", "epoch_us(started_at)", "epoch_us(ended_at)"),
    # a reversal lies with the line that it takes back, or a later day's reversal would not reach the audit
    "claim_lines": DayColumns("root_us", "root_us", "root_us"),
}


def offsets_table(zones: Mapping[str, ZoneInfo], default: ZoneInfo) -> pa.Table:
    """Lay out each institution's offsets from UTC over time; the default's stand under the empty id."""
    stretches = {zone.key: list(offsets(zone.key, *SPAN)) for zone in {default, *zones.values()}}
    rows = [
        {"institution_id": institution, "from_us": s.from_us, "to_us": s.to_us, "offset_us": s.offset_us}
        for institution, zone in {"": default, **zones}.items()
        for s in stretches[zone.key]
    ]
    numbers = [(name, pa.int64()) for name in ("from_us", "to_us", "offset_us")]
    return pa.Table.from_pylist(rows, schema=pa.schema([("institution_id", pa.string()), *numbers]))


def keyed(table: str, origin: str) -> str:
    """Write the query that gives each row its partition (`day`, `region`) and the days it speaks of.

    `first_day` and `last_day` count days since 1970-01-01. Needs the tables `zone_offsets` and `regions`.
    """
    told = DAYED[table]
    source = _with_roots(origin) if table == "claim_lines" else f"SELECT * FROM ({origin})"
    drop = ", root_us" if table == "claim_lines" else ""
    return f"""
        WITH moments AS (
            SELECT *, {told.moment} AS at_us, {told.earliest} AS early_us, {told.latest} AS late_us
            FROM ({source})
        ),
        placed AS (
            SELECT
                m.*,
                coalesce(o.offset_us, z.offset_us, 0) AS shift_us,
                coalesce(r.region, 'unknown') AS region
            FROM moments m
            LEFT JOIN zone_offsets o
              ON o.institution_id = m.institution_id AND m.at_us >= o.from_us AND m.at_us < o.to_us
            LEFT JOIN zone_offsets z ON z.institution_id = '' AND m.at_us >= z.from_us AND m.at_us < z.to_us
            LEFT JOIN regions r ON r.institution_id = m.institution_id
        )
        SELECT * EXCLUDE (at_us, early_us, late_us, shift_us{drop}),
            {_day("early_us")} AS first_day,
            {_day("late_us")} AS last_day,
            coalesce(CAST({as_date(_day("at_us"))} AS VARCHAR), 'unknown') AS day
        FROM placed
    """


def as_date(day_number: str) -> str:
    """Write the date of a day number."""
    return f"(DATE '1970-01-01' + CAST({day_number} AS INTEGER))"


def _day(us: str) -> str:
    return f"(({us} + shift_us + {BIAS_DAYS * DAY_US}) // {DAY_US} - {BIAS_DAYS})"


def _with_roots(origin: str) -> str:
    """Give every claim line the time of the line that its reversal, followed three deep, takes back."""
    return f"""
        WITH lines AS (SELECT * FROM ({origin})),
        one AS (
            SELECT institution_id, line_id, any_value(reverses_line_id) AS root
            FROM lines WHERE reverses_line_id IS NOT NULL GROUP BY institution_id, line_id
        ),
        two AS ({_followed("one")}),
        three AS ({_followed("two")}),
        roots AS (
            SELECT l.institution_id, l.line_id, min(epoch_us(l.service_time)) AS at_us
            FROM lines l SEMI JOIN three t ON l.institution_id = t.institution_id AND l.line_id = t.root
            GROUP BY l.institution_id, l.line_id
        )
        SELECT l.*, coalesce(r.at_us, epoch_us(l.service_time)) AS root_us
        FROM lines l
        LEFT JOIN three t ON l.institution_id = t.institution_id AND l.line_id = t.line_id
        LEFT JOIN roots r ON t.institution_id = r.institution_id AND t.root = r.line_id
    """


def _followed(name: str) -> str:
    """Write the query that follows each reversal one step further, within its institution."""
    return f"""
        SELECT a.institution_id, a.line_id, coalesce(b.root, a.root) AS root
        FROM {name} a LEFT JOIN {name} b ON a.institution_id = b.institution_id AND a.root = b.line_id
    """
