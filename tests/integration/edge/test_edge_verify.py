"""`renzheng device log verify` on damaged files, and what a start sweeps away of a rotation cut short."""

import os
import shutil
import sqlite3
from datetime import UTC, datetime

import pytest
from faults.parties import sign_in
from typer.testing import CliRunner

from renzheng.contracts import keys
from renzheng.contracts.errors import RenzhengError
from renzheng.contracts.log import BrokenChainError
from renzheng.edge.device.checking import check_file
from renzheng.edge.device.clock import SteppedClock
from renzheng.edge.device.command import app
from renzheng.edge.device.keyring import FIRST, Keyring
from renzheng.edge.device.log import DeviceLog
from renzheng.edge.device.store.database import Store
from renzheng.edge.errors import StoreError

DEVICE = "kiosk-1"
CLOCK = SteppedClock(datetime(2026, 3, 2, tzinfo=UTC))


@pytest.fixture
def folder(tmp_path):
    """A device's folder: six entries, one of them a change of key."""
    store = Store(tmp_path / "device.sqlite")
    written, ring = DeviceLog(store, DEVICE), Keyring(store, tmp_path)
    for number in range(1, 6):
        written.append(sign_in(DEVICE, number, CLOCK.read()))
        if number == 3:
            ring.rotate(written, institution_id="H1", clock=CLOCK)
    store.close()
    return tmp_path


def change(folder, sql, *values):
    connection = sqlite3.connect(folder / "device.sqlite")
    connection.execute(sql, values)
    connection.commit()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def test_a_whole_file_holds(folder):
    found = check_file(folder / "device.sqlite", DEVICE)
    assert (found.base.sequence, found.head.sequence, found.waiting) == (0, 6, 6)


@pytest.mark.parametrize(
    ("sql", "value", "error"),
    [
        ("UPDATE device_keys SET public_pem = ?", "-----BEGIN PUBLIC KEY-----\nMCo=\n", StoreError),
        ("UPDATE device_keys SET public_pem = ?", "", StoreError),
        ("UPDATE device_keys SET from_sequence = from_sequence + ?", 100, StoreError),
        ("UPDATE entries SET line = ? WHERE sequence = 2", b"\xff\xfe", BrokenChainError),
        ("UPDATE entries SET line = ? WHERE sequence = 6", b'{"sequence":6}', BrokenChainError),
        ("DELETE FROM entries WHERE sequence = ?", 4, BrokenChainError),
        ("UPDATE log_state SET base_hash = CAST(? AS TEXT)", b"\xff\xfe", StoreError),
        ("UPDATE log_state SET device_id = ?", "kiosk-2", StoreError),
    ],
)
def test_damage_is_named(folder, sql, value, error):
    change(folder, sql, value)
    with pytest.raises(error) as raised:
        check_file(folder / "device.sqlite", DEVICE)
    assert raised.value.what
    assert raised.value.do


def test_a_damaged_index_is_named(folder):
    connection = sqlite3.connect(folder / "device.sqlite")
    (page,) = connection.execute(
        "SELECT rootpage FROM sqlite_schema WHERE name = 'sqlite_autoindex_entries_1'"
    ).fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    content = bytearray((folder / "device.sqlite").read_bytes())
    content[page * size - 60 : page * size] = b"\xff" * 60
    (folder / "device.sqlite").write_bytes(content)
    with pytest.raises(StoreError, match="damaged"):
        check_file(folder / "device.sqlite", DEVICE)


def test_a_file_cut_short_is_named(folder):
    whole = (folder / "device.sqlite").read_bytes()
    for length in (10, 5_000, len(whole) // 2):
        (folder / "device.sqlite").write_bytes(whole[:length])
        with pytest.raises(RenzhengError):
            check_file(folder / "device.sqlite", DEVICE)


def test_the_command_makes_no_key_and_says_what_holds(folder, tmp_path_factory):
    bare = tmp_path_factory.mktemp("bare")
    shutil.copy(folder / "device.sqlite", bare)
    config = bare / "edge.toml"
    config.write_text(
        f'[device]\ndevice_id = "{DEVICE}"\ninstitution_id = "H1"\ndata_dir = "{bare}"\n', encoding="utf-8"
    )
    told = CliRunner().invoke(app, ["log", "verify", "--config", str(config)], catch_exceptions=False)
    assert told.exit_code == 0
    assert "entries 1 to 6 hold" in told.output
    assert not list(bare.glob("*.pem"))


def leave_key_file(folder, *, seconds_later):
    """The file of a rotation that a crash cut short."""
    key = keys.generate_key()
    path = folder / f"device.{keys.key_id(key)}.key.pem"
    path.write_bytes(keys.private_pem(key))
    newest = max(one.stat().st_mtime for one in folder.glob("device.*key.pem"))
    os.utime(path, (newest + seconds_later, newest + seconds_later))
    return path


def test_a_key_file_that_a_crash_left_is_swept_away(folder):
    left, older = leave_key_file(folder, seconds_later=5), leave_key_file(folder, seconds_later=-3600)
    store = Store(folder / "device.sqlite")
    ring = Keyring(store, folder)
    assert ring.sweep() == 1
    assert not left.exists()
    assert older.exists()
    assert ring.sweep() == 0
    assert ring.signer(0).until == 4
    assert ring.signer(4).since == 5
    store.close()


def test_nothing_is_swept_where_the_rows_do_not_hold(folder):
    left = leave_key_file(folder, seconds_later=5)
    store = Store(folder / "device.sqlite")
    ring = Keyring(store, folder)
    change(folder, "UPDATE device_keys SET key_id = 'x' || key_id WHERE from_sequence = ?", 1)
    assert ring.sweep() == 0
    assert left.exists()
    store.close()


def test_a_key_file_that_is_no_key_is_named(folder):
    (folder / FIRST).write_bytes(b"-----BEGIN PRIVATE KEY-----\n\xff\n-----END PRIVATE KEY-----\n")
    store = Store(folder / "device.sqlite")
    with pytest.raises(StoreError, match="holds no key"):
        Keyring(store, folder)
    store.close()
