"""Drafts to rows: the raw values of one line become the typed values of one canonical row, or problems."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any

from renzheng.central.claims.rejects import Place, Problem, Reason, shown
from renzheng.central.claims.values import (
    ValueProblem,
    read_date,
    read_decimal,
    read_id,
    read_text,
    read_time,
)
from renzheng.contracts.tables import INPUT_TABLES, Column, ColumnType, Table

FREE_TEXT = frozenset({"item_name", "name", "department", "ward", "bed", "approved_by", "modality"})
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False, "t": True, "f": False}


class LocalTime(Enum):
    """What a time without an offset means where no zone is given with the row."""

    INSTITUTION = "institution"
    """The time of the row's institution."""
    REFUSED = "refused"
    """Nothing: such a time is a problem."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A row on its way into a canonical table.

    Args:
        table: the table's name.
        place: where it stood.
        values: by canonical column; text as in the file, or values already typed; None and "" are empty.
        sources: for problems: canonical column to the field's name in the file, where they differ.
        problems: what the format's reader found already.
        zone: of times without an offset.
    """

    table: str
    place: Place
    values: Mapping[str, object]
    sources: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    zone: tzinfo | LocalTime = LocalTime.INSTITUTION


@dataclass(frozen=True, slots=True)
class Row:
    """A row that its table can take; `warnings` are worth knowing, not in the way."""

    table: str
    place: Place
    values: dict[str, Any]
    warnings: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that its table cannot take, with everything that is wrong with it."""

    table: str
    place: Place
    problems: tuple[Problem, ...]


ZoneOf = Callable[[str], tzinfo]
"""The zone in which an institution writes local times."""


def finish(draft: Draft, zone_of: ZoneOf) -> Row | Refused:
    """Type a draft's values, hold them against the table's constraints, and name every problem at once."""
    zone = _zone(draft, zone_of)
    problems = list(draft.problems)
    values: dict[str, Any] = {}
    for name, may_be_empty, read in _readers(draft.table):
        raw = draft.values.get(name)
        values[name] = None
        try:
            if raw is not None and (not isinstance(raw, str) or raw.strip()):
                values[name] = read(raw, zone)
            elif not may_be_empty:
                _note(problems, draft.sources.get(name, name), Reason.MISSING, raw)
        except ValueProblem as problem:
            _note(problems, draft.sources.get(name, name), problem.reason, raw)
    if not problems:
        problems = _check(INPUT_TABLES[draft.table], values, draft.sources)
    if any(not problem.reason.is_warning for problem in problems):
        return Refused(draft.table, draft.place, tuple(problems))
    return Row(draft.table, draft.place, values, tuple(problems))


def _note(problems: list[Problem], field_name: str, reason: Reason, raw: object) -> None:
    """Add a problem, unless the format's reader has named one of that field already."""
    if all(known.field != field_name for known in problems):
        problems.append(Problem(field_name, reason, shown("" if raw is None else raw)))


def _zone(draft: Draft, zone_of: ZoneOf) -> tzinfo | None:
    """Give the zone of a draft's local times; None when there may be none."""
    if isinstance(draft.zone, tzinfo):
        return draft.zone
    if draft.zone is LocalTime.REFUSED:
        return None
    return zone_of(str(draft.values.get("institution_id") or ""))


Reader = Callable[[object, tzinfo | None], object]


@cache
def _readers(table: str) -> tuple[tuple[str, bool, Reader], ...]:
    """Give each column of a table with whether it may be empty and what reads its values."""
    return tuple(
        (column.name, column.nullable or column.may_be_absent, _reader(column))
        for column in INPUT_TABLES[table].columns
    )


def _reader(column: Column) -> Reader:
    if column.type is not ColumnType.TEXT:
        return _TYPED[column.type]
    read = read_text if column.name in FREE_TEXT else read_id
    choices = frozenset(column.choices)

    def text(raw: object, _: tzinfo | None) -> str:
        value = read(raw)
        if choices and value not in choices:
            raise ValueProblem(Reason.UNKNOWN_VALUE)
        return value

    return text


