"""What the engines are held against: every worked example, the cases of bed days, generated worlds."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from parts import bed_cases
from parts.audit_worlds import some_worlds, tables_of

from renzheng.central.audit.rule_examples import known_codes
from renzheng.contracts.tables import INPUT_TABLES, REJECTS, arrow_schema
from renzheng.rules.examples import cases
from renzheng.rules.pack import Pack

Rows = Mapping[str, Sequence[Mapping[str, Any]]]


def every_case(pack: Pack, worlds: int) -> Rows:
    """The rows of every worked example of every rule, the cases of bed days and some worlds, side by side."""
    together = tables_of(some_worlds(worlds))
    examples = cases(list(pack.rules.values()), known_codes(pack))
    for case in (*examples, *bed_cases.laid_out(bed_cases.CASES)):
        for name, found in case.rows.items():
            together[name] += found
    return together


def written(rows: Rows, tables: Path) -> None:
    """Write the rows as one set of canonical tables."""
    tables.mkdir(parents=True)
    for name, found in rows.items():
        table = pa.Table.from_pylist(found, schema=arrow_schema({**INPUT_TABLES, "rejects": REJECTS}[name]))
        pq.write_table(table, tables / f"{name}.parquet")
