"""The one command finds its parts, and says what to install where one is missing."""

import importlib
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfoNotFoundError

import pytest
import typer
from typer.testing import CliRunner

from renzheng.contracts.errors import RenzhengError, UsageError
from renzheng.deploy import command

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("name", list(command.PARTS))
def test_every_part_is_there_and_has_commands(name):
    app = command.load(name)
    assert app.registered_commands or app.registered_groups or app.registered_callback


def test_a_missing_package_is_named_with_the_extra_that_brings_it(monkeypatch):
    part = command.Part({"renzheng.contracts.no_such_half": "edge"}, "")
    monkeypatch.setattr(command, "PARTS", {"x": part})
    monkeypatch.setattr(command.importlib, "import_module", raise_missing)
    with pytest.raises(UsageError, match=r"cv2.*renzheng\[edge\]"):
        command.load("x")


def raise_missing(_name):
    raise ModuleNotFoundError("No module named 'cv2'", name="cv2")


def test_half_of_a_part_is_enough(monkeypatch):
    real = command.importlib.import_module

    def without_central(name):
        return raise_missing(name) if name.startswith("renzheng.central") else real(name)

    monkeypatch.setattr(command.importlib, "import_module", without_central)
    commands = command.load("device").registered_commands
    assert "join" in [registered.name or registered.callback.__name__ for registered in commands]


def test_a_command_of_the_half_that_is_missing_is_named_with_its_extra(monkeypatch, capsys):
    real = command.importlib.import_module

    def without_central(name):
        return raise_missing(name) if name.startswith("renzheng.central") else real(name)

    monkeypatch.setattr(command.importlib, "import_module", without_central)
    monkeypatch.setattr(sys, "argv", ["renzheng", "device", "provision", "--help"])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == UsageError.exit_status
    what, why, do = capsys.readouterr().err.splitlines()
    assert "cv2" in what
    assert why
    assert do.endswith("'renzheng[central]'")


@pytest.mark.parametrize(
    ("part", "package", "extra"), [("edge", "cv2", "edge"), ("central", "sqlalchemy", "central")]
)
def test_commands_that_could_not_run_are_refused_before_they_begin(monkeypatch, part, package, extra):
    real = command.find_spec
    monkeypatch.setattr(command, "find_spec", lambda name: None if name == package else real(name))
    monkeypatch.setattr(command, "PARTS", {part: command.Part({f"renzheng.{part}.command": extra}, "")})
    with pytest.raises(UsageError, match=rf"{package}.*renzheng\[{extra}\]") as refused:
        command.load(part)
    assert refused.value.why


@pytest.mark.parametrize("module", command.INSTRUMENTS)
@pytest.mark.parametrize("asked", [["demo"], ["simulate", "county"], ["bench", "sync"], ["models", "bench"]])
def test_an_instrument_that_is_not_installed_is_three_lines(monkeypatch, capsys, module, asked):
    def fail(_name):
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)

    monkeypatch.setattr(command.importlib, "import_module", fail)
    monkeypatch.setattr(sys, "argv", ["renzheng", *asked])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == UsageError.exit_status
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert "renzheng_instruments" in lines[2]


def test_both_wheels_have_one_version_and_share_no_package():
    wheels = [tomllib.loads((ROOT / path / "pyproject.toml").read_text()) for path in ("", "instruments")]
    product, instruments = (wheel["project"] for wheel in wheels)
    assert product["version"] == instruments["version"]
    assert instruments["dependencies"] == [f"renzheng[demo]=={product['version']}"]
    excluded, included = (wheel["tool"]["setuptools"]["packages"]["find"] for wheel in wheels)
    assert excluded["exclude"] == included["include"] == [f"{name}*" for name in command.INSTRUMENTS]


def test_an_error_becomes_plain_lines_and_its_status(monkeypatch, capsys):
    monkeypatch.setattr(
        sys, "argv", ["renzheng", "claims", "import", "nowhere.csv", "--format", "nhsa", "--out", "x"]
    )
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code in (1, 2)
    assert "Traceback" not in capsys.readouterr().err


def classes_of_errors(base=RenzhengError):
    for one in base.__subclasses__():
        yield one
        yield from classes_of_errors(one)


def load_every_module_of_errors():
    for name in ("contracts", "common", "models", "edge", "central", "rules", "bench", "deploy"):
        for path in (ROOT / name).rglob("errors.py"):
            importlib.import_module("renzheng." + ".".join(path.relative_to(ROOT).with_suffix("").parts))


@pytest.mark.parametrize("columns", ["40", "200"])
def test_every_error_is_shown_as_it_is_whatever_a_file_was_called(monkeypatch, capsys, columns):
    monkeypatch.setenv("COLUMNS", columns)
    load_every_module_of_errors()
    what = (
        "[site]edge.toml and x[/bold]y :smile: cannot be read, /a/very/long/path/that/a/narrow/window/breaks"
    )
    classes = list(classes_of_errors())
    assert len(classes) > 30
    for one in classes:
        error = one.__new__(one)
        RenzhengError.__init__(error, what, why="[/x] [[ward.cameras]]", do="Look at [broker].")

        def fail(wanted, error=error):
            raise error

        monkeypatch.setattr(command, "call", fail)
        with pytest.raises(SystemExit) as ended:
            command.main()
        assert ended.value.code == one.exit_status
        shown = capsys.readouterr().err
        assert shown.splitlines() == [what, "[/x] [[ward.cameras]]", "Look at [broker]."]


def test_the_help_shows_sections_of_settings():
    app = typer.Typer()

    @app.command()
    def one(two: Annotated[str, typer.Option(help="As in [broker] and [[ward.cameras]].")] = "") -> None:
        """See [edge] in the settings."""

    told = CliRunner().invoke(command._as_markdown(app), ["--help"]).output
    assert "[edge]" in told
    assert "[broker]" in told
    assert "[[ward.cameras]]" in told


def test_the_version_is_said():
    assert (
        CliRunner().invoke(command.assemble(None), ["--version"]).output
        == f"renzheng {version('renzheng')}\n"
    )


@pytest.mark.parametrize(
    ("fault", "status", "says"),
    [
        (PermissionError(13, "Permission denied", "/home/x[/b]"), 3, "/home/x[/b] cannot be used"),
        (OSError(28, "No space left on device"), 3, "No space left"),
        (ModuleNotFoundError("No module named 'pyspark'", name="pyspark"), 2, "renzheng[central]"),
        (ZoneInfoNotFoundError("No time zone found with key Asia/Nowhere"), 1, "Asia/Nowhere"),
    ],
)
def test_what_the_system_refuses_is_said_in_the_same_form(monkeypatch, capsys, fault, status, says):
    def fail():
        raise fault

    monkeypatch.setattr(sys, "argv", ["renzheng", "audit"])
    monkeypatch.setattr(command, "call", lambda _: fail())
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == status
    told = capsys.readouterr().err
    assert says in told
    assert "Traceback" not in told
    monkeypatch.setenv(command.TRACE, "1")
    with pytest.raises(SystemExit):
        command.main()
    assert "Traceback" in capsys.readouterr().err


def test_a_fault_of_our_own_is_not_dressed_up(monkeypatch):
    def fail():
        raise ModuleNotFoundError("No module named 'renzheng.nowhere'", name="renzheng.nowhere")

    monkeypatch.setattr(command, "call", lambda _: fail())
    with pytest.raises(ModuleNotFoundError):
        command.main()
