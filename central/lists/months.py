"""Files of one month of verdicts and findings by columns, made from the store, from which lists are read.

A row store reads whole rows, so that two million of them in any order, summed by anything, take seconds; by
columns it is a fraction of one. A month's file is named after the runs that speak for its days: a page that
sees another run finds another file, and a missing one is made. The store stays the truth: the files hold
what is filtered, ordered and summed, and the rows shown are read from the store by their keys.
"""

import hashlib
import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

import duckdb
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from renzheng.central.audit.sources import quoted
from renzheng.central.store import schema
from renzheng.common.files import make_private_file, put

logger = logging.getLogger(__name__)
Kind = Literal["lines", "findings"]
KINDS: tuple[Kind, ...] = ("lines", "findings")
FORM = "2"
"""Of the files; another one makes them anew."""
ROWS_AT_ONCE = 50_000
ROWS_A_GROUP = 60_000
KEPT_SECONDS = 3600.0
"""How long a file that another has replaced is left for requests that still read it."""
ROWS_OF_A_MONTH = 1_000_000_000
"""More than a month can have: row numbers of different months never meet."""

_TEXT, _NUMBER, _SHARE = pa.string(), pa.int64(), pa.float64()
_SHAPES: Mapping[Kind, pa.Schema] = {
    "lines": pa.schema(
        [
            ("run_id", _TEXT),
            ("institution_id", _TEXT),
            ("line_id", _TEXT),
            ("service_day", _TEXT),
            ("person_id", _TEXT),
            ("item_code", _TEXT),
            ("item_name", _TEXT),
            ("service_at", _NUMBER),
            ("amount_fen", _NUMBER),
            ("at_stake_fen", _NUMBER),
            ("verdict", _TEXT),
            ("reason", _TEXT),
            ("coverage_ratio", _SHARE),
            ("rule_id", _TEXT),
            ("ward", _TEXT),
            ("doctor_id", _TEXT),
            ("devices", pa.list_(_TEXT)),
        ]
    ),
    "findings": pa.schema(
        [
            ("run_id", _TEXT),
            ("institution_id", _TEXT),
            ("finding_id", _TEXT),
            ("service_day", _TEXT),
            ("person_id", _TEXT),
            ("rule_id", _TEXT),
            ("severity", _TEXT),
            ("verdict", _TEXT),
            ("amount_fen", _NUMBER),
            ("line_ids", pa.list_(_TEXT)),
        ]
    ),
}
_TABLES: Mapping[Kind, sa.Table] = {"lines": schema.verdicts, "findings": schema.findings}
VERDICT_RANK = (
    "CASE verdict WHEN 'contradicted' THEN 0 WHEN 'insufficient' THEN 1 WHEN 'suspicious' THEN 1 ELSE 2 END"
)
SEVERITY_RANK = "CASE severity WHEN 'high' THEN 0 WHEN 'medium' THEN 1 ELSE 2 END"
_DEAREST = "::BIGINT * 1000000000000000 - amount_fen"
_RANKS: Mapping[Kind, str] = {"lines": VERDICT_RANK + _DEAREST, "findings": SEVERITY_RANK + _DEAREST}
"""What matters first as one number: contradicted, and among equals the dearest. Files are in its order: a
first page reads their beginnings, and what is contradicted lies together."""
_ADDED: Mapping[Kind, str] = {
    "lines": "* EXCLUDE devices, CASE WHEN len(devices) = 1 THEN devices[1] END AS device, "
    "CASE WHEN len(devices) > 1 THEN devices END AS devices",
    "findings": "*",
}
"""A line's only device stands apart from lists of several: texts are found many times faster than lists."""
_ORDER: Mapping[Kind, str] = {
    "lines": "rank, service_day, institution_id, line_id",
    "findings": "rank, service_day, institution_id, finding_id",
}
Days = Mapping[str, str]
"""Audited days (ISO text), each with the run that speaks for it."""


def audited(connection: sa.Connection, first: str = "", last: str = "9999-99-99") -> Days:
    """Read which days between two have an answer, and by which run, in order of time."""
    table = schema.audit_days
    query = sa.select(table.c.service_day, table.c.run_id).where(table.c.service_day.between(first, last))
    rows = connection.execute(query.order_by(table.c.service_day))
    return {row.service_day: row.run_id for row in rows}


class Month(NamedTuple):
    """The files of one month: columns to filter, order and sum by; keys to read rows from the store."""

    columns: Path
    keys: Path
    base: int
    """Row numbers of this month begin after it."""


