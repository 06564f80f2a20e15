"""`renzheng rules`: check, test, list, show, sign and backtest rule packs, and write their reference.

It stands here and not in the package of the rules because running a rule takes the audit's engine.
"""

import datetime as dt
import enum
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from renzheng.central.audit.backtest import backtest as compare
from renzheng.central.audit.errors import AuditUsageError
from renzheng.central.audit.request import AuditRequest, EngineName
from renzheng.central.audit.rule_examples import check_examples
from renzheng.central.audit.rule_tables import misfits, readable_tables
from renzheng.central.audit.rulebook import bureau_keys
from renzheng.common.terminal import Terminal, table
from renzheng.common.words import language, say
from renzheng.contracts import keys
from renzheng.contracts.errors import InputError
from renzheng.rules import signing
from renzheng.rules.dialect import READINGS, write_readings
from renzheng.rules.docs import write_docs, write_tables_page
from renzheng.rules.errors import RulePackError
from renzheng.rules.pack import SIGNATURE, Pack, load_pack

app = typer.Typer(no_args_is_help=True)

RulesPath = Annotated[
    Path | None, typer.Argument(help="A pack's folder, or a rule file beside the national pack.")
]
RulesOption = Annotated[Path | None, typer.Option("--rules", help="The same as the argument.")]
DAY = ["%Y-%m-%d"]
BOTH: tuple[EngineName, ...] = ("duckdb", "spark")
DOCS = Path("docs/rules.md")
TABLES = Path("docs/rules-tables.md")


class Engines(enum.StrEnum):
    """Engines to run the examples on."""

    duckdb = "duckdb"
    spark = "spark"
    all = "all"


@app.callback()
def overview() -> None:
    """Look after rule packs."""


@app.command()
def check(
    path: RulesPath = None,
    rules: RulesOption = None,
    key: Annotated[
        Path | None, typer.Option("--rules-key", help="The bureau's public key: demand its signatures.")
    ] = None,
) -> None:
    """Lint headers, SQL, regions and knowledge, and bind each query to the engine's tables and columns."""
    pack = load_pack(_existing(rules or path))
    problems = misfits(pack.for_region(None))
    for code, region in pack.regions.items():
        if region.rules:
            own = pack.for_region(code).with_only(region.rules)
            problems += [f"regions/{code}/{one}" for one in misfits(own)]
    if problems:
        raise RulePackError(
            f"{len(problems)} problem(s) in the rule pack:\n" + "\n".join(f"  - {one}" for one in problems),
            why="A rule that does not fit the engine's tables fails in the night.",
            do="Correct the files named above; `renzheng rules tables NAME` prints a table's columns.",
            problems=problems,
        )
    _report_signatures(pack, key, given=rules or path)
    typer.echo(say("{0} rules, {1} region(s): no problem.", len(pack.rules), len(pack.regions)))


def _report_signatures(pack: Pack, key: Path | None, *, given: Path | None) -> None:
    """Demand signatures where a key is given; else warn of regions that have none."""
    if key is None:
        for code, region in pack.regions.items():
            if region.signature is None:
                typer.echo(say("Warning: the pack of region {0} is not signed.", code), err=True)
        return
    known = bureau_keys(key)
    if given is not None:
        typer.echo(say("The pack is signed by key {0}.", pack.require_signature(known)))
    for code, region in pack.regions.items():
        typer.echo(say("Region {0} is signed by key {1}.", code, region.require_signature(known)))


