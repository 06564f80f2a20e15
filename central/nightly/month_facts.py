"""What machines, devices and witnesses of an institution did over a month, from the tables of its runs."""

# ruff: noqa: S608 - SQL is put together from our own names, paths are quoted

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb

from renzheng.central.nightly import run_tables
from renzheng.central.pictures import days as by_day
from renzheng.central.pictures import matrices
from renzheng.central.pictures.days import Hours, SessionDay
from renzheng.central.pictures.drawing import Figure
from renzheng.central.store.times import day_bounds_us, from_us
from renzheng.central.texts import Texts
from renzheng.contracts.tables import HAEMODIALYSIS_CLASSES

LONGEST_RUN_HOURS = 48
"""Of a machine; what claims to be longer is a fault of its log, and would fill every hour."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A folder of a run's tables, and the days (ISO) of which it speaks."""

    tables: Path
    days: Sequence[str]


@dataclass(frozen=True, slots=True)
class MonthFacts:
    """Of one institution.

    Args:
        days: that are shown, ISO, in order.
        machines: on how many days each machine ran in each hour of the day (`"0"` to `"23"`).
        sessions: billed sessions and runs of machines, day by day.
        coverage: hours of each device by state, by day.
        vouched: sign-ins by witness and person.
    """

    days: Sequence[str]
    machines: Mapping[tuple[str, str], int]
    sessions: Sequence[SessionDay]
    coverage: Mapping[str, Mapping[str, Hours]]
    vouched: Mapping[tuple[str, str], int]


_MACHINES = """
SELECT machine_id, (extract(hour FROM h))::INT::VARCHAR AS hour, count(DISTINCT h::DATE)::BIGINT AS days
FROM (
    SELECT machine_id, unnest(generate_series(
        date_trunc('hour', timezone($zone, greatest(started_at, start_at))),
        timezone($zone, least(ended_at, end_at)) - INTERVAL 1 MICROSECOND,
        INTERVAL 1 HOUR)) AS h
    FROM {machine_sessions} m JOIN shown s
        ON s.frame = m.frame AND m.started_at < s.end_at AND m.ended_at > s.start_at
    WHERE institution_id = $institution AND ended_at > started_at
        AND ended_at - started_at <= INTERVAL {longest} HOUR
) GROUP BY ALL ORDER BY ALL
"""
_SESSIONS = """
SELECT s.day, coalesce(b.billed, 0)::BIGINT AS billed, coalesce(r.runs, 0)::BIGINT AS runs,
    coalesce(r.hours, 0)::DOUBLE AS hours
FROM shown s
LEFT JOIN (
    SELECT s.day, greatest(sum(c.quantity), 0) AS billed
    FROM {claim_lines} c
    JOIN shown s ON s.frame = c.frame AND c.service_time >= s.start_at AND c.service_time < s.end_at
    WHERE c.institution_id = $institution AND c.item_code IN (
        SELECT item_code FROM {item_catalogue} WHERE list_contains($classes, item_class))
    GROUP BY s.day
) b USING (day)
LEFT JOIN (
    SELECT s.day, count(*) AS runs, sum(epoch(m.ended_at - m.started_at)) / 3600 AS hours
    FROM {machine_sessions} m
    JOIN shown s ON s.frame = m.frame AND m.started_at >= s.start_at AND m.started_at < s.end_at
    WHERE m.institution_id = $institution AND m.ended_at > m.started_at
        AND m.ended_at - m.started_at <= INTERVAL {longest} HOUR
    GROUP BY s.day
) r USING (day)
ORDER BY s.day
"""
_COVERAGE = """
SELECT device_id, day, max(up) AS up, max(degraded) AS degraded, max(down) AS down
FROM (
    SELECT c.device_id, c.purpose, s.day,
        {states}
    FROM {coverage} c
    JOIN shown s ON s.frame = c.frame AND c.from_at < s.end_at AND c.to_at > s.start_at
    WHERE c.institution_id = $institution
    GROUP BY ALL
) GROUP BY ALL ORDER BY ALL
"""
_STATES = ", ".join(
    f"coalesce(sum(epoch(least(c.to_at, s.end_at) - greatest(c.from_at, s.start_at))) "
    f"FILTER (c.state = '{state}'), 0) / 3600 AS {state}"
    for state in ("up", "degraded", "down")
)
_VOUCHED = """
SELECT witness_id, person_id, count(*)::BIGINT AS times
FROM {attendance} a
JOIN shown s ON s.frame = a.frame AND a.occurred_at >= s.start_at AND a.occurred_at < s.end_at
WHERE a.institution_id = $institution AND a.event_type = 'sign_in' AND a.outcome = 'manual'
    AND witness_id IS NOT NULL
GROUP BY ALL ORDER BY ALL
"""


