"""The ingest over real stores: exactly once in, every refusal kept and named."""

import random

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from parts import stores
from parts.central import register
from parts.devices import MORNING, LogWriter, rotate
from psycopg.errors import ReadOnlySqlTransaction

from renzheng.central.errors import RegistrationError, StoreError
from renzheng.central.ingest import service
from renzheng.central.ingest.service import Ingest, Message
from renzheng.central.metrics import Metrics
from renzheng.central.store import devices, reading, refusals, schema
from renzheng.central.store.database import MIGRATIONS, Database
from renzheng.central.store.faults import StoreRefusesError, describe
from renzheng.central.store.times import to_us
from renzheng.central.verify.check import BadEntry, Fault, LogVerified
from renzheng.central.verify.store import check_store
from renzheng.contracts import keys, log
from renzheng.contracts.events import DeviceKeyRotated, KeyRotationData, device_source, utc_now
from renzheng.contracts.messages import Status, open_ack

CENTRAL_KEY = keys.generate_key()


@pytest.fixture
def ingest(database):
    return Ingest(database, CENTRAL_KEY, utc_now)


def messages(writer, batches=None):
    topic = f"renzheng/v1/s1/{writer.device_id}/up/log"
    return [Message(topic, batch) for batch in (writer.batches() if batches is None else batches)]


def acks(replies):
    return [open_ack(reply.payload, CENTRAL_KEY) for reply in replies]


def rows(database, table):
    with database.reading() as connection:
        return connection.execute(sa.select(table).order_by(*table.primary_key)).all()


def problems(database):
    with database.reading() as connection:
        return {row["problem"] for row in reading.alarms(connection)}


def test_the_migrations_make_the_schema(database):
    with database.engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), schema.metadata)
    assert differences == []


def test_a_store_of_a_newer_version_is_refused(database):
    with database.writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="9999"):
        database.migrate()


def test_a_store_of_this_version_is_opened_while_another_writes(database, database_url):
    second = Database(database_url)
    with database.writing() as connection:
        connection.execute(sa.text("UPDATE last_times SET at = 0"))
        second.migrate()
    second.close()
    newest = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    with database.reading() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars().all() == [
            newest
        ]


def test_entries_attendance_and_head_are_committed_together(database, ingest, writer):
    writer.many(150)
    found = acks(ingest.take(messages(writer)))
    assert [ack.upto for ack in found] == [150]  # one answer a device, which stands for the others too
    assert found[-1].head_hash == writer.head.hash
    kept = rows(database, schema.log_entries)
    assert [row.line for row in kept] == [entry.line for entry in writer.entries]
    assert [row.hash for row in kept] == [entry.hash for entry in writer.entries]
    assert len(rows(database, schema.attendance)) == 150
    assert rows(database, schema.devices)[0].head_hash == writer.head.hash


def test_duplicates_and_disorder_end_exactly_once(database, ingest, writer):
    writer.many(300)
    cut = [writer.batch(writer.entries[n : n + 20]) for n in range(0, 300, 20)] * 3
    random.Random(7).shuffle(cut)
    for _ in range(16):
        for n in range(0, len(cut), 5):
            ingest.take(messages(writer, cut[n : n + 5]))
    assert [row.sequence for row in rows(database, schema.log_entries)] == list(range(1, 301))
    assert len(rows(database, schema.attendance)) == 300


def test_a_duplicate_in_the_same_group_is_stored_once(database, ingest, writer):
    writer.many(30)
    twice = [writer.batch(writer.entries[:20]), writer.batch(writer.entries[10:]), writer.batch()]
    assert [ack.upto for ack in acks(ingest.take(messages(writer, twice)))] == [30]
    assert len(rows(database, schema.log_entries)) == 30


def test_a_gap_is_answered_and_its_alarm_closes_when_it_is_filled(database, ingest, writer):
    writer.many(30)
    late = messages(writer, [writer.batch(writer.entries[10:20])])
    assert [(ack.upto, ack.problem) for ack in acks(ingest.take(late))] == [(0, "gap")]
    with database.reading() as connection:
        assert reading.quarantined(connection)[0] == 1
        assert reading.alarms(connection)[0]["resolved_at"] is None
    ingest.take(messages(writer, [writer.batch(writer.entries[:10])]))
    ingest.take(late)
    with database.reading() as connection:
        assert reading.quarantined(connection)[0] == 0
        assert reading.alarms(connection)[0]["resolved_at"] is not None
    assert rows(database, schema.devices)[0].head_sequence == 20


