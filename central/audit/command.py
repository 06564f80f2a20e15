"""`renzheng audit`: run the audit, explain its steps."""

import datetime as dt
import enum
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from renzheng.central.audit.request import AuditRequest

app = typer.Typer(no_args_is_help=True)


@app.callback()
def overview() -> None:
    """Set attendance against billed lines."""


class EngineChoice(enum.StrEnum):
    """Engines by the names of the command line."""

    duckdb = "duckdb"
    spark = "spark"


DAY = ["%Y-%m-%d"]


@app.command()
def run(
    tables: Annotated[Path, typer.Option(help="Folder with the input tables.")],
    from_: Annotated[dt.datetime, typer.Option("--from", formats=DAY, help="First local service day.")],
    to: Annotated[dt.datetime, typer.Option("--to", formats=DAY, help="Last local service day, included.")],
    out: Annotated[Path, typer.Option(help="Folder for verdicts, findings, rejects and summary.")],
    engine: Annotated[EngineChoice, typer.Option(help="What runs the steps.")] = EngineChoice.duckdb,
    rules: Annotated[Path | None, typer.Option(help="Another rule pack than the national one.")] = None,
    region: Annotated[str | None, typer.Option(help="Region whose parameters hold.")] = None,
    memory_limit: Annotated[str, typer.Option(help="DuckDB spills to disk beyond this.")] = "5GB",
    threads: Annotated[
        int | None, typer.Option(min=1, help="DuckDB's threads; all cores when left out.")
    ] = None,
) -> None:
    """Answer every billed line in scope: supported, contradicted or insufficient."""
    from renzheng.central.audit.run import run_audit

    request = AuditRequest(
        tables=tables,
        from_day=from_.date(),
        to_day=to.date(),
        out=out,
        engine=engine.value,
        rules=rules,
        region=region,
        memory_limit=memory_limit,
        threads=threads,
    )
    columns = (TextColumn("{task.description:<24}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("start", total=None)

        def tell(step: str, index: int, total: int) -> None:
            bar.update(task, description=step, completed=index, total=total)

        result = run_audit(request, tell)
    show(result.summary)


def show(summary: Mapping[str, Any]) -> None:
    """Print lines and yuan by verdict and reason."""
    from rich.table import Table

    table = Table("verdict", "reason", "lines", "yuan")
    for row in summary["verdicts"]:
        table.add_row(row["verdict"], row["reason"], f"{row['lines']:,}", row["amount"])
    Console().print(table)
    if summary["missing_tables"]:
        typer.echo("Missing, so counted as empty: " + ", ".join(summary["missing_tables"]))
    for name, rows in summary["rows"].items():
        if rows["rejected"]:
            typer.echo(f"Rejected: {rows['rejected']:,} of {rows['read']:,} rows of {name}")
