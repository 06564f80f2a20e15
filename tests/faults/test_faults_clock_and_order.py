"""Clocks that jump by a day, and deliveries that come doubled, late and in any order."""

import random
import time

import paho.mqtt.client as mqtt
import pytest
import sqlalchemy as sa
from faults.counts import often
from faults.rig import Rig, eventually
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from parts import stores
from parts.central import register
from parts.devices import LogWriter

from renzheng.central.ingest.service import Ingest, Message
from renzheng.central.store import schema
from renzheng.central.store.database import Database
from renzheng.central.verify.check import LogVerified
from renzheng.central.verify.store import check_device
from renzheng.common.mqtt import release
from renzheng.contracts import keys
from renzheng.contracts.events import utc_now

DAY_MS = 86_400_000
pytestmark = pytest.mark.timeout(3600)


@pytest.mark.mosquitto
def test_clocks_that_jump_by_a_day(tmp_path, broker, counts):
    wanted = often(4, 1_000)
    with Rig(tmp_path, broker, jumps=10) as rig:
        assert eventually(lambda: len(jumps(rig.database)) >= wanted, 1800)
        assert rig.drain()
        figures = rig.account().check()
        seen = jumps(rig.database)
    assert all(abs(abs(offset) - DAY_MS) < 1000 for offset in seen)
    back = sum(offset < 0 for offset in seen)
    counts.add("clock jumps of a day", forward=len(seen) - back, back=back, **figures)


def jumps(database):
    table = schema.device_clocks
    with database.reading() as connection:
        return list(connection.execute(sa.select(table.c.offset_ms)).scalars())


class Replayer:
    """A client of the broker that hears every batch and sends old ones again, in any order."""

    def __init__(self, port):
        self.heard, self.sent, self._chance = [], 0, random.Random(5)
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self._client.on_message = self._on_message
        self._client.on_connect = lambda client, *_: client.subscribe(
            "renzheng/v1/+/+/up/log", options=mqtt.SubscribeOptions(qos=1, noLocal=True)
        )
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def _on_message(self, _client, _data, message):
        self.heard.append((message.topic, bytes(message.payload)))

    def send_again(self, count):
        for topic, payload in self._chance.choices(self.heard, k=count):
            self._client.publish(topic, payload, qos=1)
        self.sent += count

    def close(self):
        self._client.disconnect()
        self._client.loop_stop()
        release(self._client)


@pytest.mark.mosquitto
def test_a_wire_that_delivers_again_what_it_delivered(tmp_path, broker, counts):
    wanted = often(300, 20_000)
    with Rig(tmp_path, broker) as rig:
        replayer = Replayer(broker.port)
        try:
            assert eventually(lambda: len(replayer.heard) > 5, 60)
            while replayer.sent < wanted:
                replayer.send_again(20)
                time.sleep(0.05)
            assert rig.drain()
        finally:
            replayer.close()
        figures = rig.account().check()
    counts.add("delivered again on the wire", replayed=replayer.sent, **figures)


def test_any_order_any_repetition_any_grouping(tmp_path, counts):
    """Whatever order, doubling and grouping: what central ends with is the log, once."""
    database = Database(stores.lay(f"sqlite:///{tmp_path / 'central.sqlite'}"))
    database.migrate()
    ingest = Ingest(database, keys.generate_key(), utc_now)
    figures = {"deliveries": 0, "entries": 0}

    cuts = st.lists(st.tuples(st.integers(0, 29), st.integers(1, 12)), min_size=1, max_size=20)
    found = settings(
        max_examples=often(25, 1_000),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )

    @found
    @given(cuts, st.integers(1, 9), st.randoms(use_true_random=False))
    def deliver(pieces, group_size, chance):
        number = figures["deliveries"]
        writer = register(database, LogWriter(f"kiosk-{number}"))
        writer.many(30)
        batches = [writer.batch(writer.entries[at : at + size]) for at, size in pieces]
        batches = [*batches, *chance.choices(batches, k=len(batches))]
        chance.shuffle(batches)
        topic = f"renzheng/v1/s1/{writer.device_id}/up/log"
        for start in range(0, len(batches), group_size):
            ingest.take([Message(topic, batch) for batch in batches[start : start + group_size]])
        figures["deliveries"] += len(batches)
        head = holds(database, writer)
        ingest.take([Message(topic, batch) for batch in writer.batches(writer.entries[head:])])
        assert holds(database, writer) == 30
        figures["entries"] += 30

    deliver()
    with database.reading() as connection:
        doubled = connection.execute(
            sa.select(sa.func.count() - sa.func.count(sa.distinct(schema.attendance.c.event_id)))
        ).scalar_one()
        problems = set(connection.execute(sa.select(schema.alarms.c.problem)).scalars())
    database.close()
    counts.add("shuffled and doubled batches", **figures, lost=0, doubled=doubled, forged=0)
    assert doubled == 0
    assert problems <= {"gap"}


def holds(database, writer):
    """The head that central holds, after checking that it holds exactly the writer's entries up to it."""
    table = schema.log_entries
    with database.reading() as connection:
        query = sa.select(table.c.line).where(table.c.device_id == writer.device_id)
        lines = list(connection.execute(query.order_by(table.c.sequence)).scalars())
    assert lines == [entry.line for entry in writer.entries[: len(lines)]]
    if lines:
        assert check_device(database, writer.device_id, lambda _: None) == LogVerified(
            writer.device_id, len(lines)
        )
    return len(lines)