def test_a_fork_is_kept_as_evidence_and_changes_nothing(database, ingest, writer):
    writer.many(10)
    ingest.take(messages(writer))
    other = LogWriter()
    other.key = writer.key
    other.many(12)
    answer = acks(ingest.take(messages(other)))[0]
    assert (answer.upto, answer.head_hash, answer.problem) == (10, writer.head.hash, "fork")
    assert problems(database) == {"fork"}
    assert rows(database, schema.quarantine)[0].payload == other.batch()
    assert [row.line for row in rows(database, schema.log_entries)] == [e.line for e in writer.entries]


def forged(writer):
    other = LogWriter(writer.device_id)
    other.many(2)
    return other.batch()


@pytest.mark.parametrize(
    (("make", "problem_and_answer")),
    [
        (lambda _: b"", ("signature", "signature")),
        (lambda _: b"\xff\x00.\x01.\x02", ("signature", "signature")),
        (forged, ("unknown_key", "unknown_key")),
        (lambda w: log.sign_batch("kiosk-9", [b"{}"], w.key), ("wrong_device", "signature")),
        (lambda w: log.sign_batch(w.device_id, [b"{}"], w.key), ("malformed", "malformed")),
        (lambda w: w.batch([w.entries[0], w.entries[2]]), ("altered", "altered")),
    ],
)
def test_what_does_not_verify_is_kept_named_and_answered(database, ingest, writer, make, problem_and_answer):
    problem, answer = problem_and_answer
    writer.many(3)
    payload = make(writer)
    answers = acks(ingest.take(messages(writer, [payload, payload])))
    assert [(ack.upto, ack.problem) for ack in answers] == [(0, answer)] * 2
    (kept,) = rows(database, schema.quarantine)
    assert (kept.problem, kept.payload, kept.times) == (problem, payload, 2)
    assert problems(database) == {problem}
    assert rows(database, schema.log_entries) == []


def test_an_unknown_device_gets_an_answer_too(database, ingest):
    stranger = LogWriter("stranger")
    stranger.many(1)
    (answer,) = acks(ingest.take(messages(stranger)))
    assert (answer.upto, answer.problem) == (0, "unknown_key")
    assert answer.head_hash == log.genesis("stranger").hash
    assert problems(database) == {"unknown_device"}
    (kept,) = rows(database, schema.quarantine)
    assert (kept.device_id, kept.detail) == (refusals.NOBODY, "stranger: The device is not registered.")


@pytest.mark.parametrize(
    "topic", ["renzheng/v1/s1/kiosk-1/down/ack", "elsewhere", "renzheng/v1/s1/a\0b/up/log"]
)
def test_a_topic_that_is_none_is_kept(database, ingest, writer, topic):
    assert ingest.take([Message(topic, b"x")]) == []
    assert rows(database, schema.quarantine)[0].payload == b"x"


def test_revocation_holds_from_the_next_message(database, ingest, writer):
    writer.many(20)
    ingest.take(messages(writer, [writer.batch(writer.entries[:10])]))
    with database.writing() as connection:
        devices.revoke(connection, writer.device_id, utc_now())
    (answer,) = acks(ingest.take(messages(writer, [writer.batch(writer.entries[10:])])))
    assert (answer.upto, answer.problem) == (10, "revoked")
    assert rows(database, schema.devices)[0].head_sequence == 10


def test_an_event_that_cannot_be_used_is_stored_and_flagged(database, ingest, writer):
    writer.sign_in()
    writer.append_json(b'{"type":"unheard","text":"\\u0000"}')
    writer.append_json(b'{"specversion":"1.0","huge":123456789012345678901234567890}')
    writer.sign_in("P\0X")
    writer.sign_in("P2")
    (answer,) = acks(ingest.take(messages(writer)))
    assert (answer.upto, answer.problem) == (5, None)
    assert [row.flaw is not None for row in rows(database, schema.log_entries)] == [
        False,
        True,
        True,
        True,
        False,
    ]
    assert [row.person_id for row in rows(database, schema.attendance)] == ["P1", "P2"]


def test_one_message_that_breaks_the_transaction_takes_no_other_with_it(
    database, ingest, writer, monkeypatch, caplog
):
    writer.many(20)
    good, bad = writer.batch(writer.entries[:10]), writer.batch(writer.entries[10:])
    write = service._write

    def break_on_eleven(connection, work):
        if any(row[1] == 11 for row in work.entries):
            raise RuntimeError("a fault of our own")
        write(connection, work)

    monkeypatch.setattr(service, "_write", break_on_eleven)
    answers = acks(ingest.take(messages(writer, [good, bad])))
    assert [(ack.upto, ack.problem) for ack in answers] == [(10, None), (10, "malformed")]
    assert rows(database, schema.quarantine)[0].payload == bad
    assert "RuntimeError" in caplog.text
    assert "break_on_eleven" in caplog.text, "the place is named, not what the error says"
    assert "a fault of our own" not in caplog.text


