"""Which service days a change of the lake touches: only those whose answers it can change.

A row about a person touches its own day, and the days near it on which that person was billed in scope: a
session may serve a dialysis line of the day before or after, or one that was entered up to a month later; a
bed line of several days is touched by each of them. Coverage touches the days on which its
institution was billed. A stay touches the days for which its being there changed, so a discharge does not
reopen the stay.
"""

# ruff: noqa: S608 - SQL is put together from our own names

import duckdb

from renzheng.central.audit.request import DAY_US
from renzheng.central.nightly.partitions import RUNS, as_date
from renzheng.contracts.tables import HAEMODIALYSIS_CLASSES, SERVICE_CLASSES

FAR_DAY = 80_000
"""The end of a stretch that has none: in the year 2189."""
MOST_DAYS = 400
"""How far a stretch is followed: what was wrong longer ago is settled."""
FAMILY = (*HAEMODIALYSIS_CLASSES, *SERVICE_CLASSES)
"""Classes of lines that a session may serve."""
IN_SCOPE = (*FAMILY, "bed_day")

# Each says what the rows of `changed` speak of: who (one of three), from which day to which, and whether
# those days are touched even when nobody was billed on them.
_OF_PERSON = "person_id, NULL AS institution_id, NULL AS item_code"
_OF_INSTITUTION = "NULL AS person_id, institution_id, NULL AS item_code"
_OF_ITEM = "NULL AS person_id, NULL AS institution_id, item_code"
_OWN_DAYS = "first_day, last_day, true AS own"
_NEAR_DAYS = "first_day, last_day, false AS own"
_ALL_DAYS = f"0 AS first_day, {FAR_DAY} AS last_day, false AS own"


def _interval(begin: str, end: str, same: tuple[str, ...]) -> str:
    """Say which days differ between old and new rows of an interval: all of them, or those at its end."""
    matched = " AND ".join(f"n.{name} = o.{name}" for name in ("person_id", "begin_day", *same))
    return f"""
        WITH ends AS (SELECT *, {begin} AS begin_day, coalesce({end}, {FAR_DAY}) AS end_day FROM changed)
        SELECT coalesce(n.person_id, o.person_id) AS person_id, NULL AS institution_id, NULL AS item_code,
            CASE WHEN n.end_day IS NOT NULL AND o.end_day IS NOT NULL THEN least(n.end_day, o.end_day)
            ELSE coalesce(n.begin_day, o.begin_day) END AS first_day,
            CASE WHEN n.end_day = o.end_day THEN -1 ELSE greatest(n.end_day, o.end_day) + 1 END AS last_day,
            false AS own
        FROM (FROM ends WHERE is_new) n FULL JOIN (FROM ends WHERE NOT is_new) o ON {matched}
    """


def _day(moment: str) -> str:
    return f"epoch_us({moment}) // {DAY_US}"


def _date(day: str) -> str:
    return f"({day} - DATE '1970-01-01')"


