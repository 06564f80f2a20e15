"""Audit runs, verdicts and findings in the store.

Rows of a run are written while it goes on and belong to nobody; `publish` makes them the word on their days
in one transaction. So a page shows a day by one run, whole, or by the run before it.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import orjson
import sqlalchemy as sa

from renzheng.central.store import bulk, schema

RUNS, DAYS = schema.audit_runs, schema.audit_days


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
    for table in (schema.verdicts, schema.findings):
        connection.execute(sa.delete(table).where(table.c.run_id == run_id))


def fail_unfinished(connection: sa.Connection, problem: str, now_us: int) -> None:
    """Fail every run that is still called running: its process is gone."""
    running = sa.select(RUNS.c.run_id).where(RUNS.c.state == "running")
    for run_id in connection.execute(running).scalars().all():
        fail(connection, run_id, problem, now_us)


def add_verdicts(connection: sa.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write verdicts of a run, in the order of the table's columns."""
    bulk.insert_rows(connection, schema.verdicts, rows)


def add_institutions(connection: sa.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Take in institutions that imports name and nobody has registered, so that pages can name them too."""
    bulk.insert_rows(connection, schema.institutions, rows)


def add_findings(connection: sa.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write findings of a run, in the order of the table's columns."""
    bulk.insert_rows(connection, schema.findings, rows)


def runs_of_days(connection: sa.Connection, *, limit: int) -> Mapping[str, int]:
    """Name the latest audited days, each with the moment at which the run that speaks for it began."""
    query = sa.select(DAYS.c.service_day, RUNS.c.started_at).join(RUNS, RUNS.c.run_id == DAYS.c.run_id)
    rows = connection.execute(query.order_by(DAYS.c.service_day.desc()).limit(limit))
    return {row.service_day: row.started_at for row in rows}


def arrived_since(connection: sa.Connection, start_us: int, end_us: int, since_us: int) -> bool:
    """Say whether evidence about the stretch [start, end) came in after a moment."""
    seen, covered, checks = schema.attendance, schema.coverage, schema.spot_checks
    entries = schema.log_entries
    late = (
        sa.select(sa.literal(1)).where(
            seen.c.occurred_at >= start_us, seen.c.occurred_at < end_us, seen.c.received_at >= since_us
        ),
        sa.select(sa.literal(1)).where(
            covered.c.from_at < end_us, covered.c.to_at > start_us, covered.c.received_at >= since_us
        ),
        sa.select(sa.literal(1))
        .join_from(
            checks,
            entries,
            (entries.c.device_id == checks.c.device_id) & (entries.c.sequence == checks.c.sequence),
        )
        .where(checks.c.drawn_at >= start_us, checks.c.drawn_at < end_us, entries.c.received_at >= since_us),
    )
    return any(connection.execute(query.limit(1)).first() is not None for query in late)


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
    connection.execute(sa.delete(DAYS).where(DAYS.c.service_day.in_(days)))
    connection.execute(sa.insert(DAYS), [{"service_day": day, "run_id": run_id} for day in days])
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
    for table in (schema.verdicts, schema.findings):
        connection.execute(sa.delete(table).where(table.c.run_id.not_in(speaking)))