def of_two_devices(database):
    writers = [register(database, LogWriter(f"kiosk-{n}")) for n in (1, 2)]
    for one in writers:
        one.many(5)
    return writers, [messages(one)[0] for one in writers]


def test_a_store_that_refuses_blames_nobody_and_goes_on_by_itself(database, writer, monkeypatch, caplog):
    _, group = of_two_devices(database)
    ingest = Ingest(database, CENTRAL_KEY, utc_now, metrics := Metrics())
    refusing = [True]
    write = service._write

    def refuse(connection, work):
        if refusing[0]:
            raise sa.exc.InternalError("INSERT", {"person_id": "P0001"}, ReadOnlySqlTransaction("read-only"))
        write(connection, work)

    def no_probe(_now_us):
        if refusing[0]:
            raise StoreRefusesError("The store refuses to write.", probed=False)

    monkeypatch.setattr(service, "_write", refuse)
    monkeypatch.setattr(database, "probe", no_probe)
    for _ in range(3):
        with pytest.raises(StoreRefusesError):
            ingest.take(group)
    refusing[0] = False
    assert [(ack.upto, ack.problem) for ack in acks(ingest.take(group))] == [(5, None), (5, None)]
    assert rows(database, schema.quarantine) == []
    assert problems(database) == set()
    assert "P0001" not in caplog.text
    assert metrics.value("renzheng_ingest_store_faults_total") >= 3


def test_what_the_store_refuses_of_one_device_holds_no_other_up_and_is_not_malformed(
    database, writer, monkeypatch
):
    writers, group = of_two_devices(database)
    ingest = Ingest(database, CENTRAL_KEY, utc_now, metrics := Metrics())
    write = service._write

    def damaged_for_one(connection, work):
        if any(row[0] == "kiosk-1" for row in work.entries):
            raise sa.exc.DatabaseError("INSERT", {}, Exception("database disk image is malformed"))
        write(connection, work)

    monkeypatch.setattr(service, "_write", damaged_for_one)
    assert [(ack.device_id, ack.upto) for ack in acks(ingest.take(group))] == [("kiosk-2", 5)]
    assert rows(database, schema.quarantine) == []
    assert problems(database) == set()
    assert metrics.value("renzheng_ingest_unanswered_total") == 1
    with pytest.raises(StoreRefusesError) as refused:
        ingest.take(group[:1])
    assert refused.value.attributes["probed"] is True
    assert list(ingest.refused()) == ["kiosk-1"]
    first = writers[0]
    first.many(5)
    assert ingest.take(messages(first, [first.batch(first.entries[5:])])) == [], "it did send what is missing"
    assert problems(database) == set()
    monkeypatch.setattr(service, "_write", write)
    assert [ack.upto for ack in acks(ingest.take(messages(first)))] == [10]
    assert ingest.refused() == {}


def test_a_page_of_the_file_that_is_damaged_is_the_stores_fault(tmp_path, caplog):
    path = tmp_path / "central.sqlite"
    database = Database(stores.lay(f"sqlite:///{path}"))
    database.migrate()
    writer = register(database, LogWriter())
    writer.many(300)
    group = messages(writer)
    Ingest(database, CENTRAL_KEY, utc_now).take(group[:2])
    with database.engine.connect() as connection:
        find = "SELECT rootpage FROM sqlite_master WHERE name = 'log_entries'"
        root = connection.exec_driver_sql(find).scalar_one()
        size = connection.exec_driver_sql("PRAGMA page_size").scalar_one()
    database.close()
    with path.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(bytes(range(200)))
    database = Database(f"sqlite:///{path}")
    with pytest.raises(StoreRefusesError):
        Ingest(database, CENTRAL_KEY, utc_now).take(group[2:])
    assert rows(database, schema.quarantine) == []
    assert problems(database) == set()
    assert "person" not in caplog.text
    assert "P1" not in caplog.text
    database.close()


def test_a_statement_that_fails_names_nobody(database, writer):
    with pytest.raises(sa.exc.SQLAlchemyError) as raised, database.writing() as connection:
        connection.execute(sa.text("INSERT INTO persons (person_id) VALUES (:who)"), {"who": "P0001"})
    assert "P0001" not in describe(raised.value)
    assert "P0001" not in str(raised.value).split("[SQL")[1]