@app.command(name="test")
def run_examples(
    path: RulesPath = None,
    rules: RulesOption = None,
    engine: Annotated[Engines, typer.Option(help="Which engines.")] = Engines.all,
    only: Annotated[list[str] | None, typer.Option("--rule", help="Only this rule.")] = None,
) -> None:
    """Run every worked example on every engine: it must flag what it says, and pass its clean neighbour."""
    given = _existing(rules or path)
    pack = load_pack(given)
    unknown = (
        set(only or ()) - set(pack.rules) - {name for one in pack.regions.values() for name in one.rules}
    )
    if unknown:
        raise AuditUsageError(
            f"There is no rule {', '.join(sorted(unknown))}.", do="See: renzheng rules list"
        )
    names = BOTH if engine is Engines.all else tuple(one for one in BOTH if one == engine.value)
    failed = 0
    for name in names:
        with Terminal(stderr=True).status(f"examples on {name} ..."):
            outcomes = check_examples(pack, engine=name, rules=given, only=only or ())
        for outcome in outcomes:
            for problem in outcome.problems:
                typer.echo(f"{name}: {outcome.case.rule_id}, “{outcome.case.title}”: {problem}")
        wrong = sum(bool(outcome.problems) for outcome in outcomes)
        failed += wrong
        typer.echo(say("{0}: {1} examples and neighbours, {2} wrong.", name, len(outcomes), wrong))
    if failed:
        raise InputError(
            f"{failed} example(s) came out otherwise than their rule says.",
            do="Correct the rule or its example; `renzheng rules show ID` prints both.",
        )


@app.command(name="list")
def list_rules(path: RulesPath = None, rules: RulesOption = None) -> None:
    """List rules with their status, those of regions too."""
    shown = table("id", "region", "version", "status", "level", "title")
    pack = load_pack(_existing(rules or path))
    found = [("", rule) for rule in pack.rules.values()]
    found += [(code, rule) for code, region in pack.regions.items() for rule in region.rules.values()]
    for region, rule in found:
        head = rule.header
        shown.add_row(rule.id, region, head.version, head.status, head.level, getattr(head.title, language()))
    Terminal().print(shown)


@app.command()
def show(
    rule: Annotated[str, typer.Argument(help="The rule's id.")],
    path: Annotated[Path | None, typer.Option("--rules", help="Another pack than the national one.")] = None,
) -> None:
    """Print one rule as it stands in its file, with its content hash."""
    pack = load_pack(_existing(path))
    known = {
        **pack.rules,
        **{name: one for region in pack.regions.values() for name, one in region.rules.items()},
    }
    if rule not in known:
        raise AuditUsageError(f"There is no rule {rule}.", do="`renzheng rules list` shows them.")
    typer.echo(f"-- sha256 {known[rule].content_hash}\n{known[rule].text}")


@app.command()
def tables(
    name: Annotated[str | None, typer.Argument(help="One table; the names of all when left out.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Tables and columns as JSON.")] = False,
) -> None:
    """Print the tables that a rule may read, and their columns."""
    known = {one.name: one for one in readable_tables(load_pack().for_region(None))}
    if name is not None and name not in known:
        raise AuditUsageError(f"There is no table {name}.", do="`renzheng rules tables` lists them.")
    chosen = [known[name]] if name else list(known.values())
    if as_json:
        typer.echo(json.dumps([one.as_json() for one in chosen], ensure_ascii=False, indent=2))
    elif name:
        shown = table("column", "holds", "note", title=f"{name}: {known[name].purpose}")
        for column in known[name].columns:
            shown.add_row(column.name, column.kind, column.note)
        Terminal().print(shown)
        if known[name].example:
            typer.echo(known[name].example)
    else:
        shown = table("table", "kind", "a row is")
        for one in chosen:
            shown.add_row(one.name, one.group, one.purpose)
        Terminal().print(shown)