def _time(raw: object, zone: tzinfo | None) -> datetime:
    if isinstance(raw, datetime):
        if raw.tzinfo is None and zone is None:
            raise ValueProblem(Reason.TIME_WITHOUT_OFFSET)
        return (raw if raw.tzinfo else raw.replace(tzinfo=zone)).astimezone(UTC)
    return read_time(str(raw), zone)


def _date(raw: object, _: tzinfo | None) -> date:
    if isinstance(raw, datetime):
        return raw.date()
    return raw if isinstance(raw, date) else read_date(str(raw))


def _decimal(precision: int, scale: int) -> Callable[[object, tzinfo | None], Decimal]:
    def read(raw: object, _: tzinfo | None) -> Decimal:
        if isinstance(raw, bool):
            raise ValueProblem(Reason.BAD_DECIMAL)
        return read_decimal(format(raw, "f") if isinstance(raw, Decimal) else str(raw), precision, scale)

    return read


def _integer(raw: object, _: tzinfo | None) -> int:
    try:
        return int(read_decimal(str(raw), 18, 0))
    except ValueProblem:
        raise ValueProblem(Reason.BAD_NUMBER) from None


def _double(raw: object, _: tzinfo | None) -> float:
    try:
        value = float(str(raw))
    except ValueError:
        raise ValueProblem(Reason.BAD_NUMBER) from None
    if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124 - only NaN differs from itself
        raise ValueProblem(Reason.BAD_NUMBER)
    return value


def _boolean(raw: object, _: tzinfo | None) -> bool:
    try:
        return _BOOLEANS[str(raw).strip().lower()]
    except KeyError:
        raise ValueProblem(Reason.BAD_BOOLEAN) from None


_TYPED: Mapping[ColumnType, Reader] = {
    ColumnType.TIMESTAMP: _time,
    ColumnType.DATE: _date,
    ColumnType.QUANTITY: _decimal(16, 4),
    ColumnType.AMOUNT: _decimal(16, 2),
    ColumnType.INTEGER: _integer,
    ColumnType.DOUBLE: _double,
    ColumnType.BOOLEAN: _boolean,
}


def _check(table: Table, values: dict[str, Any], sources: Mapping[str, str]) -> list[Problem]:
    """Hold a typed row against what spans columns; may turn the sign of a reversal's amount."""
    problems = [
        Problem(sources.get(interval.end, interval.end), Reason.END_BEFORE_START, str(values[interval.end]))
        for interval in table.intervals
        if values[interval.start] is not None
        and values[interval.end] is not None
        and values[interval.end] < values[interval.start]
    ]
    if table.name == "claim_lines":
        problems += _check_claim_line(values, sources)
    return problems


def _check_claim_line(values: dict[str, Any], sources: Mapping[str, str]) -> list[Problem]:
    found = _sign_problem(values)
    if found is None:
        return []
    column, reason = found
    problem = Problem(sources.get(column, column), reason, shown(values[column]))
    if reason is Reason.AMOUNT_SIGN_TURNED:
        values["amount"] = -values["amount"]
    return [problem]


def _sign_problem(values: Mapping[str, Any]) -> tuple[str, Reason] | None:
    """Say what is wrong with quantity, amount and reversal taken together, and in which column."""
    quantity, amount, reverses = values["quantity"], values["amount"], values["reverses_line_id"]
    cases = (
        (quantity == 0, "quantity", Reason.ZERO_QUANTITY),
        (quantity < 0 and reverses is None, "quantity", Reason.NEGATIVE_WITHOUT_REVERSAL),
        (quantity > 0 and reverses is not None, "quantity", Reason.REVERSAL_NOT_NEGATIVE),
        (reverses == values["line_id"], "reverses_line_id", Reason.REVERSAL_OF_ITSELF),
        (quantity > 0 > amount, "amount", Reason.AMOUNT_SIGN),
        (quantity < 0 < amount, "amount", Reason.AMOUNT_SIGN_TURNED),
    )
    return next(((column, reason) for holds, column, reason in cases if holds), None)
