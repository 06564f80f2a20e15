"""Events refuse what they cannot mean."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from renzheng.contracts.events import (
    AttendanceData,
    Clock,
    CoverageData,
    EventError,
    SignIn,
    device_source,
    parse_event,
)

CLOCK = Clock(trusted=True, boot_id="b", monotonic_ms=1)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def sign_in(**changes):
    data = {"institution_id": "I", "clock": CLOCK.model_dump(), "purpose": "dialysis", "outcome": "match"}
    data |= {"pad": "bona_fide", "comparison_score": 0.6, "threshold": 0.5} | changes
    return {
        "specversion": "1.0",
        "id": "e1",
        "source": device_source("k1"),
        "type": "renzheng.v1.attendance.sign_in",
        "time": "2026-03-02T12:00:00Z",
        "subject": "P1",
        "data": {key: value for key, value in data.items() if value is not None},
    }


def test_a_sign_in_is_read():
    event = parse_event(sign_in())
    assert isinstance(event, SignIn)
    assert (event.device_id, event.subject, event.time) == ("k1", "P1", NOON)


@pytest.mark.parametrize(
    "changes",
    [
        {"comparison_score": None},
        {"threshold": None},
        {"outcome": "manual"},
        {"outcome": "probably"},
        {"pad": "live"},
        {"pad": None},
        {"false_match_rate": 0},
        {"bed": "12"},
        {"attempts": -1},
    ],
    ids=str,
)
def test_what_a_sign_in_cannot_mean_is_refused(changes):
    with pytest.raises(EventError):
        parse_event(sign_in(**changes))


def test_an_outcome_without_a_word_on_liveness_is_not_read_as_live():
    with pytest.raises(EventError, match=r"data\.pad"):
        parse_event(sign_in(pad=None))


def test_a_time_without_zone_is_refused():
    with pytest.raises(EventError, match="time"):
        parse_event(sign_in() | {"time": "2026-03-02T12:00:00"})


def test_a_time_that_utc_cannot_hold_is_refused():
    with pytest.raises(EventError, match="calendar"):
        parse_event(sign_in() | {"time": "0001-01-01T00:00:00+08:00"})


def test_times_are_kept_in_utc():
    event = parse_event(sign_in() | {"time": "2026-03-02T20:00:00+08:00"})
    assert event.time.utcoffset().total_seconds() == 0
    assert event.time == NOON


def test_the_message_of_an_error_does_not_repeat_personal_values():
    with pytest.raises(EventError) as refused:
        parse_event(sign_in(witness_id="张三 370000199001011234" * 20))
    assert "3700" not in str(refused.value)


def test_a_stretch_must_go_forward():
    with pytest.raises(ValueError, match="to_at"):
        CoverageData(
            institution_id="I", clock=CLOCK, purpose="dialysis", from_at=NOON, to_at=NOON, state="up"
        )


@pytest.mark.parametrize("value", [b"", b"[]", b"null", b"{}", b"\xff\xfe", b'{"data":1e999}', b"[" * 5000])
def test_no_event_is_refused_by_name(value):
    with pytest.raises(EventError):
        parse_event(value)


@given(
    st.dictionaries(st.text(max_size=8), st.one_of(st.none(), st.floats(), st.text(max_size=5)), max_size=5)
)
def test_any_object_is_an_event_or_refused_by_name(value):
    with pytest.raises(EventError):
        parse_event(json.dumps(value))


def test_a_match_needs_its_score():
    with pytest.raises(ValueError, match="comparison_score"):
        AttendanceData(institution_id="I", clock=CLOCK, purpose="dialysis", outcome="match", pad="not_shown")
