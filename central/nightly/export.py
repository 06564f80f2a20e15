"""Writes the folder of tables that an audit run reads, and keeps.

What the store knows (attendance, coverage, checks, institutions) comes from the store; what was imported
(claim lines, prescriptions, stays, ...) is linked from the folder of imports. An import replaces its files by
renaming, so a link keeps what the run read: the evidence of a verdict is frozen with it.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from renzheng.central.errors import NightError
from renzheng.central.nightly import lake
from renzheng.central.store import schema
from renzheng.central.store.times import day_bounds_us
from renzheng.contracts import tables as canonical

ROWS_AT_ONCE = 50_000
FROM_STORE = ("attendance", "coverage", "spot_checks")


@dataclass(frozen=True, slots=True)
class Window:
    """Service days of a run, both included, and how many days around them are exported too."""

    first: date
    last: date
    margin_days: int

    def bounds_us(self, zone: ZoneInfo) -> tuple[int, int]:
        """Give the half-open stretch to export, in microseconds."""
        margin = timedelta(days=self.margin_days)
        return day_bounds_us(self.first - margin, self.last + margin, zone)


def export_tables(
    connection: sa.Connection, imported: Path, out: Path, window: Window, zone: ZoneInfo
) -> Mapping[str, int]:
    """Write every canonical table that the store or the imports hold into `out`; return rows from the store.

    Raises:
        NightError: nothing was imported, so there is no bill to answer.
    """
    out.mkdir(parents=True, exist_ok=True)
    _link_imports(imported, out)
    bounds = window.bounds_us(zone)
    written = {name: _export(connection, name, out, _query(name, bounds)) for name in FROM_STORE}
    for name in ("institutions", "persons"):
        written[name] = _export_register(connection, name, out)
    return written


def _link_imports(imported: Path, out: Path) -> None:
    found = [path for name in canonical.INPUT_TABLES for path in _sources(imported, name)]
    if not any(path.stem == "claim_lines" for path in found):
        raise NightError(
            f"There is no table claim_lines in {imported}.",
            why="Without bills there is nothing to audit.",
            do=f"Import them first: renzheng claims import PATH --format nhsa --out {imported}",
        )
    for path in found:
        if path.stem in FROM_STORE:
            raise NightError(
                f"{path.name} lies among the imports, but comes from the devices' own logs.",
                do="Move it away; to audit a folder as it is, use: renzheng audit run",
            )
        if path.is_dir():
            shutil.copytree(path, out / path.name, copy_function=_link)
        else:
            _link(path, out / path.name)


def _sources(folder: Path, name: str) -> list[Path]:
    candidates = (folder / f"{name}.parquet", folder / f"{name}.csv", folder / name)
    return [path for path in candidates if path.exists()]


def _link(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)


def _query(name: str, bounds: tuple[int, int]) -> sa.Select[Any]:
    start, end = bounds
    if name == "coverage":
        table = schema.coverage
        return (
            sa.select(table)
            .where(table.c.from_at < end, table.c.to_at > start)
            .order_by(table.c.device_id, table.c.sequence)
        )
    table = schema.metadata.tables[name]
    moment = table.c.occurred_at if name == "attendance" else table.c.drawn_at
    return sa.select(table).where(moment >= start, moment < end).order_by(moment, table.c.device_id)


def _export(connection: sa.Connection, name: str, out: Path, query: sa.Select[Any]) -> int:
    """Write one table in pieces; memory does not grow with it."""
    shape = canonical.arrow_schema(canonical.INPUT_TABLES[name])
    rows = 0
    with pq.ParquetWriter(out / f"{name}.parquet", shape) as writer:
        for part in connection.execution_options(yield_per=ROWS_AT_ONCE).execute(query).partitions():
            columns = list(zip(*part, strict=True))
            of_query = {key: columns[place] for place, key in enumerate(query.selected_columns.keys())}
            writer.write_batch(_batch(of_query, shape))
            rows += len(part)
    return rows


def _batch(columns: Mapping[str, Sequence[Any]], shape: pa.Schema) -> pa.RecordBatch:
    return pa.record_batch([_array(columns[field.name], field.type) for field in shape], schema=shape)


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_boolean(kind):
        return pa.array([bool(value) for value in values], kind)
    if pa.types.is_timestamp(kind):
        return pa.array(values, pa.int64()).cast(kind)
    if pa.types.is_date(kind):
        return pa.array([date.fromisoformat(value) if value else None for value in values], kind)
    return pa.array(values, kind)


def _export_register(connection: sa.Connection, name: str, out: Path) -> int:
    """Write institutions or persons: what was imported, and of the store's those that no import has."""
    canonical_table, key = canonical.INPUT_TABLES[name], f"{name[:-1]}_id"
    shape = canonical.arrow_schema(canonical_table)
    imported = lake.read(out, name) if _sources(out, name) else shape.empty_table()
    taken = set(imported.column(key).to_pylist())
    table = schema.metadata.tables[name]
    rows = connection.execute(sa.select(table).order_by(table.c[key])).all()
    held = [row for row in rows if getattr(row, key) not in taken]
    columns = {field.name: [getattr(row, field.name) for row in held] for field in shape}
    for path in _sources(out, name):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    both = pa.concat_tables([imported, pa.Table.from_batches([_batch(columns, shape)])])
    pq.write_table(both, out / f"{name}.parquet")
    return len(held)
