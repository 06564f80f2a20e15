"""FHIR's dates and times: a year, a month, a day, or a moment with its offset (R4 and R5, datatypes)."""

import re
from datetime import datetime, tzinfo
from typing import Any

from renzheng.central.claims.fhir_nodes import FieldProblem, node
from renzheng.central.claims.hl7_times import Moment, read_moment
from renzheng.central.claims.rejects import Problem, shown
from renzheng.central.claims.values import ValueProblem

_PARTIAL = re.compile(r"\d{4}(-\d{2})?", re.ASCII)


def is_partial(raw: Any) -> bool:
    """Whether a date has no day."""
    return bool(_PARTIAL.fullmatch(str(raw).strip()))


def read(field: str, raw: Any, zone: tzinfo) -> Moment | None:
    """Read a date or a time; None where there is none.

    Raises:
        FieldProblem: it cannot be read, or has no day.
    """
    if raw is None:
        return None
    try:
        return read_moment(str(raw), zone)
    except ValueProblem as problem:
        raise FieldProblem(Problem(field, problem.reason, shown(raw))) from None


def span(field: str, period: Any, zone: tzinfo) -> tuple[datetime | None, datetime | None]:
    """Read a Period; an end without a time of day includes that day.

    Raises:
        FieldProblem: an end of it cannot be read.
    """
    start = read(f"{field}.start", node(period).get("start"), zone)
    end = read(f"{field}.end", node(period).get("end"), zone)
    return start.at if start else None, end.end(zone) if end else None


def billed_at(period: Any, zone: tzinfo) -> Any:
    """Return, as it stands, the end of a Period that a bill is for, if it is of more than a day: its start.

    What is billed for several days is billed when they are over.
    """
    start, end = node(period).get("start"), node(period).get("end")
    try:
        first, last = read("", start, zone), read("", end, zone)
    except FieldProblem:
        return start
    if first is None or last is None:
        return start or end
    return start if first.at.astimezone(zone).date() == last.at.astimezone(zone).date() else end
