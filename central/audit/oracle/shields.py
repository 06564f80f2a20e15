"""Broken rows: what one of them alone could have cleared is not held against anybody."""

import datetime as dt
from collections.abc import Sequence

from renzheng.central.audit.oracle.bed_days import BedDay
from renzheng.central.audit.oracle.billing import Line
from renzheng.central.audit.oracle.case import Broken, Case
from renzheng.central.audit.oracle.dialysis import DialysisJudge, Judged

SIGHTINGS = ("attendance", "machine_sessions")
DIALYSIS_REASONS = ("no_session", "more_lines_than_sessions", "identity_mismatch")
"""What a sign-in, a presence or a machine's run could have cleared."""
SEEN_REASONS = ("elsewhere", "outside_stay")
LEAVE_REASONS = ("elsewhere", "absent_at_check")


def shield(case: Case, judge: DialysisJudge, dialysis: Sequence[Judged], beds: Sequence[BedDay]) -> None:
    """Change the verdicts that a broken row could have cleared to `insufficient / broken_row`."""
    lines = sorted(dialysis, key=lambda one: one.line.order)
    days = sorted(beds, key=lambda one: (one.day, one.line.order))
    rows = [row for row in case.broken if row.institution_id is not None]
    for row in sorted(rows, key=lambda row: (row.day is None, row.day or dt.date.min, row.table)):
        _shield_by(
            row,
            judge,
            [one for one in lines if _is_about(row, one.line)],
            [one for one in days if _is_about(row, one.line)],
        )


def _is_about(row: Broken, line: Line) -> bool:
    """Return whether a row names the person of a line; a stay may name its visit instead."""
    if row.institution_id != line.institution:
        return False
    if row.table == "stays" and row.visit_id is not None:
        return bool(row.visit_id == line.row["visit_id"])
    return row.person_id == line.person


def _shield_by(row: Broken, judge: DialysisJudge, lines: Sequence[Judged], days: Sequence[BedDay]) -> None:
    if row.table in SIGHTINGS:
        mine = [one for one in lines if one.verdict == "contradicted" and one.reason in DIALYSIS_REASONS]
        mine = [one for one in mine if row.day in {None, one.line.day}]
        for one in mine[:1]:
            one.verdict, one.reason, one.shield = "insufficient", "broken_row", "broken_row"
            one.evidence = judge.everything(one.line)
        if mine:
            return
    if row.table in {"attendance", "spot_checks"}:
        _clear_days([one for one in _open(days, SEEN_REASONS) if row.day in {None, one.day}][:1])
    elif row.table == "leaves":
        absent = _open(days, LEAVE_REASONS)
        _clear_days([one for one in absent if _named(row, one.day)] if row.day else absent[:1])
    elif row.table == "stays":
        edges = {row.day, row.until} - {None}
        _clear_days(_open(days, ("outside_stay",)))
        _clear_days([one for one in _open(days, ("elsewhere",)) if one.day in edges])


def _named(row: Broken, day: dt.date) -> bool:
    return row.day is not None and row.day <= day <= (row.until or row.day)


def _open(days: Sequence[BedDay], reasons: Sequence[str]) -> list[BedDay]:
    return [one for one in days if one.verdict == "contradicted" and one.reason in reasons]


def _clear_days(days: Sequence[BedDay]) -> None:
    for one in days:
        one.verdict, one.reason, one.evidence = "insufficient", "broken_row", set()
