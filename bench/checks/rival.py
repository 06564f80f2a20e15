"""The rival: the same kinds as SQL on the same store, asked at each call."""

# ruff: noqa: S608 - SQL is put together from our own numbers

from collections.abc import Sequence
from pathlib import Path

import pysqlite3.dbapi2 as sqlite3

from renzheng.rules.knowledge.facts import DAY_US, HOUR_US, Line
from renzheng.rules.knowledge.kinds import bounds
from renzheng.rules.knowledge.points import Kind, Point

_TABLES = """
CREATE TEMP TABLE sexes (code TEXT PRIMARY KEY, point TEXT, sex TEXT) WITHOUT ROWID;
CREATE TEMP TABLE ages (code TEXT PRIMARY KEY, point TEXT, low INTEGER, below INTEGER) WITHOUT ROWID;
CREATE TEMP TABLE pairs (point TEXT, main TEXT, sub TEXT, unit TEXT, hours INTEGER);
CREATE INDEX temp.pairs_main ON pairs (main);
CREATE INDEX temp.pairs_sub ON pairs (sub);
CREATE TEMP TABLE frequencies (code TEXT PRIMARY KEY, point TEXT, most INTEGER) WITHOUT ROWID;
CREATE TEMP TABLE periods (code TEXT PRIMARY KEY, point TEXT, most INTEGER, days INTEGER) WITHOUT ROWID;
CREATE TEMP TABLE hand (id TEXT, code TEXT, quantity INTEGER, at_us INTEGER, place TEXT, visit TEXT);
"""
_EVERY = """
WITH every_line AS (
  SELECT id, code, quantity, at_us, place, visit, 1 AS now FROM hand
  UNION ALL
  SELECT line_id, item_code, quantity_e4, at_us, institution_id, visit_id, 0 FROM lines
  WHERE person_id = :person AND at_us >= :since
)
"""
_SEXES = """
SELECT s.point, h.id FROM hand h JOIN sexes s ON s.code = h.code
JOIN persons p ON p.person_id = :person WHERE p.sex IS NOT NULL AND p.sex <> s.sex
"""
_AGES = f"""
SELECT a.point, h.id FROM hand h JOIN ages a ON a.code = h.code
JOIN persons p ON p.person_id = :person
WHERE p.birth_day IS NOT NULL
  AND ((h.at_us / {DAY_US} - p.birth_day) * 1200 < a.low * 438300 - 2400
    OR (a.below IS NOT NULL AND (h.at_us / {DAY_US} - p.birth_day) * 1200 > a.below * 438300 + 2400))
"""
_PAIRS = (
    _EVERY
    + f"""
SELECT DISTINCT r.point, s.id
FROM every_line s JOIN pairs r ON r.sub = s.code
JOIN every_line m ON m.code = r.main AND m.place = s.place AND m.id <> s.id
WHERE (s.now OR m.now) AND s.place = :place AND CASE r.unit
  WHEN 'day' THEN m.at_us / {DAY_US} = s.at_us / {DAY_US}
  WHEN 'visit' THEN m.visit = s.visit
  ELSE abs(m.at_us - s.at_us) < r.hours * {HOUR_US} END
"""
)
_FREQUENCIES = (
    _EVERY
    + f"""
SELECT f.point, e.at_us / {DAY_US} FROM every_line e JOIN frequencies f ON f.code = e.code
WHERE e.place = :place GROUP BY f.point, e.at_us / {DAY_US}
HAVING sum(e.quantity) > f.most * 10000 AND max(e.now)
"""
)
_PERIODS = (
    _EVERY
    + f"""
SELECT r.point, h.id FROM hand h JOIN periods r ON r.code = h.code
JOIN every_line e ON e.code = h.code AND e.at_us <= h.at_us
  AND e.at_us / {DAY_US} > h.at_us / {DAY_US} - r.days
GROUP BY r.point, h.id HAVING count(DISTINCT e.at_us / {DAY_US}) > r.most
"""
)


class Rival:
    """Asks the store by SQL.

    Args:
        path: of the history.
        points: what is known.
    """

    def __init__(self, path: Path, points: Sequence[Point]) -> None:
        self._store = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
        self._store.executescript(_TABLES)
        for one in points:
            self._add(one)

    def _add(self, one: Point) -> None:
        if one.kind is Kind.PAIR:
            row = (one.id, *one.items, one.unit, one.value)
            self._store.execute("INSERT INTO pairs VALUES (?,?,?,?,?)", row)
        elif one.kind is Kind.SEX:
            self._store.execute("INSERT INTO sexes VALUES (?,?,?)", (*one.items, one.id, one.value))
        elif one.kind is Kind.AGE:
            low, below = bounds(str(one.value))
            self._store.execute("INSERT INTO ages VALUES (?,?,?,?)", (*one.items, one.id, low or 0, below))
        elif one.kind is Kind.FREQUENCY:
            self._store.execute("INSERT INTO frequencies VALUES (?,?,?)", (*one.items, one.id, one.value))
        else:
            row = (*one.items, one.id, one.value, one.within_days)
            self._store.execute("INSERT INTO periods VALUES (?,?,?,?)", row)

    def check(self, person: str, lines: Sequence[Line]) -> set[str]:
        """Return the points that hold against lines at hand."""
        self._store.execute("DELETE FROM hand")
        self._store.executemany(
            "INSERT INTO hand VALUES (?,?,?,?,?,?)",
            [
                (one.id, one.code, one.quantity_e4, one.at_us, one.institution_id, one.visit_id)
                for one in lines
            ],
        )
        since = min(one.at_us for one in lines) - 400 * DAY_US
        values = {"person": person, "since": since, "place": lines[0].institution_id}
        return {
            point
            for query in (_SEXES, _AGES, _PAIRS, _FREQUENCIES, _PERIODS)
            for point, _ in self._store.execute(query, values)
        }

    def close(self) -> None:
        """Close the store."""
        self._store.close()
