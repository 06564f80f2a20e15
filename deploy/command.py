"""The one command, ``renzheng``: finds the sub-command's package and hands over.

A sub-command's module is imported only when it is asked for, so that an edge device runs without DuckDB
and a central server without a camera library.
"""

import importlib
import logging
import os
import sys
import traceback
from collections.abc import Mapping
from importlib.metadata import version
from typing import Annotated, NamedTuple
from zoneinfo import ZoneInfoNotFoundError

import typer

from renzheng.common.files import be_private
from renzheng.common.terminal import Terminal
from renzheng.contracts.errors import FaultError, InputError, RenzhengError, UsageError
from renzheng.deploy.logs import set_up_logging


class Part(NamedTuple):
    """Where a sub-command lives, what it is for and which extra installs what it needs.

    Several modules make one sub-command together; a machine shows those halves of it whose packages it has.
    """

    modules: tuple[str, ...]
    help: str
    extra: str


TRACE = "RENZHENG_TRACE"
"""Environment variable with which a command shows the trace of what ended it."""

PARTS: Mapping[str, Part] = {
    "demo": Part(("renzheng.deploy.demo.command",), "Play a dialysis day, from faces to verdicts.", "demo"),
    "edge": Part(("renzheng.edge.command",), "Run the agent of one clinic machine.", "edge"),
    "central": Part(
        ("renzheng.central.command", "renzheng.deploy.broker.command"),
        "Run the central service, and the site's broker.",
        "central",
    ),
    "claims": Part(("renzheng.central.claims.command",), "Import claim lines.", "central"),
    "audit": Part(("renzheng.central.audit.command",), "Set attendance against billed lines.", "central"),
    "draw": Part(("renzheng.central.draw.verify_command",), "Verify a published draw.", "central"),
    "rules": Part(("renzheng.central.audit.rules_command",), "Check, test and show the rules.", "central"),
    "models": Part(("renzheng.models.command",), "Convert, list, check and measure face models.", "edge"),
    "simulate": Part(
        ("renzheng.bench.simulate.command",), "Write synthetic tables, truth beside them.", "central"
    ),
    "device": Part(
        ("renzheng.central.site.command", "renzheng.edge.device.command"),
        "Bring devices in and put them out; keys and logs.",
        "edge,central",
    ),
    "bench": Part(
        (
            "renzheng.bench.sync.command",
            "renzheng.bench.audit.command",
            "renzheng.bench.ward.command",
            "renzheng.bench.site.command",
        ),
        "Measure on this machine, with real parts.",
        "dev",
    ),
}


def _lacks(who: str, package: str, part: Part | None) -> UsageError:
    return UsageError(
        f"{who} needs the package {package}, which is not installed.",
        do=f"Install it with: pip install 'renzheng[{part.extra if part else 'edge,central'}]'",
    )


def load(name: str) -> typer.Typer:
    """Import the packages of one sub-command and return its Typer app.

    Raises:
        UsageError: none of them can be imported, because a third party's package is missing.
    """
    part = PARTS[name]
    apps: list[typer.Typer] = []
    missing = ""
    for module in part.modules:
        try:
            apps.append(importlib.import_module(module).app)
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("renzheng"):
                raise
            missing = error.name or ""
    if not apps:
        raise _lacks(f"`renzheng {name}`", missing, part)
    if len(apps) == 1:
        return apps[0]
    whole = typer.Typer(no_args_is_help=True)
    for half in apps:
        whole.registered_commands += half.registered_commands
        whole.registered_groups += half.registered_groups
    return whole


def _show_version(asked: bool) -> None:
    if asked:
        Terminal().print(f"renzheng {version('renzheng')}")
        raise typer.Exit


def assemble(wanted: str | None) -> typer.Typer:
    """Build the root app; only the `wanted` sub-command is imported, the others stand in its help."""
    root = typer.Typer(
        name="renzheng",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    _as_markdown(root)
    root.callback()(overview)
    for name, part in PARTS.items():
        if name == wanted:
            root.add_typer(_as_markdown(load(name)), name=name, help=part.help)
        else:
            root.command(name=name, help=part.help)(overview)
    return root


def _as_markdown(app: typer.Typer) -> typer.Typer:
    """Have help texts read as Markdown; read as rich's markup, the `[broker]` in one would vanish."""
    app.rich_markup_mode = "markdown"
    for group in app.registered_groups:
        if group.typer_instance is not None:
            _as_markdown(group.typer_instance)
    return app


def overview(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Identity verification at the edge: the person billed for is the person who was there."""


def main() -> None:
    """Run the command line; what goes wrong becomes up to three plain lines and an exit status."""
    be_private()
    set_up_logging()
    logging.getLogger("alembic").setLevel(logging.WARNING)
    wanted = sys.argv[1] if len(sys.argv) > 1 else None
    try:
        assemble(wanted)()
    except (RenzhengError, OSError, ImportError, ZoneInfoNotFoundError) as fault:
        error = as_error(fault, wanted)
        if os.environ.get(TRACE):
            traceback.print_exception(fault)
        terminal = Terminal(stderr=True)
        terminal.print(error.what or repr(error), style="bold red")
        for line in (error.why, error.do):
            if line:
                terminal.print(line)
        sys.exit(error.exit_status)


def as_error(fault: Exception, wanted: str | None) -> RenzhengError:
    """Say what the system refused in the form of the product's own errors.

    Raises:
        ImportError: a module of the product itself cannot be imported, which nobody but us can mend.
    """
    match fault:
        case RenzhengError():
            return fault
        case ZoneInfoNotFoundError():
            return InputError(
                f"There is no time zone {' '.join(map(str, fault.args))}.",
                do="Give a name of the IANA list, such as Asia/Shanghai.",
            )
        case ImportError():
            missing = fault.name or ""
            if not isinstance(fault, ModuleNotFoundError) or missing.startswith("renzheng"):
                raise fault
            return _lacks("This command", missing, PARTS.get(wanted or ""))
        case OSError() if fault.filename is not None:
            return FaultError(
                f"{fault.filename} cannot be used: {fault.strerror or fault}.",
                why="The command ended there; what it had finished before stays.",
                do="Check that the path exists, whose it is, and how much room the disk has.",
            )
    return FaultError(
        f"The system refused: {fault}.",
        why="The command ended there; what it had finished before stays.",
        do=f"Check network and disk; with {TRACE}=1 the command shows where it happened.",
    )
