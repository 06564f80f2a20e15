"""Reads what could be a doubt: contradicted lines, and findings that name lines and money."""

from collections.abc import Iterable, Sequence
from typing import Any

import orjson
import sqlalchemy as sa

from renzheng.central.cases.doubts import Billed
from renzheng.central.cases.drafting import Candidate
from renzheng.central.lists.asked import month_bounds
from renzheng.central.store import schema
from renzheng.central.store.audits import speaks

VERDICTS, FINDINGS, DAYS = schema.verdicts, schema.findings, schema.audit_days
_AT_ONCE = 400


def candidates(connection: sa.Connection, month: str, institution_id: str) -> Iterable[Candidate]:
    """Read a month's contradicted lines and findings with money, by the runs that speak for its days.

    Args:
        connection: the store.
        month: ``2026-03``, by the service day.
        institution_id: of one institution only; empty for all.
    """
    first, last = month_bounds(month)
    for table in (VERDICTS, FINDINGS):
        spoken = table.join(DAYS, speaks(table))
        of_month: list[sa.ColumnElement[bool]] = [table.c.service_day.between(first, last)]
        if institution_id:
            of_month.append(table.c.institution_id == institution_id)
        query = sa.select(table).select_from(spoken).where(*of_month)
        if table is VERDICTS:
            for row in connection.execute(query.where(table.c.verdict == "contradicted")):
                yield _of_a_line(row)
        else:
            yield from _of_findings(connection, connection.execute(query.where(table.c.amount_fen > 0)).all())


def _of_a_line(row: Any) -> Candidate:
    return Candidate(
        institution_id=row.institution_id,
        person_id=row.person_id,
        lines=(Billed(row.line_id, row.at_stake_fen),),
        rule_id=row.rule_id,
        rule_version=row.rule_version,
        verdict=row.verdict,
        reason=row.reason,
        run_id=row.run_id,
        finding_id=None,
        amount_fen=row.at_stake_fen,
    )


def _of_findings(connection: sa.Connection, rows: Sequence[Any]) -> Iterable[Candidate]:
    """Turn findings into candidates; one that names no line of its institution gives none."""
    named = {(row.run_id, row.finding_id): tuple(dict.fromkeys(orjson.loads(row.line_ids))) for row in rows}
    wanted: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        wanted.setdefault((row.run_id, row.institution_id), set()).update(named[row.run_id, row.finding_id])
    amounts = {place: _amounts(connection, *place, sorted(ids)) for place, ids in wanted.items()}
    for row in rows:
        own = amounts[row.run_id, row.institution_id]
        lines = tuple(
            Billed(line_id, own[line_id]) for line_id in named[row.run_id, row.finding_id] if line_id in own
        )
        if lines:
            yield Candidate(
                institution_id=row.institution_id,
                person_id=row.person_id,
                lines=lines,
                rule_id=row.rule_id,
                rule_version=row.rule_version,
                verdict=row.verdict,
                reason=row.rule_id,
                run_id=row.run_id,
                finding_id=row.finding_id,
                amount_fen=row.amount_fen,
            )


def _amounts(
    connection: sa.Connection, run_id: str, institution_id: str, ids: Sequence[str]
) -> dict[str, int]:
    """Read what lines cost, by their id."""
    found: dict[str, int] = {}
    for first in range(0, len(ids), _AT_ONCE):
        query = sa.select(VERDICTS.c.line_id, VERDICTS.c.amount_fen).where(
            VERDICTS.c.run_id == run_id,
            VERDICTS.c.institution_id == institution_id,
            VERDICTS.c.line_id.in_(ids[first : first + _AT_ONCE]),
        )
        found |= {line.line_id: line.amount_fen for line in connection.execute(query)}
    return found
