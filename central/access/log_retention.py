"""What is older than three years leaves the access log, and the chain goes on from a signed note.

The note names the last entry that is gone and its hash; entries after it follow on from there. Hashes that
checkpoints have bound are kept, so that every note ever published can still be held against the store.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import orjson
import sqlalchemy as sa
from joserfc.jwk import OKPKey

from renzheng.central.access import access_log
from renzheng.central.access.access_log import LEAF, PERSONS, START, TABLE, Access
from renzheng.central.access.errors import AccessLogError
from renzheng.central.store import schema
from renzheng.central.store.times import to_us
from renzheng.contracts import keys
from renzheng.contracts.errors import RenzhengError
from renzheng.contracts.log import Head

PAST, CHECKPOINTS = schema.access_log_past, schema.checkpoints
KIND = "renzheng-access-log-note"
KEPT = timedelta(days=3 * 365 + 1)
AT_MOST = timedelta(days=31)
"""Of so many days at once: a clock that jumps ahead costs no more before somebody sees it."""
IN_USE = timedelta(days=31)
"""Nothing goes while the latest entry is older than this: then the clock is more likely wrong."""
BY = "central"


def prune(connection: sa.Connection, key: OKPKey, now: datetime) -> int:
    """Delete entries older than three years that a checkpoint has bound; return how many.

    Args:
        connection: a writing transaction.
        key: central's, which signs the note.
        now: when.
    """
    ends = sa.select(sa.func.min(TABLE.c.at), sa.func.max(TABLE.c.at))
    oldest, latest = connection.execute(ends).one()
    if oldest is None or latest < to_us(now - IN_USE):
        return 0
    before = min(to_us(now - KEPT), oldest + AT_MOST // timedelta(microseconds=1))
    bound = _bound(connection, oldest)
    old = sa.select(sa.func.max(TABLE.c.number)).where(TABLE.c.at < before)
    last = min(connection.execute(old).scalar_one() or 0, max(bound, default=0))
    kept_from = connection.execute(sa.select(sa.func.min(TABLE.c.number)).where(TABLE.c.at >= before))
    last = min(last, (kept_from.scalar_one() or 1) - 1)
    hashes = access_log.hashes(connection, [last])
    if last not in hashes:
        return 0
    note = orjson.dumps({"last": last, "hash": hashes[last], "at": now.isoformat(), "before": before})
    _keep(connection, [number for number in bound if number < last])
    signed = keys.sign(note, key, KIND).decode()
    connection.execute(sa.insert(PAST).values(number=last, hash=hashes[last], note=signed))
    connection.execute(sa.delete(PERSONS).where(PERSONS.c.number <= last))
    gone = connection.execute(sa.delete(TABLE).where(TABLE.c.number <= last)).rowcount
    what = f"entries up to {last}, {hashes[last]}"
    told = Access(BY, (), "-", "access_log_pruned", what, "retention", "changed")
    access_log.append(connection, told, now)
    return gone


def _bound(connection: sa.Connection, oldest: int) -> list[int]:
    """Read the numbers of entries that checkpoints since a moment have bound."""
    query = sa.select(CHECKPOINTS.c.heads).where(CHECKPOINTS.c.taken_at >= oldest)
    return [
        number
        for heads in connection.execute(query).scalars()
        for name, number, _ in orjson.loads(heads)
        if name == LEAF
    ]


def _keep(connection: sa.Connection, numbers: Iterable[int]) -> None:
    rows: list[dict[str, Any]] = [
        {"number": number, "hash": digest, "note": None}
        for number, digest in access_log.hashes(connection, sorted(set(numbers))).items()
    ]
    known = set(connection.execute(sa.select(PAST.c.number)).scalars())
    rows = [row for row in rows if row["number"] not in known]
    if rows:
        connection.execute(sa.insert(PAST), rows)


def beginning(connection: sa.Connection, *by: OKPKey) -> Head:
    """Return from where the chain goes on: the last entry that is gone by the latest note.

    Args:
        connection: a transaction.
        by: central's public keys, today's and former ones.

    Raises:
        AccessLogError: the note is not signed by any of them, or says something else than is kept beside it.
    """
    query = sa.select(PAST).where(PAST.c.note.is_not(None)).order_by(PAST.c.number.desc()).limit(1)
    row = connection.execute(query).first()
    if row is None:
        return START
    for key in by:
        try:
            told = orjson.loads(keys.open_signed(row.note.encode(), key, KIND))
        except RenzhengError:
            continue
        if (told["last"], told["hash"]) == (row.number, row.hash):
            return Head(row.number, row.hash)
    raise AccessLogError(
        f"The note by which the access log begins after entry {row.number} is not central's.",
        why="Somebody may have taken entries out that were not old enough.",
        do="Keep the store's file; compare it with the latest backup and the checkpoints of that day.",
        number=row.number,
    )
