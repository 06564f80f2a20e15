"""Tampering on the wire, in central's store and on the device: each kind, and the name that it gets."""

import hashlib
import shutil
import sqlite3
from datetime import UTC, datetime

import orjson
import pytest
import sqlalchemy as sa
from faults import quiet
from faults.parties import sign_in
from faults.rig import Rig, eventually
from parts.central import register
from parts.devices import LogWriter

from renzheng.central.ingest.service import Ingest, Message
from renzheng.central.store import devices, reading, schema
from renzheng.central.store.database import Database
from renzheng.central.verify.check import BadEntry, LogVerified
from renzheng.central.verify.checkpoint import CheckpointError
from renzheng.central.verify.projections import check_projections
from renzheng.central.verify.publish import check_checkpoints, check_kept_note, take_checkpoint
from renzheng.central.verify.store import check_store
from renzheng.contracts import keys, log
from renzheng.contracts.events import (
    Clock,
    DeviceKeyRotated,
    KeyRotationData,
    device_source,
    utc_now,
)
from renzheng.contracts.messages import open_ack
from renzheng.edge.device.clock import SteppedClock
from renzheng.edge.device.keyring import Keyring
from renzheng.edge.device.log import DeviceLog
from renzheng.edge.device.store import heartbeat
from renzheng.edge.device.store.database import Store

KEY = keys.generate_key()
ENTRIES, BATCHES, DEVICES = schema.log_entries, schema.log_batches, schema.devices


@pytest.fixture
def honest(database):
    """A device of thirty entries, of which central has the first twenty; and one that stands beside it."""
    writer = register(database, LogWriter())
    writer.many(30)
    for batch in (writer.entries[:12], writer.entries[12:20]):
        send(database, "kiosk-1", writer.batch(batch))
    beside = register(database, LogWriter("kiosk-2"))
    beside.many(5)
    return writer


def send(database, device_id, batch):
    """Put one batch on a device's topic; the problem that it is answered with."""
    message = Message(f"renzheng/v1/s1/{device_id}/up/log", batch)
    (reply,) = Ingest(database, KEY, utc_now).take([message])
    return open_ack(reply.payload, KEY).problem


def rotate(writer):
    """Change the writer's key by an entry, and return the old key."""
    old, new = writer.key, keys.generate_key()
    signed = log.sign_rotation(writer.device_id, writer.head, old, new)
    data = KeyRotationData(
        institution_id=writer.institution_id,
        clock=Clock(trusted=True, boot_id="boot", monotonic_ms=1),
        new_key=signed.new_key,
        signed_by_old=signed.signed_by_old,
        signed_by_new=signed.signed_by_new,
    )
    event = DeviceKeyRotated(source=device_source(writer.device_id), time=utc_now(), data=data)
    writer.append_json(event.to_json())
    return old, new


def another_history(writer, upto):
    """The same device, the same key, and other entries after `upto`."""
    other = LogWriter(writer.device_id)
    other.key, other.entries = writer.key, list(writer.entries[:upto])
    other.many(30 - upto, people=3)
    return other


def altered_under_its_signature(_, writer):
    head, payload, signature = writer.batch(writer.entries[20:]).split(b".")
    changed = keys.decode(payload).replace(b'"match"', b'"manual"', 1)
    return "kiosk-1", b".".join((head, keys.encode(changed), signature))


def altered_and_signed_again(_, writer):
    lines = [entry.line for entry in writer.entries[20:]]
    lines[3] = lines[3].replace(b'"match"', b'"manual"')
    return "kiosk-1", log.sign_batch("kiosk-1", lines, writer.key)


def deleted_within_a_batch(_, writer):
    return "kiosk-1", writer.batch([*writer.entries[20:24], *writer.entries[25:]])


def deleted_between_batches(_, writer):
    return "kiosk-1", writer.batch(writer.entries[21:])


def reordered(_, writer):
    later = writer.entries[20:]
    return "kiosk-1", writer.batch([later[1], later[0], *later[2:]])


