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
from importlib.util import find_spec
from typing import Annotated, Any, ClassVar, NamedTuple
from zoneinfo import ZoneInfoNotFoundError

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException
from typer.main import get_command

from renzheng.common.files import be_private
from renzheng.common.terminal import Terminal
from renzheng.common.words import message
from renzheng.contracts.errors import FaultError, InputError, RenzhengError, UsageError
from renzheng.deploy.help import speaking
from renzheng.deploy.logs import set_up_logging


class Part(NamedTuple):
    """Where a sub-command lives, each module with the extra that installs what it needs, and what it is for.

    Several modules make one sub-command together; a machine shows those halves of it whose packages it has.
    """

    modules: Mapping[str, str]
    help: str

    @property
    def extra(self) -> str:
        """The extras of all its modules, as pip takes them."""
        return ",".join(sorted(set(self.modules.values()), reverse=True))


TRACE = "RENZHENG_TRACE"
"""Environment variable with which a command shows the trace of what ended it."""

INSTRUMENTS = ("renzheng.bench", "renzheng.deploy.demo", "renzheng.models.bench")
"""The packages of the wheel `renzheng-instruments`, which no service needs."""

PARTS: Mapping[str, Part] = {
    "demo": Part({"renzheng.deploy.demo.command": "demo"}, "Play a dialysis day, from faces to verdicts."),
    "edge": Part({"renzheng.edge.command": "edge"}, "Run the agent of one clinic machine."),
    "central": Part(
        {"renzheng.central.command": "central", "renzheng.deploy.broker.command": "central"},
        "Run the central service, and the site's broker.",
    ),
    "doctor": Part({"renzheng.deploy.doctor_command": "edge"}, "Look what is wrong on this machine."),
    "case": Part({"renzheng.central.cases.command": "central"}, "Take a case away, and check one."),
    "privacy": Part(
        {"renzheng.central.privacy.command": "central"},
        "Keep to the law on persons' data: withdrawals, retention, rights, filing.",
    ),
    "claims": Part({"renzheng.central.claims.command": "central"}, "Import claim lines."),
    "audit": Part({"renzheng.central.audit.command": "central"}, "Set attendance against billed lines."),
    "check": Part({"renzheng.central.self_check.command": "check"}, "Check bills before they are submitted."),
    "knowledge": Part(
        {"renzheng.central.checks.knowledge_command": "central"}, "Look after knowledge points."
    ),
    "draw": Part({"renzheng.central.draw.verify_command": "central"}, "Verify a published draw."),
    "rules": Part({"renzheng.central.audit.rules_command": "central"}, "Check, test and show the rules."),
    "models": Part({"renzheng.models.command": "edge"}, "Convert, list, check and measure face models."),
    "simulate": Part(
        {"renzheng.bench.simulate.command": "central"}, "Write synthetic tables, truth beside them."
    ),
    "device": Part(
        {"renzheng.central.site.command": "central", "renzheng.edge.device.command": "edge"},
        "Bring devices in and put them out; keys and logs.",
    ),
    "bench": Part(
        dict.fromkeys(
            (
                "renzheng.bench.sync.command",
                "renzheng.bench.audit.command",
                "renzheng.bench.ward.command",
                "renzheng.bench.site.command",
                "renzheng.bench.pages.command",
                "renzheng.bench.access.command",
                "renzheng.bench.cases.command",
                "renzheng.bench.checks.command",
                "renzheng.bench.medicines.command",
            ),
            "dev",
        ),
        "Measure on this machine, with real parts.",
    ),
}

NEEDED: Mapping[str, str] = {
    "renzheng.edge.command": "cv2",
    "renzheng.edge.device.command": "sqlite_utils",
    "renzheng.central.command": "sqlalchemy",
    "renzheng.deploy.broker.command": "sqlalchemy",
    "renzheng.central.site.command": "sqlalchemy",
    "renzheng.central.privacy.command": "sqlalchemy",
    "renzheng.central.audit.command": "duckdb",
}
"""A package that a module's commands import only when they run; where it is missing they are not shown."""


