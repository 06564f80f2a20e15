"""Audit runs, verdicts and findings in the store.

Rows of a run are written while it goes on and belong to nobody; `publish` makes them the word on their days
in one transaction. So a page shows a day by one run, whole, or by the run before it.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa

from renzheng.central.store import bulk, newest_verdicts, schema

RUNS, DAYS = schema.audit_runs, schema.audit_days
OF_A_RUN = (schema.verdicts, schema.ledger, schema.findings)
"""Tables of rows that a run wrote."""
REPLACED = frozenset({"audit_runs", "audit_days", "verdict_changes", *(table.name for table in OF_A_RUN)})
"""Tables in which a later run takes the place of an earlier one; any other that names a run refers to it."""
CHANGES_KEPT_US = 92 * 86_400_000_000
"""A quarter, as long as late evidence is looked for (`nightly.night`)."""


def speaks(table: sa.FromClause) -> sa.ColumnElement[bool]:
    """Return what joins verdicts or findings to `DAYS`: their run is the one that speaks for their day."""
    return (DAYS.c.run_id == table.c.run_id) & (DAYS.c.service_day == table.c.service_day)


def begin(
    connection: sa.Connection, run_id: str, first: date, last: date, *, folder: str, now_us: int
) -> None:
    """Record that a run begins."""
    connection.execute(
        sa.insert(RUNS).values(
            run_id=run_id,
            from_day=first.isoformat(),
            to_day=last.isoformat(),
            state="running",
            step="begin",
            steps_done=0,
            steps_total=1,
            started_at=now_us,
            folder=folder,
        )
    )


def note_step(connection: sa.Connection, run_id: str, step: str, done: int, total: int) -> None:
    """Record how far a run is."""
    connection.execute(
        sa.update(RUNS).where(RUNS.c.run_id == run_id).values(step=step, steps_done=done, steps_total=total)
    )


def fail(connection: sa.Connection, run_id: str, problem: str, now_us: int) -> None:
    """Record that a run failed, and let go of what it had written."""
    values = {"state": "failed", "problem": problem, "finished_at": now_us}
    connection.execute(sa.update(RUNS).where(RUNS.c.run_id == run_id).values(values))
    for table in OF_A_RUN:
        connection.execute(sa.delete(table).where(table.c.run_id == run_id))


def interrupt(connection: sa.Connection, run_id: str | None = None) -> None:
    """Say of a run, or of every one that is still called running, that its process is gone."""
    running = sa.update(RUNS).where(RUNS.c.state == "running")
    if run_id:
        running = running.where(RUNS.c.run_id == run_id)
    connection.execute(running.values(state="interrupted"))


def unfinished(connection: sa.Connection) -> Sequence[Mapping[str, Any]]:
    """Name the runs that a process has begun and not ended, oldest first."""
    chosen = sa.select(RUNS.c.run_id, RUNS.c.from_day, RUNS.c.to_day, RUNS.c.folder).where(
        RUNS.c.state.in_(("running", "interrupted"))
    )
    rows = connection.execute(chosen.order_by(RUNS.c.started_at, RUNS.c.run_id)).mappings()
    return [dict(row) for row in rows]


def rehome(connection: sa.Connection, runs_dir: Path) -> int:
    """Name the folders of runs where they are now: data that were moved or restored lie under another path.

    Args:
        connection: the store, in a transaction that writes.
        runs_dir: where runs have their folders, each by its number.

    Returns:
        How many were named anew. A folder that is in neither place keeps its name.
    """
    moved = 0
    for row in connection.execute(sa.select(RUNS.c.run_id, RUNS.c.folder)).all():
        here = runs_dir / row.run_id
        if Path(row.folder) != here and here.is_dir():
            connection.execute(sa.update(RUNS).where(RUNS.c.run_id == row.run_id).values(folder=str(here)))
            moved += 1
    return moved


def go_on(connection: sa.Connection, run_id: str) -> None:
    """Say that a process goes on with a run."""
    connection.execute(sa.update(RUNS).where(RUNS.c.run_id == run_id).values(state="running"))


def add_verdicts(connection: sa.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write verdicts of a run, in the order of the table's columns."""
    bulk.insert_rows(connection, schema.verdicts, rows)


