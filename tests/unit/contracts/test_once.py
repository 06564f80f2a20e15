"""JSON that names a key twice is refused wherever we read JSON from outside."""

import asyncio

import orjson
import pytest

from renzheng.central.ingest import quick
from renzheng.common.limits import BodyLimits, RequestLimits
from renzheng.contracts import keys
from renzheng.contracts.events import EventError, parse_event
from renzheng.contracts.log import BrokenChainError, read_entry
from renzheng.contracts.messages import MessageError, parse_status
from renzheng.contracts.once import has_key_twice

EVENT = (
    b'{"id":"0195d000-0000-7000-8000-000000000001","source":"urn:renzheng:device:k","specversion":"1.0",'
    b'"type":"renzheng.v1.device.started","datacontenttype":"application/json","time":"2026-03-02T00:00:00Z",'
    b'"data":{"institution_id":"H1","clock":{"boot_id":"b","monotonic_ms":1,"trusted":true},"software":"1"}}'
)
TWICE = EVENT.replace(b'"software":"1"', b'"software":"1","software":"2"')


@pytest.mark.parametrize(
    ("text", "twice"),
    [
        (b'{"a":1,"a":1}', True),
        (b'[{"a":{"b":1,"c":2,"b":3}}]', True),
        (b'{"a":1,"\\u0061":2}', True),
        (b'{ "a" : 1.50, "b" : {"a": 1e3} }', False),
        (b'{"a":"\\u4e2d","b":1E5}', False),
        (b'{"a":1,"a":2,"b":NaN}', True),
        (b'{"a":1,"a":2,"b":"\\ud800"}', True),
        ('{"a":1,"a":2}'.encode("utf-16"), True),
        (b'{"a":1,"a":2,"b":' + b"[" * 300 + b"]" * 300 + b"}", True),
        (b'{"a":NaN}', False),
        (b"{", False),
        (b"\xff", False),
        (b"[" * 100_000, False),
    ],
)
def test_a_key_that_stands_twice_is_found(text, twice):
    assert has_key_twice(text) is twice


@pytest.mark.parametrize("read", [parse_event, quick.read])
def test_an_event_with_a_key_twice_is_none(read):
    read(EVENT)
    with pytest.raises(EventError, match="twice"):
        read(TWICE)


def test_neither_is_an_entry_a_header_or_a_status():
    line = b'{"sequence":1,"previous":"%s","event":{"a":1%s}}'
    assert read_entry(line % (b"0" * 64, b"")).event == {"a": 1}
    with pytest.raises(BrokenChainError):
        read_entry(line % (b"0" * 64, b',"a":2'))
    header = keys.encode(b'{"alg":"EdDSA","kid":"a","kid":"b"}')
    with pytest.raises(keys.SignatureError):
        keys.read_header(header + b".e30.e30")
    with pytest.raises(MessageError):
        parse_status(b'{"version":1,"version":1}')


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b'{"a":1,"a":2}', b"application/json", 400),
        (b'{"a":1,"a":2}', b"application/problem+JSON", 400),
        (b'{"a":1}', b"application/json", 200),
        (b'{"a":1,"a":2}', b"image/jpeg", 200),
    ],
)
def test_a_web_application_never_sees_one(body, kind, status):
    sent = []

    async def app(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive():
        return {"type": "http.request", "body": body}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "path": "/", "headers": [(b"content-type", kind)]}
    asyncio.run(RequestLimits(app, BodyLimits())(scope, receive, send))
    assert sent[0]["status"] == status


def test_numbers_that_grow_when_written_again_hide_no_key():
    hidden = b'{"a":1,"b":[1e2,1e2,1e2],"a":2}'
    assert len(orjson.dumps(orjson.loads(hidden))) == len(hidden)
    assert has_key_twice(hidden)
