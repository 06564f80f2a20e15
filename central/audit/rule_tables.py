"""The tables that a rule may read, with their columns, as the engine itself names them.

Every step is run over no rows at all, so that what is listed is what a rule finds, and a rule can be held
against it before it ever sees a bill.
"""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from renzheng.central.audit.duckdb_engine import DuckDBEngine
from renzheng.central.audit.errors import EngineError
from renzheng.central.audit.findings import REQUIRED, placeholders_of, running
from renzheng.central.audit.request import EPOCH, AuditRequest, no_progress
from renzheng.central.audit.rulebook import BESIDE_THE_STEPS, EXAMPLES, require_readable
from renzheng.central.audit.run import Run
from renzheng.central.audit.sources import find_sources
from renzheng.central.audit.steps import STEPS, read_step
from renzheng.contracts.tables import INPUT_TABLES, ColumnType
from renzheng.rules.dialect import bound
from renzheng.rules.pack import Pack, Rule

KINDS: Mapping[str, str] = {
    "BIGINT": "whole number",
    "DOUBLE": "number",
    "VARCHAR": "text",
    "BOOLEAN": "true or false",
    "VARCHAR[]": "list of texts",
}
KEYS: Mapping[str, str] = {
    "person_here": "number that stands for institution_id and person_id",
    "visit_here": "number that stands for institution_id and visit_id",
}
"""Keys made while loading, which join in half the time of the texts."""
LISTS: Mapping[str, tuple[str, ...]] = {
    "VARCHAR[]": ("line_ids", "evidence"),
    "VARCHAR": ("institution_id", "person_id"),
}


@dataclass(frozen=True)
class ReadableColumn:
    """One column: its name, what it holds, and what more the contract says about it."""

    name: str
    kind: str
    note: str


@dataclass(frozen=True)
class ReadableTable:
    """One table: its name, whether it is an input, a step or knowledge, what a row is, its columns, a use."""

    name: str
    group: str
    purpose: str
    columns: tuple[ReadableColumn, ...]
    example: str = ""

    def as_json(self) -> dict[str, Any]:
        """Lay it out for JSON."""
        return asdict(self)


def readable_tables(pack: Pack) -> list[ReadableTable]:
    """List every table that a rule may read: inputs, steps in their order, and knowledge."""
    with _without_rows(pack) as engine:
        return list(_tables(pack, engine))


def misfits(pack: Pack) -> list[str]:
    """Hold every rule of findings against the engine's own tables and columns; return what does not fit.

    Raises:
        RulePackError: a rule reads what it may not.
    """
    require_readable(pack)
    with _without_rows(pack) as engine:
        return [f"{rule.path.name}: {problem}" for rule in pack.active for problem in _misfit(rule, engine)]


@contextmanager
def _without_rows(pack: Pack) -> Iterator[DuckDBEngine]:
    with tempfile.TemporaryDirectory() as folder:
        tables, made = Path(folder) / "tables", Path(folder) / "made"
        tables.mkdir()
        made.mkdir()
        with DuckDBEngine(Path(folder), memory_limit=None, threads=1) as engine:
            request = AuditRequest(tables, EPOCH, EPOCH, made)
            Run(request, pack, engine, made, no_progress).lay_out(find_sources(tables))
            yield engine


def _tables(pack: Pack, engine: DuckDBEngine) -> Iterator[ReadableTable]:
    for name, table in INPUT_TABLES.items():
        yield ReadableTable(name, "input", table.note, _columns(name, engine))
    for name in STEPS:
        yield ReadableTable(name, "step", read_step(name, pack).purpose, _columns(name, engine))
    for name in sorted(BESIDE_THE_STEPS):
        if name in engine.names():
            yield ReadableTable(
                name, "beside", BESIDE_THE_STEPS[name], _columns(name, engine), EXAMPLES.get(name, "")
            )
    for name in sorted(engine.names("known_")):
        purpose = f"knowledge table {name.removeprefix('known_')} as it holds in the region of the run"
        yield ReadableTable(name, "knowledge", purpose, _columns(name, engine))


def _columns(table: str, engine: DuckDBEngine) -> tuple[ReadableColumn, ...]:
    return tuple(
        ReadableColumn(name, _kind(table, name, kind), _note(table, name))
        for name, kind in engine.describe(f"SELECT * FROM {table}")  # noqa: S608 - names of our own
    )


def _kind(table: str, name: str, kind: str) -> str:
    """Return in words what a column holds: times and days are whole numbers whose names say which."""
    column = INPUT_TABLES[table].by_name.get(name) if table in INPUT_TABLES else None
    if kind != "BIGINT" or name in KEYS:
        return KEYS.get(name) or KINDS.get(kind, kind.lower())
    if name.endswith("_local"):
        return "time: microseconds on the institution's own clock"
    if name.endswith("_at") or name == "service_time" or (column and column.type is ColumnType.TIMESTAMP):
        return "time: microseconds since 1970 in UTC"
    if name.endswith("_us"):
        return "microseconds"
    if name == "day" or name.endswith("_day") or name in {"valid_from", "valid_to"}:
        return "day: days since 1970-01-01, local"
    return "day: days since 1970-01-01" if column and column.type is ColumnType.DATE else KINDS[kind]


def _note(table: str, name: str) -> str:
    column = INPUT_TABLES[table].by_name.get(name) if table in INPUT_TABLES else None
    if column is None:
        return ""
    return " ".join(part for part in (" | ".join(column.choices), column.note) if part)


def _misfit(rule: Rule, engine: DuckDBEngine) -> Iterator[str]:
    """Bind a rule's query to tables without rows, and look at the columns that it yields."""
    values = next(running(rule, None, from_day=EPOCH, to_day=EPOCH, region=None))
    try:
        yielded = dict(engine.describe(bound(rule.sql, placeholders_of(values))))
    except EngineError as error:
        yield error.what.removeprefix("DuckDB could not run a step: ").split("\n\nLINE")[0]
        return
    missing = [name for name in REQUIRED if name not in yielded]
    if missing:
        yield f"the query yields no {', '.join(missing)}"
    for kind, names in LISTS.items():
        for name in names:
            if yielded.get(name, kind) not in {kind, '"NULL"'}:
                yield f"{name} must be {KINDS[kind]}, and is {yielded[name]}"
    unknown = sorted(rule.header.explanation.names - set(yielded))
    if unknown:
        yield f"the explanation names {', '.join(unknown)}, which the query does not yield"
