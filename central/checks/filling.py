"""Fill the history from the imported tables, whenever they have changed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from renzheng.central.audit.connection import connect
from renzheng.central.audit.errors import TablesUnusableError
from renzheng.central.audit.sources import find_sources, no_rows
from renzheng.central.checks.history import Contents, History, write_history
from renzheng.contracts.tables import INPUT_TABLES

_TABLES = ("claim_lines", "persons", "institutions")
_ROWS = 50_000
_LINES = """
WITH reversals AS (
  SELECT
    institution_id,
    person_id,
    reverses_line_id AS line_id,
    sum(quantity) AS quantity,
    sum(amount) AS amount
  FROM claim_lines WHERE reverses_line_id IS NOT NULL GROUP BY ALL
),
targets AS (SELECT institution_id, person_id, line_id FROM claim_lines WHERE reverses_line_id IS NULL)
SELECT
  c.person_id,
  epoch_us(timezone(coalesce(i.timezone, $1), c.service_time)) AS at_us,
  c.institution_id,
  c.line_id,
  c.visit_id,
  c.item_code,
  CAST((c.quantity + coalesce(r.quantity, 0)) * 10000 AS BIGINT),
  CAST((c.amount + coalesce(r.amount, 0)) * 100 AS BIGINT)
FROM claim_lines c
LEFT JOIN institutions i ON c.institution_id = i.institution_id
LEFT JOIN reversals r
  ON c.institution_id = r.institution_id
  AND c.person_id = r.person_id
  AND c.line_id = r.line_id
  AND c.reverses_line_id IS NULL
LEFT JOIN targets t
  ON c.institution_id = t.institution_id AND c.person_id = t.person_id AND c.reverses_line_id = t.line_id
WHERE t.line_id IS NULL AND c.quantity + coalesce(r.quantity, 0) <> 0
ORDER BY 1, 2, 3, 4
"""
"""Lines net of the reversals that name them, by the institution's wall clock."""
_PERSONS = "SELECT person_id, nullif(sex, 'U'), date_diff('day', DATE '1970-01-01', birth_date) FROM persons"
_INSTITUTIONS = "SELECT institution_id, timezone, level, region_code FROM institutions"


def signature_of(folder: Path) -> str:
    """Return what the tables of a folder look like from outside: names, sizes, times."""
    files = sorted(
        path
        for name in _TABLES
        for path in (folder / f"{name}.parquet", folder / f"{name}.csv", *(folder / name).rglob("*.parquet"))
        if path.is_file()
    )
    found = ((path.relative_to(folder), path.stat()) for path in files)
    return ";".join(f"{name}:{state.st_size}:{state.st_mtime_ns}" for name, state in found)


def fill(folder: Path, path: Path, timezone: str) -> bool:
    """Make the history of a folder of canonical tables again, if they have changed; return whether they had.

    Args:
        folder: the tables.
        path: of the history.
        timezone: of institutions that name none.
    """
    signature = signature_of(folder)
    if not signature or signature == History(path).signature():
        return False
    try:
        sources = find_sources(folder)
    except TablesUnusableError:
        return False  # an import is under way, or the next night says what is wrong
    with connect() as engine:
        for name in _TABLES:
            source = sources.get(name)
            select = source.select if source is not None and source.select else no_rows(INPUT_TABLES[name])
            engine.execute(f"CREATE VIEW {name} AS {select}")
        contents = Contents(
            _rows(engine, _LINES, [timezone]), _rows(engine, _PERSONS), _rows(engine, _INSTITUTIONS)
        )
        write_history(path, contents, signature)
    return True


def _rows(engine: Any, query: str, values: list[str] | None = None) -> Iterator[tuple[Any, ...]]:
    found = engine.cursor().execute(query, values or [])
    while rows := found.fetchmany(_ROWS):
        yield from rows
