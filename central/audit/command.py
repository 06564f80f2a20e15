"""`renzheng audit`: run the audit, explain its steps."""

import datetime as dt
import enum
from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TimeElapsedColumn

from renzheng.central.audit.errors import AuditUsageError, RuleFailedError
from renzheng.central.audit.request import RULE_SECONDS, AuditRequest, SparkAsked, place_of
from renzheng.central.strict import StrictCommand, StrictError
from renzheng.common.terminal import Terminal, plain_column, table
from renzheng.common.words import say

if TYPE_CHECKING:
    from renzheng.central.audit.score import Score, Share

app = typer.Typer(no_args_is_help=True)


@app.callback()
def overview() -> None:
    """Set attendance against billed lines."""


class EngineChoice(enum.StrEnum):
    """Engines by the names of the command line."""

    duckdb = "duckdb"
    spark = "spark"
    python = "python"
    """The oracle: slow, obvious, without findings; for a few thousand lines."""


DAY = ["%Y-%m-%d"]
MOST_SHOWN = 50
"""Lines up to which the plain engine prints each verdict."""
UNSEEN = ("unknown_code", "orphan_reversal", "rejected_by_import", "rejected_by_audit")
"""Boxes of the ledger that hold yuan of which the audit cannot speak."""


@app.command(cls=StrictCommand)
def run(  # noqa: PLR0917 - each is an option
    tables: Annotated[str, typer.Option(help="Folder with the input tables; for Spark also a URI.")],
    from_: Annotated[dt.datetime, typer.Option("--from", formats=DAY, help="First local service day.")],
    to: Annotated[dt.datetime, typer.Option("--to", formats=DAY, help="Last local service day, included.")],
    out: Annotated[
        str, typer.Option(help="Folder for verdicts, findings, rejects and summary; for Spark also a URI.")
    ],
    engine: Annotated[EngineChoice, typer.Option(help="What runs the steps.")] = EngineChoice.duckdb,
    rules: Annotated[
        Path | None, typer.Option(help="A rule file beside the national pack, or another pack.")
    ] = None,
    region: Annotated[str | None, typer.Option(help="Region whose parameters hold.")] = None,
    memory_limit: Annotated[
        str | None, typer.Option(help="DuckDB spills to disk beyond this, such as 5GB; at most 6 GB.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="DuckDB's threads; all cores when left out.")
    ] = None,
    resumable: Annotated[
        bool, typer.Option("--resumable", help="After a kill, the same call goes on with the step it was at.")
    ] = False,
    rule_seconds: Annotated[
        float, typer.Option(min=0.1, help="Longest time for one rule; a slower one is stopped and named.")
    ] = RULE_SECONDS,
    rules_key: Annotated[
        Path | None, typer.Option(help="The bureau's public keys: rules that it did not sign are refused.")
    ] = None,
    master: Annotated[
        str | None, typer.Option(help="Spark's master; that of the site's spark-defaults.conf when left out.")
    ] = None,
    spark_conf: Annotated[
        list[str] | None,
        typer.Option(
            "--spark-conf", metavar="KEY=VALUE", help="A setting of Spark; may be given repeatedly."
        ),
    ] = None,
    strict: Annotated[
        float | None,
        typer.Option(
            "--strict",
            min=0,
            max=1,
            help="Status 4 when more of the yuan than this share has no place in the audit; alone: 0.001.",
        ),
    ] = None,
) -> None:
    """Answer every billed line in scope: supported, contradicted or insufficient.

    Status 4: more yuan than --strict allows is of unknown code, reverses nothing, or was rejected.
    """
    from renzheng.central.audit.run import run_audit

    request = AuditRequest(
        tables=place_of(tables),
        from_day=from_.date(),
        to_day=to.date(),
        out=place_of(out),
        engine=engine.value,
        rules=rules,
        region=region,
        memory_limit=memory_limit,
        threads=threads,
        resumable=resumable,
        rule_seconds=rule_seconds,
        rules_key=rules_key,
        spark=asked_of_spark(engine, master, spark_conf or ()),
    )
    columns = (plain_column("{task.description:<24}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Terminal(stderr=True), transient=True) as bar:
        task = bar.add_task("start", total=None)

        def tell(step: str, index: int, total: int) -> None:
            bar.update(task, description=step, completed=index, total=total)

        result = run_audit(request, tell)
    if engine is EngineChoice.python:
        show_lines(Path(result.out))
    show(result.summary)
    require_all_rules(result.summary)
    if strict is not None:
        hold_to(result.summary, strict)


def asked_of_spark(engine: EngineChoice, master: str | None, settings: Sequence[str]) -> SparkAsked:
    """Read what is asked of Spark.

    Raises:
        AuditUsageError: a setting is no KEY=VALUE, or another engine than Spark is asked.
    """
    if (master or settings) and engine is not EngineChoice.spark:
        raise AuditUsageError(
            f"--master and --spark-conf are for Spark, and the engine is {engine.value}.",
            do="Add --engine spark, or leave them out.",
        )
    read = {}
    for one in settings:
        name, equals, value = one.partition("=")
        if not equals or not name.startswith("spark."):
            raise AuditUsageError(
                f"--spark-conf {one!r} is no setting of Spark.",
                do="Write it as KEY=VALUE with a key that begins with spark., once for each setting.",
            )
        read[name] = value
    return SparkAsked(master, read)


def require_all_rules(summary: Mapping[str, Any]) -> None:
    """Raise an error that names every rule that could not be run to its end; what was found is in place."""
    failed = summary["failed_rules"]
    if failed:
        raise RuleFailedError(
            "\n".join(failed.values()),
            why="The result is in place and names them as failed: what they would have found is missing.",
            do="Correct the rule, or allow more by --rule-seconds, and run the audit again.",
        )


def hold_to(summary: Mapping[str, Any], share: float) -> None:
    """Raise an error when more of the yuan than a share is in boxes that no verdict speaks of.

    Raises:
        StrictError: it is; the result is in place.
    """
    amounts = {box: abs(Decimal(row["amount"])) for box, row in summary["ledger"]["total"].items()}
    lost, sent = sum(amounts.get(box, Decimal(0)) for box in UNSEEN), sum(amounts.values())
    if sent and lost > sent * Decimal(str(share)):
        named = ", ".join(f"{box} {amounts[box]}" for box in UNSEEN if amounts.get(box))
        raise StrictError(
            f"{lost} of {sent} yuan have no place in the audit: {named}.",
            why=f"That is more than the share of {share} which --strict allows; the result is in place.",
            do="Complete the item catalogue, and import again what was rejected; see ledger.parquet.",
        )


def show_lines(out: Path) -> None:
    """Print the verdict of each line with the ids of its evidence, where they are few enough to be read."""
    from renzheng.central.audit.readback import read_verdicts

    verdicts = list(islice(read_verdicts(out), MOST_SHOWN + 1))
    if len(verdicts) > MOST_SHOWN:
        return
    shown = table("line", "verdict", "reason", "evidence")
    for one in verdicts:
        shown.add_row(one.line_id, one.verdict, one.reason, ", ".join(one.evidence))
    Terminal().print(shown)


def show_ledger(summary: Mapping[str, Any]) -> None:
    """Print what was sent, by box: all of it, to the cent."""
    shown = table("box", "rows", "yuan", numbers=2)
    for box, row in summary["ledger"]["total"].items():
        shown.add_row(box, f"{row['lines']:,}", row["amount"])
    Terminal().print(shown)


def show(summary: Mapping[str, Any]) -> None:
    """Print lines and yuan by verdict and reason, and the ledger."""
    shown = table("verdict", "reason", "lines", "yuan", numbers=2)
    for row in summary["verdicts"]:
        shown.add_row(row["verdict"], row["reason"], f"{row['lines']:,}", row["amount"])
    Terminal().print(shown)
    show_ledger(summary)
    if summary["missing_tables"]:
        typer.echo(say("Missing, so counted as empty: {0}", ", ".join(summary["missing_tables"])))
    for name, rows in summary["rows"].items():
        if rows["rejected"]:
            counts = (f"{rows['rejected']:,}", f"{rows['read']:,}")
            typer.echo(say("Rejected: {0} of {1} rows of {2}", *counts, name))


@app.command()
def explain(
    step: Annotated[str | None, typer.Argument(help="One step or rule; all when left out.")] = None,
    engine: Annotated[EngineChoice, typer.Option(help="Whose SQL to print.")] = EngineChoice.duckdb,
    rules: Annotated[Path | None, typer.Option(help="Another rule pack than the national one.")] = None,
    names: Annotated[bool, typer.Option(help="Only the names, in order.")] = False,
) -> None:
    """Print the named steps of the audit, in the order in which they run."""
    from renzheng.central.audit.steps import explained
    from renzheng.rules.pack import load_pack

    known = explained(load_pack(rules), spark=engine is EngineChoice.spark)
    if step is not None and step not in {one.name for one in known}:
        raise AuditUsageError(f"There is no step {step}.", do="`renzheng audit explain --names` lists them.")
    for one in known:
        if names:
            typer.echo(one.name)
        elif step in {None, one.name}:
            typer.echo(f"-- {one.name}: {one.purpose}\n{one.sql}\n")


@app.command()
def score(
    verdicts: Annotated[Path, typer.Option(help="The --out folder of an audit.")],
    truth: Annotated[Path, typer.Option(help="Parquet file: line_id, truth, allows.")],
    tables: Annotated[
        Path | None, typer.Option(help="The tables of the audit, for amounts; known from its summary.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write the figures as JSON.")] = False,
) -> None:
    """Hold an audit against the truth: false accusations, recall for each kind of fraud, what stayed open."""
    import json

    from renzheng.central.audit.score import score as scored

    figures = scored(verdicts, truth, tables)
    if as_json:
        typer.echo(json.dumps(figures.as_json(), ensure_ascii=False, indent=2))
        return
    show_score(figures)


def show_score(figures: "Score") -> None:
    """Print a score as a table."""

    def told(share: "Share") -> str:
        if share.share is None:
            return "–"
        interval = f"{share.share:.6f} [{share.low:.6f}, {share.high:.6f}]"
        return f"{interval} ({share.hits:,} / {share.trials:,})"

    shown = table("figure", "value")
    shown.add_row(say("genuine lines contradicted"), told(figures.false_accusation))
    shown.add_row(say("genuine lines supported where possible"), told(figures.genuine_supported))
    shown.add_row(say("verdict is what the evidence allows"), told(figures.agreement))
    for name, kind in figures.kinds.items():
        shown.add_row(
            say("recall {0}", name),
            f"{told(kind.allowed)}, ¥ {kind.yuan_found} / {kind.yuan_missed}",
        )
    for reason, share in figures.insufficient.items():
        shown.add_row(say("insufficient {0}", reason), f"{share:.4f}")
    Terminal().print(shown)