def add_ledger(connection: sa.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write the ledger of a run, in the order of the table's columns."""
    bulk.insert_rows(connection, schema.ledger, rows)


def add_institutions(connection: sa.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Take in institutions that imports name and nobody has registered, so that pages can name them too."""
    bulk.insert_rows(connection, schema.institutions, rows)


def add_findings(connection: sa.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write findings of a run, in the order of the table's columns."""
    bulk.insert_rows(connection, schema.findings, rows)


def summaries_of_days(connection: sa.Connection, *, limit: int) -> Mapping[str, str]:
    """Name the latest audited days, each with the summary (JSON) of the run that speaks for it."""
    query = sa.select(DAYS.c.service_day, RUNS.c.summary).join(RUNS, RUNS.c.run_id == DAYS.c.run_id)
    rows = connection.execute(query.order_by(DAYS.c.service_day.desc()).limit(limit))
    return {row.service_day: row.summary or "{}" for row in rows}


def folders_to_drop(connection: sa.Connection, *, keep: int) -> Sequence[str]:
    """Name the folders of ended runs that nothing speaks by, but for the newest `keep` runs, oldest first."""
    newest = sa.select(RUNS.c.run_id).order_by(RUNS.c.started_at.desc(), RUNS.c.run_id.desc()).limit(keep)
    held = {*connection.execute(newest).scalars(), *connection.execute(sa.select(DAYS.c.run_id)).scalars()}
    for table in schema.metadata.sorted_tables:
        # whatever was decided or asked on a run's evidence keeps that evidence
        if table.name not in REPLACED and "run_id" in table.c:
            held |= set(connection.execute(sa.select(table.c.run_id).distinct()).scalars())
    ended = sa.select(RUNS.c.run_id, RUNS.c.folder).where(RUNS.c.state.in_(("done", "failed")))
    rows = connection.execute(ended.order_by(RUNS.c.started_at, RUNS.c.run_id))
    return [row.folder for row in rows if row.run_id not in held]


def answered_since(connection: sa.Connection, day: date, moment_us: int) -> bool:
    """Whether a run that speaks of a day has ended since a moment."""
    query = (
        sa.select(RUNS.c.run_id)
        .join(DAYS, DAYS.c.run_id == RUNS.c.run_id)
        .where(DAYS.c.service_day == day.isoformat(), RUNS.c.finished_at >= moment_us)
    )
    return connection.execute(query).first() is not None


def publish(
    connection: sa.Connection,
    run_id: str,
    first: date,
    last: date,
    *,
    summary: Mapping[str, Any],
    now_us: int,
) -> None:
    """Make a run the word on its days, and let go of rows that no day speaks by any more."""
    days = [(first + timedelta(days=n)).isoformat() for n in range((last - first).days + 1)]
    _note_changes(connection, run_id, days, now_us)
    connection.execute(sa.delete(DAYS).where(DAYS.c.service_day.in_(days)))
    connection.execute(sa.insert(DAYS), [{"service_day": day, "run_id": run_id} for day in days])
    newest_verdicts.note_run(connection, run_id, days)
    total = sa.select(RUNS.c.steps_total).where(RUNS.c.run_id == run_id).scalar_subquery()
    connection.execute(
        sa.update(RUNS)
        .where(RUNS.c.run_id == run_id)
        .values(
            state="done",
            step="done",
            steps_done=total,
            finished_at=now_us,
            summary=orjson.dumps(summary, option=orjson.OPT_SORT_KEYS).decode(),
        )
    )
    speaking = sa.select(DAYS.c.run_id)
    for table in OF_A_RUN:
        connection.execute(sa.delete(table).where(table.c.run_id.not_in(speaking)))


def _note_changes(connection: sa.Connection, run_id: str, days: Sequence[str], now_us: int) -> None:
    """Keep which lines of these days get another answer by this run than they had; old changes are let go."""
    changes, now = schema.verdict_changes, schema.verdicts
    before = schema.verdicts.alias("before")
    connection.execute(sa.delete(changes).where(changes.c.changed_at < now_us - CHANGES_KEPT_US))
    found = (
        sa.select(
            now.c.run_id,
            now.c.institution_id,
            now.c.line_id,
            sa.literal(now_us, sa.BigInteger()),
            now.c.service_day,
            now.c.person_id,
            now.c.amount_fen,
            before.c.verdict,
            before.c.reason,
            now.c.verdict,
            now.c.reason,
        )
        .select_from(
            DAYS.join(before, speaks(before)).join(
                now,
                (now.c.run_id == run_id)
                & (now.c.institution_id == before.c.institution_id)
                & (now.c.line_id == before.c.line_id),
            )
        )
        .where(
            DAYS.c.service_day.in_(days),
            DAYS.c.run_id != run_id,
            (now.c.verdict != before.c.verdict) | (now.c.reason != before.c.reason),
        )
    )
    connection.execute(sa.insert(changes).from_select([column.name for column in changes.columns], found))
