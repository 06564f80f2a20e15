"""The oracle: from tables to verdicts, one step a line."""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal

from renzheng.central.audit.oracle.bed_days import BedDay
from renzheng.central.audit.oracle.beds import BedJudge, by_line, day_answers
from renzheng.central.audit.oracle.billing import Line, billed
from renzheng.central.audit.oracle.case import Case, Shared
from renzheng.central.audit.oracle.dialysis import DialysisJudge, Judged
from renzheng.central.audit.oracle.ledger import ledger
from renzheng.central.audit.oracle.points import PointCase
from renzheng.central.audit.oracle.sessions import SessionBuilder
from renzheng.central.audit.oracle.shields import shield
from renzheng.central.audit.oracle.values import Answer, Judgement, LineKey, Parameters, Tables, always

MARGIN_DAYS = 3
"""Days on both sides of the period whose lines take part in the assignment; before it also the days of late
billing."""

BEDS_BEFORE = 400
"""Days before the period whose bed lines may bill the same days: they had them first."""
NATIONAL = Parameters()


class Oracle:
    """Answers every line in scope of a few small tables.

    Args:
        tables: rows by table, typed; a table left out is empty.
        first: first local service day.
        last: last local service day, included.
        on: the parameters of the line verdicts: the same for every day, or a function of the day.
        shared: what it has in common with other cases of the institution; None for nothing.
    """

    def __init__(
        self,
        tables: Tables,
        first: dt.date,
        last: dt.date,
        on: Parameters | Callable[[dt.date], Parameters] = NATIONAL,
        shared: Shared | None = None,
    ) -> None:
        self._case = Case(tables, shared)
        self._first = first
        self._last = last
        self._on = always(on) if isinstance(on, Parameters) else on

    def answers(self) -> dict[LineKey, Answer]:
        """Return the one verdict of each line of the period."""
        return dict(self.judge().lines)

    def judge(self) -> Judgement:
        """Judge everything."""
        rows = billed(self._case)
        near = [line for line in rows.lines if line.in_scope and line.is_dialysis and self._near(line)]
        billed_beds = [line for line in rows.lines if line.item_class == "bed_day" and self._before(line)]
        sessions = list(SessionBuilder(self._case, self._on).all())
        dialysis = DialysisJudge(self._case, sessions, near, self._on)
        beds = BedJudge(self._case, [line for line in billed_beds if line.in_scope], self._on)
        judged = [one for one in dialysis.judge() if self._within(one.line)]
        days = [one for one in beds.judge() if self._within(one.line)]
        shield(self._case, dialysis, judged, days)
        lines = dict(self._lines(dialysis, judged, beds, days))
        points = PointCase(self._case, [line for line in rows.lines if self._near(line)], self._on)
        answered = [one for one in points.judge(sessions) if self._within(one.line)]
        lines |= {one.key: one.answer for one in answered}
        book = ledger(self._case, rows, lines, self._first, self._last)
        rejected = Counter(row.table for row in self._case.broken if row.by == "audit")
        kept = _shielded([*judged, *(one.judged for one in answered)], days)
        of_points = frozenset(one.key for one in answered)
        return Judgement(lines, day_answers(days), book, kept, rejected, of_points)

    def _near(self, line: Line) -> bool:
        earlier = dt.timedelta(days=MARGIN_DAYS + self._on(self._first).late_billing_days)
        later = dt.timedelta(days=MARGIN_DAYS)
        return self._first - earlier <= line.service_day <= self._last + later

    def _before(self, line: Line) -> bool:
        earliest = self._first - dt.timedelta(days=BEDS_BEFORE)
        return earliest <= line.service_day <= self._last + dt.timedelta(days=MARGIN_DAYS)

    def _within(self, line: Line) -> bool:
        return self._first <= line.service_day <= self._last

    def _lines(
        self, dialysis: DialysisJudge, judged: list[Judged], beds: BedJudge, days: list[BedDay]
    ) -> Iterator[tuple[LineKey, Answer]]:
        for one in judged:
            ratio, evidence = dialysis.coverage_ratio(one.line), tuple(sorted(one.evidence))
            yield (
                one.line.key,
                Answer(one.verdict, one.reason, ratio, evidence, one.line.amount, one.line.amount),
            )
        for bed in by_line(days):
            verdict, reason, found = bed.verdict
            ratio, evidence = beds.coverage_ratio(bed.days), tuple(sorted(found))
            yield bed.line.key, Answer(verdict, reason, ratio, evidence, bed.at_stake, bed.line.amount)


def _shielded(judged: list[Judged], days: list[BedDay]) -> Mapping[str, tuple[int, Decimal]]:
    """Count the lines that something kept from being contradicted, with their yuan."""
    found: dict[str, tuple[int, Decimal]] = {}
    kept = [
        (one.shield or "broken_row", one.line) for one in judged if one.shield or one.reason == "broken_row"
    ]
    kept += [
        ("broken_row", bed.line) for bed in by_line(days) if any(d.reason == "broken_row" for d in bed.days)
    ]
    for by, line in kept:
        lines, amount = found.get(by, (0, Decimal(0)))
        found[by] = lines + 1, amount + line.amount
    return found
