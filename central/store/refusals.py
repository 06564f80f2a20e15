"""Quarantine and alarms: what was not taken, kept as it came, and the record that it happened."""

from dataclasses import dataclass

import sqlalchemy as sa

from renzheng.central.store import schema


@dataclass(frozen=True, slots=True)
class Refusal:
    """A message that was not taken."""

    topic: str
    device_id: str
    problem: str
    detail: str
    payload: bytes
    sha256: str
    sequence: int | None


def keep(connection: sa.Connection, refusal: Refusal, now_us: int) -> None:
    """Keep a refused message and raise its alarm; a repeated one is counted, not kept twice."""
    _quarantine(connection, refusal, now_us)
    raise_alarm(
        connection,
        refusal.device_id,
        refusal.problem,
        detail=refusal.detail,
        sequence=refusal.sequence,
        now_us=now_us,
    )


def _quarantine(connection: sa.Connection, refusal: Refusal, now_us: int) -> None:
    table = schema.quarantine
    same = (
        (table.c.topic == refusal.topic)
        & (table.c.problem == refusal.problem)
        & (table.c.sha256 == refusal.sha256)
    )
    again = sa.update(table).where(same).values(times=table.c.times + 1, last_received_at=now_us)
    if connection.execute(again).rowcount:
        return
    connection.execute(
        sa.insert(table).values(
            topic=refusal.topic,
            device_id=refusal.device_id,
            problem=refusal.problem,
            detail=refusal.detail,
            sequence=refusal.sequence,
            sha256=refusal.sha256,
            payload=refusal.payload,
            first_received_at=now_us,
            last_received_at=now_us,
            times=1,
        )
    )


def raise_alarm(
    connection: sa.Connection, device_id: str, problem: str, *, detail: str, sequence: int | None, now_us: int
) -> None:
    """Raise an alarm, or count it once more while one of the same kind is open for the device."""
    table = schema.alarms
    open_one = (table.c.device_id == device_id) & (table.c.problem == problem) & table.c.resolved_at.is_(None)
    again = sa.update(table).where(open_one)
    counted = again.values(times=table.c.times + 1, last_at=now_us, detail=detail, sequence=sequence)
    if connection.execute(counted).rowcount:
        return
    connection.execute(
        sa.insert(table).values(
            device_id=device_id,
            problem=problem,
            detail=detail,
            sequence=sequence,
            first_at=now_us,
            last_at=now_us,
            times=1,
        )
    )


def close_gap(connection: sa.Connection, device_id: str, head_sequence: int, now_us: int) -> None:
    """Close a device's gap alarm once its chain has grown past the gap, and let the repeated messages go.

    What was in them is in the log now, so nothing is lost with them.
    """
    alarms, kept = schema.alarms, schema.quarantine
    filled = (
        (alarms.c.device_id == device_id)
        & (alarms.c.problem == "gap")
        & alarms.c.resolved_at.is_(None)
        & (alarms.c.sequence <= head_sequence)
    )
    connection.execute(sa.update(alarms).where(filled).values(resolved_at=now_us))
    connection.execute(
        sa.delete(kept).where(
            (kept.c.device_id == device_id) & (kept.c.problem == "gap") & (kept.c.sequence <= head_sequence)
        )
    )


def devices_with_gaps(connection: sa.Connection) -> set[str]:
    """Name the devices whose gap alarm is open."""
    alarms = schema.alarms
    query = sa.select(alarms.c.device_id).where((alarms.c.problem == "gap") & alarms.c.resolved_at.is_(None))
    return set(connection.execute(query).scalars())
