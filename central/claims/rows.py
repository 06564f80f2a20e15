"""Drafts to rows: the raw values of one line become the typed values of one canonical row, or problems."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any

from renzheng.central.claims.rejects import Problem, Reason, RowPlace, RowProblem, shown
from renzheng.central.claims.values import (
    MAX_TEXT,
    ValueProblem,
    plain_decimal,
    read_code,
    read_date,
    read_decimal,
    read_id,
    read_person,
    read_text,
    read_time,
)
from renzheng.contracts.ids import normalised_id
from renzheng.contracts.money import rounded
from renzheng.contracts.tables import INPUT_TABLES, Column, ColumnType, Table
from renzheng.contracts.traceability import read_traceability_code

FREE_TEXT = frozenset(
    {
        *("item_name", "name", "department", "ward", "bed", "approved_by", "modality"),
        *("diagnosis_name", "operation_name", "source", "reference", "level"),
        *("room", "item_codes", "item_classes", "device_ids", "machine_ids", "staff_needed"),
    }
)
PERSONS = frozenset({"person_id", "alias_of"})
CODES = frozenset(
    {
        *("institution_id", "visit_id", "doctor_id", "staff_id"),
        *("item_code", "diagnosis_code", "operation_code"),
    }
)
"""Ids and codes of which small letters make no second one; other ids keep their case (contracts/ids.py)."""
DESCRIPTIVE: Mapping[str, frozenset[str]] = {
    "claim_lines": frozenset(
        {"item_name", "department", "doctor_id", "settlement_id", "traceability_code", "fund_amount"}
    ),
    "stays": frozenset({"department", "ward", "bed"}),
    "diagnoses": frozenset({"diagnosis_name"}),
    "operations": frozenset({"operation_name", "doctor_id"}),
    "drug_sales": frozenset({"code", "person_id", "item_code", "batch", "expires_on", "units", "split"}),
    "drug_stock": frozenset({"code", "item_code", "batch", "expires_on", "quantity", "pack_units"}),
}
"""Columns that never reject a row: a value that cannot be read is left out, with a remark."""
TIMES: Mapping[str, str] = {
    "claim_lines": "service_time",
    "stays": "admitted_at",
    "leaves": "left_at",
    "attendance": "occurred_at",
    "spot_checks": "drawn_at",
    "coverage": "from_at",
    "machine_sessions": "started_at",
    "prescriptions": "valid_from",
    "operations": "operated_at",
    "drug_sales": "sold_at",
    "drug_stock": "recorded_at",
    "staff_presence": "from_at",
}
"""Which column gives a row's day."""
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
    place: RowPlace
    values: Mapping[str, object]
    sources: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    zone: tzinfo | LocalTime = LocalTime.INSTITUTION


@dataclass(frozen=True, slots=True)
class Row:
    """A row that its table can take; `warnings` are worth knowing, not in the way."""

    table: str
    place: RowPlace
    values: dict[str, Any]
    warnings: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that its table cannot take, with everything that is wrong with it.

    Args:
        values: what could be read of it, typed, by canonical column.
        day: its local day, where that could be read.
    """

    table: str
    place: RowPlace
    problems: tuple[Problem, ...]
    values: Mapping[str, Any] = field(default_factory=dict)
    day: date | None = None


ZoneOf = Callable[[str], tzinfo]
"""The zone in which an institution writes local times."""


def finish(draft: Draft, zone_of: ZoneOf) -> Row | Refused:
    """Type a draft's values, hold them against the table's constraints, and name every problem at once."""
    zone = _zone(draft, zone_of)
    problems = list(draft.problems)
    values, found = _read(draft, zone)
    if values.get("code") is not None:
        _fill_from_code(values, str(draft.values["code"]))
    for name, reason, raw in found:
        _note(problems, draft.sources.get(name, name), reason, raw)
    if all(problem.reason.is_warning for problem in problems):
        problems += _check(INPUT_TABLES[draft.table], values, draft.sources)
    if any(not problem.reason.is_warning for problem in problems):
        return Refused(draft.table, draft.place, tuple(problems), values, _day(draft, values, zone_of))
    return Row(draft.table, draft.place, values, tuple(problems))


def refused(remark: RowProblem, zone_of: ZoneOf) -> Refused:
    """Return a reader's own refusal as one with typed values, as far as they can be read."""
    table = INPUT_TABLES.get(remark.table)
    if table is None or not remark.known:
        return Refused(remark.table, remark.place, (remark.problem,))
    draft = Draft(remark.table, remark.place, remark.known)
    values, _ = _read(draft, _zone(draft, zone_of))
    return Refused(remark.table, remark.place, (remark.problem,), values, _day(draft, values, zone_of))


