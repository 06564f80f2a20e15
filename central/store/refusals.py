"""Quarantine and alarms: what was not taken, kept as it came, and the record that it happened.

A sender that repeats itself fills one row. One that never repeats itself fills `MOST_KEPT` rows; what comes
over that is counted, not kept, so that a broken or hostile device cannot fill the disk. Devices that are not
registered share one such bound, as anybody can make up names: there the oldest messages go first. Statements
are written out once and take a group at a time: refusing must not cost more than verifying.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import sqlalchemy as sa

from renzheng.central.store import schema
from renzheng.central.store.alarms import PROOFS

MOST_KEPT = 500
"""Different messages of one device that are kept."""
MOST_KEPT_BYTES = 16_000_000
"""Bytes of one device's messages that are kept."""
KEPT_DAYS = 180
"""So long a refused message is kept after it last came; its alarm stays."""
KEPT_FOR = timedelta(days=400)
"""How long a closed alarm is kept: a year's settlement can still be looked into."""
NOBODY = "-"
"""Stands for whatever is no registered device: its messages share a bound, and one alarm a problem."""
OVERFLOW = ""
"""Stands for the hash in the one row that counts what is not kept."""

_KEEP = sa.text(
    "INSERT INTO quarantine (topic, device_id, problem, detail, sequence, sha256, payload, "
    "first_received_at, last_received_at, times) VALUES (:topic, :device_id, :problem, :detail, :sequence, "
    ":sha256, :payload, :now, :now, :times) ON CONFLICT (topic, problem, sha256) DO UPDATE SET "
    "times = quarantine.times + excluded.times, last_received_at = excluded.last_received_at"
)
_KNOWN = sa.text(
    "SELECT topic, problem, sha256, length(payload) FROM quarantine WHERE device_id = :device_id"
)
_OLDEST = sa.text(
    "DELETE FROM quarantine WHERE quarantine_id IN (SELECT quarantine_id FROM (SELECT quarantine_id, "
    "row_number() OVER newest AS place, sum(length(payload)) OVER newest AS size FROM quarantine "
    "WHERE device_id = :device_id AND sha256 <> :overflow "
    "WINDOW newest AS (ORDER BY last_received_at DESC, quarantine_id DESC)) AS kept "
    "WHERE place > :most OR size > :bytes) RETURNING times"
)
_EXPIRE = sa.text("DELETE FROM quarantine WHERE last_received_at < :before")
_WITH_GAPS = sa.text("SELECT device_id FROM alarms WHERE problem = 'gap' AND resolved_at IS NULL")
_RAISE_AGAIN = sa.text(
    "UPDATE alarms SET times = times + :times, last_at = :now, detail = :detail, sequence = :sequence "
    "WHERE device_id = :device_id AND problem = :problem AND resolved_at IS NULL"
)
_RAISE = sa.text(
    "INSERT INTO alarms (device_id, problem, detail, sequence, first_at, last_at, times) "
    "VALUES (:device_id, :problem, :detail, :sequence, :now, :now, :times)"
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A message that was not taken; `times` counts equal ones."""

    topic: str
    device_id: str
    problem: str
    detail: str
    payload: bytes
    sha256: str
    sequence: int | None
    times: int = 1


def keep(connection: sa.Connection, refused: Iterable[Refusal], now_us: int) -> None:
    """Keep a group's refused messages and raise their alarms."""
    merged = _merge(refused)
    if not merged:
        return
    kept: list[Refusal] = []
    for device_id in sorted({one.device_id for one in merged} - {NOBODY}):
        known = {tuple(row[:3]): int(row[3]) for row in connection.execute(_KNOWN, {"device_id": device_id})}
        kept += _bound([one for one in merged if one.device_id == device_id], known)
    of_nobody = [one for one in merged if one.device_id == NOBODY]
    connection.execute(_KEEP, [{**_values(one), "now": now_us} for one in _merge([*kept, *of_nobody])])
    if of_nobody:
        _let_oldest_go(connection, of_nobody[-1], now_us)
    for one in _merge(replace(one, topic="", sha256=OVERFLOW) for one in merged):
        values = {name: value for name, value in _values(one).items() if name in _ALARM_VALUES}
        if connection.execute(_RAISE_AGAIN, {**values, "now": now_us}).rowcount == 0:
            connection.execute(_RAISE, {**values, "now": now_us})


def expire(connection: sa.Connection, now_us: int) -> int:
    """Let go of refused messages that last came `KEPT_DAYS` ago; return how many."""
    before = now_us - KEPT_DAYS * 86_400_000_000
    return connection.execute(_EXPIRE, {"before": before}).rowcount


def raise_alarm(
    connection: sa.Connection,
    device_id: str,
    problem: str,
    detail: str,
    now_us: int,
    *,
    sequence: int | None = None,
) -> None:
    """Raise a device's alarm, or count it once more where it is open already."""
    values = {"device_id": device_id, "problem": problem, "detail": detail, "sequence": sequence, "times": 1}
    if connection.execute(_RAISE_AGAIN, {**values, "now": now_us}).rowcount == 0:
        connection.execute(_RAISE, {**values, "now": now_us})


_ALARM_VALUES = ("device_id", "problem", "detail", "sequence", "times")


def _merge(refused: Iterable[Refusal]) -> Sequence[Refusal]:
    """Count equal messages together; the latest one's detail and sequence stand."""
    merged: dict[tuple[str, str, str, str], Refusal] = {}
    for one in refused:
        key = (one.device_id, one.topic, one.problem, one.sha256)
        before = merged.get(key)
        merged[key] = replace(one, times=one.times + before.times) if before else one
    return list(merged.values())


def _bound(refused: Sequence[Refusal], known: Mapping[tuple[str, ...], int]) -> Sequence[Refusal]:
    """Let what goes over the bound of one device be counted without its bytes."""
    bounded, space, room = [], MOST_KEPT - len(known), MOST_KEPT_BYTES - sum(known.values())
    for one in refused:
        if (one.topic, one.problem, one.sha256) in known:
            bounded.append(one)
        elif space > 0 and room >= len(one.payload):
            space, room = space - 1, room - len(one.payload)
            bounded.append(one)
        else:
            detail = "Further messages, counted and not kept."
            bounded.append(replace(one, sha256=OVERFLOW, payload=b"", detail=detail))
    return bounded


def _let_oldest_go(connection: sa.Connection, latest: Refusal, now_us: int) -> None:
    """Keep the newest of what nobody known has sent, and count the others."""
    bound = {"device_id": NOBODY, "overflow": OVERFLOW, "most": MOST_KEPT, "bytes": MOST_KEPT_BYTES}
    gone = sum(connection.execute(_OLDEST, bound).scalars())
    if gone:
        counted = Refusal(
            "", NOBODY, latest.problem, "Older messages, counted and not kept.", b"", OVERFLOW, None, gone
        )
        connection.execute(_KEEP, {**_values(counted), "now": now_us})


def _values(refusal: Refusal) -> Mapping[str, object]:
    return {name: getattr(refusal, name) for name in Refusal.__slots__}


def forget(connection: sa.Connection, before_us: int) -> int:
    """Clear alarms that were closed long ago, except what may prove a forgery; return how many."""
    alarms = schema.alarms
    closed = (alarms.c.resolved_at < before_us) & alarms.c.problem.not_in(PROOFS)
    return connection.execute(sa.delete(alarms).where(closed)).rowcount


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
    if connection.execute(sa.update(alarms).where(filled).values(resolved_at=now_us)).rowcount:
        of_gap = (kept.c.device_id == device_id) & (kept.c.problem == "gap")
        gone = (kept.c.sequence <= head_sequence) | (kept.c.sha256 == OVERFLOW)
        connection.execute(sa.delete(kept).where(of_gap & gone))


def devices_with_gaps(connection: sa.Connection) -> set[str]:
    """Name the devices whose gap alarm is open."""
    return set(connection.execute(_WITH_GAPS).scalars())
