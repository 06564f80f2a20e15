"""Where rows wait until the whole input has been read: Parquet files beside the output, in bounded memory.

What one row cannot tell of itself (a repeated id, a reversal of a line that never came) is settled at the end
by DuckDB, which spills to disk. The finished tables then replace the old ones, each in one rename.
"""

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from renzheng.central.claims.rejects import NO_EVIDENCE, Problem, RowPlace
from renzheng.central.claims.rows import Refused, Row
from renzheng.contracts.tables import INPUT_TABLES, REJECTS, Table, arrow_schema

_BATCH_ROWS = 10_000
_MEMORY = "1GB"
PLACE_FIELDS = (
    pa.field("_ordinal", pa.int64()),
    pa.field("_file", pa.string()),
    pa.field("_line", pa.int64()),
)
REMARKS = pa.schema(
    [
        pa.field("target", pa.string()),
        pa.field("file", pa.string()),
        pa.field("line", pa.int64()),
        pa.field("field", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("value", pa.string()),
        pa.field("warning", pa.bool_()),
    ]
)
REJECTED = pa.schema(
    [*arrow_schema(REJECTS), pa.field("row_key", pa.string()), pa.field("ordinal", pa.int64())]
)
"""The canonical table of rejects, with the row's key where that could be read, and its place in time."""
KEY_SEPARATOR = "\x1f"


def key_of(table: Table, values: Mapping[str, Any]) -> str | None:
    """Return a row's key as one text; None where a table has none or a part that must be there is not."""
    parts = [values.get(name) for name in table.key]
    needed = [
        values.get(name) for name in table.key if not (table.by_name[name].nullable or _is_extra(table, name))
    ]
    if not parts or any(part is None for part in needed):
        return None
    return KEY_SEPARATOR.join("" if part is None else str(part) for part in parts)


def _is_extra(table: Table, name: str) -> bool:
    return table.by_name[name].may_be_absent


@dataclass(slots=True)
class Spool:
    """One Parquet file being written, column by column."""

    path: Path
    schema: pa.Schema
    columns: list[list[Any]] = field(default_factory=list)
    writer: pq.ParquetWriter | None = None

    def __post_init__(self) -> None:
        self.columns = [[] for _ in self.schema]

    def add(self, values: tuple[Any, ...]) -> None:
        """Add one row, in the order of the schema."""
        for column, value in zip(self.columns, values, strict=True):
            column.append(value)
        if len(self.columns[0]) >= _BATCH_ROWS:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting."""
        if self.writer is None:
            self.writer = pq.ParquetWriter(self.path, self.schema, compression="lz4")
        arrays = [
            pa.array(column, type=kind.type) for column, kind in zip(self.columns, self.schema, strict=True)
        ]
        self.writer.write_batch(pa.record_batch(arrays, schema=self.schema))
        self.columns = [[] for _ in self.schema]

    def close(self) -> None:
        """Finish the file."""
        self.flush()
        if self.writer is not None:
            self.writer.close()


class Staging:
    """Rows, and remarks about rows, of one import, in a folder of its own that goes away afterwards."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.read: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.ignored: Counter[str] = Counter()
        self.counted: Counter[str] = Counter()
        self._ordinal = 0
        self._spools: dict[str, Spool] = {}
        self._remarks = self._spool("remarks", REMARKS)
        self._rejected = self._spool("rejected", REJECTED)

    @classmethod
    @contextmanager
    def beside(cls, out: Path) -> Iterator[Self]:
        """Stage in a new folder within `out`, on the same file system, so that renames are atomic."""
        out.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".importing-", dir=out))
        try:
            yield cls(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def take(self, outcome: Row | Refused) -> None:
        """Stage a row with its warnings, or the reasons why it was refused."""
        if isinstance(outcome, Refused):
            self.refuse(outcome)
            return
        self.add(
            outcome.table,
            lambda: staged_schema(INPUT_TABLES[outcome.table]),
            (*outcome.values.values(), *self.position(outcome.place)),
        )
        self.remark(outcome.table, outcome.place, *outcome.warnings)

    def refuse(self, refused: Refused) -> None:
        """Stage what is said of a row that is not taken, and the row itself as evidence."""
        self.refused[refused.table] += 1
        self.remark(refused.table, refused.place, *refused.problems)
        problem = next(one for one in refused.problems if not one.reason.is_warning)
        if problem.reason in NO_EVIDENCE:
            return
        values, table = refused.values, INPUT_TABLES.get(refused.table)
        ordinal, file, line = self.position(refused.place)
        self._rejected.add(
            (
                refused.table,
                *(values.get(name) for name in ("institution_id", "person_id", "visit_id")),
                refused.day,
                values.get("amount"),
                problem.reason.value,
                file,
                line,
                problem.field or None,
                None if table is None else key_of(table, values),
                ordinal,
            )
        )

    def count(self, table: str) -> None:
        """Count one row read for a table."""
        self.read[table] += 1

    def position(self, place: RowPlace) -> tuple[int, str, int]:
        """Give the next ordinal, with the place."""
        self._ordinal += 1
        return self._ordinal, place.file, place.line

    def add(self, name: str, schema: Callable[[], pa.Schema], values: tuple[Any, ...]) -> None:
        """Stage one tuple under any name; the first call fixes its schema."""
        spool = self._spools.get(name) or self._spool(name, schema())
        spool.add(values)

    def remark(self, table: str, place: RowPlace, *problems: Problem) -> None:
        """Stage what there is to say about a row."""
        for problem in problems:
            self._remarks.add(
                (
                    table,
                    place.file,
                    place.line,
                    problem.field,
                    problem.reason.value,
                    problem.value,
                    problem.reason.is_warning,
                )
            )

    def close(self, name: str) -> Path | None:
        """Finish one staged file; None when nothing was staged under that name."""
        spool = self._spools.pop(name, None)
        if spool is None:
            return None
        spool.close()
        return spool.path

    def empty(self, table: Table) -> Path:
        """Stage no rows of a table."""
        self._spool(table.name, staged_schema(table))
        path = self.close(table.name)
        assert path is not None
        return path

    def _spool(self, name: str, schema: pa.Schema) -> Spool:
        spool = self._spools[name] = Spool(self.folder / f"{name}.staged.parquet", schema)
        return spool


def staged_schema(table: Table) -> pa.Schema:
    """Give the canonical schema with ordinal, file and line behind it."""
    return pa.schema([*arrow_schema(table), *PLACE_FIELDS])


@contextmanager
def database(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open DuckDB in memory, bounded, spilling to `folder`."""
    connection = duckdb.connect(
        config={
            "memory_limit": _MEMORY,
            "temp_directory": str(folder / "spill"),
            "threads": 2,
            "python_enable_replacements": False,
        }
    )
    try:
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        connection.execute("CREATE TABLE made (name VARCHAR)")
        yield connection
    finally:
        connection.close()
