"""What PID segments tell of people: sex, birth, death; of each the latest word, kept on disk while reading.

A later message that is silent about a field leaves what an earlier one told; `PID-30` N takes a death back.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, tzinfo

from renzheng.central.claims.hl7_message import Message
from renzheng.central.claims.hl7_times import is_partial, read_moment
from renzheng.central.claims.rejects import Problem, Reason, RowPlace, shown
from renzheng.central.claims.rows import Draft
from renzheng.central.claims.values import ValueProblem

_SEXES = {"M": "M", "F": "F"}  # table 0001; all else is unknown
_ALIVE = ""
SOURCES = {"person_id": "PID-3", "sex": "PID-8", "birth_date": "PID-7", "death_date": "PID-29"}


@dataclass(frozen=True, slots=True)
class DescribedPerson:
    """What one message tells of a person; None is not told, an empty death that there was none."""

    sex: str | None
    birth: str | None
    death: str | None
    problems: tuple[Problem, ...] = ()


def describe(message: Message, zone: tzinfo) -> DescribedPerson:
    """Read a message's PID segment; a date without a day is not completed, it is left out and named."""
    problems: list[Problem] = []
    birth = _day(message, "PID-7", zone, Reason.PARTIAL_DATE, problems)
    death = _day(message, "PID-29", zone, Reason.DEATH_NOT_DATED, problems)
    indicator = message.get("PID-30").upper()
    if indicator == "Y" and not message.get("PID-29"):
        problems.append(Problem("PID-29", Reason.DEATH_NOT_DATED))
    if indicator == "N" and not message.get("PID-29"):
        death = _ALIVE
    return DescribedPerson(_SEXES.get(message.get("PID-8").upper()), birth, death, tuple(problems))


def _day(message: Message, path: str, zone: tzinfo, partial: Reason, problems: list[Problem]) -> str | None:
    raw = message.get(path)
    if not raw:
        return None
    try:
        moment = read_moment(raw, zone)
    except ValueProblem as problem:
        problems.append(Problem(path, partial if is_partial(raw) else problem.reason, shown(raw)))
        return None
    return moment.at.astimezone(zone).date().isoformat()


class People:
    """The latest word on each person, in a file of its own that goes away with the object."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        self._sources = sources
        self._database = sqlite3.connect("")  # a temporary file of SQLite's
        self._database.execute(_TABLE)

    def note(self, person_id: str, described: DescribedPerson, told_at: datetime, place: RowPlace) -> None:
        """Take what a message tells; whichever message was recorded later holds."""
        told = (described.sex, described.birth, described.death)
        if any(one is not None for one in told):
            row = (person_id, *told, told_at.isoformat(), place.file, place.line)
            self._database.execute(_NOTE, row)

    def drafts(self) -> Iterator[Draft]:
        """Yield a row for every person, and forget them."""
        for person_id, sex, birth, death, file, line in self._database.execute(_ROWS):
            values = {
                "person_id": person_id,
                "sex": sex or "U",
                "birth_date": None if birth is None else date.fromisoformat(birth),
                "death_date": date.fromisoformat(death) if death else None,
            }
            yield Draft("persons", RowPlace(file, line), values, self._sources)
        self._database.execute("DELETE FROM people")


_TABLE = """
CREATE TABLE people (
    person_id TEXT PRIMARY KEY, sex TEXT, birth TEXT, death TEXT, told_at TEXT, file TEXT, line INTEGER
) STRICT, WITHOUT ROWID
"""
_NOTE = """
INSERT INTO people VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (person_id) DO UPDATE SET
    sex = {later_of_sex},
    birth = {later_of_birth},
    death = {later_of_death},
    told_at = max(told_at, excluded.told_at)
""".format(
    **{
        f"later_of_{name}": f"iif(excluded.told_at >= told_at, coalesce(excluded.{name}, {name}), "
        f"coalesce({name}, excluded.{name}))"
        for name in ("sex", "birth", "death")
    }
)
_ROWS = "SELECT person_id, sex, birth, death, file, line FROM people ORDER BY person_id"
