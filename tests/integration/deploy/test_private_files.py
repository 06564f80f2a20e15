"""Whatever a command makes is its own account's alone, whatever the umask it was started with."""

import os
import re
import sys
from pathlib import Path

import pytest
from parts.private import open_to_others

from renzheng.common.files import warn_of_open_folder, write_whole
from renzheng.deploy import command

HOUSE = Path(__file__).parents[3]
READ_BY_OTHERS = {
    "deploy/broker/command.py": "Mosquitto's configuration, which it reads under its own account; no secret",
    "edge/device/starting.py": "the start address, for the kiosk's account by its group",
    "bench/sync/sync.py": "a benchmark's folder, which PostgreSQL's own user passes through",
}
MODE = re.compile(r"(?:chmod\(|mkdir\(|mode=|O_EXCL, |O_CREAT, |answer\.body, |else )0o([0-7]{3})")


@pytest.fixture
def renzheng(tmp_path, monkeypatch):
    """Call the command line in this process, with an umask that hides nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RENZHENG_HOME", str(tmp_path / "home"))

    def call(*words):
        os.umask(0)
        monkeypatch.setattr(sys, "argv", ["renzheng", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            command.main()
        assert ended.value.code == 0

    before = os.umask(0)
    yield call
    os.umask(before)


def test_every_file_of_central_claims_simulation_and_audit(renzheng, tmp_path):
    config = ("--config", "site/central.toml")
    renzheng("central", "init", "--dir", "site", "--port", 0)
    told = ("--institution", "H1", "--name", "x", "--region", "371122")
    renzheng("central", "register-institution", *told, *config)
    renzheng("device", "provision", "--device", "kiosk-1", "--institution", "H1", *config)
    renzheng("central", "log", "checkpoint", *config)
    renzheng("central", "rotate-key", *config)
    renzheng("central", "move", "--host", "new.example", *config)
    renzheng("central", "adt", "caller", "--name", "his-h1", "--institution", "H1", "--out", "adt", *config)
    renzheng("central", "broker-config", "--out", "broker", *config)
    renzheng("simulate", "county", "--out", "county", "--people", 100, "--days", 1, "--no-evasions")
    renzheng("claims", "catalogue", "--out", "tables")
    days = ("--from", "2026-03-02", "--to", "2026-03-02")
    renzheng("audit", "run", "--tables", "county", "--out", "audited", "--threads", 1, *days)
    (tmp_path / "passphrase").write_text("six random words of a list")
    (tmp_path / "passphrase").chmod(0o600)
    renzheng("central", "backup", "backups", "--passphrase-file", "passphrase", *config)
    os.umask(0o077)
    write_whole(tmp_path / "home" / "models" / "one.onnx", b"x")
    assert {"site", "county", "tables", "audited", "backups", "adt"} <= {p.name for p in tmp_path.iterdir()}
    assert open_to_others(tmp_path, allowed={"renzheng.conf"}) == {}


def test_nothing_opens_a_file_to_others_but_what_is_named_here():
    found = {}
    for part in ("bench", "central", "common", "contracts", "deploy", "edge", "models", "rules"):
        for path in (HOUSE / part).rglob("*.py"):
            modes = MODE.findall(path.read_text(encoding="utf-8"))
            if any(int(mode, 8) & 0o077 for mode in modes):
                found[str(path.relative_to(HOUSE))] = modes
    assert set(found) == set(READ_BY_OTHERS), found


def test_a_data_folder_that_others_may_enter_is_named_with_what_to_do(tmp_path, caplog):
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    warn_of_open_folder(folder)
    warn_of_open_folder(tmp_path / "none")
    assert caplog.text == ""
    folder.chmod(0o755)
    warn_of_open_folder(folder)
    assert f"chmod -R go= '{folder}'" in caplog.text
