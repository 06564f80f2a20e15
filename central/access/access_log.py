"""The access log: who read or changed what of whom, from where, what for and when.

An entry is JSON with the SHA-256 of its predecessor; the daily checkpoint signs the last one, so that nobody
can take one out or change it afterwards without its showing. They are kept three years (`log_retention`).
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import orjson
import sqlalchemy as sa

from renzheng.central.access.errors import AccessLogError
from renzheng.central.store import schema
from renzheng.central.store.locks import CLASS, NUMBERS
from renzheng.central.store.times import to_us
from renzheng.contracts.log import Head

TABLE, PERSONS, PAST = schema.access_log, schema.access_log_persons, schema.access_log_past
LEAF = "access/log"
"""Names the chain among the heads of a checkpoint, as no device can be named."""
NOTHING = "0" * 64
START = Head(0, NOTHING)
"""From where a chain goes on of which nothing is gone yet."""
MANY_PERSONS = 200
"""An entry of so many persons or more is shown as bulk reading."""
_AT_ONCE = 2_000
_HEAD = sa.select(TABLE.c.number, TABLE.c.hash).order_by(TABLE.c.number.desc()).limit(1)
_INSERT, _INSERT_PERSONS = sa.insert(TABLE), sa.insert(PERSONS)
_LOCK = sa.text("SELECT pg_advisory_xact_lock(:class, :number)")


@dataclass(frozen=True, slots=True)
class Access:
    """One reading or change.

    Args:
        account_id: who.
        roles: in which roles.
        address: from where.
        act: the permission that was used, or what was done to an account.
        what: the page, route or thing.
        purpose: what for.
        outcome: `shown`, `changed` or `refused`.
        persons: of whom.
    """

    account_id: str
    roles: Sequence[str]
    address: str
    act: str
    what: str
    purpose: str
    outcome: str = "shown"
    persons: Iterable[str] = field(default=())


def append(connection: sa.Connection, access: Access, now: datetime) -> int:
    """Add an entry to the end of the chain; return its number.

    Args:
        connection: a writing transaction. On PostgreSQL it holds the log's lock until it ends.
        access: what happened.
        now: when.
    """
    return append_all(connection, [access], now)[0]


def append_all(connection: sa.Connection, accesses: Sequence[Access], now: datetime) -> list[int]:
    """Add entries to the end of the chain, in their order; return their numbers (see `append`)."""
    if connection.dialect.name == "postgresql":
        connection.execute(_LOCK, {"class": CLASS, "number": NUMBERS["access"]})
    last = head(connection)
    rows: list[dict[str, Any]] = []
    persons: list[dict[str, Any]] = []
    for access in accesses:
        number, entry = last.sequence + 1, _entry(access, last, now)
        last = Head(number, hash_of(entry))
        own = {"account_id": access.account_id, "entry": entry, "hash": last.hash}
        rows.append({"number": number, "at": to_us(now), **own})
        persons += [{"person_id": person, "number": number} for person in sorted(set(access.persons))]
    connection.execute(_INSERT, rows)
    if persons:
        connection.execute(_INSERT_PERSONS, persons)
    return [row["number"] for row in rows]


def _entry(access: Access, last: Head, now: datetime) -> bytes:
    return orjson.dumps(
        {
            "number": last.sequence + 1,
            "at": now.astimezone(UTC).isoformat(timespec="microseconds"),
            "account": access.account_id,
            "roles": sorted(access.roles),
            "address": access.address,
            "act": access.act,
            "what": access.what,
            "purpose": access.purpose,
            "outcome": access.outcome,
            "persons": sorted(set(access.persons)),
            "previous": last.hash,
        }
    )


def hash_of(entry: bytes) -> str:
    """Return the hash by which the next entry names this one."""
    return hashlib.sha256(b"renzheng access v1\n" + entry).hexdigest()


def head(connection: sa.Connection) -> Head:
    """Read the end of the chain; number 0 while there is no entry."""
    row = connection.execute(_HEAD).first()
    return Head(row.number, row.hash) if row else START


def hashes(connection: sa.Connection, numbers: Sequence[int]) -> Mapping[int, str]:
    """Read the hashes of some entries; of those that are gone, the hashes that are kept."""
    found: dict[int, str] = {}
    for table in (PAST, TABLE):
        query = sa.select(table.c.number, table.c.hash).where(table.c.number.in_(numbers))
        found |= {row.number: row.hash for row in connection.execute(query)}
    return found


def verify(
    connection: sa.Connection,
    progress: Callable[[int], None] = lambda _: None,
    beginning: Head = START,
) -> Head:
    """Check every entry: its hash, its place in the chain, and what is searched for beside it.

    Args:
        connection: a transaction.
        progress: hears how many more were checked.
        beginning: from where the chain goes on (`log_retention.beginning`).

    Returns:
        The end of the chain, to be held against a checkpoint.

    Raises:
        AccessLogError: an entry was changed, taken out or put in; `number` is the first one that is wrong.
    """
    last = beginning
    rows = iter(connection.execute(sa.select(TABLE).order_by(TABLE.c.number)).yield_per(_AT_ONCE))
    while part := list(islice(rows, _AT_ONCE)):
        found = _persons_of(connection, part[0].number, part[-1].number)
        for row in part:
            last = _follow(last, row, found.get(row.number, []))
        progress(len(part))
    return last


def _persons_of(connection: sa.Connection, first: int, last: int) -> Mapping[int, list[str]]:
    query = sa.select(PERSONS.c.number, PERSONS.c.person_id).where(PERSONS.c.number.between(first, last))
    found: dict[int, list[str]] = {}
    for number, person_id in connection.execute(query).cursor.fetchall():  # plain tuples, by the million
        found.setdefault(number, []).append(person_id)
    return found


def _follow(last: Head, row: Any, persons: list[str]) -> Head:
    try:
        told = orjson.loads(row.entry)
    except orjson.JSONDecodeError:
        told = {}
    same = (
        row.number == last.sequence + 1
        and hash_of(row.entry) == row.hash
        and (told.get("number"), told.get("previous")) == (row.number, last.hash)
        and told.get("account") == row.account_id
        and told.get("persons") == sorted(persons)
        and to_us(datetime.fromisoformat(told["at"])) == row.at
    )
    if not same:
        raise AccessLogError(
            f"Entry {last.sequence + 1} of the access log is not the one that was written.",
            why="Somebody has changed the store, or an entry is gone.",
            do="Keep the store's file; compare it with the latest backup and the checkpoints of that day.",
            number=last.sequence + 1,
        )
    return Head(row.number, row.hash)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries are wanted; empty text takes all.

    Args:
        also: other spellings of the person's id.
    """

    account_id: str = ""
    person_id: str = ""
    also: Sequence[str] = ()
    limit: int = 50
    offset: int = 0


def read(connection: sa.Connection, wanted: Wanted) -> tuple[int, list[Mapping[str, Any]]]:
    """Read entries as they were written, the latest first, and how many there are; `at` in microseconds."""
    where: list[sa.ColumnElement[bool]] = []
    if wanted.person_id:
        ids = (wanted.person_id, *wanted.also)
        where.append(TABLE.c.number.in_(sa.select(PERSONS.c.number).where(PERSONS.c.person_id.in_(ids))))
    if wanted.account_id:
        where.append(TABLE.c.account_id == wanted.account_id)
    count = sa.select(sa.func.count()).select_from(TABLE).where(*where)
    query = sa.select(TABLE.c.at, TABLE.c.entry).where(*where)
    query = query.order_by(TABLE.c.number.desc()).limit(wanted.limit).offset(wanted.offset)
    rows: list[Mapping[str, Any]] = [
        {**orjson.loads(row.entry), "at": row.at} for row in connection.execute(query)
    ]
    return int(connection.execute(count).scalar_one()), rows