def test_a_retained_status_does_not_make_a_dead_device_look_alive(database, ingest, writer):
    values = {"state": "online", "sequence": 9, "acknowledged": 9, "software": "renzheng 0.1.0"}
    topic = "renzheng/v1/s1/kiosk-1/up/status"
    said = Status(device_id="kiosk-1", at=MORNING, status_seconds=2, halted="fork", **values).to_json()

    def seen():
        with database.reading() as connection:
            (device,) = reading.devices(connection)
            return device

    ingest.take([Message(topic, said, retained=True)])
    assert seen()["status_received_at"] == to_us(MORNING), "it counts from when the device said it"
    assert (seen()["status_seconds"], seen()["halted"]) == (2, "fork")
    ingest.take([Message(topic, said)])
    live = seen()["status_received_at"]
    assert live > to_us(MORNING)
    gone = Status(device_id="kiosk-1", at=MORNING, **{**values, "state": "offline"}).to_json()
    ingest.take([Message(topic, gone, retained=True)])
    assert (seen()["status_received_at"], seen()["state"]) == (live, "offline")


def test_status_is_kept_and_one_of_another_device_is_not(database, ingest, writer):
    values = {"state": "online", "sequence": 9, "acknowledged": 4, "software": "renzheng 0.1.0"}
    said = Status(device_id="kiosk-1", at=MORNING, waiting_since=MORNING, **values)
    topic = "renzheng/v1/s1/kiosk-1/up/status"
    forged_status = Status(device_id="kiosk-9", at=MORNING, **values)
    huge = Status(device_id="kiosk-1", at=MORNING, **{**values, "sequence": 2**70})
    for one in (said, said):
        (answer,) = acks(ingest.take([Message(topic, one.to_json())]))
        assert (answer.version, answer.upto, answer.problem) == (1, 0, None)
    for one in (forged_status, huge, said.model_copy(update={"state": "offline"})):
        assert ingest.take([Message(topic, one.to_json())]) == []
    assert ingest.take([Message(topic, b"{")]) == []
    with database.reading() as connection:
        (device,) = reading.devices(connection)
        assert (device["said_sequence"], device["state"]) == (9, "offline")
        assert reading.incomplete_devices(connection, 2**62)[0]["waiting"] == 9
    assert problems(database) == {"wrong_device", "malformed"}


def test_many_devices_in_one_group(database, ingest):
    writers = [register(database, LogWriter(f"kiosk-{n}", f"H{n % 3}")) for n in range(12)]
    group = []
    for one in writers:
        one.many(25)
        group += messages(one)
    found = acks(ingest.take(group))
    assert {(ack.device_id, ack.upto) for ack in found} == {(one.device_id, 25) for one in writers}
    assert len(rows(database, schema.log_entries)) == 300


def test_the_metrics_count(database, writer):
    metrics = Metrics()
    writer.many(5)
    Ingest(database, CENTRAL_KEY, utc_now, metrics).take([*messages(writer), Message("nowhere", b"")])
    assert metrics.value("renzheng_ingest_entries_total") == 5
    assert metrics.value("renzheng_ingest_messages_total", ending="stored") == 1
    assert metrics.value("renzheng_ingest_messages_total", ending="malformed") == 1


def test_registering_twice_changes_nothing_and_a_taken_id_is_refused(database, writer):
    register(database, writer)
    assert len(rows(database, schema.device_keys)) == 1
    with pytest.raises(RegistrationError, match="stands at"):
        register(database, LogWriter("kiosk-1", "H2"))
    thief = LogWriter("kiosk-2")
    thief.key = writer.key
    with pytest.raises(RegistrationError, match="cannot become"):
        register(database, thief)


def test_a_server_that_is_not_there_is_named():
    with pytest.raises(StoreError, match="cannot be opened"):
        Database("postgresql://nobody@127.0.0.1:9/none").migrate()


def test_what_is_remembered_of_a_device_neither_takes_nor_refuses(database, ingest, writer):
    """Central revokes a device, or learns of a key, while the ingest remembers what it was."""
    topic = "renzheng/v1/1/kiosk-1/up/status"
    said = Status(device_id="kiosk-1", state="online", sequence=5, acknowledged=0, software="1", at=utc_now())
    writer.many(5)
    assert [ack.upto for ack in acks(ingest.take(messages(writer)))] == [5]
    writer.key = keys.generate_key()
    writer.many(5)
    with database.writing() as connection:
        devices.replace_key(connection, "kiosk-1", writer.key, utc_now())
    assert [
        ack.problem for ack in acks(ingest.take(messages(writer, [writer.batch(writer.entries[5:])])))
    ] == [None]
    with database.writing() as connection:
        devices.revoke(connection, "kiosk-1", utc_now())
    writer.many(5)
    answers = acks(ingest.take(messages(writer, [writer.batch(writer.entries[10:])])))
    assert [(ack.upto, ack.problem) for ack in answers] == [(10, "revoked")]
    assert ingest.take([Message(topic, said.to_json())]) == []
    assert problems(database) == {"revoked"}


