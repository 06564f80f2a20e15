"""The one command, ``renzheng``: finds the sub-command's package and hands over.

A sub-command's module is imported only when it is asked for, so that an edge device runs without DuckDB
and a central server without a camera library.
"""

import importlib
import logging
import sys
from collections.abc import Mapping
from typing import NamedTuple

import typer
from rich.console import Console

from renzheng.contracts.errors import RenzhengError, UsageError


class Part(NamedTuple):
    """Where a sub-command lives, what it is for and which extra installs what it needs."""

    module: str
    help: str
    extra: str


PARTS: Mapping[str, Part] = {
    "demo": Part("renzheng.deploy.demo.command", "Play a dialysis day, from faces to verdicts.", "demo"),
    "edge": Part("renzheng.edge.command", "Run the agent of one clinic machine.", "edge"),
    "central": Part("renzheng.central.command", "Run the central service.", "central"),
    "claims": Part("renzheng.central.claims.command", "Import claim lines.", "central"),
    "audit": Part("renzheng.central.audit.command", "Set attendance against billed lines.", "central"),
    "simulate": Part(
        "renzheng.central.simulate.command", "Write synthetic tables, truth beside them.", "central"
    ),
    "device": Part("renzheng.deploy.device", "Bring devices in and put them out; keys and logs.", "central"),
    "rules": Part("renzheng.central.audit.rules_command", "Check, test and show the rules.", "central"),
    "models": Part("renzheng.models.command", "Convert, list, check and measure face models.", "edge"),
}


def load(name: str) -> typer.Typer:
    """Import the package of one sub-command and return its Typer app."""
    part = PARTS[name]
    try:
        app: typer.Typer = importlib.import_module(part.module).app
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("renzheng"):
            raise
        raise UsageError(
            f"`renzheng {name}` needs the package {error.name}, which is not installed.",
            do=f"Install it with: pip install 'renzheng[{part.extra}]'",
        ) from error
    return app


def assemble(wanted: str | None) -> typer.Typer:
    """Build the root app; only the `wanted` sub-command is imported, the others stand in its help."""
    root = typer.Typer(
        name="renzheng",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
    )
    root.callback()(overview)
    for name, part in PARTS.items():
        if name == wanted:
            root.add_typer(load(name), name=name, help=part.help)
        else:
            root.command(name=name, help=part.help)(overview)
    return root


def overview() -> None:
    """Identity verification at the edge: the person billed for is the person who was there."""


def main() -> None:
    """Run the command line; a `RenzhengError` becomes three plain lines and its exit status."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    wanted = sys.argv[1] if len(sys.argv) > 1 else None
    try:
        assemble(wanted)()
    except RenzhengError as error:
        console = Console(stderr=True)
        console.print(f"[bold red]{error.what}[/]" if error.what else repr(error), highlight=False)
        for line in (error.why, error.do):
            if line:
                console.print(line, highlight=False)
        sys.exit(error.exit_status)
