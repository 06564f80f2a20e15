"""`renzheng rules`: check, test, list, show and backtest rule packs, and write their reference.

It stands here and not in the package of the rules because running a rule takes the audit's engine.
"""

import datetime as dt
import enum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from renzheng.central.audit.backtest import backtest as compare
from renzheng.central.audit.errors import AuditUsageError
from renzheng.central.audit.request import AuditRequest, EngineName
from renzheng.central.audit.rule_examples import check_examples
from renzheng.contracts.errors import InputError
from renzheng.rules.docs import write_docs
from renzheng.rules.pack import load_pack

app = typer.Typer(no_args_is_help=True)

RulesPath = Annotated[Path | None, typer.Argument(help="A pack's folder or a rule file; the national pack.")]
DAY = ["%Y-%m-%d"]
BOTH: tuple[EngineName, ...] = ("duckdb", "spark")


class Engines(enum.StrEnum):
    """Engines to run the examples on."""

    duckdb = "duckdb"
    spark = "spark"
    all = "all"


@app.callback()
def overview() -> None:
    """Look after rule packs."""


@app.command()
def check(path: RulesPath = None) -> None:
    """Lint headers, SQL dialect, regions and knowledge tables; every problem at once."""
    pack = load_pack(_existing(path))
    typer.echo(f"{len(pack.rules)} rules, {len(pack.regions)} region(s): no problem.")


@app.command(name="test")
def run_examples(
    path: RulesPath = None,
    engine: Annotated[Engines, typer.Option(help="Which engines.")] = Engines.all,
    only: Annotated[list[str] | None, typer.Option("--rule", help="Only this rule.")] = None,
) -> None:
    """Run every worked example on every engine: it must flag what it says, and pass its clean neighbour."""
    pack = load_pack(_existing(path))
    names = BOTH if engine is Engines.all else tuple(one for one in BOTH if one == engine.value)
    failed = 0
    for name in names:
        with Console(stderr=True).status(f"examples on {name} ..."):
            outcomes = check_examples(pack, engine=name, rules=path, only=only or ())
        for outcome in outcomes:
            for problem in outcome.problems:
                typer.echo(f"{name}: {outcome.case.rule_id}, “{outcome.case.title}”: {problem}")
        failed += sum(bool(outcome.problems) for outcome in outcomes)
        typer.echo(f"{name}: {len(outcomes)} examples and neighbours, {failed} wrong.")
    if failed:
        raise InputError(
            f"{failed} example(s) came out otherwise than their rule says.",
            do="Mend the rule or its example; `renzheng rules show ID` prints both.",
        )


@app.command(name="list")
def list_rules(path: RulesPath = None) -> None:
    """List rules with their status."""
    table = Table("id", "version", "status", "level", "标题", "title")
    for rule in load_pack(_existing(path)).rules.values():
        head = rule.header
        table.add_row(rule.id, head.version, head.status, head.level, head.title.zh, head.title.en)
    Console().print(table)


@app.command()
def show(
    rule: Annotated[str, typer.Argument(help="The rule's id.")],
    path: Annotated[Path | None, typer.Option("--rules", help="Another pack than the national one.")] = None,
) -> None:
    """Print one rule as it stands in its file, with its content hash."""
    pack = load_pack(_existing(path))
    if rule not in pack.rules:
        raise AuditUsageError(f"There is no rule {rule}.", do="`renzheng rules list` shows them.")
    typer.echo(f"-- sha256 {pack.rules[rule].content_hash}\n{pack.rules[rule].text}")


@app.command()
def docs(
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("docs/rules.md"),
    check_only: Annotated[bool, typer.Option("--check", help="Only tell whether it is up to date.")] = False,
) -> None:
    """Write the reference of the national pack."""
    text = write_docs(load_pack())
    if not check_only:
        out.write_text(text, encoding="utf-8")
    elif not out.is_file() or out.read_text(encoding="utf-8") != text:
        raise InputError(f"{out} does not say what the rules say.", do="Run `renzheng rules docs`.")


@app.command()
def backtest(  # noqa: PLR0917 - each is an option
    changed: Annotated[Path, typer.Argument(help="The changed pack or rule file.")],
    tables: Annotated[Path, typer.Option(help="Folder with the past tables.")],
    from_: Annotated[dt.datetime, typer.Option("--from", formats=DAY, help="First local service day.")],
    to: Annotated[dt.datetime, typer.Option("--to", formats=DAY, help="Last local service day, included.")],
    cases: Annotated[
        Path | None, typer.Option(help="Adjudicated cases: CSV with id and decision (upheld, overturned).")
    ] = None,
    against: Annotated[Path | None, typer.Option(help="The pack so far; the national one.")] = None,
    region: Annotated[str | None, typer.Option(help="Region whose parameters hold.")] = None,
) -> None:
    """Run a changed rule against past tables and adjudicated cases, and print what would change."""
    request = AuditRequest(tables, from_.date(), to.date(), Path(), rules=_existing(against), region=region)
    with Console(stderr=True).status("two audits of the same tables ..."):
        result = compare(request, _existing(changed) or changed, cases)
    table = Table("rule", "kept", "gained", "lost")
    for change in result.rules:
        table.add_row(change.rule_id, str(change.kept), str(change.gained), str(change.lost))
    Console().print(table)
    for (was, becomes), lines in result.verdicts.items():
        typer.echo(f"{lines:,} line(s): {was} → {becomes}")
    for (decision, now), count in sorted(result.cases.items()):
        typer.echo(f"{count:,} case(s) {decision}: {now} by the changed pack")


def _existing(path: Path | None) -> Path | None:
    if path is not None and not path.exists():
        raise AuditUsageError(f"There are no rules at {path}.", do="Give a pack's folder or a rule file.")
    return path
