"""The console's pages of what came in: the tables, what lacking one costs, how it comes in; the rejects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import duckdb
import pyarrow.parquet as pq
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse

from renzheng.central.access.roles import Permission
from renzheng.central.audit.sources import quoted
from renzheng.central.claims.rejects import Reason
from renzheng.central.nightly.partitions import FROM_STORE
from renzheng.central.settings import Settings
from renzheng.central.store import viewer
from renzheng.central.texts import Language
from renzheng.central.web.console.pages import (
    ROWS_A_PAGE,
    PageNumber,
    Times,
    choose_language,
    page_addresses,
    render,
)
from renzheng.central.web.guard import needs
from renzheng.contracts.tables import INPUT_TABLES, REJECTS, arrow_schema

Text = Annotated[str, Query(max_length=200)]
COMMANDS: Mapping[str, str] = {
    "institutions": "renzheng claims import institutions.csv --format csv --out TABLES",
    "persons": "renzheng claims import persons.csv --format csv --out TABLES",
    "claim_lines": "renzheng claims import BILLS --format nhsa --out TABLES",
    "item_catalogue": "renzheng claims catalogue --out TABLES",
    "prescriptions": "renzheng claims import prescriptions.csv --format csv --out TABLES",
    "stays": "renzheng claims import ADT --format hl7 --out TABLES",
    "leaves": "renzheng claims import ADT --format hl7 --out TABLES",
    "machine_sessions": "renzheng claims import machine_sessions.csv --format csv --out TABLES",
    "person_aliases": "renzheng claims import ADT --format hl7 --out TABLES",
    "staff_suspensions": "renzheng claims import staff_suspensions.csv --format csv --out TABLES",
    "diagnoses": "renzheng claims import EXTRACT --format platform --out TABLES",
    "operations": "renzheng claims import EXTRACT --format platform --out TABLES",
    "drug_sales": "renzheng claims import BILLS --format nhsa --out TABLES",
    "drug_stock": "renzheng claims import BILLS --format nhsa --out TABLES",
    "service_points": "renzheng claims import service_points.csv --format csv --out TABLES",
    "staff_presence": "renzheng claims import staff_presence.csv --format csv --out TABLES",
}
"""How each table comes in, with TABLES for the site's folder; the devices' own tables need no command."""


@dataclass(frozen=True, slots=True)
class ImportedTable:
    """One table as it lies among the imports.

    Args:
        name: the table.
        state: `there`, `missing`, or `devices` where the devices' logs fill it.
        rows: how many; None where counting would read a whole text file.
        changed_at: when its file last changed.
        command: how it comes in.
        optional: most sites have none.
    """

    name: str
    state: str
    rows: int | None
    changed_at: datetime | None
    command: str
    optional: bool


def build_router(settings: Settings, zone: ZoneInfo) -> APIRouter:
    """Build the pages over the folder of imported tables."""
    router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
    folder = settings.tables_dir

    @router.get("/data")
    @needs(Permission.IMPORTS)
    def show_tables(request: Request) -> Response:
        held = [held_table(folder, name) for name in INPUT_TABLES]
        rejected = rejects_by_institution(folder)
        return render(
            request, "data.html", held=held, rejected=rejected, folder=str(folder), when=Times(zone)
        )

    @router.get("/data/rejects")
    @needs(Permission.REJECTS)
    def show_rejects(
        request: Request, institution: Text = "", table: Text = "", page: PageNumber = 1
    ) -> Response:
        total, rows = rejects(folder, institution, table, offset=(page - 1) * ROWS_A_PAGE)
        viewer.note(rows)
        return render(
            request,
            "rejects.html",
            rows=rows,
            total=total,
            explain=partial(explained, language=choose_language(request)),
            institution=institution,
            table=table,
            pages=page_addresses(request, page, total),
        )

    return router


def explained(reason: str, *, language: Language) -> str:
    """Write an importer's reason in the reader's language; one that this version does not know as it is."""
    try:
        chinese, english = Reason(reason).explanation
    except ValueError:
        return reason
    return chinese if language == "zh" else english


def held_table(folder: Path, name: str) -> ImportedTable:
    """Look a table up among the imports."""
    files = _files(folder, name)
    command = COMMANDS.get(name, "").replace("TABLES", str(folder))
    optional = INPUT_TABLES[name].optional
    if name in FROM_STORE:
        return ImportedTable(name, "devices", None, None, "", optional)
    if not files:
        return ImportedTable(name, "missing", None, None, command, optional)
    changed = datetime.fromtimestamp(max(path.stat().st_mtime for path in files), UTC)
    return ImportedTable(name, "there", _count(files), changed, command, optional)


def _files(folder: Path, name: str) -> Sequence[Path]:
    single = [path for path in (folder / f"{name}.parquet", folder / f"{name}.csv") if path.is_file()]
    return single or sorted((folder / name).rglob("*.parquet"))


def _count(files: Sequence[Path]) -> int | None:
    """Count rows from the files' own footers; text files have none."""
    if any(path.suffix != ".parquet" for path in files):
        return None
    return sum(int(pq.ParquetFile(path).metadata.num_rows) for path in files)


def rejects_by_institution(folder: Path) -> Sequence[Mapping[str, Any]]:
    """Add up what importers did not take: rows and yuan by institution and table."""
    query = (
        'SELECT institution_id, "table", count(*) AS rows, sum(amount) AS amount FROM rejects '
        'GROUP BY ALL ORDER BY amount DESC NULLS LAST, rows DESC, institution_id, "table" LIMIT 500'
    )
    return _ask(folder, query, [])


def rejects(
    folder: Path, institution: str, table: str, *, offset: int
) -> tuple[int, Sequence[Mapping[str, Any]]]:
    """Read one page of what importers did not take, and how many rows there are in all."""
    where = "WHERE (? = '' OR institution_id = ?) AND (? = '' OR \"table\" = ?)"
    chosen = [institution, institution, table, table]
    count = _ask(folder, f"SELECT count(*) AS n FROM rejects {where}", chosen)  # noqa: S608 - our own text
    rows = _ask(
        folder,
        f"SELECT * FROM rejects {where} ORDER BY amount DESC NULLS LAST, file, line LIMIT ? OFFSET ?",  # noqa: S608 - our own text
        [*chosen, ROWS_A_PAGE, offset],
    )
    return int(count[0]["n"]), rows


def _ask(folder: Path, query: str, parameters: Sequence[Any]) -> Sequence[Mapping[str, Any]]:
    path = folder / "rejects.parquet"
    with duckdb.connect() as connection:
        if path.is_file():
            connection.execute(f"CREATE VIEW rejects AS FROM read_parquet('{quoted(path)}')")
        else:
            connection.register("rejects", arrow_schema(REJECTS).empty_table())
        rows: list[Mapping[str, Any]] = (
            connection.sql(query, params=list(parameters)).to_arrow_table().to_pylist()
        )
        return rows
