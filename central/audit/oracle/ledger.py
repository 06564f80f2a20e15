"""The ledger: every row that was sent is in one box, and the boxes sum to what was sent."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from renzheng.central.audit.oracle.billing import Billed, Line
from renzheng.central.audit.oracle.case import Case
from renzheng.central.audit.oracle.values import Answer, BoxSum, LineKey, Row


@dataclass(frozen=True)
class Entry:
    """One row, or what was taken back of one."""

    institution: str
    box: str
    amount: Decimal
    fund_amount: Decimal | None
    lines: int = 1


def ledger(
    case: Case, rows: Billed, answers: Mapping[LineKey, Answer], first: dt.date, last: dt.date
) -> dict[tuple[str, str], BoxSum]:
    """Sum up what each institution sent, by box."""
    sums: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in _entries(case, rows, answers, first, last):
        sums[entry.institution, entry.box].append(entry)
    return {key: _sum(entries) for key, entries in sums.items()}


def _sum(entries: list[Entry]) -> BoxSum:
    funds = [entry.fund_amount for entry in entries if entry.fund_amount is not None]
    return BoxSum(
        sum(entry.lines for entry in entries),
        sum((entry.amount for entry in entries), Decimal(0)),
        sum(funds, Decimal(0)) if funds else None,
    )


def _entries(
    case: Case, rows: Billed, answers: Mapping[LineKey, Answer], first: dt.date, last: dt.date
) -> Iterator[Entry]:
    for broken in case.broken:
        if broken.table == "claim_lines" and broken.institution_id and broken.amount is not None:
            yield Entry(broken.institution_id, f"rejected_by_{broken.by}", broken.amount, broken.fund_amount)
    for line in rows.lines:
        yield from _of_line(line, answers, first, last)
    for row, root in rows.reversals:
        in_period = _in_period(case, row, first, last) or _in_period(case, root, first, last)
        yield _entry(row, "reversed" if in_period else "outside_period")
    for row in rows.orphans:
        yield _entry(row, "orphan_reversal" if _in_period(case, row, first, last) else "outside_period")


def _in_period(case: Case, row: Row, first: dt.date, last: dt.date) -> bool:
    return first <= case.day(row["institution_id"], row["service_time"]) <= last


def _entry(row: Row, box: str) -> Entry:
    return Entry(row["institution_id"], box, row["amount"], row["fund_amount"])


def _of_line(line: Line, answers: Mapping[LineKey, Answer], first: dt.date, last: dt.date) -> Iterator[Entry]:
    sent, fund, back = line.row["amount"], line.row["fund_amount"], line.fund_back
    if not first <= line.service_day <= last:
        yield Entry(line.institution, "outside_period", sent, fund)
    elif line.taken_back:
        yield Entry(line.institution, "reversed", sent, fund)
    else:
        rest = None if fund is None else fund + (back or Decimal(0))
        yield Entry(line.institution, _box(line, answers), line.amount, rest)
        if line.amount != sent or back is not None:
            yield Entry(line.institution, "reversed", sent - line.amount, None if back is None else -back, 0)


def _box(line: Line, answers: Mapping[LineKey, Answer]) -> str:
    if line.key in answers:
        return answers[line.key].verdict
    return "unknown_code" if line.item_class is None else "out_of_scope"
