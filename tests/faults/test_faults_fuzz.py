"""Malformed messages by the hundred thousand: none is stored, none breaks the ingest."""

import json
import logging
import time

import paho.mqtt.client as mqtt
import pytest
import sqlalchemy as sa
from faults.counts import often
from faults.malformed import TOPIC, Malformer
from faults.rig import Rig, seeded
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from parts.central import register
from parts.devices import LogWriter

from renzheng.central.ingest.service import Ingest, Message
from renzheng.central.store import schema
from renzheng.contracts import keys, log
from renzheng.contracts.events import utc_now
from renzheng.contracts.messages import open_ack

pytestmark = pytest.mark.timeout(7200)
KEY = keys.generate_key()
GROUP = 32
WIPE_EVERY = 20_000
STORED = (
    schema.log_entries,
    schema.log_batches,
    schema.attendance,
    schema.coverage,
    schema.device_clocks,
    schema.spot_checks,
    schema.device_status,
)


class Errors(logging.Handler):
    """Counts what the ingest itself calls a fault of its own."""

    def __init__(self):
        super().__init__(logging.ERROR)
        self.seen = []

    def emit(self, record):
        self.seen.append(record.getMessage())


@pytest.fixture
def errors():
    handler, logger = Errors(), logging.getLogger("renzheng.central.ingest.service")
    logger.addHandler(handler)
    before = logger.level
    logger.setLevel(logging.ERROR)  # a refusal is a warning, and there will be a million
    yield handler.seen
    logger.setLevel(before)
    logger.removeHandler(handler)


@pytest.fixture
def writer(database):
    made = register(database, LogWriter())
    made.many(12)
    return made


@pytest.fixture
def ingest(database):
    return Ingest(database, KEY, utc_now)


def stored(database):
    with database.reading() as connection:
        rows = [connection.execute(sa.select(sa.func.count()).select_from(t)).scalar_one() for t in STORED]
        heads = connection.execute(sa.select(sa.func.sum(schema.devices.c.head_sequence))).scalar_one()
        return sum(rows) + heads


def wipe(database):
    with database.writing() as connection:
        return connection.execute(sa.delete(schema.quarantine)).rowcount


def takes_the_right_ones(ingest, writer):
    ingest.take([Message(TOPIC.format(writer.device_id), writer.batch())])
    return stored(ingest._database) == 12 + 1 + 12 + 12


def test_malformed_messages(database, ingest, writer, counts, errors):
    messages, made_bad = often(1_000, 1_000_000), Malformer(writer, seeded(97))
    answers, kept, seconds = {}, 0, 0.0
    for start in range(0, messages, GROUP):
        group = [made_bad.message() for _ in range(min(GROUP, messages - start))]
        began = time.perf_counter()
        replies = ingest.take(group)
        seconds += time.perf_counter() - began
        for reply in replies:
            ack = open_ack(reply.payload, KEY)
            assert ack.upto == 0
            assert ack.problem is not None
            answers[ack.problem] = answers.get(ack.problem, 0) + 1
        if start // WIPE_EVERY != (start + GROUP) // WIPE_EVERY:
            assert stored(database) == 0
            kept += wipe(database)
    found = stored(database)
    kept += wipe(database)
    counts.add(
        "malformed messages",
        messages=messages,
        crashes=len(errors),
        stored=found,
        per_second=round(messages / seconds),
        quarantined=kept,
        **{f"answered_{name}": number for name, number in sorted(answers.items())},
    )
    assert errors == []
    assert found == 0
    assert takes_the_right_ones(ingest, writer)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)


def as_json(value):
    return json.dumps(value, default=str).encode("utf-8", "surrogatepass")


TOPICS = st.one_of(
    st.just(TOPIC.format("kiosk-1")),
    st.just("renzheng/v1/s1/kiosk-1/up/status"),
    st.text(max_size=80),
    st.lists(st.text(max_size=8), min_size=6, max_size=6).map("/".join),
    st.text(max_size=20).map(lambda level: f"renzheng/v1/s1/{level}/up/log"),
)


SIGNED = st.lists(st.one_of(st.binary(max_size=60), JSON.map(as_json)), min_size=1, max_size=4).map(
    b"\n".join
)


def test_messages_that_hypothesis_finds(database, ingest, writer, counts, errors):
    taken = 0
    signed = SIGNED.map(lambda payload: keys.sign(payload, writer.key, log.BATCH, dev=writer.device_id))
    spoiled = st.tuples(st.just(writer.batch()), st.integers(0, 2000), st.binary(min_size=1, max_size=6)).map(
        lambda found: found[0][: found[1]] + found[2] + found[0][found[1] :]
    )
    payloads = st.one_of(st.binary(max_size=300), JSON.map(as_json), signed, spoiled)
    many = settings(
        max_examples=often(20, 1_000),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )

    @many
    @given(st.lists(st.tuples(TOPICS, payloads), min_size=1, max_size=20))
    def try_them(found):
        nonlocal taken
        ingest.take([Message(topic, payload) for topic, payload in found])
        taken += len(found)

    try_them()
    assert errors == []
    assert stored(database) == 0
    counts.add(
        "malformed messages (Hypothesis)", messages=taken, crashes=len(errors), stored=stored(database)
    )
    assert takes_the_right_ones(ingest, writer)


@pytest.mark.mosquitto
def test_malformed_messages_on_the_wire_hold_nobody_up(tmp_path, broker, counts):
    wanted, sent = often(300, 20_000), 0
    with Rig(tmp_path, broker, device_ids=["kiosk-1"]) as rig:
        other = register(rig.database, LogWriter("kiosk-7"))
        other.many(12)
        made_bad = Malformer(other, seeded(98))
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        client.connect("127.0.0.1", broker.port)
        client.loop_start()
        while sent < wanted:
            message = made_bad.message()
            if not set(message.topic) & set("+#\0") and 0 < len(message.topic.encode()) < 60_000:
                client.publish(message.topic, message.payload, qos=1)
                sent += 1
                time.sleep(0.001)
        client.disconnect()
        client.loop_stop()
        assert rig.drain()
        assert rig.ingest.alive
        assert rig.heads()["kiosk-7"] == 0
        account = rig.account()
    assert [alarm for alarm in account.alarms if "kiosk-1" in alarm.split()[:2]] == []
    account.alarms.clear()
    counts.add("malformed messages on the wire", messages=sent, crashes=0, stored=0, **account.check())