def forked_before_the_head(_, writer):
    return "kiosk-1", another_history(writer, 10).batch()


def forked_behind_the_head(_, writer):
    other = another_history(writer, 10)
    return "kiosk-1", other.batch(other.entries[20:])


def replayed_on_another_topic(_, writer):
    return "kiosk-2", writer.batch(writer.entries[:5])


def replayed_under_another_signature(database, writer):
    thief = LogWriter("kiosk-2")
    with database.writing() as connection:
        devices.add_key(connection, "kiosk-2", thief.public_key, utc_now())
    return "kiosk-2", log.sign_batch("kiosk-2", [entry.line for entry in writer.entries[:5]], thief.key)


def signed_by_a_stranger(_, writer):
    return "kiosk-1", log.sign_batch("kiosk-1", [entry.line for entry in writer.entries[20:]], KEY)


def signed_by_the_key_before_the_rotation(database, writer):
    old, new = rotate(writer)
    assert send(database, "kiosk-1", writer.batch(writer.entries[20:])) is None
    writer.many(3)
    stolen = log.sign_batch("kiosk-1", [entry.line for entry in writer.entries[31:]], old)
    writer.key = new
    return "kiosk-1", stolen


def signed_on_past_the_rotation(_, writer):
    rotate(writer)
    writer.many(3)
    return "kiosk-1", writer.batch(writer.entries[20:])


def a_rotation_that_only_the_new_key_signed(_, writer):
    old, new = rotate(writer)
    entry = writer.entries.pop()
    event = entry.event
    event["data"]["signed_by_old"] = event["data"]["signed_by_new"]
    writer.append_json(orjson.dumps(event))
    assert (writer.key, new) == (old, new)
    return "kiosk-1", writer.batch(writer.entries[20:])


def signed_by_a_revoked_key(database, writer):
    with database.writing() as connection:
        devices.revoke(connection, "kiosk-1", utc_now())
    return "kiosk-1", writer.batch(writer.entries[20:])


ON_THE_WIRE = {
    altered_under_its_signature: "signature",
    altered_and_signed_again: "altered",
    deleted_within_a_batch: "altered",
    deleted_between_batches: "gap",
    reordered: "altered",
    forked_before_the_head: "fork",
    forked_behind_the_head: "fork",
    replayed_on_another_topic: "wrong_device",
    replayed_under_another_signature: "fork",
    signed_by_a_stranger: "unknown_key",
    signed_by_the_key_before_the_rotation: "revoked",
    signed_on_past_the_rotation: "revoked",
    a_rotation_that_only_the_new_key_signed: "signature",
    signed_by_a_revoked_key: "revoked",
}


@pytest.mark.parametrize("tamper", ON_THE_WIRE, ids=lambda tamper: tamper.__name__)
def test_tampering_on_the_wire_is_an_alarm(database, honest, tamper, counts):
    device_id, batch = tamper(database, honest)
    before = held(database)
    answer = send(database, device_id, batch)
    assert answer is not None
    assert held(database) == before
    with database.reading() as connection:
        (alarm,) = [row for row in reading.alarms(connection) if row["device_id"] == device_id]
        kept = connection.execute(sa.select(schema.quarantine.c.payload)).scalars().all()
    assert alarm["problem"] == ON_THE_WIRE[tamper]
    assert kept == [batch]
    assert all(isinstance(one, LogVerified) for one in check_store(database))
    counts.tamper(f"wire: {tamper.__name__}", alarm["problem"])


def held(database):
    with database.reading() as connection:
        return connection.execute(sa.select(ENTRIES.c.device_id, ENTRIES.c.hash)).all()


def at(sequence, device_id="kiosk-1"):
    return (ENTRIES.c.device_id == device_id) & (ENTRIES.c.sequence == sequence)


def change(connection, where, **values):
    connection.execute(sa.update(ENTRIES).where(where).values(**values))


