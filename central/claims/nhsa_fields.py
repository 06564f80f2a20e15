"""The fields of one NHSA record, read one by one into typed values; what cannot be read is gathered."""

from collections.abc import Mapping
from datetime import date, datetime, tzinfo
from decimal import Decimal

from renzheng.central.claims.rejects import Problem, Reason, RowPlace, RowProblem, shown
from renzheng.central.claims.rows import ZoneOf
from renzheng.central.claims.values import (
    ValueProblem,
    read_code,
    read_date,
    read_decimal,
    read_id,
    read_person,
    read_text,
    read_time,
)

INSTITUTION = "fixmedins_code"


def filled(fields: Mapping[str, object], *names: str) -> object | None:
    """Return the first of several fields that holds more than blanks."""
    for name in names:
        value = fields.get(name)
        if value is not None and str(value).strip():
            return value
    return None


class Fields:
    """The fields of one record; what cannot be read is gathered in `problems`."""

    def __init__(self, fields: Mapping[str, object], institution: str | None, zone_of: ZoneOf) -> None:
        self._fields = fields
        self.problems: list[Problem] = []
        self.institution_id = self.code(INSTITUTION, default=institution)
        self.zone: tzinfo = zone_of(self.institution_id)

    def code(self, name: str, *, default: str | None = None) -> str:
        """Read an obligatory code; empty, with a problem noted, when it cannot be read."""
        raw = filled(self._fields, name) or default
        try:
            return read_code("" if raw is None else raw)
        except ValueProblem as problem:
            self.note(name, problem.reason, raw)
            return ""

    def person(self, *, needed: bool = True) -> str:
        """Read `psn_no`; empty, with a problem noted where it is needed, when it cannot be read."""
        raw = filled(self._fields, "psn_no")
        try:
            return read_person("" if raw is None else raw)
        except ValueProblem as problem:
            if needed or raw is not None:
                self.note("psn_no", problem.reason, raw)
            return ""

    def id(self, name: str) -> str:
        """Read an obligatory id whose case is kept."""
        raw = filled(self._fields, name)
        try:
            return read_id("" if raw is None else raw)
        except ValueProblem as problem:
            self.note(name, problem.reason, raw)
            return ""

    def text(self, *names: str) -> str | None:
        """Read free text from the first of several fields that is filled; it never refuses a record."""
        raw = filled(self._fields, *names)
        try:
            return None if raw is None else read_text(raw)
        except ValueProblem:
            return None

    def time(self, *names: str, needed: bool = False) -> datetime | None:
        """Read a time from the first of several fields that is filled."""
        raw = filled(self._fields, *names)
        if raw is None:
            if needed:
                self.note(names[0], Reason.MISSING, raw)
            return None
        try:
            return read_time(str(raw), self.zone)
        except ValueProblem as problem:
            self.note(names[0], problem.reason, raw)
            return None

    def day(self, name: str) -> date | None:
        """Read a day; one that cannot be read is none."""
        raw = filled(self._fields, name)
        try:
            return None if raw is None else read_date(str(raw))
        except ValueProblem:
            return None

    def yuan(self, name: str) -> Decimal | None:
        """Read an amount; one that cannot be read is none."""
        raw = filled(self._fields, name)
        try:
            return None if raw is None else read_decimal(str(raw), 16, 2)
        except ValueProblem:
            return None

    def sent_at(self) -> datetime | None:
        """Read when the message was sent (`inf_time`); None when it does not say or cannot be read."""
        raw = filled(self._fields, "inf_time")
        try:
            return None if raw is None else read_time(str(raw), self.zone)
        except ValueProblem:
            return None

    def note(self, name: str, reason: Reason, raw: object) -> None:
        """Note a problem with a field."""
        self.problems.append(Problem(name, reason, shown("" if raw is None else raw)))

    def remarks(self, table: str, place: RowPlace) -> list[RowProblem]:
        """Return the problems as refusals, with what could be read."""
        known = {
            name: value
            for name, field in (
                ("institution_id", INSTITUTION),
                ("visit_id", "mdtrt_id"),
                ("person_id", "psn_no"),
            )
            if (value := filled(self._fields, field)) is not None
        }
        known.setdefault("institution_id", self.institution_id)
        return [RowProblem(table, place, problem, known) for problem in self.problems]
