"""A bit flipped in every page of the device's file and of central's: shown, or without effect.

A flip is *shown* when opening, `log verify` or SQLite's own integrity check names something. It is *without
effect* when every value of every table still reads as before (space that no row uses). Whatever is neither
must lie outside of the evidence, and is counted by column.
"""

import sqlite3
from collections import Counter
from datetime import UTC, datetime

import pytest
from faults.counts import LONG, often
from faults.parties import sign_in
from faults.rig import seeded
from parts import stores
from parts.central import register
from parts.devices import LogWriter

from renzheng.central.errors import StoreError as CentralStoreError
from renzheng.central.ingest.service import Ingest, Message
from renzheng.central.store.database import Database
from renzheng.central.verify.check import BadEntry
from renzheng.central.verify.projections import check_projections
from renzheng.central.verify.publish import check_checkpoints, take_checkpoint
from renzheng.central.verify.store import check_store
from renzheng.contracts import keys
from renzheng.contracts.errors import RenzhengError
from renzheng.contracts.events import utc_now
from renzheng.edge.device.checking import check_file
from renzheng.edge.device.clock import SteppedClock
from renzheng.edge.device.keyring import Keyring
from renzheng.edge.device.log import DeviceLog
from renzheng.edge.device.store.database import Store

pytestmark = pytest.mark.timeout(3600)
START = datetime(2026, 3, 2, tzinfo=UTC)
CENTRAL_KEY = keys.generate_key()
DEVICE_EVIDENCE = {
    ("entries", "sequence"),
    ("entries", "line"),
    ("log_state", "device_id"),
    ("log_state", "base_sequence"),
    ("log_state", "base_hash"),
}
CENTRAL_EVIDENCE = {
    ("log_entries", "device_id"),
    ("log_entries", "sequence"),
    ("log_entries", "hash"),
    ("log_entries", "line"),
    ("log_batches", "device_id"),
    ("log_batches", "first_sequence"),
    ("log_batches", "last_sequence"),
    ("log_batches", "key_id"),
    ("log_batches", "header"),
    ("log_batches", "signature"),
    ("devices", "head_sequence"),
    ("devices", "head_hash"),
    ("checkpoints", "root"),
    ("checkpoints", "note"),
    ("checkpoints", "heads"),
}