def alter_rows(connection, *, rehash):
    line = bytes(connection.execute(sa.select(ENTRIES.c.line).where(at(7))).scalar_one())
    changed = line.replace(b'"match"', b'"manual"')
    more = {"hash": hashlib.sha256(changed).hexdigest()} if rehash else {}
    change(connection, at(7), line=changed, **more)


def swap_rows(connection):
    for old, new in ((7, 999), (8, 7), (999, 8)):
        change(connection, at(old), sequence=new)


def copy_rows_under_another_device(connection):
    columns = [column for column in ENTRIES.c if column.name != "device_id"]
    chosen = sa.select(sa.literal("kiosk-2"), *columns).where(ENTRIES.c.device_id == "kiosk-1")
    connection.execute(sa.insert(ENTRIES).from_select(["device_id", *columns], chosen))
    head = connection.execute(
        sa.select(DEVICES.c.head_sequence, DEVICES.c.head_hash).where(DEVICES.c.device_id == "kiosk-1")
    ).one()
    moved = sa.update(DEVICES).where(DEVICES.c.device_id == "kiosk-2")
    connection.execute(moved.values(head_sequence=head[0], head_hash=head[1]))


def cut_the_tail(connection):
    connection.execute(sa.delete(ENTRIES).where(ENTRIES.c.sequence > 12))
    connection.execute(sa.delete(BATCHES).where(BATCHES.c.first_sequence > 12))


def cut_the_last_entry(connection):
    connection.execute(sa.delete(ENTRIES).where(at(20)))


def drop_the_signatures(connection):
    connection.execute(sa.delete(BATCHES))


IN_CENTRALS_STORE = {
    "delete": (lambda c: c.execute(sa.delete(ENTRIES).where(at(7))), "missing"),
    "alter": (lambda c: alter_rows(c, rehash=False), "altered"),
    "alter and hash again": (lambda c: alter_rows(c, rehash=True), "forked"),
    "reorder": (swap_rows, "reordered"),
    "replay under another device": (copy_rows_under_another_device, "forked"),
    "cut the tail": (cut_the_tail, "truncated"),
    "cut the last entry": (cut_the_last_entry, "unsigned"),
    "drop the signatures": (drop_the_signatures, "unsigned"),
}


@pytest.mark.parametrize("name", IN_CENTRALS_STORE)
def test_tampering_in_centrals_store_is_named_by_log_verify(database, honest, name, counts):
    tamper, fault = IN_CENTRALS_STORE[name]
    with database.writing() as connection:
        tamper(connection)
    (bad,) = [one for one in check_store(database) if isinstance(one, BadEntry)]
    assert bad.fault == fault
    counts.tamper(f"central's store: {name}", f"log verify: {bad.fault}")


def test_a_central_rolled_back_is_shown_by_the_note_that_an_outsider_kept(database, honest, tmp_path, counts):
    old = tmp_path / "old.sqlite"
    with sqlite3.connect(tmp_path / "central.sqlite") as now, sqlite3.connect(old) as copy:
        now.backup(copy)
    now.close()
    copy.close()
    send(database, "kiosk-1", honest.batch(honest.entries[20:]))
    _, path = take_checkpoint(database, "renzheng/test", KEY, tmp_path / "notes", utc_now())
    kept = path.read_text(encoding="utf-8")
    assert check_kept_note(database, kept, KEY).size == 1
    rolled_back = Database(f"sqlite:///{old}")
    assert [one for one in check_store(rolled_back) if isinstance(one, BadEntry)] == []
    assert check_checkpoints(rolled_back, KEY) == 0
    with pytest.raises(CheckpointError, match="does not grow out"):
        check_kept_note(rolled_back, kept, KEY)
    rolled_back.close()
    counts.tamper("central rolled back, a note kept outside", "log verify --note: does not grow out of it")


