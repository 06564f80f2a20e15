"""`renzheng doctor`: what is wrong on this machine, and the command that mends it."""

import json
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from renzheng.common.doctor import DoctorFinding, State
from renzheng.common.terminal import Terminal
from renzheng.common.words import message, say
from renzheng.contracts.errors import RenzhengError, UsageError

app = typer.Typer()
SIGNS: dict[State, str] = {"ok": "✓", "warning": "!", "fault": "✗", "unknown": "?"}
STYLES: dict[State, str] = {"ok": "green", "warning": "yellow", "fault": "bold red", "unknown": "dim"}
WHERE = (
    Path("/etc/renzheng/central.toml"), Path("/etc/renzheng/edge.toml"), Path("/etc/renzheng/ward.toml"),
    Path("/etc/renzheng/bedside.toml"), Path("/etc/renzheng/counter.toml"),
    Path("/etc/renzheng/machine.toml"), Path("central.toml"), Path("edge.toml"),
)  # fmt: skip


@app.callback(invoke_without_command=True)
def doctor(
    config: Annotated[
        list[Path] | None,
        typer.Option(
            help="A settings file of central or of an agent; by default those in /etc/renzheng and here."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document, in English.")] = False,
) -> None:
    """Look at this machine: clock, disk, store, broker, certificates, models, nights, backups, units.

    Each line that is not well names what mends it. Exit status 1 if something does not work.
    """
    files = config or [path for path in WHERE if path.is_file()]
    if not files:
        raise UsageError(
            "There is no settings file in /etc/renzheng or here.",
            do="Name one: renzheng doctor --config FILE",
        )
    found = {str(path): list(examine(path)) for path in files}
    terminal = Terminal()
    if as_json:
        fields = ("check", "state", "what", "do")
        plain = {
            name: [{key: getattr(one, key) for key in fields} for one in each] for name, each in found.items()
        }
        terminal.print(json.dumps(plain, ensure_ascii=False, indent=2))
    else:
        for name, each in found.items():
            terminal.print(name, style="bold")
            for one in each:
                terminal.print(f"{SIGNS[one.state]} {message(one.what)}", style=STYLES[one.state])
                if one.do:
                    terminal.print(f"    {message(one.do)}")
    faults = sum(one.state == "fault" for each in found.values() for one in each)
    warnings = sum(one.state == "warning" for each in found.values() for one in each)
    if not as_json:
        terminal.print(say("{0} fault(s), {1} warning(s).", faults, warnings))
    if faults:
        raise typer.Exit(1)


def examine(path: Path) -> Iterator[DoctorFinding]:
    """Look at one settings file and at all that it needs; a file that cannot be read is the only finding."""
    now = datetime.now(UTC)
    try:
        device = "device" in tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        device = path.stem in {"edge", "ward", "bedside", "counter", "machine"}
    try:
        yield from (_of_device if device else _of_central)(path, now)
    except RenzhengError as error:
        yield DoctorFinding(error.what, "settings", "fault", error.do or "")


def _of_central(path: Path, now: datetime) -> Iterator[DoctorFinding]:
    from renzheng.central.doctor import examine as examine_central  # noqa: PLC0415 - a device has no central
    from renzheng.central.settings import read_settings  # noqa: PLC0415 - as above

    yield from examine_central(read_settings(path), path, now)


def _of_device(path: Path, now: datetime) -> Iterator[DoctorFinding]:
    from renzheng.edge.device.doctor import examine as examine_device  # noqa: PLC0415 - central has no cameras
    from renzheng.edge.settings import load_settings  # noqa: PLC0415 - as above

    yield from examine_device(load_settings(path), path, now)