@pytest.mark.parametrize("together", [True, False])
def test_a_device_changes_its_key(database, ingest, writer, together):
    writer.many(5)
    old, new = rotate(writer)
    first = writer.batch()
    writer.key = new
    writer.many(5)
    second = writer.batch(writer.entries[6:])
    groups = [[first, second]] if together else [[first], [second]]
    answers = [ack for group in groups for ack in acks(ingest.take(messages(writer, group)))]
    assert [(ack.upto, ack.problem) for ack in answers] == [(6, None), (11, None)][-len(groups) :]
    assert [ack.problem for ack in acks(ingest.take(messages(writer, [first])))] == [None]
    assert list(check_store(database)) == [LogVerified("kiosk-1", 11)]
    writer.key = old
    writer.many(1)
    (answer,) = acks(ingest.take(messages(writer, [writer.batch(writer.entries[11:])])))
    assert (answer.upto, answer.problem) == (11, "revoked")
    assert problems(database) == {"revoked"}


def test_an_old_key_does_not_sign_on_in_the_same_batch(database, ingest, writer):
    writer.many(2)
    rotate(writer)
    writer.many(2)
    (answer,) = acks(ingest.take(messages(writer)))
    assert (answer.upto, answer.problem) == (0, "revoked")


def test_a_rotation_that_only_one_key_signed_is_refused(database, ingest, writer):
    thief = LogWriter()
    thief.key = writer.key
    thief.many(1)
    signed = log.sign_rotation("kiosk-1", log.Head(5, "0" * 64), thief.key, keys.generate_key())
    clock = {"trusted": True, "boot_id": "b", "monotonic_ms": 1}
    data = KeyRotationData(
        institution_id="H1", clock=clock, **{n: getattr(signed, n) for n in signed.__slots__}
    )
    thief.append_json(DeviceKeyRotated(source=device_source("kiosk-1"), time=MORNING, data=data).to_json())
    (answer,) = acks(ingest.take(messages(thief)))
    assert (answer.upto, answer.problem) == (0, "signature")


def test_a_key_slipped_into_the_store_is_found(database, ingest, writer):
    writer.many(4)
    ingest.take(messages(writer))
    thief = LogWriter()
    thief.entries = [*writer.entries]
    with database.writing() as connection:
        devices.add_key(connection, "kiosk-1", thief.public_key, utc_now(), from_sequence=5)
        table = schema.device_keys
        slipped = sa.update(table).where(table.c.key_id == keys.key_id(thief.key))
        connection.execute(slipped.values(rotated_from=keys.key_id(writer.key)))
    thief.many(3)
    ingest.take(messages(thief, [thief.batch(thief.entries[4:])]))
    (found,) = check_store(database)
    assert isinstance(found, BadEntry)
    assert (found.sequence, found.fault) == (5, Fault.FOREIGN_KEY)


def test_what_one_device_can_put_into_quarantine_is_bounded(database, ingest, writer, monkeypatch):
    monkeypatch.setattr(refusals, "MOST_KEPT", 10)
    payloads = [b"nonsense %d" % number for number in range(40)]
    for start in (0, 7, 20):
        ingest.take(messages(writer, payloads[start : start + 20]))
    stranger = Message("renzheng/v1/s1/kiosk-2/up/log", b"other")
    ingest.take([stranger])
    kept = [row for row in rows(database, schema.quarantine) if row.device_id == "kiosk-1"]
    assert sum(row.times for row in kept) == 60
    assert len(kept) == 11
    assert [row.payload for row in kept if row.sha256 != refusals.OVERFLOW] == payloads[:10]
    with database.reading() as connection:
        alarms = {row["device_id"]: row["times"] for row in reading.alarms(connection)}
    assert alarms == {"kiosk-1": 60, refusals.NOBODY: 1}
    with database.writing() as connection:  # long ago: one is closed, one is not
        of_one = schema.alarms.c.device_id == "kiosk-1"
        connection.execute(sa.update(schema.alarms).where(of_one).values(resolved_at=1, problem="gap"))
        assert refusals.forget(connection, 2) == 1
    assert [row.device_id for row in rows(database, schema.alarms)] == [refusals.NOBODY]