ALTER = """UPDATE entries SET line = CAST(replace(CAST(line AS TEXT), '"match"', '"manual"') AS BLOB)
WHERE sequence = 4"""
ON_THE_DEVICE = {
    "delete": (["DELETE FROM entries WHERE sequence = 4"], "gap"),
    "alter": ([ALTER], "altered"),
    "reorder": (
        [
            "UPDATE entries SET sequence = 99 WHERE sequence = 4",
            "UPDATE entries SET sequence = 4 WHERE sequence = 5",
            "UPDATE entries SET sequence = 5 WHERE sequence = 99",
        ],
        "gap",
    ),
}


@pytest.mark.parametrize("name", ON_THE_DEVICE)
def test_tampering_on_the_device_is_named_by_its_own_verify(tmp_path, name, counts):
    statements, problem = ON_THE_DEVICE[name]
    path = tmp_path / "device.sqlite"
    written = DeviceLog(Store(path), "kiosk-1")
    writer = LogWriter()
    for entry in writer.many(9):
        with written.store.writing() as database:
            database.execute("INSERT INTO entries VALUES (?, ?, ?)", (entry.sequence, entry.line, entry.hash))
    assert written.verify() == writer.head
    with written.store.writing() as database:
        for statement in statements:
            database.execute(statement)
    with pytest.raises(log.BrokenChainError) as caught:
        written.verify()
    written.store.close()
    assert caught.value.problem == problem
    counts.tamper(f"device's store: {name}", f"device log verify: {caught.value.problem}")


def device_alarms(agent):
    store = Store(agent.orders.folder / "device.sqlite")
    try:
        return {alarm["kind"] for alarm in heartbeat.alarms(store)}
    finally:
        store.close()


def alarms_of(rig):
    with rig.database.reading() as connection:
        return {row["problem"] for row in reading.alarms(connection)}


@pytest.fixture
def rig(tmp_path, broker):
    with Rig(tmp_path, broker, device_ids=["kiosk-1"]) as made:
        assert made.grows()
        yield made


def backed_up(path):
    """A whole copy of an SQLite file, as a backup tool takes it."""
    copy = path.with_suffix(".old")
    source, target = sqlite3.connect(path), sqlite3.connect(copy)
    with target:
        source.backup(target)
    source.close()
    target.close()
    return copy


def put_back(copy, path):
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        (path.parent / name).unlink(missing_ok=True)
    shutil.copy(copy, path)


@pytest.mark.mosquitto
@pytest.mark.parametrize("writes_on", [False, True], ids=["idle", "writes on"])
def test_a_device_rolled_back_to_an_older_copy_is_an_alarm(rig, writes_on, counts):
    (agent,) = rig.agents
    path = agent.orders.folder / "device.sqlite"
    copy = backed_up(path)
    assert rig.grows()
    assert rig.drain()
    agent.kill()
    put_back(copy, path)
    if writes_on:  # further than central has got, so that it is not merely behind
        store = Store(path)
        rolled = DeviceLog(store, "kiosk-1")
        other = LogWriter()
        while rolled.head().sequence <= rig.heads()["kiosk-1"] + 5:
            number = rolled.head().sequence + 1
            with store.writing() as database:
                entry = log.append(rolled.head(), orjson.dumps(other.sign_in(f"Q{number}").event))
                database.execute("INSERT INTO entries VALUES (?, ?, ?)", (number, entry.line, entry.hash))
        store.close()
    before = rig.heads()
    agent.start()
    assert eventually(lambda: device_alarms(agent) != set(), 60)
    (alarm,) = device_alarms(agent)
    assert alarm.split(":")[0] == ("fork" if writes_on else "ahead")
    assert rig.heads() == before
    wanted = {"fork"} if writes_on else set()
    assert eventually(lambda: alarms_of(rig) - {"gap"} == wanted, 60)
    seen = alarms_of(rig) - {"gap"}
    name = "writes on" if writes_on else "idle"
    counts.tamper(f"device rolled back, {name}", f"device: {alarm}; central: {', '.join(seen) or 'none'}")


