"""What one device can make central hold: messages, refused ones, nonces; tables that unpack to more."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from parts import stores

from renzheng.central.claims.canonical_parquet import ParquetError, ParquetSource
from renzheng.central.claims.source import InputFile, Options
from renzheng.central.ingest.waiting import MESSAGE_BYTES, Waiting
from renzheng.central.site import calls
from renzheng.central.site.calls import Callers
from renzheng.central.store import refusals
from renzheng.central.store.database import Database
from renzheng.central.store.refusals import Refusal
from renzheng.contracts.requests import FRESH, RequestError

NOW = datetime(2026, 3, 2, tzinfo=UTC)
A, B = "renzheng/v1/s1/kiosk-a/up/log", "renzheng/v1/s1/kiosk-b/up/status"


def test_a_flood_of_one_device_leaves_room_for_the_others():
    waiting = Waiting(most=10 * MESSAGE_BYTES, most_of_one=3 * MESSAGE_BYTES)
    assert [waiting.take(A, b"") for _ in range(4)] == [True, True, True, False]
    assert not waiting.take(A.replace("log", "status"), b""), "all its topics together"
    assert waiting.take(B, b"x")
    waiting.give_back(A, b"")
    assert waiting.take(A, b"")


def test_all_devices_together_are_bounded_too():
    waiting = Waiting(most=5 * MESSAGE_BYTES, most_of_one=3 * MESSAGE_BYTES)
    taken = [waiting.take(A.replace("kiosk-a", f"k{n}"), b"") for n in range(8)]
    assert taken == [True] * 5 + [False] * 3
    for n in range(5):
        waiting.give_back(A.replace("kiosk-a", f"k{n}"), b"")
    assert waiting.take(A, b""), "nothing is left of those that are gone"


def refusal(number, size):
    return Refusal(A, "kiosk-a", "malformed", "no", b"x" * size, f"{number:064}", None)


@pytest.fixture
def database(tmp_path):
    database = Database(stores.lay(f"sqlite:///{tmp_path / 'central.sqlite'}"))
    database.migrate()
    yield database
    database.close()


def kept(database):
    with database.reading() as connection:
        found = connection.exec_driver_sql("SELECT sha256, length(payload), times FROM quarantine").all()
    return sorted(tuple(row) for row in found)


def test_refused_messages_of_one_device_are_bounded_by_bytes(database, monkeypatch):
    monkeypatch.setattr(refusals, "MOST_KEPT_BYTES", 250)
    for number in range(5):
        with database.writing() as connection:
            refusals.keep(connection, [refusal(number, 100)], number)
    assert kept(database) == [("", 0, 3), (f"{0:064}", 100, 1), (f"{1:064}", 100, 1)]


@pytest.mark.parametrize("bounds", [{"MOST_KEPT": 3}, {"MOST_KEPT_BYTES": 350}])
def test_whoever_makes_up_names_of_devices_fills_nothing_and_the_oldest_go_first(
    database, monkeypatch, bounds
):
    for name, value in bounds.items():
        monkeypatch.setattr(refusals, name, value)
    for number in range(0, 20, 2):
        made_up = [
            replace(refusal(n, 100), device_id=refusals.NOBODY, topic=f"t/{n}") for n in (number, number + 1)
        ]
        with database.writing() as connection:
            refusals.keep(connection, made_up, number)
    assert kept(database) == [("", 0, 17), *((f"{number:064}", 100, 1) for number in (17, 18, 19))]
    with database.reading() as connection:
        alarms = connection.exec_driver_sql("SELECT device_id, times FROM alarms").all()
    assert [tuple(row) for row in alarms] == [(refusals.NOBODY, 20)]


def test_refused_messages_expire(database):
    day = 86_400_000_000
    with database.writing() as connection:
        refusals.keep(connection, [refusal(1, 10)], 0)
        refusals.keep(connection, [refusal(2, 10)], day)
        assert refusals.expire(connection, refusals.KEPT_DAYS * day + 1) == 1
    assert kept(database) == [(f"{2:064}", 10, 1)]


def test_a_device_that_calls_without_end_waits_alone(database, monkeypatch):
    monkeypatch.setattr(calls, "MOST_NONCES_OF_ONE", 3)
    callers = Callers(database, lambda: NOW)
    until = NOW + FRESH
    for number in range(3):
        callers._use_once(("key-a", str(number)), until, NOW)
    with pytest.raises(RequestError, match="too often"):
        callers._use_once(("key-a", "3"), until, NOW)
    callers._use_once(("key-b", "0"), until, NOW)
    callers._use_once(("key-a", "3"), until + timedelta(hours=1), until + timedelta(seconds=1))


@pytest.mark.parametrize(
    ("text", "rows"), [("0" * 4_000_000, 30), ("", 20_000_000)], ids=["long texts", "many rows"]
)
def test_a_parquet_file_that_unpacks_to_far_more_is_refused_before_it_is_decoded(tmp_path, text, rows):
    path = tmp_path / "claim_lines.parquet"
    column = pa.repeat(text, rows)
    pq.write_table(pa.table({"line_id": column}), path, compression="zstd", use_dictionary=not text)
    assert path.stat().st_size < 500_000
    with pytest.raises(ParquetError, match="unpacks"):
        ParquetSource(Options()).check([InputFile(path, path.name)])
