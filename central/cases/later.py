"""What the newest audit says of doubts that were drafted from an earlier one."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from renzheng.central.cases.doubts import Doubt
from renzheng.central.store import schema
from renzheng.central.store.audits import speaks

LINES, VERDICTS, FINDINGS, DAYS = (
    schema.doubt_lines, schema.verdicts, schema.findings, schema.audit_days,
)  # fmt: skip
_AT_ONCE = 400


@dataclass(frozen=True, slots=True)
class Newest:
    """What the runs that speak for the days of a doubt's lines say now.

    Args:
        verdict: of its line, or of its finding; None when they no longer have that finding.
        lines: how many of its lines have each verdict.
    """

    verdict: str | None
    lines: Mapping[str, int]

    @property
    def clears(self) -> bool:
        """Every line of it is supported by now, so that the bureau ought to withdraw it."""
        return set(self.lines) == {"supported"}


def newest_audit(connection: sa.Connection, doubts: Sequence[Doubt]) -> dict[str, Newest]:
    """Read what the newest audit says of doubts, by id; one on whose days no run speaks is left out."""
    found: dict[str, Newest] = {}
    days = connection.execute(sa.select(DAYS.c.service_day, DAYS.c.run_id))
    speaking = frozenset((row.service_day, row.run_id) for row in days)
    for first in range(0, len(doubts), _AT_ONCE):
        some = {one.doubt_id: one for one in doubts[first : first + _AT_ONCE]}
        lines = _lines(connection, list(some), speaking)
        findings = _findings(connection, [one.finding_id for one in some.values() if one.finding_id])
        for doubt_id, counted in lines.items():
            finding_id = some[doubt_id].finding_id
            verdict = findings.get(finding_id) if finding_id else max(counted, key=lambda one: counted[one])
            found[doubt_id] = Newest(verdict, dict(sorted(counted.items())))
    return found


def _lines(
    connection: sa.Connection, doubt_ids: Sequence[str], speaking: Collection[tuple[str, str]]
) -> dict[str, Counter[str]]:
    """Count the lines of doubts by the verdict of the run that speaks for their day.

    By a left join, so that SQLite begins with the doubts' lines, which are fewer than the verdicts.
    """
    same = (VERDICTS.c.institution_id == LINES.c.institution_id) & (VERDICTS.c.line_id == LINES.c.line_id)
    query = (
        sa.select(LINES.c.doubt_id, VERDICTS.c.verdict, VERDICTS.c.service_day, VERDICTS.c.run_id)
        .select_from(LINES.outerjoin(VERDICTS, same))
        .where(LINES.c.doubt_id.in_(doubt_ids))
    )
    found: dict[str, Counter[str]] = {}
    for doubt_id, verdict, day, run_id in connection.execute(query):
        if (day, run_id) in speaking:
            found.setdefault(doubt_id, Counter())[verdict] += 1
    return found


def _findings(connection: sa.Connection, finding_ids: Sequence[str]) -> dict[str, str]:
    query = sa.select(FINDINGS.c.finding_id, FINDINGS.c.verdict).join(DAYS, speaks(FINDINGS))
    rows = connection.execute(query.where(FINDINGS.c.finding_id.in_(finding_ids)))
    return {row.finding_id: row.verdict for row in rows}