@contextmanager
def opened(frames: Sequence[Frame], zone: ZoneInfo) -> Iterator["Reader"]:
    """Open the tables of runs for reading; a frame whose folder is gone is left out.

    Args:
        frames: each day stands in one of them.
        zone: the institution's time zone, by which days begin.
    """
    kept = [one for one in frames if one.tables.is_dir()]
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET threads = 2")
        yield Reader(connection, kept, zone)


class Reader:
    """Reads facts of one institution after the other."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, frames: Sequence[Frame], zone: ZoneInfo
    ) -> None:
        self._connection, self._frames, self._zone = connection, frames, zone
        self.days = sorted({day for one in frames for day in one.days})
        connection.execute(
            "CREATE TABLE shown (frame INTEGER, day VARCHAR, start_at TIMESTAMPTZ, end_at TIMESTAMPTZ)"
        )
        rows = []
        for number, one in enumerate(frames):
            for day in one.days:
                start, end = day_bounds_us(date.fromisoformat(day), date.fromisoformat(day), zone)
                rows.append([number, day, from_us(start), from_us(end)])
        if rows:
            connection.executemany("INSERT INTO shown VALUES (?, ?, ?, ?)", rows)

    def facts(self, institution_id: str) -> MonthFacts:
        """Read the facts of one institution."""
        machines = self._rows(_MACHINES, institution_id, ("machine_sessions",), zone=str(self._zone))
        sessions = self._rows(
            _SESSIONS,
            institution_id,
            ("machine_sessions", "claim_lines", "item_catalogue"),
            classes=list(HAEMODIALYSIS_CLASSES),
        )
        coverage: dict[str, dict[str, Hours]] = {}
        for device, day, up, degraded, down in self._rows(_COVERAGE, institution_id, ("coverage",)):
            coverage.setdefault(device, {})[day] = Hours(up, degraded, down)
        vouched = self._rows(_VOUCHED, institution_id, ("attendance",))
        return MonthFacts(
            self.days,
            {(machine, hour): days for machine, hour, days in machines},
            [SessionDay(*row) for row in sessions],
            coverage,
            {(witness, person): times for witness, person, times in vouched},
        )

    def _rows(self, query: str, institution_id: str, tables: Sequence[str], **values: object) -> list[tuple]:  # type: ignore[type-arg]
        if not self._frames:
            return []
        sources = {name: self._source(name) for name in tables}
        sql = query.format(**sources, states=_STATES, longest=LONGEST_RUN_HOURS)
        return self._connection.execute(sql, {"institution": institution_id, **values}).fetchall()

    def _source(self, name: str) -> str:
        """Write a table of all frames as one, each row with the number of its frame."""
        selects = [run_tables.find_selects(one.tables)[name] for one in self._frames]
        parts = [f"SELECT {number} AS frame, * FROM ({one})" for number, one in enumerate(selects)]
        return f"({' UNION ALL '.join(parts)})"


def figures(t: Texts, of: str, facts: MonthFacts) -> Sequence[Figure]:
    """Draw what there is: sessions and runs, machines by hour, devices' coverage, witnesses by patient.

    Args:
        t: the language.
        of: the month, or the days, that are shown.
        facts: of one institution.
    """
    drawn = []
    if any(one.billed or one.runs for one in facts.sessions):
        drawn.append(by_day.sessions(t, of, facts.sessions))
    if facts.machines:
        drawn.append(matrices.machines(t, of, facts.machines))
    if facts.coverage:
        drawn.append(by_day.coverage(t, of, facts.days, facts.coverage))
    if facts.vouched:
        drawn.append(matrices.witnesses(t, of, facts.vouched))
    return drawn
