"""What somebody with the store's password can do to a log, and the name that each gets."""

import base64
import hashlib
import sqlite3

import pytest
import sqlalchemy as sa
from parts import stores
from parts.central import register
from parts.devices import MORNING, LogWriter

from renzheng.central.errors import StoreError
from renzheng.central.ingest.service import Ingest, Message
from renzheng.central.store import devices, schema
from renzheng.central.store.database import PAGE_BYTES, Database
from renzheng.central.verify.check import BadEntry, Fault, LogVerified
from renzheng.central.verify.checkpoint import (
    Checkpoint,
    CheckpointError,
    read_note,
    root_of,
    sign_note,
    verifier_key,
)
from renzheng.central.verify.projections import check_projections
from renzheng.central.verify.publish import check_checkpoints, check_kept_note, take_checkpoint
from renzheng.central.verify.store import check_store
from renzheng.contracts import keys
from renzheng.contracts.events import utc_now

KEY = keys.generate_key()
ENTRIES, BATCHES, DEVICES = schema.log_entries, schema.log_batches, schema.devices


@pytest.fixture
def stored(database, writer):
    writer.many(250)
    take(database, writer, writer.batches())
    return writer


def take(database, writer, batches):
    topic = f"renzheng/v1/s1/{writer.device_id}/up/log"
    Ingest(database, KEY, utc_now).take([Message(topic, batch) for batch in batches])


def at(sequence):
    return (ENTRIES.c.device_id == "kiosk-1") & (ENTRIES.c.sequence == sequence)


def move(connection, old, new):
    connection.execute(sa.update(ENTRIES).where(at(old)).values(sequence=new))


def alter(connection, sequence, *, rehash):
    line = connection.execute(sa.select(ENTRIES.c.line).where(at(sequence))).scalar_one()
    changed = bytes(line).replace(b'"match"', b'"natch"')
    values = {"line": changed}
    if rehash:
        values["hash"] = hashlib.sha256(changed).hexdigest()
    connection.execute(sa.update(ENTRIES).where(at(sequence)).values(values))


def swap(connection):
    move(connection, 120, 10_000)
    move(connection, 121, 120)
    move(connection, 10_000, 121)


def put_other_history(connection):
    other = LogWriter()
    other.many(130)
    for entry in other.entries[119:]:
        connection.execute(
            sa.update(ENTRIES).where(at(entry.sequence)).values(line=entry.line, hash=entry.hash)
        )


TAMPERINGS = {
    "deleted": (lambda c: c.execute(sa.delete(ENTRIES).where(at(120))), 120, Fault.MISSING),
    "deleted first": (lambda c: c.execute(sa.delete(ENTRIES).where(at(1))), 1, Fault.MISSING),
    "altered": (lambda c: alter(c, 120, rehash=False), 120, Fault.ALTERED),
    "altered with a new hash": (lambda c: alter(c, 120, rehash=True), 121, Fault.FORKED),
    "last altered with a new hash": (lambda c: alter(c, 250, rehash=True), 201, Fault.UNSIGNED),
    "reordered": (swap, 120, Fault.REORDERED),
    "another history": (put_other_history, 120, Fault.FORKED),
    "tail cut off": (
        lambda c: c.execute(sa.delete(ENTRIES).where(ENTRIES.c.sequence > 200)),
        201,
        Fault.TRUNCATED,
    ),
    "no longer JSON": (
        lambda c: c.execute(sa.update(ENTRIES).where(at(120)).values(line=b"{")),
        120,
        Fault.UNREADABLE,
    ),
    "signature lost": (
        lambda c: c.execute(sa.delete(BATCHES).where(BATCHES.c.first_sequence == 101)),
        101,
        Fault.UNSIGNED,
    ),
    "signature exchanged": (
        lambda c: c.execute(
            sa.update(BATCHES).where(BATCHES.c.first_sequence == 101).values(signature=b"A" * 86)
        ),
        101,
        Fault.UNSIGNED,
    ),
    "head moved back": (
        lambda c: c.execute(sa.update(DEVICES).values(head_sequence=249)),
        250,
        Fault.FORKED,
    ),
}


def test_a_true_log_holds(database, stored):
    other = register(database, LogWriter("kiosk-2"))
    other.many(7)
    take(database, other, other.batches())
    walked = []
    assert list(check_store(database, progress=walked.append)) == [
        LogVerified("kiosk-1", 250),
        LogVerified("kiosk-2", 7),
    ]
    assert sum(walked) == 257


def test_a_log_that_came_in_overlapping_pieces_holds(database, writer):
    writer.many(90)
    cuts = [(0, 30), (20, 60), (0, 60), (55, 90)]
    take(database, writer, [writer.batch(writer.entries[a:b]) for a, b in cuts])
    assert list(check_store(database)) == [LogVerified("kiosk-1", 90)]


