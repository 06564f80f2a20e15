"""Holds what pages and audit read against the log it was drawn from.

The chain proves the log; this proves that nobody has changed the rows drawn from it. Every event is read and
projected again, so it takes several times as long as the chain: a run of its own.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any

import orjson
import sqlalchemy as sa

from renzheng.central.ingest.carrying import KNOWN
from renzheng.central.ingest.entitlement import unentitled
from renzheng.central.ingest.project import (
    EventFlaw,
    Projection,
    Row,
    carried,
    is_carried,
    project,
    read_event,
)
from renzheng.central.ingest.spot_check_answers import FOREIGN
from renzheng.central.store import archived, schema
from renzheng.central.store.database import Database
from renzheng.central.verify.check import BadEntry, Fault, LogVerified
from renzheng.central.verify.store import chosen_devices, entries, named_damage
from renzheng.contracts.log import BrokenChainError, Link, read_entry

TABLES = (
    *("attendance", "counter_identifications", "machine_runs", "coverage"),
    *("spot_checks", "undrawn_checks", "device_clocks"),
)
Places = dict[tuple[str, int], Row]
Earlier = Callable[[str], tuple[int, Iterator[Sequence[Any]]]]
"""Reads what archives hold of a device: after which entry they begin, and the entries, some at once."""


def check_projections(
    database: Database,
    device_id: str | None = None,
    progress: Callable[[int], None] = lambda _: None,
    earlier: Earlier | None = None,
) -> Iterator[LogVerified | BadEntry]:
    """Check the rows drawn from one device's log, or from all in order; the first wrong one is named.

    Args:
        database: the store.
        device_id: only this device's rows.
        progress: is told of entries read.
        earlier: reads what archives hold of a device; without it, rows of pruned entries are passed over.

    Raises:
        StoreError: the store's file is damaged.
    """
    with named_damage():
        for device in chosen_devices(database, device_id):
            with database.reading() as connection:
                yield _check(connection, device, progress, earlier)


def _check(
    connection: sa.Connection, device: Any, progress: Callable[[int], None], earlier: Earlier | None
) -> LogVerified | BadEntry:
    device_id = device.device_id
    pruned = archived.upto(connection, device_id, pruned=True)
    last, kept = earlier(device_id) if earlier and pruned else (pruned, iter(()))
    begun = last
    for part in chain(kept, entries(connection, device_id, pruned)):
        fresh = [entry for entry in part if entry.sequence > last]  # an archive may hold more than was pruned
        if not fresh:
            continue
        end = fresh[-1].sequence
        held = _held(connection, device_id, last, end)
        for entry in fresh:
            fault = _compare(entry, device, held)
            if fault:
                return BadEntry(device_id, entry.sequence, Fault.PROJECTION, fault)
        if held:
            return _unfounded(device_id, held)
        progress(len(fresh))
        last = end
    held = _held(connection, device_id, last, None)
    return _unfounded(device_id, held) if held else LogVerified(device_id, last, begun)


def _unfounded(device_id: str, held: Places) -> BadEntry:
    table, sequence = min(held, key=lambda place: place[1])
    detail = f"No entry of the log makes a row of {table}."
    return BadEntry(device_id, sequence, Fault.PROJECTION, detail)


def _held(connection: sa.Connection, device_id: str, after: int, upto: int | None) -> Places:
    """Read the rows drawn from a stretch of a log; without an end, everything after."""
    held: Places = {}
    for name in TABLES:
        table = schema.metadata.tables[name]
        query = sa.select(table).where(table.c.device_id == device_id, table.c.sequence > after)
        if upto is not None:
            query = query.where(table.c.sequence <= upto)
        held.update({(name, row.sequence): tuple(row) for row in connection.execute(query)})
    return held


def _compare(entry: Any, device: Any, held: Places) -> str | None:
    """Take the row of one entry out of `held`; say what is wrong with it, None when all is right."""
    try:
        made = _project(entry, device)
    except BrokenChainError:
        return "The stored line is not an entry."
    if _is_foreign(made, entry) or _came_before(entry):
        return None
    if isinstance(made, EventFlaw) != (entry.flaw is not None):
        return "The entry's flaw is not the one that its event has."
    if not isinstance(made, Projection):
        return None
    found = held.pop((made.table, entry.sequence), None)
    if found is None and made.table == "spot_checks":
        found = held.pop(("undrawn_checks", entry.sequence), None)
    if found is None:
        return f"The row of {made.table} is gone."
    return (
        None
        if found == made.row
        else f"The row of {made.table} does not say what the entry says: {_differing(made, found)}."
    )


def _is_foreign(made: Projection | EventFlaw | None, entry: Any) -> bool:
    """Whether an entry is an answer to a spot check that central refused to count."""
    is_answer = isinstance(made, Projection) and made.table == "spot_checks"
    return is_answer and (entry.flaw or "").startswith(FOREIGN)


def _came_before(entry: Any) -> bool:
    """Whether an entry carries over an event that had come before its log was closed."""
    return entry.flaw == KNOWN and is_carried(bytes(entry.line))


def _project(entry: Any, device: Any) -> Projection | EventFlaw | None:
    line = bytes(entry.line)
    link = Link(entry.sequence, entry.hash, line, orjson.dumps(read_entry(line).event))
    event = read_event(link, entry.device_id, device.institution_id)
    if not isinstance(event, EventFlaw):
        event = carried(event, entry.device_id, device.institution_id)
    if not isinstance(event, EventFlaw):
        event = unentitled(event, device.institution_id, device.purpose) or event
    return (
        event
        if isinstance(event, EventFlaw)
        else project(event, entry.device_id, entry.sequence, entry.received_at)
    )


def _differing(made: Projection, found: Sequence[Any]) -> str:
    names = schema.metadata.tables[made.table].columns.keys()
    return ", ".join(name for name, a, b in zip(names, made.row, found, strict=True) if a != b)