@pytest.mark.mosquitto
@pytest.mark.parametrize("pruned", [False, True], ids=["kept", "pruned"])
def test_a_central_rolled_back_under_a_device(rig, pruned, counts):
    (agent,) = rig.agents
    path = rig.folder / "central.sqlite"
    copy = backed_up(path)
    assert rig.grows()
    assert rig.drain()
    for party in (agent, rig.ingest):
        party.kill()
    rig.database.close()
    put_back(copy, path)
    store = Store(agent.orders.folder / "device.sqlite")
    device = DeviceLog(store, "kiosk-1")
    if pruned:
        assert device.prune(utc_now()) == 0
        assert device.prune(utc_now(), unsafe=True) > 0
    store.close()
    quiet.lift(agent.orders.notes)
    rig.ingest.start()
    agent.start()
    if pruned:
        assert rig.grows()
        assert rig.drain()
        assert {one.partition(":")[0] for one in device_alarms(agent)} == {"forgotten"}
        assert alarms_of(rig) - {"gap"} == {"lost_at_central"}
        assert all(isinstance(one, LogVerified) for one in check_store(rig.database))
        counts.tamper("central rolled back, device has pruned", "device: forgotten; central: lost_at_central")
    else:
        assert rig.grows()
        assert rig.drain()
        rig.account().check()
        counts.tamper(
            "central rolled back, device has kept all", "none: the device sends it again, nothing is lost"
        )


def test_every_key_of_a_device_that_rotates_proves_its_own_entries(tmp_path):
    store = Store(tmp_path / "device.sqlite")
    written = DeviceLog(store, "kiosk-1")
    ring = Keyring(store, tmp_path)
    stranger = keys.load_public_key(keys.public_pem(keys.generate_key()))
    first = ring.key_at(0)
    ring.rotate(written, institution_id="H1", clock=SteppedClock(datetime(2026, 3, 2, tzinfo=UTC)))
    assert written.verify(first).sequence == 1
    with pytest.raises(keys.SignatureError):
        written.verify(stranger)
    store.close()


def test_tampering_with_what_the_audit_reads_is_named(database, honest, counts):
    table = schema.attendance
    with database.writing() as connection:
        connection.execute(sa.update(table).where(table.c.sequence == 7).values(outcome="manual"))
    assert all(isinstance(one, LogVerified) for one in check_store(database))
    (bad,) = [one for one in check_projections(database) if isinstance(one, BadEntry)]
    assert (bad.sequence, bad.fault) == (7, "projection")
    counts.tamper("central's store: a row that the audit reads", f"log verify --thorough: {bad.fault}")


@pytest.mark.mosquitto
def test_an_acknowledged_number_beyond_the_log_holds_nothing_back(rig):
    (agent,) = rig.agents
    agent.kill()
    store = Store(agent.orders.folder / "device.sqlite")
    with store.writing() as database:
        database.execute("UPDATE log_state SET acknowledged = acknowledged + 16384")
    store.close()
    agent.start()
    assert rig.grows(within_seconds=60)


def test_an_acknowledged_number_beyond_the_log_prunes_nothing(tmp_path):
    store = Store(tmp_path / "device.sqlite")
    written = DeviceLog(store, "kiosk-1")
    for entry in LogWriter().many(9):
        with store.writing() as database:
            database.execute("INSERT INTO entries VALUES (?, ?, ?)", (entry.sequence, entry.line, entry.hash))
    written.acknowledge(16_384, safe=16_384)
    pruned = written.prune(utc_now(), unsafe=True)
    store.close()
    assert pruned == 0


def test_the_last_entry_altered_on_the_device_is_named(tmp_path):
    written = DeviceLog(Store(tmp_path / "device.sqlite"), "kiosk-1")
    clock = SteppedClock(datetime(2026, 3, 2, tzinfo=UTC))
    for number in range(1, 10):
        written.append(sign_in("kiosk-1", number, clock.read()))
    with written.store.writing() as database:
        database.execute(ALTER.replace("= 4", "= 9"))
    try:
        with pytest.raises(log.LogError):
            written.verify()
    finally:
        written.store.close()
