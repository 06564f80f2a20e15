"""Broken rows: what one of them alone could have cleared is not held against anybody."""

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence

from renzheng.central.audit.oracle.bed_days import BedDay
from renzheng.central.audit.oracle.case import Broken, Case
from renzheng.central.audit.oracle.dialysis import Judged

SIGHTINGS = ("attendance", "machine_sessions")
DIALYSIS_REASONS = ("no_session", "more_lines_than_sessions", "identity_mismatch")
"""What a sign-in, a presence or a machine's run could have cleared."""
SEEN_REASONS = ("elsewhere", "outside_stay")
LEAVE_REASONS = ("elsewhere", "absent_at_check")


def shield(case: Case, dialysis: Sequence[Judged], beds: Sequence[BedDay]) -> None:
    """Change the verdicts that a broken row could have cleared to `insufficient / broken_row`."""
    rows: dict[tuple[str, str], list[Broken]] = defaultdict(list)
    for row in case.broken:
        if row.institution_id and row.person_id:
            rows[row.institution_id, row.person_id].append(row)
    for place, broken in rows.items():
        lines = [one for one in dialysis if (one.line.institution, one.line.person) == place]
        days = [one for one in beds if (one.line.institution, one.line.person) == place]
        lines.sort(key=lambda one: one.line.order)
        days.sort(key=lambda one: (one.day, one.line.order))
        for row in sorted(broken, key=lambda row: (row.day is None, row.day or dt.date.min, row.table)):
            _shield_by(row, lines, days)


def _shield_by(row: Broken, lines: Sequence[Judged], days: Sequence[BedDay]) -> None:
    if row.table in SIGHTINGS:
        open_lines = [
            one
            for one in lines
            if one.verdict == "contradicted"
            and one.reason in DIALYSIS_REASONS
            and row.day in {None, one.line.day}
        ]
        if open_lines:
            _clear(open_lines[0])
        elif row.table == "attendance":
            _clear_days([one for one in _open(days, SEEN_REASONS) if row.day in {None, one.day}][:1])
    elif row.table == "leaves":
        mine = _open(days, LEAVE_REASONS)
        _clear_days([one for one in mine if _named(row, one.day)] if row.day else mine[:1])
    elif row.table == "stays":
        mine = _open(days, ("outside_stay",))
        _clear_days([one for one in mine if row.visit_id in {None, one.line.row["visit_id"]}])


def _named(row: Broken, day: dt.date) -> bool:
    return row.day is not None and row.day <= day <= (row.until or row.day)


def _open(days: Sequence[BedDay], reasons: Sequence[str]) -> list[BedDay]:
    return [one for one in days if one.verdict == "contradicted" and one.reason in reasons]


def _clear(one: Judged | BedDay) -> None:
    one.verdict, one.reason, one.evidence = "insufficient", "broken_row", set()
    if isinstance(one, Judged):
        one.shield = "broken_row"


def _clear_days(days: Sequence[BedDay]) -> None:
    for one in days:
        _clear(one)
