"""A line's verdict, computed again from frozen rows and parameters: by the oracle, without a service.

What is frozen of a line is what the audit knew of its person, institution and item about its day, the hours
in which the institution's patients arrive, and every parameter that was asked for, by the name that the
rule's text gives it.
"""

import datetime as dt
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from renzheng.central.audit.oracle import Oracle, Shared
from renzheng.central.audit.oracle.running import as_parameters
from renzheng.central.audit.oracle.values import Parameters
from renzheng.central.nightly.line_case import LineCase
from renzheng.contracts.tables import INPUT_TABLES, ColumnType

OTHER = "(another)"
"""Stands for another person, of whom a row shows only that the institution has told its stays."""
Values = Callable[[dt.date], Mapping[str, Decimal]]
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Again:
    """What judging a line again came to."""

    verdict: str
    reason: str


class ParameterMissingError(LookupError):
    """Judging a line again asks for a day whose parameters are not there."""


def frozen_case(case: LineCase, values: Values) -> dict[str, Any]:
    """Write down what the verdict of a line rests on, and what it comes to by that alone.

    Args:
        case: the tables around the line.
        values: the parameters of a day, by their names in the rule.
    """
    asked: dict[dt.date, Mapping[str, Decimal]] = {}

    def on(day: dt.date) -> Parameters:
        if day not in asked:
            asked[day] = values(day)
        return as_parameters(asked[day])

    shared, names = Shared(case.shared.arrivals), _names(case)
    tables = {name: [_without_others(row, names) for row in rows] for name, rows in case.tables.items()}
    answer = Oracle(tables, case.day, case.day, on, shared).answers().get(_key(case.line))
    hours = [
        {"institution_id": place, "day": day, "from_hour": first, "to_hour": last}
        for (place, day), (first, last) in sorted(shared.arrival_hours.items())
    ]
    return {
        "day": case.day,
        "zone": case.zone.key,
        "tables": tables,
        "arrival_hours": hours,
        "parameters": _stretches(asked),
        "comes_to": answer and {"verdict": answer.verdict, "reason": answer.reason},
    }


def judge_again(institution_id: str, line_id: str, frozen: Mapping[str, Any]) -> Again | None:
    """Judge a line by what was frozen of it; None when it is not judged by that.

    Raises:
        ParameterMissingError: the parameters of a day are not there.
        ValueError, KeyError, TypeError: it is not what `frozen_case` writes.
    """
    day = dt.date.fromisoformat(frozen["day"])
    stretches = [
        (dt.date.fromisoformat(one["from"]), dt.date.fromisoformat(one["to"]), _decimals(one["values"]))
        for one in frozen["parameters"]
    ]

    def on(asked: dt.date) -> Parameters:
        for first, last, values in stretches:
            if first <= asked <= last:
                return as_parameters(values)
        raise ParameterMissingError(asked)

    shared = Shared({})
    for one in frozen["arrival_hours"]:
        place = one["institution_id"], dt.date.fromisoformat(one["day"])
        shared.arrival_hours[place] = one["from_hour"], one["to_hour"]
    tables = {name: [_typed(name, row) for row in rows] for name, rows in frozen["tables"].items()}
    answer = Oracle(tables, day, day, on, shared).answers().get((institution_id, line_id))
    return None if answer is None else Again(answer.verdict, answer.reason)


def _key(line: Row) -> tuple[str, str]:
    return line["institution_id"], line["line_id"]


def _names(case: LineCase) -> set[str | None]:
    aliases = case.tables.get("person_aliases", ())
    return {
        None,
        case.line["person_id"],
        *(row[name] for row in aliases for name in ("person_id", "alias_of")),
    }


def _without_others(row: Row, names: Collection[str | None]) -> Row:
    if row.get("person_id") in names or "admitted_at" not in row:
        return row
    return {**row, "person_id": OTHER, "visit_id": OTHER}


def _stretches(asked: Mapping[dt.date, Mapping[str, Decimal]]) -> list[dict[str, Any]]:
    """Put days together that follow one another and have the same values."""
    found: list[dict[str, Any]] = []
    for day, values in sorted(asked.items()):
        written = {name: str(value) for name, value in sorted(values.items())}
        last = found[-1] if found else None
        if last and last["values"] == written and last["to"] == day - dt.timedelta(days=1):
            last["to"] = day
        else:
            found.append({"from": day, "to": day, "values": written})
    return found


def _decimals(values: Mapping[str, str]) -> dict[str, Decimal]:
    return {name: Decimal(value) for name, value in values.items()}


_READ: Mapping[ColumnType, Callable[[Any], Any]] = {
    ColumnType.TIMESTAMP: dt.datetime.fromisoformat,
    ColumnType.DATE: dt.date.fromisoformat,
    ColumnType.AMOUNT: Decimal,
    ColumnType.QUANTITY: Decimal,
}
_OF_REJECTS: Mapping[str, Callable[[Any], Any]] = {"day": dt.date.fromisoformat, "amount": Decimal}


def _typed(table: str, row: Row) -> dict[str, Any]:
    known = INPUT_TABLES[table].by_name if table in INPUT_TABLES else {}
    of_columns = {name: _READ[column.type] for name, column in known.items() if column.type in _READ}
    reads = of_columns if known else _OF_REJECTS
    return {
        name: reads[name](value) if value is not None and name in reads else value
        for name, value in row.items()
    }
