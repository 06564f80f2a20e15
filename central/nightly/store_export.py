"""Exports rows of the store to the lake: events of devices, people and stays."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from renzheng.central.nightly.partitions import SHAPES
from renzheng.central.store import schema
from renzheng.contracts import tables as canonical
from renzheng.contracts.ids import BUREAU

ROWS_AT_ONCE = 50_000


def heads(connection: sa.Connection) -> dict[str, int]:
    """Tell up to which entry the store has each device's log; it has no holes below."""
    table = schema.devices
    rows = connection.execute(sa.select(table.c.device_id, table.c.head_sequence).order_by(table.c.device_id))
    return {row.device_id: row.head_sequence for row in rows if row.head_sequence}


def write_told(connection: sa.Connection, name: str, news: Mapping[str, tuple[int, int]], path: Path) -> int:
    """Write the rows of one table that come from some stretches of devices' logs; return how many there are.

    Args:
        connection: a transaction that reads.
        name: of `partitions.TOLD`.
        news: by device, the entry after which to begin and the last one.
        path: the Parquet file to write; memory does not grow with it.
    """
    shape = canonical.arrow_schema(SHAPES[name])
    table = schema.metadata.tables[name]
    columns = [table.c[field.name] for field in shape]
    rows = 0
    streaming = connection.execution_options(yield_per=ROWS_AT_ONCE)
    with pq.ParquetWriter(path, shape, compression="zstd") as writer:
        for device, (known, head) in sorted(news.items()):
            of_device = (table.c.device_id == device, table.c.sequence > known, table.c.sequence <= head)
            query = sa.select(*columns).where(*of_device).order_by(table.c.sequence)
            for part in streaming.execute(query).partitions():
                writer.write_batch(_batch(list(zip(*part, strict=True)), shape))
                rows += len(part)
    return rows


def held(connection: sa.Connection, name: str) -> pa.Table:
    """Read all that the store has of one table of people, institutions or stays; what it lacks is empty."""
    shape = canonical.arrow_schema(canonical.INPUT_TABLES[name])
    table = schema.metadata.tables[name]
    columns = [_column(table, field.name) for field in shape]
    query = sa.select(*columns).order_by(*table.primary_key.columns)
    if name == "institutions":  # a bureau is registered like one, and bills nothing
        query = query.where(table.c.institution_id.not_like(f"{BUREAU}%"))
    batches = [
        _batch(list(zip(*part, strict=True)), shape)
        for part in connection.execution_options(yield_per=ROWS_AT_ONCE).execute(query).partitions()
    ]
    return pa.Table.from_batches(batches, shape)


def _column(table: sa.Table, name: str) -> sa.ColumnElement[Any]:
    """Return a column of the store under its canonical name; what the store does not keep is empty."""
    if name in table.c:
        return table.c[name]
    return sa.null().label(name)


def _batch(columns: Sequence[Sequence[Any]], shape: pa.Schema) -> pa.RecordBatch:
    arrays = [_array(values, field.type) for values, field in zip(columns, shape, strict=True)]
    return pa.record_batch(arrays, schema=shape)


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_boolean(kind):
        return pa.array([bool(value) for value in values], kind)
    if pa.types.is_timestamp(kind):
        return pa.array(values, pa.int64()).cast(kind)
    if pa.types.is_date(kind):
        return pa.array([date.fromisoformat(value) if value else None for value in values], kind)
    return pa.array(values, kind)