@pytest.mark.parametrize("name", TAMPERINGS)
def test_tampering_is_named(database, stored, name):
    tamper, sequence, fault = TAMPERINGS[name]
    with database.writing() as connection:
        tamper(connection)
    (found,) = check_store(database)
    assert isinstance(found, BadEntry), found
    assert (found.sequence, found.fault) == (sequence, fault)


def test_a_stolen_old_key_signs_nothing_later(database, stored):
    with database.writing() as connection:
        devices.revoke(connection, "kiosk-1", utc_now())
        later = sa.update(BATCHES).where(BATCHES.c.first_sequence == 201)
        connection.execute(later.values(received_at=2**60))
    (found,) = check_store(database)
    assert isinstance(found, BadEntry)
    assert (found.sequence, found.fault) == (201, Fault.REVOKED_KEY)


def test_a_batch_of_a_key_that_is_no_key_of_the_device(database, stored):
    with database.writing() as connection:
        connection.execute(sa.update(BATCHES).where(BATCHES.c.first_sequence == 1).values(key_id="none"))
    (found,) = check_store(database)
    assert isinstance(found, BadEntry)
    assert (found.sequence, found.fault) == (1, Fault.FOREIGN_KEY)


def checkpoint(database, tmp_path):
    return take_checkpoint(database, "renzheng/test", KEY, tmp_path, utc_now())


def test_checkpoints_grow_out_of_each_other(database, stored, tmp_path):
    first, path = checkpoint(database, tmp_path)
    kept = path.read_text(encoding="utf-8")
    stored.many(20)
    take(database, stored, [stored.batch(stored.entries[250:])])
    second, _ = checkpoint(database, tmp_path)
    third, _ = checkpoint(database, tmp_path)
    assert (first.size, second.size, third.size) == (1, 2, 2)
    assert third.root == second.root
    assert check_checkpoints(database, KEY) == 3
    assert check_kept_note(database, kept, KEY).size == 1
    assert (tmp_path / "latest.note").read_text(encoding="utf-8").startswith("renzheng/test\n2\n")


def test_a_rewritten_history_breaks_the_checkpoint_even_if_it_is_consistent_in_itself(
    database, stored, tmp_path
):
    _, path = checkpoint(database, tmp_path)
    kept = path.read_text(encoding="utf-8")
    forged = LogWriter()
    forged.key = stored.key
    forged.many(250)
    with database.writing() as connection:
        for table in (ENTRIES, BATCHES, schema.attendance):
            connection.execute(sa.delete(table))
        genesis = {"head_sequence": 0, "head_hash": LogWriter().head.hash}
        connection.execute(sa.update(DEVICES).values(genesis))
    take(database, forged, forged.batches())
    assert list(check_store(database)) == [LogVerified("kiosk-1", 250)]
    with pytest.raises(CheckpointError, match="Entry 250 of kiosk-1"):
        check_checkpoints(database, KEY)
    with database.writing() as connection:
        connection.execute(sa.delete(schema.checkpoints))
    checkpoint(database, tmp_path)
    assert check_checkpoints(database, KEY) == 1
    with pytest.raises(CheckpointError, match="does not grow out"):
        check_kept_note(database, kept, KEY)


def test_a_note_of_another_key_is_refused(database, stored, tmp_path):
    _, path = checkpoint(database, tmp_path)
    with pytest.raises(CheckpointError, match="not signed"):
        check_kept_note(database, path.read_text(encoding="utf-8"), keys.generate_key())
    with pytest.raises(CheckpointError, match="no checkpoint"):
        check_kept_note(database, "x\ny\n", KEY)


