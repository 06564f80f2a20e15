"""The starter catalogue: dialysis and bed items by their national codes, for a site that has none yet."""

import csv
from importlib.resources import files
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from renzheng.common.files import put
from renzheng.contracts.errors import UsageError
from renzheng.contracts.tables import ITEM_CATALOGUE, arrow_schema

STARTER = "starter_catalogue.csv"


def starter_rows() -> list[dict[str, str]]:
    """Read the starter catalogue as it is shipped, item names included."""
    text = files(__package__).joinpath("data", STARTER).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def starter_table() -> pa.Table:
    """Return the starter catalogue in the columns of `item_catalogue`."""
    return pa.Table.from_pylist(starter_rows(), schema=arrow_schema(ITEM_CATALOGUE))


def write_starter(folder: Path) -> Path:
    """Write the starter catalogue as a canonical table of `folder`.

    Raises:
        UsageError: a catalogue is there already; a site's own one is never replaced.
    """
    held = [folder / f"item_catalogue{ending}" for ending in (".parquet", ".csv", "")]
    if taken := [path for path in held if path.exists()]:
        raise UsageError(
            f"There is a catalogue already: {taken[0]}.",
            why="It may hold the region's own codes, which the starter catalogue does not know.",
            do="Add the missing codes to it, or move it away and run this again.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    path = held[0]
    fresh = path.with_suffix(".new")
    pq.write_table(starter_table(), fresh, compression="zstd")
    put(fresh, path)
    return path