def device_file(folder):
    """A device's file with two keys over some entries, all of it in the main file."""
    store = Store(folder / "device.sqlite")
    written, ring = DeviceLog(store, "kiosk-1"), Keyring(store, folder)
    clock, entries = SteppedClock(START), often(60, 200)
    for number in range(1, entries + 1):
        written.append(sign_in("kiosk-1", number, clock.read()))
        if number == entries // 2:
            ring.rotate(written, institution_id="H1", clock=clock)
    written.acknowledge(entries // 3)
    store.close()
    return folder / "device.sqlite"


def central_file(folder):
    """A central's file with two devices' logs and a checkpoint."""
    path = folder / "central.sqlite"
    database = Database(stores.lay(f"sqlite:///{path}"))
    database.migrate()
    ingest = Ingest(database, CENTRAL_KEY, utc_now)
    for name in ("kiosk-1", "kiosk-2"):
        writer = register(database, LogWriter(name))
        writer.many(often(60, 250))
        topic = f"renzheng/v1/s1/{name}/up/log"
        ingest.take([Message(topic, batch) for batch in writer.batches()])
    take_checkpoint(database, "renzheng/test", CENTRAL_KEY, folder / "notes", utc_now())
    database.close()
    whole = sqlite3.connect(path)
    whole.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole.close()
    return path


def ask_device(path):
    """What opening and `device log verify` say of a file; None when they have nothing to say."""
    try:
        check_file(path, "kiosk-1")
    except RenzhengError as error:
        return type(error).__name__
    except Exception as error:  # noqa: BLE001 - counted, and the test fails
        return f"unnamed {type(error).__name__}"
    return None


def ask_central(path):
    """What opening and `central log verify --thorough` say: log, rows drawn from it, structure."""
    database = Database(f"sqlite:///{path}")
    try:
        database.migrate()
        for found in (*check_store(database), *check_projections(database)):
            if isinstance(found, BadEntry):
                return found.fault.value
        check_checkpoints(database, CENTRAL_KEY)
        database.check_structure()
    except (RenzhengError, CentralStoreError) as error:
        return type(error).__name__
    except Exception as error:  # noqa: BLE001 - counted, and the test fails
        return f"unnamed {type(error).__name__}"
    finally:
        database.close()
    return None


def intact(path):
    """SQLite's own word on a file."""
    connection = sqlite3.connect(path)
    connection.text_factory = bytes
    try:
        return connection.execute("PRAGMA integrity_check").fetchone() == (b"ok",)
    except (sqlite3.DatabaseError, UnicodeDecodeError):  # its own message may quote the damage
        return False
    finally:
        connection.close()


def contents(path):
    """Every value of every table."""
    connection = sqlite3.connect(path)
    connection.text_factory = bytes
    names = [
        row[0].decode() for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
    ]
    found = {}
    for name in names:
        rows = connection.execute(f"SELECT * FROM {name}")
        columns = [column[0] for column in rows.description]
        found[name] = (columns, rows.fetchall())
    connection.close()
    return found


def changed_columns(before, after):
    """Which columns of which tables read otherwise than before."""
    changed = set()
    for name in before.keys() | after.keys():
        columns, rows = before.get(name, ([], []))
        _, others = after.get(name, ([], []))
        if len(rows) != len(others):
            changed |= {(name, column) for column in columns}
            continue
        for row, other in zip(rows, others, strict=True):
            changed |= {(name, column) for column, a, b in zip(columns, row, other, strict=True) if a != b}
    return changed


def flip_everywhere(path, ask, *, counts, name, evidence, each_page):
    """Flip bits in every page (in the short run in every fourth), one at a time, and sort what happens."""
    good, before = path.read_bytes(), contents(path)
    page_bytes = int.from_bytes(good[16:18], "big")
    chance, shown, outside, silent = seeded(61), Counter(), Counter(), []
    unnamed, without_effect = Counter(), 0
    pages = range(0, len(good) // page_bytes, 1 if LONG else 4)
    for page in pages:
        for _ in range(each_page):
            at, bit = page * page_bytes + chance.randrange(page_bytes), chance.randrange(8)
            bad = bytearray(good)
            bad[at] ^= 1 << bit
            for left in path.parent.glob(f"{path.name}-*"):
                left.unlink()
            path.write_bytes(bad)
            whole = intact(path)
            said = ask(path)
            if said is not None or not whole:
                shown["log verify" if said else "integrity check only"] += 1
                if said and said.startswith("unnamed"):
                    unnamed[said.removeprefix("unnamed ")] += 1
                continue
            after = contents(path)
            changed = changed_columns(before, after)
            without_effect += not changed
            for column in changed - evidence:
                outside[".".join(column)] += 1
            silent += [(page, at, bit, column) for column in changed & evidence]
    counts.add(
        f"flipped bits, {name}",
        pages=len(pages),
        flips=len(pages) * each_page,
        shown_by_log_verify=shown["log verify"],
        shown_by_integrity_check_only=shown["integrity check only"],
        shown_without_a_name=dict(unnamed) or 0,
        without_effect=without_effect,
        evidence_silently_changed=len(silent),
        outside_the_evidence=dict(outside.most_common()) or 0,
    )
    assert silent == []
    assert not unnamed
    assert shown["log verify"] > 0


def test_a_bit_flipped_in_every_page_of_the_devices_file(tmp_path, counts):
    told = {"counts": counts, "name": "device", "evidence": DEVICE_EVIDENCE}
    flip_everywhere(device_file(tmp_path), ask_device, each_page=often(1, 24), **told)


def test_a_bit_flipped_in_every_page_of_centrals_file(tmp_path, counts):
    told = {"counts": counts, "name": "central", "evidence": CENTRAL_EVIDENCE}
    flip_everywhere(central_file(tmp_path), ask_central, each_page=often(2, 36), **told)