@app.command()
def docs(
    out: Annotated[Path, typer.Option(help="The page of the rules.")] = DOCS,
    tables_out: Annotated[Path, typer.Option(help="The page of the tables.")] = TABLES,
    check_only: Annotated[
        bool, typer.Option("--check", help="Only tell whether they are up to date.")
    ] = False,
) -> None:
    """Write the reference of the national pack, and of the tables that a rule may read.

    What the parser says of the pack's queries is written beside the rules, for the audit to start quickly.
    """
    pack = load_pack().for_region(None)
    pages = {out: write_docs(pack), tables_out: write_tables_page(readable_tables(pack))}
    pages[READINGS] = write_readings(rule.sql for _, rule in sorted(pack.rules.items()))
    for page, text in pages.items():
        if not check_only:
            page.write_text(text, encoding="utf-8")
        elif not page.is_file() or page.read_text(encoding="utf-8") != text:
            raise InputError(f"{page} does not say what the rules say.", do="Run `renzheng rules docs`.")


@app.command()
def sign(
    path: Annotated[Path, typer.Argument(help="A pack's folder, or regions/CODE in one.")],
    key: Annotated[Path, typer.Option(help="The bureau's private key (Ed25519, PKCS #8, PEM).")],
) -> None:
    """Sign a pack, or a region's part of one, with the bureau's key."""
    private = keys.load_private_key(key.read_bytes())
    if path.parent.name == "regions":
        code = path.name.removesuffix(".yaml")
        pack = load_pack(path.parent.parent)
        if code not in pack.regions:
            raise AuditUsageError(f"There is no region {code} in {path.parent}.", do="Name regions/CODE.")
        subject, files, out = f"region {code}", pack.regions[code].files, path.parent / f"{code}.jws"
    else:
        subject, files, out = "pack", load_pack(_existing(path)).files, path / SIGNATURE
    out.write_bytes(signing.sign(subject, files, private) + b"\n")
    typer.echo(say("{0}: {1} file(s) signed by key {2}.", out, len(files), keys.key_id(private)))


@app.command()
def backtest(  # noqa: PLR0917 - each is an option
    changed: Annotated[Path, typer.Argument(help="The changed pack or rule file.")],
    tables_dir: Annotated[Path, typer.Option("--tables", help="Folder with the past tables.")],
    from_: Annotated[dt.datetime, typer.Option("--from", formats=DAY, help="First local service day.")],
    to: Annotated[dt.datetime, typer.Option("--to", formats=DAY, help="Last local service day, included.")],
    cases: Annotated[
        Path | None, typer.Option(help="Adjudicated cases: CSV with id and decision (upheld, overturned).")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Central's configuration file: its decided doubts are the truth.")
    ] = None,
    against: Annotated[Path | None, typer.Option(help="The pack so far; the national one.")] = None,
    region: Annotated[str | None, typer.Option(help="Region whose parameters hold.")] = None,
) -> None:
    """Run a changed rule against past tables and adjudicated cases, and print what would change."""
    request = AuditRequest(
        tables_dir, from_.date(), to.date(), Path(), rules=_existing(against), region=region
    )
    with Terminal(stderr=True).status("two audits of the same tables ..."):
        result = compare(request, _existing(changed) or changed, cases, _decided(config))
    shown = table("rule", "kept", "gained", "lost", numbers=3)
    for change in result.rules:
        shown.add_row(change.rule_id, str(change.kept), str(change.gained), str(change.lost))
    Terminal().print(shown)
    for (was, becomes), lines in result.verdicts.items():
        typer.echo(say("{0} line(s): {1} → {2}", f"{lines:,}", was, becomes))
    for (decision, now), count in sorted(result.cases.items()):
        typer.echo(say("{0} case(s) {1}: {2} by the changed pack", f"{count:,}", decision, now))


def _decided(config: Path | None) -> Mapping[str, str]:
    if config is None:
        return {}
    from renzheng.central.settings import read_settings
    from renzheng.central.store.adjudicated import decisions
    from renzheng.central.store.database import Database

    database = Database(read_settings(config).database)
    try:
        with database.reading() as connection:
            return decisions(connection)
    finally:
        database.close()


def _existing(path: Path | None) -> Path | None:
    if path is not None and not path.exists():
        raise AuditUsageError(f"There are no rules at {path}.", do="Give a pack's folder or a rule file.")
    return path
