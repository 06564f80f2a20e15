"""Which central speaks: places of its words, epochs, and what is lost for good when it was set back."""

import pytest
import sqlalchemy as sa
from parts.central import register
from parts.devices import MORNING, LogWriter

from renzheng.central.errors import SiteError
from renzheng.central.ingest.service import Ingest, Message
from renzheng.central.main import make_signing_key
from renzheng.central.site import succession
from renzheng.central.store import schema
from renzheng.central.store.identity import FormerKeys
from renzheng.central.verify.check import BadEntry, Fault, LogVerified
from renzheng.central.verify.store import check_store
from renzheng.contracts import keys, log
from renzheng.contracts.events import utc_now
from renzheng.contracts.messages import (
    Moved,
    Resume,
    Status,
    open_ack,
    open_central_key,
    open_moved,
    sign_ack,
    sign_resume,
)

KEY = keys.generate_key()
UP = "renzheng/v1/s1/kiosk-1/up/"


@pytest.fixture
def writer(database):
    return register(database, LogWriter())


class Central:
    """A central as one device hears it."""

    def __init__(self, database):
        self.ingest = Ingest(database, KEY, utc_now)

    def take(self, writer, first, last, *, ack_version=2):
        lines = [entry.line for entry in writer.entries[first - 1 : last]]
        batch = log.sign_batch(writer.device_id, lines, writer.key, ack_version=ack_version)
        return self.answer("log", batch)

    def hear(self, **said):
        values = {"version": 2, "state": "online", "sequence": 0, "acknowledged": 0, "software": "x"}
        status = Status(**{**values, "device_id": "kiosk-1", "at": MORNING, **said})
        return self.answer("status", status.to_json())

    def answer(self, channel, payload):
        (reply,) = self.ingest.take([Message(UP + channel, payload)])
        return open_ack(reply.payload, KEY), reply.payload.decode()


def cut_back(database, writer, sequence, *, run=0):
    """Make the store what an older copy of it would be."""
    head = log.genesis("kiosk-1").hash if sequence == 0 else writer.entries[sequence - 1].hash
    with database.writing() as connection:
        for table, column in (
            (schema.log_entries, schema.log_entries.c.sequence),
            (schema.log_batches, schema.log_batches.c.last_sequence),
            (schema.attendance, schema.attendance.c.sequence),
        ):
            connection.execute(sa.delete(table).where(column > sequence))
        connection.execute(sa.update(schema.devices).values(head_sequence=sequence, head_hash=head))
        connection.execute(sa.update(schema.central_identity).values(run=run))


def rows(database, table):
    with database.reading() as connection:
        return connection.execute(sa.select(table)).all()


def test_words_have_places_that_only_grow_and_old_devices_get_words_without(database, writer):
    writer.many(40)
    first, second = Central(database), Central(database)
    one, _ = first.take(writer, 1, 10)
    two, _ = first.take(writer, 11, 20)
    three, _ = second.take(writer, 21, 30)
    four, _ = second.take(writer, 31, 40, ack_version=1)
    assert (four.version, four.place) == (1, None)
    assert len({one.place.store_id, two.place.store_id, three.place.store_id}) == 1
    assert [word.place.epoch for word in (one, two, three)] == [1, 1, 1]
    assert one.place.counter < two.place.counter < three.place.counter
    assert (three.safe_upto, three.at is not None) == (0, True)


def test_a_word_that_tells_of_more_begins_an_epoch_once_and_a_forged_one_does_not(database, writer):
    writer.many(20)
    _, early = Central(database).take(writer, 1, 10)
    _, late = Central(database).take(writer, 11, 20)
    stranger = keys.generate_key()
    cut_back(database, writer, 10)
    central = Central(database)
    forged = sign_ack(open_ack(late.encode(), KEY), stranger).decode()
    assert central.hear(word=forged)[0].place.epoch == 1
    assert central.hear(word=early)[0].place.epoch == 1
    word, _ = central.hear(word=late)
    assert (word.place.epoch, word.upto) == (2, 10)
    assert central.hear(word=late)[0].place.epoch == 2
    assert Central(database).hear(word=late)[0].place.epoch == 2
    assert [(row.epoch, row.reason) for row in rows(database, schema.epochs)] == [(2, "set_back")]


def test_a_word_of_a_run_that_the_store_forgot_begins_an_epoch_though_nothing_is_missing(database, writer):
    writer.many(10)
    central = Central(database)
    central.take(writer, 1, 10)
    for _ in range(3):
        _, word = central.hear()
    cut_back(database, writer, 10)
    assert Central(database).hear(word=word)[0].place.epoch == 2


def resume(writer, base, key=None, digest=None):
    base_hash = digest or writer.entries[base - 1].hash
    return sign_resume(Resume(device_id="kiosk-1", base=base, base_hash=base_hash), key or writer.key)


