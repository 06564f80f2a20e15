"""Malformed messages by the thousand, by the million when asked for: none crashes, none is stored."""

import contextlib
import random

import orjson
import pytest
import sqlalchemy as sa
from parts.central import register
from parts.devices import LogWriter

from renzheng.central.ingest.decide import OpenedBatch, open_message
from renzheng.central.ingest.service import Ingest, Message
from renzheng.central.store import reading, schema
from renzheng.central.store.database import Database
from renzheng.central.store.device_state import DeviceKey, DeviceState
from renzheng.contracts import keys, log
from renzheng.contracts.events import utc_now
from renzheng.contracts.messages import open_ack
from renzheng.contracts.topics import TopicError, parse_topic

CENTRAL_KEY = keys.generate_key()
WRITER = LogWriter()
WRITER.many(6)
TRUE = WRITER.batch()
PARTS = TRUE.split(b".")
TOPIC = "renzheng/v1/s1/kiosk-1/up/log"
HEADERS = [
    b"{}",
    b"[]",
    b"null",
    b'{"alg":"none"}',
    b'{"alg":"HS256","kid":"x","dev":"kiosk-1"}',
    b'{"alg":"Ed25519","crit":["b64"],"b64":false}',
    orjson.dumps({"alg": "Ed25519", "kid": keys.key_id(WRITER.key), "dev": "kiosk-1", "typ": "other"}),
    orjson.dumps({"alg": "Ed25519", "kid": 7, "dev": ["kiosk-1"]}),
    orjson.dumps({"alg": "none", "kid": keys.key_id(WRITER.key), "dev": "kiosk-1", "typ": log.BATCH}),
    b'{"dev":"' + b"x" * 5000 + b'"}',
    b"\xff\xfe",
]


def with_a_changed_byte(rng):
    changed = bytearray(TRUE)
    changed[rng.randrange(len(changed))] ^= rng.randrange(1, 256)
    return bytes(changed)


def with_bytes_put_in(rng):
    place = rng.randrange(len(TRUE))
    return TRUE[:place] + rng.randbytes(3) + TRUE[place:]


MALFORMED = (
    lambda rng: rng.randbytes(rng.randrange(200)),
    lambda rng: TRUE[: rng.randrange(len(TRUE))],
    with_a_changed_byte,
    with_bytes_put_in,
    lambda rng: b".".join(rng.choice([*PARTS, b"", b"e30"]) for _ in range(rng.randrange(1, 6))),
    lambda rng: b".".join([keys.encode(rng.choice(HEADERS)), *PARTS[1:]]),
    lambda rng: b".".join([PARTS[0], keys.encode(rng.randbytes(rng.randrange(60))), PARTS[2]]),
)
"""Messages that nobody signed: bytes, cut or changed envelopes, exchanged parts, strange headers."""


def malformed(rng):
    return rng.choice(MALFORMED)(rng)


def topic(rng):
    """Make a topic: the true one, changed, or nothing like it."""
    levels = TOPIC.split("/")
    for _ in range(rng.randrange(3)):
        levels[rng.randrange(len(levels))] = rng.choice(
            ["", "+", "#", "x" * 70, "kiosk-2", "日", "\0", "up/log"]
        )
    return "/".join(levels[: rng.choice([6, 6, 6, 5, 0])])


def hammer(database, count, seed):
    rng = random.Random(seed)
    ingest = Ingest(database, CENTRAL_KEY, utc_now)
    messages = [Message(topic(rng), malformed(rng)) for _ in range(count)]
    messages = [one for one in messages if one.payload != TRUE]
    answers = [
        open_ack(reply.payload, CENTRAL_KEY)
        for n in range(0, len(messages), 40)
        for reply in ingest.take(messages[n : n + 40])
    ]
    assert all(answer.problem and answer.upto == 0 for answer in answers)
    with database.reading() as connection:
        for table in (schema.log_entries, schema.log_batches, schema.attendance):
            assert connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() == 0
        kept = connection.execute(sa.select(sa.func.sum(schema.quarantine.c.times))).scalar_one()
        assert kept == len(messages)
        assert reading.alarms(connection)
    return answers


def test_malformed_messages_on_both_backends(database):
    register(database, WRITER)
    assert hammer(database, 1200, seed=1)
    Ingest(database, CENTRAL_KEY, utc_now).take([Message(TOPIC, TRUE)])
    with database.reading() as connection:
        assert reading.devices(connection)[0]["head_sequence"] == 6


def signed_nonsense(rng):
    """Make a batch that the device signed, with lines that are no entries or no events."""
    value = rng.choice(
        [{}, [], 1, "x", None, {"a": "\0"}, {"time": "9999-99-99"}, {"type": {}}, 1e308, -(2**63)]
    )
    event = orjson.dumps(rng.choice([value, {"data": value, "type": "renzheng.v1.attendance.sign_in"}]))
    line = rng.choice(
        [
            event,
            b'{"sequence":1,"previous":"%b","event":%b}' % (log.genesis("kiosk-1").hash.encode(), event),
            b'{"sequence":%d,"previous":"x","event":{}}' % rng.randrange(-2, 2**64),
            b'{"sequence":1,"previous":"%b","event":{%b}}'
            % (b"0" * 64, rng.randbytes(5).replace(b"\n", b"")),
            b'{"sequence":1,"previous":"%b","event":{]}}' % log.genesis("kiosk-1").hash.encode(),
        ]
    )
    return log.sign_batch("kiosk-1", [line], WRITER.key)


def test_signed_nonsense_never_makes_a_row_of_attendance(database):
    register(database, WRITER)
    rng, ingest = random.Random(2), Ingest(database, CENTRAL_KEY, utc_now)
    for _ in range(30):
        group = [Message(TOPIC, signed_nonsense(rng)) for _ in range(20)]
        assert len(ingest.take(group)) == 20
    with database.reading() as connection:
        flaws = connection.execute(sa.select(schema.log_entries.c.flaw)).scalars().all()
        assert all(flaws)
        assert len(flaws) <= 1
        assert connection.execute(sa.select(schema.attendance)).first() is None


def test_no_topic_crashes_the_parser():
    rng = random.Random(3)
    for _ in range(20_000):
        text = topic(rng)
        with contextlib.suppress(TopicError):
            assert str(parse_topic(text)) == text


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_million_malformed_messages(tmp_path):
    rng = random.Random(4)
    known = {keys.key_id(WRITER.key): DeviceKey(WRITER.public_key, revoked=False)}
    device = DeviceState(
        "kiosk-1", "H1", revoked=False, keys=known, head=log.genesis("kiosk-1"), purpose="dialysis"
    )
    opened = 0
    for _ in range(1_000_000):
        payload = malformed(rng)
        opened += isinstance(open_message(device, payload), OpenedBatch) and payload != TRUE
    assert opened == 0
    database = Database(f"sqlite:///{tmp_path / 'c.sqlite'}")
    database.migrate()
    register(database, WRITER)
    hammer(database, 20_000, seed=5)
    database.close()