def test_the_tree_is_that_of_rfc_6962():
    # Leaves and roots of the test vectors of Certificate Transparency's reference implementation.
    leaves = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ]
    roots = {
        1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        5: "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    }
    hashed = [hashlib.sha256(b"\x00" + bytes.fromhex(leaf)).digest() for leaf in leaves]
    for size, root in roots.items():
        assert root_of(hashed[:size]).hex() == root
    assert root_of([]).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_note_has_the_form_of_c2sp():
    note = sign_note(Checkpoint("renzheng/site", 3, bytes(32)), KEY)
    lines = note.split("\n")
    assert lines[:4] == ["renzheng/site", "3", base64.b64encode(bytes(32)).decode(), ""]
    assert lines[4].startswith("— renzheng/site ")
    name, digest, key = verifier_key("renzheng/site", KEY).split("+", 2)
    signature = base64.b64decode(lines[4].split(" ")[2])
    assert signature[:4].hex() == digest
    assert base64.b64decode(key)[:1] == b"\x01"
    assert name == "renzheng/site"
    assert read_note(note, KEY).size == 3
    with pytest.raises(CheckpointError):
        read_note(note.replace("\n3\n", "\n4\n"), KEY)


def test_rows_that_were_drawn_from_the_log_hold(database, stored):
    stored.covered(MORNING, MORNING.replace(hour=3))
    stored.append_json(b'{"type":"unheard"}')
    take(database, stored, [stored.batch(stored.entries[250:])])
    assert list(check_projections(database)) == [LogVerified("kiosk-1", 252)]


ROWS = schema.attendance
CHANGES = {
    "outcome changed": (sa.update(ROWS).where(ROWS.c.sequence == 7).values(outcome="manual"), 7),
    "moved in time": (sa.update(ROWS).where(ROWS.c.sequence == 7).values(occurred_at=0), 7),
    "row gone": (sa.delete(ROWS).where(ROWS.c.sequence == 9), 9),
    "row put in": (sa.update(ROWS).where(ROWS.c.sequence == 250).values(sequence=900), 250),
    "flaw put in": (sa.update(ENTRIES).where(ENTRIES.c.sequence == 4).values(flaw="x"), 4),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_row_that_the_log_does_not_say_is_named(database, stored, name):
    statement, sequence = CHANGES[name]
    with database.writing() as connection:
        connection.execute(statement)
    (found,) = check_projections(database)
    assert isinstance(found, BadEntry)
    assert (found.sequence, found.fault) == (sequence, Fault.PROJECTION)


def test_a_row_beyond_the_log_is_named(database, stored):
    with database.writing() as connection:
        row = connection.execute(sa.select(ROWS).where(ROWS.c.sequence == 1)).mappings().one()
        connection.execute(sa.insert(ROWS).values({**row, "sequence": 900}))
    (found,) = check_projections(database)
    assert isinstance(found, BadEntry)
    assert (found.sequence, found.fault) == (900, Fault.PROJECTION)


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "c.sqlite"
    database = Database(stores.lay(f"sqlite:///{path}"))
    database.migrate()
    register(database, LogWriter())
    database.close()
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(StoreError, match="cannot be"):
        list(check_store(Database(f"sqlite:///{path}")))


def test_a_damaged_index_is_named(tmp_path):
    path = tmp_path / "c.sqlite"
    database = Database(stores.lay(f"sqlite:///{path}"))
    database.migrate()
    writer = register(database, LogWriter())
    writer.many(300)
    take(database, writer, writer.batches())
    database.check_structure()
    with database.reading() as connection:
        page = connection.exec_driver_sql(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'ix_attendance_occurred_at'"
        ).scalar_one()
    database.close()
    content = bytearray(path.read_bytes())
    content[page * PAGE_BYTES - 1200 : page * PAGE_BYTES] = b"\xff" * 1200
    path.write_bytes(content)
    damaged = Database(f"sqlite:///{path}")
    with pytest.raises(StoreError, match="damaged"):
        damaged.check_structure()
    damaged.close()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE device_keys SET public_pem = 'no key'",
        "UPDATE checkpoints SET heads = '[{'",
        "UPDATE checkpoints SET heads = '[[1]]'",
        "UPDATE checkpoints SET heads = CAST(x'fffe' AS TEXT)",
    ],
)
def test_a_damaged_value_is_named(tmp_path, sql):
    database = Database(stores.lay(f"sqlite:///{tmp_path / 'c.sqlite'}"))
    database.migrate()
    writer = register(database, LogWriter())
    writer.many(3)
    take(database, writer, writer.batches())
    take_checkpoint(database, "renzheng/test", KEY, tmp_path / "notes", utc_now())
    with database.writing() as connection:
        connection.exec_driver_sql(sql)
    with pytest.raises(StoreError, match="cannot be read"):
        (list(check_store(database)), check_checkpoints(database, KEY))
    database.close()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE alembic_version SET version_num = CAST(x'fffe' AS TEXT)",
        "UPDATE sqlite_schema SET name = CAST(x'fffe' AS TEXT) WHERE name = 'ix_attendance_occurred_at'",
        "UPDATE sqlite_schema SET sql = CAST(x'fffe' AS TEXT) WHERE name = 'attendance'",
        "UPDATE sqlite_schema SET name = CAST(x'61ff' AS TEXT) WHERE name = 'alembic_version'",
    ],
)
def test_a_damaged_schema_is_named(tmp_path, sql):
    path = tmp_path / "c.sqlite"
    database = Database(stores.lay(f"sqlite:///{path}"))
    database.migrate()
    database.close()
    damage = sqlite3.connect(path)
    damage.execute("PRAGMA writable_schema=ON")
    damage.execute(sql)
    damage.commit()
    damage.close()
    opened = Database(f"sqlite:///{path}")
    with pytest.raises(StoreError):
        (opened.migrate(), opened.check_structure())
    opened.close()