def test_what_nobody_has_any_more_is_evidence_and_the_log_goes_on(database, writer):
    writer.many(40)
    central = Central(database)
    central.take(writer, 1, 10)
    _, word = central.take(writer, 11, 30)
    cut_back(database, writer, 10)
    central = Central(database)
    stranger = keys.generate_key()
    for refused in (
        {"resume": resume(writer, 25)},  # without central's word that it had them
        {"resume": resume(writer, 25, stranger), "word": word},
        {"resume": resume(writer, 35), "word": word},  # more than central ever had
        {"resume": resume(writer, 30, digest="0" * 64), "word": word},
    ):
        assert central.hear(halted="forgotten", **refused)[0].upto == 10
    assert rows(database, schema.lost_entries) == []
    answer, _ = central.hear(halted="forgotten", word=word, resume=resume(writer, 25))
    assert (answer.upto, answer.head_hash) == (25, writer.entries[24].hash)
    (lost,) = rows(database, schema.lost_entries)
    assert (lost.first_sequence, lost.last_sequence, lost.last_hash) == (11, 25, writer.entries[24].hash)
    assert lost.word == word
    (alarm,) = rows(database, schema.alarms)
    assert alarm.problem == "lost_at_central"
    assert "entries 11 to 25" in alarm.detail
    assert list(check_store(database)) == [LogVerified("kiosk-1", 25)]
    assert central.take(writer, 26, 40)[0].upto == 40
    assert list(check_store(database)) == [LogVerified("kiosk-1", 40)]


def test_another_history_behind_what_is_lost_is_named_by_the_log_check(database, writer):
    writer.many(30)
    other = LogWriter()
    other.key = writer.key
    other.many(20)
    other.sign_in("P9")
    other.many(15)
    central = Central(database)
    central.take(writer, 1, 10)
    _, word = central.take(writer, 11, 30)
    cut_back(database, writer, 10)
    central = Central(database)
    assert central.hear(halted="forgotten", word=word, resume=resume(other, 25))[0].upto == 25
    assert central.take(other, 26, 36)[0].upto == 36
    (bad,) = check_store(database)
    assert isinstance(bad, BadEntry)
    assert (bad.sequence, bad.fault) == (30, Fault.FORKED)


def test_a_device_follows_central_over_two_changes_of_its_key(database, writer, tmp_path):
    writer.many(10)
    path = tmp_path / "keys" / "central.pem"
    first = make_signing_key(path)
    ingest = Ingest(database, first, utc_now)
    batch = log.sign_batch("kiosk-1", [entry.line for entry in writer.entries], writer.key, ack_version=2)
    (answer,) = ingest.take([Message(UP + "log", batch)])
    word = answer.payload.decode()
    succession.rotate(database, path, utc_now())
    second = keys.load_private_key(path.read_bytes())
    third = succession.rotate(database, path, utc_now())
    former = succession.read_former(path)
    assert set(former.public) == {keys.key_id(first), keys.key_id(second)}
    ingest = Ingest(database, third, utc_now, former=former)
    for said in (
        {"version": 2, "word": word},
        {"version": 1, "halted": "unknown_central_key"},  # has never had a word to keep
    ):
        values = {"state": "online", "sequence": 10, "acknowledged": 10, "software": "x", "at": MORNING}
        status = Status(**{**values, "device_id": "kiosk-1", **said})
        *leading, answer = ingest.take([Message(UP + "status", status.to_json())])
        known = first
        for reply in leading:
            assert reply.topic.endswith("/down/command")
            known = open_central_key(reply.payload, known)
        assert open_ack(answer.payload, known).upto == 10


def test_devices_are_told_where_the_broker_is_until_that_is_over(database, writer, tmp_path):
    path = tmp_path / "keys" / "central.pem"
    key = make_signing_key(path)
    succession.tell_move(path, Moved(host="new.example", port=8883, since=MORNING))
    for done in (False, True):
        if done:
            succession.tell_move(path, None)
        ingest = Ingest(database, key, utc_now, former=succession.read_former(path))
        values = {"state": "online", "sequence": 0, "acknowledged": 0, "software": "x", "at": MORNING}
        status = Status(device_id="kiosk-1", **values)
        *told, _ = ingest.take([Message(UP + "status", status.to_json())])
        assert [open_moved(one.payload, key).host for one in told] == ([] if done else ["new.example"])


@pytest.mark.parametrize("door", ["http://new.example:8701", "https://new.example/path", "new.example"])
def test_a_move_to_no_place_is_refused_before_anybody_is_told(door):
    with pytest.raises(SiteError, match="no place"):
        succession.make_move("new.example", 8883, door, MORNING)


def test_a_change_of_key_that_a_crash_cut_short_leads_nowhere(database, tmp_path):
    path = tmp_path / "keys" / "central.pem"
    first = make_signing_key(path)
    lost = succession.rotate(database, path, utc_now())
    path.write_bytes(keys.private_pem(first))  # the last step had not been done
    assert succession.read_former(path) == FormerKeys({}, [])
    last = succession.rotate(database, path, utc_now())
    former = succession.read_former(path)
    assert [keys.key_id(open_central_key(one, first)) for one in former.successions] == [keys.key_id(last)]
    assert keys.key_id(lost) not in former.public


def test_a_key_that_a_lost_entry_brought_is_a_gap_and_nobodys_forgery(database, writer):
    writer.many(20)
    central = Central(database)
    central.take(writer, 1, 10)
    new, lines = keys.generate_key(), [entry.line for entry in writer.entries]
    ahead = log.sign_batch("kiosk-1", lines[14:], new, ack_version=2)  # by a change that is gone
    assert central.answer("log", ahead)[0].problem == "gap"
    next_one = log.sign_batch("kiosk-1", lines[10:14], new, ack_version=2)
    assert central.answer("log", next_one)[0].problem == "unknown_key"
