"""Canonical tables as Parquet (a time without a zone is UTC), under the same constraints as other input."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC

import pyarrow as pa
import pyarrow.parquet as pq

from renzheng.central.claims.mapped import table_of
from renzheng.central.claims.rejects import RowPlace
from renzheng.central.claims.rows import Draft, ZoneOf
from renzheng.central.claims.source import Advance, InputFile, Item, Missing, Options
from renzheng.contracts.errors import InputError
from renzheng.contracts.tables import INPUT_TABLES

_BATCH_ROWS = 10_000
_MOST_GROUP_BYTES = 4_000_000_000
_RATIO, _RATIO_FROM = 100, 100_000_000
_ROWS_A_BYTE, _ROWS_FROM = 10, 10_000_000
"""Rows have ids: even without their texts they take some bits each."""


class ParquetError(InputError):
    """A file is no Parquet file."""


class ParquetSource:
    """Parquet files whose columns are those of a canonical table; which one, the columns say."""

    tables: Sequence[str] = tuple(INPUT_TABLES)
    sources: Mapping[str, str] = {}

    def __init__(self, options: Options) -> None:
        self._options = options

    def check(self, files: Sequence[InputFile]) -> list[InputFile]:
        """Open every file and name the columns that it lacks."""
        missing = Missing()
        for file in files:
            columns = _open(file).schema_arrow.names
            table, lacking = table_of(columns)
            missing.add(file.name, [f"{name} (of {table})" for name in lacking])
        missing.raise_if_any("Write the columns of the canonical table, or use --format csv with --mapping.")
        return list(files)

    def read(self, file: InputFile, zone_of: ZoneOf, advance: Advance) -> Iterator[Item]:
        """Read one file in batches; a place's line is the row's number."""
        del zone_of  # a time without a zone is UTC
        parquet = _open(file)
        table, _ = table_of(parquet.schema_arrow.names)
        row_number, told, size = 0, 0, file.path.stat().st_size
        rows = max(parquet.metadata.num_rows, 1)
        for batch in parquet.iter_batches(_BATCH_ROWS):
            for values in batch.to_pylist():
                row_number += 1
                yield Draft(table, RowPlace(file.name, row_number), values, zone=UTC)
            advance(size * row_number // rows - told)
            told = size * row_number // rows


def _open(file: InputFile) -> pq.ParquetFile:
    """Open a file after a look at what its footer says of its size."""
    try:
        parquet = pq.ParquetFile(file.path)
        _must_unpack_like_a_table(file, parquet.metadata)
    except (pa.ArrowInvalid, OSError) as error:
        raise ParquetError(
            f"{file.name} cannot be read as Parquet: {error}",
            do="Write it again, or name its format with --format.",
            path=str(file.path),
        ) from error
    return parquet


def _must_unpack_like_a_table(file: InputFile, footer: pq.FileMetaData) -> None:
    groups = [footer.row_group(number).total_byte_size for number in range(footer.num_row_groups)]
    packed, unpacked = max(file.path.stat().st_size, 1), sum(groups)
    if (
        max(groups, default=0) > _MOST_GROUP_BYTES
        or (unpacked > _RATIO_FROM and unpacked > _RATIO * packed)
        or (footer.num_rows > _ROWS_FROM and footer.num_rows > _ROWS_A_BYTE * packed)
    ):
        raise ParquetError(
            f"{file.name} holds {packed:,} bytes and unpacks to {unpacked:,} and {footer.num_rows:,} rows.",
            why="No table unpacks like that; reading it would fill the machine.",
            do="Write it again from its source, as several files.",
            path=str(file.path),
        )
