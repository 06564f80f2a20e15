"""The quick way of reading events is `parse_event`, only quicker: the same taken, the same refused."""

import json
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import get_args

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parts.examples import examples
from pydantic import BaseModel

from renzheng.bench.sync.devices import make_lines
from renzheng.central.ingest import project, quick
from renzheng.central.store.schema import metadata
from renzheng.central.store.times import to_us
from renzheng.contracts import events, log
from renzheng.contracts.events import EventError

RECORDED = [
    json.loads(file.read_bytes())
    for file in sorted(
        (Path(__file__).parents[2] / "spec" / "contracts" / "recorded" / "v1" / "events").glob("*.json")
    )
]
WRITTEN = [events.parse_event(event).to_json() for event in RECORDED]
ODD_TEXTS = [
    *("", " ", "\0", "é" * 200, "é" * 201, "中" * 200, "😀", "\ud800", "1", "1.0", "true", "nan", "null"),
    *("1.0\n", "match", "MATCH", "renzheng.v1.attendance.sign_in", "renzheng.v1.device.coverage"),
    *("urn:renzheng:device:kiosk-1\n", "urn:renzheng:device:" + "a" * 64, "urn:renzheng:device:" + "a" * 65),
    *("2026-03-02T00:00:00Z", "2026-03-02T00:00:00.1Z", "2026-03-02T00:00:00.123456Z"),
    *("2026-03-02T00:00:00.1234567Z", "2026-03-02T00:00:00,123456Z", "2026-03-02 00:00:00Z"),
    *(
        "2026-03-02t00:00:00z",
        "2026-03-02T08:00:00+08:00",
        "2026-03-02T08:00:00+0800",
        "2026-03-02T24:00:00Z",
    ),
    *("2026-03-02T00:00:60Z", "2026-02-30T00:00:00Z", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
    *("0001-01-01T00:00:00+08:00", "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59-08:00"),
    *("2026-W10-1T00:00:00Z", "20260302T000000Z", "2026-03-02T00:00:00", "2026-03-02T00:00Z", "1772409600"),
    *("٢٠٢٦-03-02T00:00:00Z", "2026-03-02T00:00:00Z\n", "2026-03-02T00:00:00-00:00"),
]
ODD_NUMBERS = [
    0,
    -0.0,
    -1,
    1,
    1.0,
    1.5,
    0.1,
    1e-400,
    1e308,
    2**31,
    2**53 + 1,
    2**63,
    2**64,
    10**30,
    -(10**400),
]
VALUES = st.one_of(
    st.sampled_from(ODD_TEXTS),
    st.sampled_from(ODD_NUMBERS),
    st.text(max_size=3),
    st.floats(),
    st.integers(),
    st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
    st.sampled_from(["null", "true", "false", "[]", "{}", '["a"]', "[1]", "[[]]", '{"trusted":true}']).map(
        json.loads
    ),
)


def sorted_keys(event):
    """As `Event.to_json` writes it, where orjson writes such values at all."""
    try:
        return orjson.dumps(event, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return json.dumps(event, separators=(",", ":"), sort_keys=True).encode()


STYLES = [
    sorted_keys,
    sorted_keys,
    lambda event: json.dumps(event).encode(),
    lambda event: json.dumps(event, ensure_ascii=False).encode("utf-8", "surrogatepass"),
]


def places(value, here=()):
    """Every place in a JSON value, as the keys that lead there."""
    yield here
    for key, inner in value.items() if isinstance(value, dict) else ():
        yield from places(inner, (*here, key))


@st.composite
def changed_events(draw):
    """A recorded event of some type, with up to three places set to something else, or gone, or added."""
    event = json.loads(json.dumps(draw(st.sampled_from(RECORDED))))
    for _ in range(draw(st.integers(0, 3))):
        *way, last = draw(st.sampled_from([place for place in places(event) if place] or [("a",)]))
        inside = event
        for key in way:
            inside = inside[key]
        act = draw(st.sampled_from(["set", "drop", "add", "swap"]))
        if act == "set":
            inside[last] = draw(VALUES)
        elif act == "drop":
            del inside[last]
        elif act == "add":
            name = draw(st.sampled_from(["x", "witness_id", "cause", "offset_ms", "subject", "reason", "id"]))
            inside[name] = draw(VALUES)
        else:
            other = draw(st.sampled_from(RECORDED))
            inside[last] = json.loads(json.dumps(other[last])) if last in other else draw(VALUES)
    return draw(st.sampled_from(STYLES))(event)


@st.composite
def damaged_events(draw):
    """An event's JSON with some of its bytes cut out, doubled or replaced."""
    whole = draw(changed_events())
    start = draw(st.integers(0, len(whole)))
    end = draw(st.integers(start, min(len(whole), start + draw(st.sampled_from([1, 8, 200])))))
    filling = draw(st.one_of(st.just(whole[start:end] * 2), st.just(b""), st.binary(max_size=4), PIECES))
    return whole[:start] + filling + whole[end:]


PIECES = st.sampled_from(
    [
        b'"type":"renzheng.v1.device.clock",',
        b'"time":1,',
        b"1e999",
        b"NaN",
        b"-0",
        b"01",
        b"\\u0000",
        b"\\ud83d",
        b'"id":"b",',
        b'{"id":"b"}',
        b" ",
        b"\t",
        b"\xff",
        b"null",
        b"\\u0069",
        b"/**/",
        b",",
        b"Infinity",
        b"1E2",
    ]
)


def values_of(value):
    """Values to compare: a model or struct by its fields, moments in microseconds."""
    if isinstance(value, BaseModel):
        return {name: values_of(getattr(value, name)) for name in type(value).model_fields if name != "type"}
    if hasattr(value, "__struct_fields__"):
        return {name: values_of(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, tuple):
        return [values_of(one) for one in value]
    if isinstance(value, datetime):
        return to_us(value)
    return (type(value), value) if isinstance(value, (Enum, bool, float)) else value


def outcome_of(read, event_json):
    try:
        found = read(event_json)
    except (EventError, OverflowError) as error:
        return type(error), str(error)
    return type(found).__name__, values_of(found)


def assert_alike(event_json):
    assert outcome_of(quick.read, event_json) == outcome_of(events.parse_event, event_json)


@settings(max_examples=examples(1500), deadline=None)
@given(changed_events())
def test_changed_events_read_alike(event_json):
    assert_alike(event_json)


@settings(max_examples=examples(1000), deadline=None)
@given(damaged_events())
def test_damaged_events_read_alike(event_json):
    assert_alike(event_json)


@pytest.mark.parametrize("text", ODD_TEXTS)
@pytest.mark.parametrize("name", ["time", "subject", "source", "id", "specversion"])
def test_odd_texts_read_alike(name, text):
    event = {**RECORDED[2], name: text}
    for style in STYLES[1:]:
        assert_alike(style(event))


@pytest.mark.parametrize("number", ODD_NUMBERS)
@pytest.mark.parametrize(
    "name", ["comparison_score", "attempts", "false_match_rate", "decision_ms", "engine"]
)
def test_odd_numbers_read_alike(name, number):
    sign_in = RECORDED[2]
    for style in STYLES[1:3]:
        assert_alike(style({**sign_in, "data": {**sign_in["data"], name: number}}))


@pytest.mark.parametrize("number", ["1" * 400, "1e999", "NaN", "Infinity"])
@pytest.mark.parametrize("read", [quick.read, events.parse_event])
def test_a_number_that_an_entry_cannot_hold_is_in_no_event(read, number):
    text = json.dumps({**RECORDED[2], "data": {**RECORDED[2]["data"], "comparison_score": 0.25}})
    assert read(text.encode()).data.comparison_score == 0.25
    with pytest.raises(EventError):
        read(text.replace("0.25", number).encode())


@pytest.fixture
def no_slow_way(monkeypatch):
    def refuse(event_json):
        raise AssertionError(f"went the slow way: {event_json[:200]!r}")

    monkeypatch.setattr(quick.events, "parse_event", refuse)


def test_what_devices_write_reads_the_quick_way(no_slow_way):
    for event in WRITTEN:
        assert quick.read(event)
    for link in log.walk(log.genesis("bench-1"), make_lines("bench-1", "H1", 10)):
        assert quick.read(link.event_json)


def test_every_type_has_a_struct():
    for model in get_args(events.Event):
        assert set(quick.struct_of(model).__struct_fields__) == set(model.model_fields) - {"type"}


def columns_of(event):
    """The row of an event by its column names, from the contract's own model: the slow, obvious way."""
    data, moments = event.data.model_dump(mode="json"), {}
    for name in ("from_at", "to_at", "drawn_at", "due_at", "started_at", "ended_at"):
        if name in data:
            moments[name] = to_us(getattr(event.data, name))
    return {
        **data,
        **moments,
        "device_id": event.device_id,
        "event_id": event.id,
        "event_type": event.type.rsplit(".", 1)[1],
        "person_id": getattr(event, "subject", None) or data.get("person_id"),
        "source": data.get("source", "device"),
        "both_papers": int({"patient", "buyer"} <= set(data.get("papers_shown", ()))),
        "occurred_at": to_us(event.time),
        "answered_at": to_us(event.time),
        "clock_trusted": int(event.data.clock.trusted),
        "trusted": int(event.data.clock.trusted),
        "sequence": 7,
        "received_at": 9,
    }


@settings(max_examples=examples(300), deadline=None)
@given(changed_events())
def test_rows_say_what_the_event_says(event_json):
    try:
        event = events.parse_event(event_json)
    except (EventError, OverflowError):
        return
    line = b'{"sequence":7,"previous":"%b","event":%b}' % (b"0" * 64, event_json)
    link = log.Link(7, "", line, event_json)
    found = project.read_event(link, event.device_id, event.data.institution_id)
    if isinstance(found, project.EventFlaw):
        assert b"\\u0000" in event_json
        return
    made = project.project(found, event.device_id, 7, 9)
    if isinstance(made, project.Projection):
        expected = columns_of(event)
        names = metadata.tables[made.table].columns.keys()
        assert made.row == tuple(expected[name] for name in names)
        assert all(type(value) in (str, int, float, type(None)) for value in made.row)


@pytest.mark.parametrize("value", [b'"b"', b"1", b"null", b'"renzheng.v1.device.clock"', b"{}"])
def test_doubled_names_read_alike(value):
    for event, whole in zip(RECORDED, WRITTEN, strict=True):
        for name in (*event, "data"):
            doubled = b'"%b":%b' % (name.encode(), value)
            assert_alike(b"{" + doubled + b"," + whole[1:])
            assert_alike(whole[:-1] + b"," + doubled + b"}")
        for name in event["data"]:
            doubled = b'"data":{"%b":%b,' % (name.encode(), value)
            assert_alike(whole.replace(b'"data":{', doubled))
