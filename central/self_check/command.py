"""`renzheng check`: an institution looks at its own month before it submits it."""

import datetime as dt
import json
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from renzheng.central.claims.formats import Format
from renzheng.common.terminal import Terminal, table
from renzheng.common.words import say

app = typer.Typer(no_args_is_help=True)


@app.callback()
def overview() -> None:
    """Check bills before they are submitted; no server and no network are needed."""


@app.command(name="self")
def check_own(  # noqa: PLR0917 - each is an option
    lines: Annotated[Path, typer.Option(help="A file, or a folder of files of one format.")],
    pack: Annotated[Path, typer.Option(help="The knowledge pack.")],
    out: Annotated[Path, typer.Option(help="Folder for verdicts, findings, rejects, summary and report.")],
    file_format: Annotated[Format, typer.Option("--format", help="The format of the files.")] = Format.NHSA,
    mapping: Annotated[
        Path | None, typer.Option(help="A mapping file: columns, codes, time formats.")
    ] = None,
    institution: Annotated[
        str | None, typer.Option(help="The institution of rows that do not name theirs.")
    ] = None,
    timezone: Annotated[str, typer.Option(help="Zone of local times.")] = "Asia/Shanghai",
    key: Annotated[
        list[Path] | None,
        typer.Option(help="Public key (PEM) of who signed the pack; may be given again."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Check a month of bills by the bureau's knowledge, and by the audit's rules that need nothing else.

    What is taken back or corrected before it is submitted is nobody's doubt.
    """
    from renzheng.central.audit.readback import read_findings
    from renzheng.central.claims.source import Options
    from renzheng.central.self_check.checking import check_self
    from renzheng.contracts import keys

    known = [keys.load_public_key(path.read_bytes()) for path in key or ()]
    options = Options(mapping, institution, None, None, timezone)
    now = dt.datetime.now(ZoneInfo(timezone))
    found = check_self(lines, pack, out, file_format=file_format, options=options, keys=known, now=now)
    findings = list(read_findings(out))
    if as_json:
        told = {
            "from": found.first.isoformat(),
            "to": found.last.isoformat(),
            "points": found.points,
            "pack_signed": not found.unsigned,
            "findings": len(findings),
            "amount": str(sum(one.amount for one in findings)),
            "report": str(out / "report.html"),
        }
        typer.echo(json.dumps(told, ensure_ascii=False))
        return
    terminal = Terminal()
    shown = table("rule", "point", "lines", "yuan", numbers=1)
    for one in findings:
        shown.add_row(
            one.rule_id, one.parameters.get("point", "-"), " ".join(one.line_ids), f"{one.amount:,.2f}"
        )
    terminal.print(shown)
    if found.unsigned:
        terminal.print(say("The pack is not signed: nobody has put what it says in force."))
    terminal.print(
        say("{0} to {1}: {2} findings; see {3}", found.first, found.last, len(findings), out / "report.html")
    )
