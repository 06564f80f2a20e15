"""`renzheng knowledge`: from the libraries' workbooks to a signed pack that two people have put in force."""

import json
from pathlib import Path

import pytest
from parts import stores
from parts.command_line import run
from parts.libraries import all_fourteen, book

from renzheng.central.access import accounts
from renzheng.central.access.accounts import New
from renzheng.central.access.roles import Role
from renzheng.central.main import make_signing_key
from renzheng.central.settings import make_settings, write_settings
from renzheng.central.store.database import Database
from renzheng.contracts.events import utc_now

PEOPLE = {"author": Role.RULE_AUTHOR, "second": Role.RULE_AUTHOR, "approver": Role.RULE_APPROVER}


@pytest.fixture
def site(tmp_path):
    """A site's configuration, with people who write and approve."""
    settings = make_settings({"data_dir": str(tmp_path / "data")})
    make_signing_key(settings.key_file)
    write_settings(settings, tmp_path / "central.toml")
    with Database(stores.lay(settings.database)).writing() as connection:
        for name, role in PEOPLE.items():
            accounts.add(connection, New(name, frozenset({role})), "test", utc_now())
    return tmp_path


def powers(pack):
    rows = json.loads(run("knowledge", "list", "--json", "--pack", pack))
    return {
        bool(row["problem"]): {one["power"] for one in rows if one["problem"] == row["problem"]}
        for row in rows
    }


def test_libraries_are_imported_listed_approved_and_exported(site):
    files = all_fourteen(site)
    pack, signed = site / "national.knowledge", site / "out.knowledge"
    said = run("knowledge", "import", *(path for path, _, _ in files), "--out", pack)
    assert f"holds {sum(number for _, _, number in files)} points" in said
    assert "备注：按国家项目编码" in said
    rows = json.loads(run("knowledge", "list", "--json", "--pack", pack))
    assert {
        "id",
        "kind",
        "items",
        "value",
        "unit",
        "power",
        "stage",
        "valid_from",
        "valid_to",
        "source",
        "batch",
    } <= set(rows[0])
    assert powers(pack) == {True: {"watch"}, False: {"watch"}}
    assert "8-3" in run("knowledge", "list", "--pack", pack)

    def approve(author, approver, power, *more, status=0):
        named = ("--pack", pack, "--author", author, "--approver", approver, "--power", power)
        return run("knowledge", "approve", *named, *more, "--config", site / "central.toml", status=status)

    assert "two people" in approve("author", "author", "warn", status=1)
    assert "does not have the role" in approve("author", "second", "warn", status=1)
    assert "no account" in approve("author", "nobody", "warn", status=1)
    assert "needs the day" in approve("author", "approver", "block", status=1)
    export = ("knowledge", "export", "--pack", pack, "--out", signed, "--config", site / "central.toml")
    assert "not signed by a known key" in run(*export, status=1)
    assert "could not be read" in approve("author", "approver", "warn")
    assert powers(pack) == {True: {"watch"}, False: {"warn"}}
    before = Path(f"{pack}.before")
    before.write_bytes(pack.read_bytes())
    approve("author", "approver", "block", "--from", "2999-01-01")
    assert powers(pack) == {True: {"watch"}, False: {"watch"}}, "its day has not come"
    changes = json.loads(run("knowledge", "diff", before, pack, "--on", "2999-01-01", "--json"))
    assert {one["change"] for one in changes} == {"power"}
    assert "power" in run("knowledge", "diff", before, pack, "--on", "2999-01-01")
    run(*export)
    assert signed.exists()


def test_a_new_edition_keeps_what_it_withdraws_with_its_last_day(site):
    first, second = site / "a", site / "b"
    first.mkdir(), second.mkdir()
    pack = site / "pack"
    files = {path.name: path for path, _, _ in all_fourteen(first)}
    name = next(name for name in files if "项目规则库(限定性别对象)" in name)
    run("knowledge", "import", files[name], "--out", pack)
    rows = [["项目名称", "国标代码", "限定性别"], ["产前检查", "003112010010000", "女"]]
    said = json.loads(
        run(
            "knowledge",
            "import",
            book(second / name, {"s": rows}),
            "--out",
            pack,
            "--from",
            "2026-07-01",
            "--json",
        )
    )
    assert (said[0]["points"], said[0]["kinds"]) == (1, {"sex": {"points": 1, "not_read": 0}})
    rows = json.loads(run("knowledge", "list", "--json", "--pack", pack))
    assert [(one["items"], one["valid_to"]) for one in rows] == [
        (["003112010010000"], None),
        (["003112020010000"], "2026-06-30"),
    ]