def _lacks(who: str, package: str, extra: str) -> UsageError:
    if _is_instrument(package):
        return UsageError(
            f"{who} is not installed.",
            why="It measures, simulates or plays; no service needs it, so it has a wheel of its own.",
            do=f"Install it beside this one: renzheng_instruments-{version('renzheng')}-py3-none-any.whl",
        )
    return UsageError(
        f"{who} needs the package {package}, which is not installed.",
        why=f"This machine's renzheng was installed without {extra}: another kind of machine uses it.",
        do=f"Install it with: pip install 'renzheng[{extra}]'",
    )


def _is_instrument(module: str) -> bool:
    return any(module == one or module.startswith(f"{one}.") for one in INSTRUMENTS)


class _HalfGroup(TyperGroup):
    """A sub-command of which some modules lack a package: an unknown command may be one of theirs."""

    lacks: ClassVar[UsageError]

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find a command by its name.

        Raises:
            UsageError: there is none of that name.
        """
        if self.get_command(ctx, args[0]) is None:
            raise self.lacks
        return super().resolve_command(ctx, args)


def load(name: str) -> typer.Typer:
    """Import the packages of one sub-command and return its Typer app.

    Raises:
        UsageError: none of them can be imported, because a third party's package is missing.
    """
    apps: list[typer.Typer] = []
    lacks: UsageError | None = None
    for module, extra in PARTS[name].modules.items():
        try:
            apps.append(_app_of(module))
        except ModuleNotFoundError as error:
            missing = error.name or ""
            if missing.startswith("renzheng") and not _is_instrument(missing):
                raise
            lacks = _lacks(f"`renzheng {name}`" if not apps else "This command", missing, extra)
    if not apps:
        assert lacks is not None, "a part has modules"
        raise lacks
    if len(apps) == 1 and lacks is None:
        return apps[0]
    whole = typer.Typer(no_args_is_help=True, cls=_group_without(lacks))
    for half in apps:
        whole.registered_commands += half.registered_commands
        whole.registered_groups += half.registered_groups
    return whole


def _app_of(module: str) -> typer.Typer:
    """Import a module of commands; raises ModuleNotFoundError when what they need is not installed."""
    needed = NEEDED.get(module)
    if needed is not None and find_spec(needed) is None:
        raise ModuleNotFoundError(f"No module named {needed!r}", name=needed)
    app: typer.Typer = importlib.import_module(module).app
    return app


def _group_without(lacks: UsageError | None) -> type[TyperGroup]:
    return TyperGroup if lacks is None else type("_Lacking", (_HalfGroup,), {"lacks": lacks})


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
        sys.exit(call(wanted))
    except (RenzhengError, OSError, ImportError, ZoneInfoNotFoundError) as fault:
        error = as_error(fault, wanted)
        if os.environ.get(TRACE):
            traceback.print_exception(fault)
        show(error)
        sys.exit(error.exit_status)


def call(wanted: str | None) -> int:
    """Run the command that the arguments ask for, in the user's language; return its exit status.

    Raises:
        RenzhengError: what the command or its arguments ended in.
    """
    try:
        status = speaking(get_command(assemble(wanted))).main(prog_name="renzheng", standalone_mode=False)
    except typer.Abort:
        raise InputError("The command was broken off.") from None
    except TyperException as error:
        told = error.format_message()
        if told:  # where nothing was asked for, the help is out already
            asked = getattr(error, "ctx", None)
            path = asked.command_path if asked is not None else "renzheng"
            show(UsageError(told, do=f"See: {path} --help"))
        return error.exit_code
    return status if isinstance(status, int) else 0


def show(error: RenzhengError) -> None:
    """Print an error as plain lines in the user's language: what happened, why it matters, what to do."""
    terminal = Terminal(stderr=True)
    terminal.print(message(error.what) or repr(error), style="bold red")
    for line in (error.why, error.do):
        if line:
            terminal.print(message(line))


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
            ours = missing.startswith("renzheng") and not _is_instrument(missing)
            if not isinstance(fault, ModuleNotFoundError) or ours:
                raise fault
            part = PARTS.get(wanted or "")
            return _lacks("This command", missing, part.extra if part else "edge,central")
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