class Months:
    """The files of one store, in a folder of their own.

    Args:
        folder: where they lie; what is missing is made there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._making = threading.Lock()

    def files(self, connection: sa.Connection, kind: Kind, days: Days) -> list[Month]:
        """Name the files of the months with these days, making those that are missing.

        Args:
            connection: a transaction that reads; the files are of its moment.
            kind: which rows.
            days: all audited days of each month that is wanted.
        """
        return [self._file(connection, kind, month, own) for month, own in _by_month(days).items()]

    def refresh(self, connection: sa.Connection) -> None:
        """Make every file that is missing, so that no page waits for it."""
        days = audited(connection)
        for kind in KINDS:
            self.files(connection, kind, days)

    def _file(self, connection: sa.Connection, kind: Kind, month: str, days: Days) -> Month:
        columns = self._folder / f"{kind}-{month}-{_state(days)}.parquet"
        year, number = month.split("-")
        found = Month(columns, columns.with_suffix(".keys"), (int(year) * 12 + int(number)) * ROWS_OF_A_MONTH)
        if columns.exists():
            return found
        with self._making:
            if not columns.exists():
                begin = time.monotonic()
                self._make(connection, kind, days, found)
                self._drop(f"{kind}-{month}-", columns.stem)
                logger.info("lists: %s made in %.1f s", columns.name, time.monotonic() - begin)
        return found

    def _make(self, connection: sa.Connection, kind: Kind, days: Days, month: Month) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        own = f"{os.getpid()}-{threading.get_ident()}"
        told, making, keys = (
            month.columns.with_name(f".{month.columns.stem}.{own}.{part}")
            for part in ("told", "making", "keys")
        )
        try:
            for one in (told, making, keys):
                make_private_file(one)
            with pq.ParquetWriter(told, _SHAPES[kind]) as writer:
                for batch in _batches(connection, kind, days):
                    writer.write_batch(batch)
            with duckdb.connect() as database:
                database.execute("SET threads = 2")
                database.execute(
                    f"COPY (SELECT {month.base} + row_number() OVER (ORDER BY {_ORDER[kind]}) AS rid, * "  # noqa: S608 - our own names
                    f"FROM (SELECT {_ADDED[kind]}, {_RANKS[kind]} AS rank "
                    f"FROM read_parquet('{quoted(told)}')) "
                    f"ORDER BY rid) TO '{quoted(making)}' "
                    f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROWS_A_GROUP})"
                )
            _write_keys(making, kind, keys)
            put(keys, month.keys)
            put(making, month.columns)  # last: whoever finds it finds the keys
        finally:
            for one in (told, making, keys):
                one.unlink(missing_ok=True)

    def _drop(self, prefix: str, kept: str) -> None:
        for path in self._folder.glob(f"{prefix}*"):
            with suppress(OSError):
                if path.stem != kept and path.stat().st_mtime < time.time() - KEPT_SECONDS:
                    path.unlink()


KEY_OF: Mapping[Kind, str] = {"lines": "line_id", "findings": "finding_id"}
_KEYS = pa.schema(
    [
        ("run_id", pa.dictionary(pa.int32(), pa.string())),
        ("institution_id", pa.dictionary(pa.int32(), pa.string())),
        ("key", pa.string()),
    ]
)


def _write_keys(columns: Path, kind: Kind, path: Path) -> None:
    """Write the keys so that one is found by its row number alone: `ROWS_A_GROUP` a batch, not compressed."""
    read = pq.read_table(columns, columns=["run_id", "institution_id", KEY_OF[kind]])
    parts = [read.column(name).combine_chunks() for name in read.column_names]
    coded = [part.dictionary_encode() for part in parts[:2]]
    table = pa.Table.from_arrays([*coded, parts[2]], schema=_KEYS)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, _KEYS) as writer:
        writer.write_table(table, max_chunksize=ROWS_A_GROUP)


def read_keys(months: Sequence[Month], rows: Sequence[int]) -> list[Mapping[str, str]]:
    """Read run, institution and id of rows by their numbers, in their order."""
    found: dict[int, Mapping[str, str]] = {}
    for month in months:
        own = [row for row in rows if month.base < row < month.base + ROWS_OF_A_MONTH]
        if not own:
            continue
        with pa.memory_map(str(month.keys)) as file:
            reader = pa.ipc.open_file(file)
            for row in own:
                batch, place = divmod(row - month.base - 1, ROWS_A_GROUP)
                (found[row],) = reader.get_batch(batch).slice(place, 1).to_pylist()
    return [found[row] for row in rows]


def _by_month(days: Days) -> Mapping[str, Days]:
    months: dict[str, dict[str, str]] = {}
    for day, run_id in days.items():
        months.setdefault(day[:7], {})[day] = run_id
    return months


def _state(days: Days) -> str:
    told = "\n".join([FORM, *(f"{day} {run_id}" for day, run_id in sorted(days.items()))])
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _batches(connection: sa.Connection, kind: Kind, days: Days) -> Iterator[pa.RecordBatch]:
    shape, table = _SHAPES[kind], _TABLES[kind]
    by_run: dict[str, list[str]] = {}
    for day, run_id in days.items():
        by_run.setdefault(run_id, []).append(day)
    streaming = connection.execution_options(yield_per=ROWS_AT_ONCE)
    for run_id, own in sorted(by_run.items()):
        query = sa.select(*(table.c[name] for name in shape.names)).where(
            table.c.run_id == run_id, table.c.service_day.in_(own)
        )
        for part in streaming.execute(query).partitions():
            yield _batch(part, shape)


def _batch(rows: Sequence[Any], shape: pa.Schema) -> pa.RecordBatch:
    columns = []
    for field, values in zip(shape, zip(*rows, strict=True), strict=True):
        read = [_read_list(one) for one in values] if pa.types.is_list(field.type) else list(values)
        columns.append(pa.array(read, field.type))
    return pa.RecordBatch.from_arrays(columns, schema=shape)


_LISTS: dict[str, list[str]] = {}


def _read_list(text: str | None) -> list[str]:
    """Read a list that many rows share: most lines are shown by one of a few devices."""
    if not text or text == "[]":
        return []
    if len(_LISTS) > ROWS_AT_ONCE:
        _LISTS.clear()
    found = _LISTS.get(text)
    if found is None:
        found = _LISTS[text] = [str(one) for one in orjson.loads(text)]
    return found
