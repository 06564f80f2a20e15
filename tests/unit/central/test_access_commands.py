"""Which commands read persons out of central's store: each is named here, and writes it down."""

import inspect

import pytest
from typer.main import get_command

from renzheng.deploy.command import assemble

WRITTEN_DOWN = {
    "access who-looked", "bundle", "delete", "draw code", "draw commit", "draw publish", "draw seal",
    "explain", "export", "settle", "who-looked", "withdraw",
}  # fmt: skip
"""Commands that show, take away or change what is known of a person."""
OF_NO_PERSON = {
    "access verify", "account add", "account code", "account disable", "account enable", "account factors",
    "account list", "account role", "account sign-out", "account token", "adt outcomes", "adt read", "alarms",
    "broker", "broker-config", "devices", "draw list", "filing", "init", "inspector", "log archive",
    "log checkpoint", "log prune", "log take-back", "log verify", "move-device", "night", "register-device",
    "register-institution", "requests", "retention", "revoke-device", "rotate-key", "withdrawals",
}  # fmt: skip
"""Commands that open the store and name nobody in what they print or write for people to read."""


def of_the_store():
    """Every command of central, cases and privacy that opens the store, with its source."""
    for part in ("central", "case", "privacy"):
        yield from _below(get_command(assemble(part)).commands[part], "")


def _below(command, name):
    for one, below in getattr(command, "commands", {}).items():
        yield from _below(below, f"{name} {one}".strip())
    if command.callback and not hasattr(command, "commands"):
        source = inspect.getsource(inspect.unwrap(command.callback))
        if any(one in source for one in ("_store(", "Database(", "_open(")):
            yield name, source


def test_every_command_that_opens_the_store_is_known_by_whether_it_reads_persons():
    assert {name for name, _ in of_the_store()} == WRITTEN_DOWN | OF_NO_PERSON


@pytest.mark.parametrize("name", sorted(WRITTEN_DOWN))
def test_a_command_that_reads_persons_writes_it_down(name):
    source = dict(of_the_store())[name]
    assert any(one in source for one in ("access_log.append(", "_note(", "as tell")), "or by who_looked"