CHANGES = {
    # two days far apart, where a clock was wrong
    "attendance": f"SELECT {_OF_PERSON}, first_day, first_day AS last_day, true AS own FROM changed "
    f"UNION ALL SELECT {_OF_PERSON}, last_day, last_day, true FROM changed WHERE last_day > first_day",
    "counter_identifications": f"SELECT {_OF_PERSON}, {_OWN_DAYS} FROM changed",
    "spot_checks": f"SELECT {_OF_PERSON}, {_OWN_DAYS} FROM changed",
    "machine_sessions": f"SELECT {_OF_PERSON}, {_OWN_DAYS} FROM changed",
    RUNS: f"SELECT {_OF_PERSON}, {_OWN_DAYS} FROM changed",
    "claim_lines": f"SELECT {_OF_PERSON}, {_OWN_DAYS} FROM changed",
    "coverage": f"SELECT {_OF_INSTITUTION}, {_NEAR_DAYS} FROM changed",
    "stays": _interval(_day("admitted_at"), _day("discharged_at"), ("institution_id", "visit_id")),
    "leaves": f"SELECT {_OF_PERSON}, {_day('left_at')} AS first_day, coalesce("
    f"{_day('coalesce(returned_at, due_back_at)')} + 1, {FAR_DAY}) AS last_day, false AS own FROM changed",
    "prescriptions": _interval(
        _date("valid_from"),
        _date("valid_to"),
        ("institution_id", "modality", "session_minutes", "sessions_per_week"),
    ),
    "persons": f"SELECT {_OF_PERSON}, {_ALL_DAYS} FROM changed",
    "institutions": f"SELECT {_OF_INSTITUTION}, {_ALL_DAYS} FROM changed",
    "service_points": f"SELECT {_OF_INSTITUTION}, {_ALL_DAYS} FROM changed",
    "staff_presence": f"SELECT {_OF_INSTITUTION}, {_day('from_at')} - 1 AS first_day, "
    f"{_day('coalesce(to_at, from_at)')} + 1 AS last_day, false AS own FROM changed",
    "item_catalogue": f"SELECT {_OF_ITEM}, {_ALL_DAYS} FROM changed",
    "person_aliases": f"SELECT {_OF_PERSON}, {_ALL_DAYS} FROM changed UNION ALL "
    f"SELECT alias_of AS person_id, NULL, NULL, {_ALL_DAYS} FROM changed",
}
REACH_DAYS = {"attendance": 31, "counter_identifications": 31, "machine_sessions": 31, RUNS: 31}
"""How many days later a line may still be served by a row (`late_billing_days`); others: a day."""
UNTOUCHING = frozenset({"staff_suspensions", "diagnoses", "operations", "drug_sales", "drug_stock"})
"""Tables that only findings read: a change of theirs is taken in with the next run of a day."""


def touched_days(connection: duckdb.DuckDBPyConnection, table: str, *, night_days: int) -> list[str]:
    """Name the days that the rows in `changed` of one table touch (ISO), earliest first.

    Args:
        connection: holds `changed` (the rows that came or went, with `is_new` and, of partitioned tables, the
            days they speak of) and `billed` (person_id, institution_id, item_code, item_class, day,
            bed_days: how many days a bed line is for, else 1).
        table: whose rows these are.
        night_days: 1 where a region's bed day reaches past midnight, else 0.
    """
    if table in UNTOUCHING:
        return []
    reach = REACH_DAYS.get(table, 1)
    later = f"CASE WHEN b.item_class IN {FAMILY} THEN {reach} ELSE b.bed_days - 1 END"
    bed = f"CASE WHEN b.item_class = 'bed_day' THEN {night_days} ELSE 0 END"
    dialysis = f"CASE WHEN b.item_class IN {FAMILY} THEN 1 ELSE 0 END"
    found = connection.execute(f"""
        WITH changes AS ({CHANGES[table]}),
        days AS (
            SELECT unnest(range(first_day, least(last_day, first_day + {MOST_DAYS}) + 1)) AS day
            FROM (SELECT DISTINCT first_day, last_day FROM changes WHERE own AND first_day IS NOT NULL)
            UNION
            SELECT b.day FROM billed b JOIN changes c ON b.person_id = c.person_id
              AND b.day BETWEEN c.first_day - {bed} - {dialysis} AND c.last_day + {later}
            UNION
            SELECT b.day FROM billed b JOIN changes c ON b.institution_id = c.institution_id
              AND b.day BETWEEN c.first_day - {bed} AND c.last_day + b.bed_days - 1
            WHERE b.item_class IN {IN_SCOPE}
            UNION
            SELECT b.day FROM billed b JOIN changes c ON b.item_code = c.item_code
        )
        SELECT CAST({as_date("day")} AS VARCHAR) FROM days WHERE day BETWEEN -25000 AND {FAR_DAY} ORDER BY day
    """)
    return [str(row[0]) for row in found.fetchall()]