def _read(draft: Draft, zone: tzinfo | None) -> tuple[dict[str, Any], list[tuple[str, Reason, object]]]:
    """Type each value; what cannot be read is None, with its reason."""
    values: dict[str, Any] = {}
    found: list[tuple[str, Reason, object]] = []
    descriptive = DESCRIPTIVE.get(draft.table, frozenset())
    for name, may_be_empty, read in _readers(draft.table):
        raw = draft.values.get(name)
        values[name] = None
        try:
            if raw is not None and (not isinstance(raw, str) or raw.strip()):
                values[name] = read(raw, zone)
            elif not may_be_empty:
                found.append((name, Reason.MISSING, raw))
            elif name == "item_name":
                found.append((name, Reason.BLANK_DESCRIPTION, raw))
        except Rounding as rounding:
            values[name] = rounding.value
            found.append((name, Reason.ROUNDED, raw))
        except ValueProblem as problem:
            soft = name in descriptive
            if soft and name in FREE_TEXT:  # a name that is too long or damaged still says what was billed
                values[name] = " ".join(str(raw).split())[:MAX_TEXT]
            found.append((name, Reason.DESCRIPTION_NOT_READ if soft else problem.reason, raw))
    return values, found


def _fill_from_code(values: dict[str, Any], raw: str) -> None:
    """Fill what a box's code says of it, where the row does not."""
    found = read_traceability_code(raw)
    assert found is not None
    for name, value in (
        ("product_code", found.product),
        ("batch", found.batch),
        ("expires_on", found.expires_on),
    ):
        values[name] = values[name] or value or None


def _day(draft: Draft, values: Mapping[str, Any], zone_of: ZoneOf) -> date | None:
    """Return a row's local day; the day as written where its time lacks an offset or has a wrong hour."""
    name = TIMES.get(draft.table, "")
    moment = values.get(name)
    if isinstance(moment, datetime):
        return moment.astimezone(zone_of(str(values.get("institution_id") or ""))).date()
    if isinstance(moment, date):
        return moment
    raw = draft.values.get(name)
    try:
        return None if raw is None else read_date(str(raw).strip().replace("T", " ").split(" ")[0])
    except ValueProblem:
        return None


def _note(problems: list[Problem], field_name: str, reason: Reason, raw: object) -> None:
    """Add a problem, unless the format's reader has named one of that field already."""
    if all(known.field != field_name for known in problems):
        problems.append(Problem(field_name, reason, shown("" if raw is None else raw)))


def _zone(draft: Draft, zone_of: ZoneOf) -> tzinfo | None:
    """Return the zone of a draft's local times; None when there may be none."""
    if isinstance(draft.zone, tzinfo):
        return draft.zone
    if draft.zone is LocalTime.REFUSED:
        return None
    return zone_of(normalised_id(str(draft.values.get("institution_id") or "")))


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
    read = _text_reader(column.name)
    choices = frozenset(column.choices)

    def text(raw: object, _: tzinfo | None) -> str:
        value = read(raw)
        if choices and value not in choices:
            raise ValueProblem(Reason.UNKNOWN_VALUE)
        return value

    return text


def _text_reader(name: str) -> Callable[[object], str]:
    if name in FREE_TEXT:
        return read_text
    if name in PERSONS:
        return read_person
    if name == "code":
        return _traceability_code
    return read_code if name in CODES else read_id


def _traceability_code(raw: object) -> str:
    found = read_traceability_code(str(raw))
    if found is None:
        raise ValueProblem(Reason.UNKNOWN_VALUE)
    return found.code


class Rounding(Exception):  # noqa: N818 - not an error: the value is taken, with a remark
    """A number has more decimal places than its column; `value` is the rounded one."""

    def __init__(self, value: Decimal) -> None:
        super().__init__(str(value))
        self.value = value


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
        text = format(raw, "f") if isinstance(raw, Decimal) else str(raw)
        try:
            return read_decimal(text, precision, scale)
        except ValueProblem as problem:
            if problem.reason is not Reason.TOO_MANY_DECIMALS:
                raise
        value = rounded(Decimal(plain_decimal(text).replace(",", "")), scale)
        raise Rounding(read_decimal(format(value, "f"), precision, scale))

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
    if reason is Reason.REVERSAL_OF_ITSELF:
        values["reverses_line_id"] = None
    return [problem]


def _sign_problem(values: Mapping[str, Any]) -> tuple[str, Reason] | None:
    """Say what is wrong with quantity, amount and reversal taken together, and in which column."""
    quantity, amount, reverses = values["quantity"], values["amount"], values["reverses_line_id"]
    cases = (
        (quantity > 0 > amount, "amount", Reason.AMOUNT_SIGN),
        (quantity < 0 < amount, "amount", Reason.AMOUNT_SIGN_TURNED),
        (
            reverses is not None and reverses == values["line_id"],
            "reverses_line_id",
            Reason.REVERSAL_OF_ITSELF,
        ),
        (quantity == 0, "quantity", Reason.ZERO_QUANTITY),
        (quantity < 0 and reverses is None, "quantity", Reason.NEGATIVE_WITHOUT_REVERSAL),
        (quantity > 0 and reverses is not None, "quantity", Reason.REVERSAL_NOT_NEGATIVE),
    )
    return next(((column, reason) for holds, column, reason in cases if holds), None)
