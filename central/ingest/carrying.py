"""What a closed log's entries carry over that central has already: no event makes two rows.

A device that joins again does not always know what central has of the log that it closes.
"""

from collections.abc import Collection, Mapping, Sequence

import sqlalchemy as sa

from renzheng.central.ingest.project import Row
from renzheng.central.store import schema

KNOWN = "carried_over: the event is here already."
"""The flaw of an entry that carries over an event which came before its log was closed."""
_SAME: Mapping[str, tuple[str, ...]] = {
    "attendance": ("occurred_at", "event_id"),
    "counter_identifications": ("occurred_at", "event_id"),
    "machine_runs": ("started_at", "machine_id", "ended_at", "person_id", "accession_number"),
    "coverage": ("from_at", "to_at", "state"),
    "spot_checks": ("drawn_at", "check_id", "answered_at", "result"),
    "device_clocks": ("occurred_at", "change", "trusted"),
}
"""By table: what tells an event of a device from every other; the first has an index in the large tables."""
Place = tuple[str, int]


def known(
    connection: sa.Connection, projected: Mapping[str, Sequence[Row]], places: Collection[Place]
) -> set[Place]:
    """Name the places, of those given, whose rows say what another row of their device says already."""
    found: set[Place] = set()
    for name, rows in projected.items():
        columns = _SAME.get(name)
        if columns is None:
            continue
        table = schema.metadata.tables[name]
        at = [table.columns.keys().index(column) for column in columns]
        seen = {
            (row[0], *(row[i] for i in at)) for row in rows if (row[0], row[1]) not in places
        }  # of the same group
        for row in rows:
            if (row[0], row[1]) not in places:
                continue
            same = (row[0], *(row[i] for i in at))
            if same in seen or _stored(connection, table, columns, same):
                found.add((row[0], row[1]))
            seen.add(same)
    return found


def _stored(
    connection: sa.Connection, table: sa.Table, columns: Sequence[str], same: Sequence[object]
) -> bool:
    wanted = [table.c.device_id == same[0]]
    wanted += [table.c[column] == value for column, value in zip(columns, same[1:], strict=True)]
    return connection.execute(sa.select(table.c.sequence).where(*wanted).limit(1)).first() is not None
