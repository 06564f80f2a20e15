"""``renzheng claims import``: files into canonical tables, with what was not taken and why."""

import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

from renzheng.central.claims.catalogue import starter_rows, write_starter
from renzheng.central.claims.formats import Format
from renzheng.central.claims.importer import ImportSummary, NothingReadError, import_claims
from renzheng.central.claims.importer import Progress as Step
from renzheng.central.claims.source import Options
from renzheng.central.strict import StrictCommand, StrictError
from renzheng.common.terminal import Terminal, plain_column, table
from renzheng.common.words import say

_SHOWN_INSTITUTIONS = 20
app = typer.Typer(no_args_is_help=True, help="Import claim lines and stays.")


@app.callback()
def claims() -> None:
    """Import claim lines and stays."""


@app.command("import", cls=StrictCommand)
def import_(  # noqa: PLR0917 - the parameters are the command line
    path: Annotated[Path, typer.Argument(help="A file, or a folder of files of one format.")],
    out: Annotated[Path, typer.Option("--out", help="The folder of the canonical tables.")],
    file_format: Annotated[Format, typer.Option("--format", help="The format of the files.")] = Format.NHSA,
    mapping: Annotated[
        Path | None, typer.Option(help="A mapping file: columns, codes, time formats.")
    ] = None,
    institution: Annotated[
        str | None, typer.Option(help="The institution of rows that do not name theirs.")
    ] = None,
    transaction: Annotated[
        str | None, typer.Option(help="The NHSA transaction of files that do not name theirs.")
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Such as utf-8, utf-16 or gb18030; detected when left out.")
    ] = None,
    timezone: Annotated[str, typer.Option(help="Zone of local times.")] = "Asia/Shanghai",
    strict: Annotated[
        float | None,
        typer.Option(
            "--strict",
            min=0,
            max=1,
            metavar="[SHARE]",
            help="End with status 4 when the refused yuan exceed this share (0.001 where none is given).",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Import files; rows not taken are listed in OUT/rejected with file, line, field and reason.

    Exit status: 0 done, with or without rejects; 1 nothing could be read, or a column is missing;
    4 more was refused than --strict allows.
    """
    options = Options(mapping, institution, transaction, encoding, timezone)
    try:
        summary = _run(path, out, file_format, options)
    except NothingReadError as error:
        _print(error.attributes["summary"], as_json=as_json)
        raise
    _print(summary, as_json=as_json)
    if strict is not None:
        _hold_to(summary, strict)


def _hold_to(summary: ImportSummary, share: float) -> None:
    if summary.refused_share <= Decimal(str(share)):
        return
    billed = summary.billed
    raise StrictError(
        f"{summary.refused_share:.4%} of what was billed was refused, more than {share:.4%}.",
        why=f"{billed.refused_yuan:,.2f} of {billed.yuan:,.2f} yuan, and {billed.unreadable:,} of "
        f"{billed.rows:,} rows without a readable amount, are in no claim line.",
        do=f"See {Path(summary.out) / 'rejected'}, correct the rows and import them again.",
    )


def _run(path: Path, out: Path, file_format: Format, options: Options) -> ImportSummary:
    columns = (plain_column("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Terminal(stderr=True), transient=True) as bar:
        task = bar.add_task(say("importing"), total=None)

        def show(step: Step) -> None:
            bar.update(task, completed=step.done, total=step.total, description=step.file)

        return import_claims(path, out, file_format=file_format, options=options, progress=show)


def _print(summary: ImportSummary, *, as_json: bool) -> None:
    if as_json:
        json.dump(summary.to_json(), sys.stdout, ensure_ascii=False, indent=2)
        sys.stdout.write("\n")
        return
    console = Terminal()
    title = say("Import: {0} file(s), {1} s", summary.files, f"{summary.seconds:.1f}")
    shown = table(
        "table", "read", "added", "replaced", "unchanged", "rejected", "warnings", title=title, numbers=6
    )
    for name, counts in summary.tables.items():
        numbers = (
            *(counts.read, counts.added, counts.replaced, counts.unchanged),
            *(counts.rejected, counts.warnings),
        )
        shown.add_row(name, *(f"{number:,}" for number in numbers))
    console.print(shown)
    _print_remarks(console, summary)
    _print_rejected(console, summary)
    for folder in ("rejected", "warnings"):
        path = Path(summary.out) / folder
        if path.exists():
            console.print(f"  {folder}: {path}")


def _print_remarks(console: Terminal, summary: ImportSummary) -> None:
    for name, counts in summary.tables.items():
        for reason, number in counts.reasons.items():
            console.print(f"  {name}: {number:,} x {reason}")
    for kind, number in summary.ignored.items():
        console.print(say("  not used: {0} x {1}", f"{number:,}", kind))
    for kind, number in summary.counted.items():
        console.print(say("  counted: {0} x {1}", f"{number:,}", kind))


def _print_rejected(console: Terminal, summary: ImportSummary) -> None:
    for one in summary.rejected[:_SHOWN_INSTITUTIONS]:
        console.print(
            say(
                "  rejected: {0}: {1} rows, {2} yuan",
                one.institution_id or say("(institution not readable)"),
                f"{one.rows:,}",
                f"{one.amount:,.2f}",
            )
        )
    if len(summary.rejected) > _SHOWN_INSTITUTIONS:
        more = len(summary.rejected) - _SHOWN_INSTITUTIONS
        console.print(say("  rejected: {0} more institutions (--json)", f"{more:,}"))


@app.command("catalogue")
def catalogue(
    out: Annotated[Path, typer.Option("--out", help="The folder of the canonical tables.")],
) -> None:
    """Write the starter catalogue of dialysis and bed items."""
    path = write_starter(out)
    Terminal().print(
        say("{0}: {1} codes. Add the codes of your region.", path, len(starter_rows())),
    )
