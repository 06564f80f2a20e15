"""The device's log on a real SQLite file: whole entries or none, and every alteration shows."""

import time

import pytest
from parts.edge import sign_in
from parts.killed import Apart
from sqlite_utils import Database

from renzheng.contracts.errors import InputError
from renzheng.contracts.log import BrokenChainError, Head, genesis, read_entry
from renzheng.edge.device.log import DeviceLog
from renzheng.edge.device.store.database import Store
from renzheng.edge.device.store.people import People
from renzheng.edge.errors import EventTooLargeError, StoreError
from renzheng.models.protection import TemplateKey

KEY = TemplateKey(bytes(32))
ALTER = """UPDATE entries SET line = CAST(replace(CAST(line AS TEXT), 'bona_fide', 'not_shown') AS BLOB)
WHERE sequence = 4"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "device.sqlite"


@pytest.fixture
def log(path):
    log = DeviceLog(Store(path), "kiosk-01")
    yield log
    log.store.close()


def test_entries_are_chained_counted_and_wait_until_acknowledged(log):
    assert log.head() == genesis("kiosk-01")
    heads = [log.append(sign_in(number)) for number in (1, 2, 3)]
    assert [head.sequence for head in heads] == [1, 2, 3]
    assert log.verify() == log.head() == log.head_at(3) == heads[-1]
    assert log.waiting_since() == sign_in(1).time
    log.acknowledge(1)
    assert log.waiting_since() == sign_in(2).time
    log.acknowledge(3)
    assert log.waiting_since() is None


def test_what_goes_with_an_event_stands_or_falls_with_it(log):
    people = People(log.store, KEY)

    def fails(database):
        people.signed_in("P1", "S1", sign_in(1).time)(database)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        log.append(sign_in(1), fails)
    assert (log.head().sequence, people.open_session("P1")) == (0, None)


def test_the_same_event_twice_is_refused_and_breaks_nothing(log):
    event = sign_in(1)
    log.append(event)
    with pytest.raises(StoreError):
        log.append(event)
    assert log.verify().sequence == 1


def test_an_event_that_no_batch_holds_is_refused_before_it_blocks_the_line(log):
    event = sign_in(1)
    data = event.data.model_copy(update={"identifiers": tuple("x" * 200 for _ in range(700))})
    with pytest.raises(EventTooLargeError):
        log.append(event.model_copy(update={"data": data}))
    assert log.head().sequence == 0


def test_a_folder_belongs_to_one_device(log, path):
    with pytest.raises(StoreError, match="kiosk-01"):
        DeviceLog(Store(path), "kiosk-02")


def test_a_file_that_is_no_database_is_a_named_error(path):
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(StoreError, match=r"device\.sqlite"):
        Store(path)


@pytest.mark.parametrize(
    ("tamper", "problem"),
    [
        ("DELETE FROM entries WHERE sequence = 4", "gap"),
        (ALTER, "altered"),
        ("UPDATE entries SET line = X'00' WHERE sequence = 4", "malformed"),
    ],
)
def test_every_alteration_shows(log, path, tamper, problem):
    for number in range(1, 11):
        log.append(sign_in(number))
    database = Database(path)
    database.execute(tamper)
    database.conn.commit()
    with pytest.raises(BrokenChainError) as caught:
        log.verify()
    assert caught.value.problem == problem


WRITER = """
from parts.edge import sign_in
from renzheng.edge.device.log import DeviceLog
from renzheng.edge.device.store.database import Store
from renzheng.edge.device.store.people import People
from renzheng.models.protection import TemplateKey
log = DeviceLog(Store(path), "kiosk-01")
people = People(log.store, TemplateKey(bytes(32)))
number = log.head().sequence
while True:
    number += 1
    event = sign_in(number, subject=f"P{number}")
    log.append(event, people.signed_in(f"P{number}", f"S{number}", event.time))
    tell(number)
"""


def test_killed_in_the_middle_of_appending_nothing_is_half_and_nothing_told_is_lost(path):
    told = 0
    for round_ in range(8):
        writer = Apart(WRITER, path=path)
        first = writer.hear()
        time.sleep(0.01 * round_)
        writer.kill()
        told = max([told, first, *writer.all_heard()])
        log = DeviceLog(Store(path), "kiosk-01")
        head = log.verify()
        sessions = log.store.rows("SELECT count(*) AS n FROM sessions")[0]["n"]
        assert head.sequence >= told
        assert sessions == head.sequence
        log.store.close()
    assert told > 8


def test_the_base_is_where_verification_begins(log):
    assert log.base() == Head(0, genesis("kiosk-01").hash)
    log.append(sign_in(1))
    assert read_entry(log.lines(0, 10)[0]).previous == log.base().hash
    assert log.head_at(7) is None


def test_errors_are_the_houses_own(log):
    with pytest.raises(InputError):
        People(log.store, KEY).by_card("123456")


def test_what_is_safe_at_central_and_old_is_let_go_and_the_rest_still_verifies(log, path):
    for number in range(1, 101):
        log.append(sign_in(number))
    log.acknowledge(80, safe=60)
    assert log.prune(sign_in(30).time) == 29
    assert log.prune(sign_in(1000).time) == 31
    assert log.prune(sign_in(1000).time) == 0
    assert (log.base().sequence, log.head().sequence, log.verify().sequence) == (60, 100, 100)
    assert log.prune(sign_in(1000).time, unsafe=True) == 20
    log.acknowledge(100, safe=100)
    log.prune(sign_in(1000).time)
    assert log.head().sequence == 100
    assert log.append(sign_in(101)).sequence == 101
    assert log.verify().sequence == 101


def test_thirty_busy_days_offline_fit_in_200_megabytes(log, path):
    many = 3_000
    full = {
        "reason": "face_changed",
        "witness_id": "N0001",
        "engine": "dlib/dlib-resnet:0123456789ab:128",
        "identifiers": ("name_and_masked_number", "insurance_card"),
        "attempts": 3,
        "decision_ms": 1234,
        "false_match_rate": 0.001,
    }
    with log.store.writing():
        for number in range(many):
            event = sign_in(number)
            log.append(event.model_copy(update={"data": event.data.model_copy(update=full)}))
    log.store.close()
    assert path.stat().st_size / many * 200_000 < 200_000_000
