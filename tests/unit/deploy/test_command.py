"""The one command finds its parts, and says what to install where one is missing."""

import sys

import pytest

from renzheng.contracts.errors import UsageError
from renzheng.deploy import command


@pytest.mark.parametrize("name", list(command.PARTS))
def test_every_part_is_there_and_has_commands(name):
    app = command.load(name)
    assert app.registered_commands or app.registered_groups or app.registered_callback


def test_a_missing_package_is_named_with_the_extra_that_brings_it(monkeypatch):
    part = command.Part(("renzheng.contracts.no_such_half",), "", "edge")
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


def test_an_error_becomes_plain_lines_and_its_status(monkeypatch, capsys):
    monkeypatch.setattr(
        sys, "argv", ["renzheng", "claims", "import", "nowhere.csv", "--format", "nhsa", "--out", "x"]
    )
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code in (1, 2)
    assert "Traceback" not in capsys.readouterr().err
