"""Text to typed values: what is taken, and the reason for what is not."""

from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from renzheng.central.claims.rejects import Reason, shown
from renzheng.central.claims.values import (
    ValueProblem,
    read_date,
    read_decimal,
    read_id,
    read_text,
    read_time,
)

SHANGHAI = ZoneInfo("Asia/Shanghai")
EIGHT = datetime(2026, 3, 2, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-02 08:00:00",
        "2026-03-02 08:00",
        "2026-03-02T08:00:00",
        "2026-03-02  08:00:00.000",
        "2026/3/2 8:00:00",
        "2026.03.02 08:00:00",
        "2026年3月2日 08:00:00",
        "20260302080000",
        "202603020800",
        "20260302T080000",
        "20260302 080000",
        " 2026-03-02 08:00:00 ",
        "2026-03-02T00:00:00Z",
        "2026-03-02 00:00:00+00",
        "2026-03-02T08:00:00+08:00",
        "2026-03-01T19:00:00-0500",
    ],
)
def test_a_time_is_read_as_utc(text):
    assert read_time(text, SHANGHAI) == EIGHT


def test_a_day_alone_is_its_local_midnight():
    assert read_time("2026-03-02", SHANGHAI) == datetime(2026, 3, 1, 16, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", Reason.BAD_TIME),
        ("8 o'clock", Reason.BAD_TIME),
        ("2026-02-30 08:00:00", Reason.BAD_TIME),
        ("2026-03-02 24:00:00", Reason.BAD_TIME),
        ("2026-03-02 08:60:00", Reason.BAD_TIME),
        ("2026-03-02 08:00:00 PM", Reason.BAD_TIME),
        ("2026-03-02T08:00:00+99:00", Reason.BAD_TIME),
        ("45000.5", Reason.BAD_TIME),
        ("２０２６-03-02 08:00:00", Reason.BAD_TIME),
        ("0001-01-01 00:00:00", Reason.TIME_OUT_OF_RANGE),
        ("9999-12-31 23:59:59", Reason.TIME_OUT_OF_RANGE),
    ],
)
def test_an_unreadable_time_has_a_reason(text, reason):
    with pytest.raises(ValueProblem) as caught:
        read_time(text, SHANGHAI)
    assert caught.value.reason is reason


def test_a_local_time_without_a_zone_is_refused():
    with pytest.raises(ValueProblem) as caught:
        read_time("2026-03-02 08:00:00", None)
    assert caught.value.reason is Reason.TIME_WITHOUT_OFFSET


@given(
    st.datetimes(EIGHT.replace(year=1950, tzinfo=None), EIGHT.replace(year=2150, tzinfo=None)),
    st.sampled_from(["%Y-%m-%d %H:%M:%S", "%Y%m%d%H%M%S"]),
)
def test_what_strftime_writes_is_read_back(moment, form):
    local = moment.replace(microsecond=0)
    assert read_time(local.strftime(form), UTC) == local.replace(tzinfo=UTC)


@given(st.text(max_size=30))
def test_any_text_is_a_time_or_a_problem(text):
    with suppress(ValueProblem):
        assert read_time(text, SHANGHAI).tzinfo is UTC


def test_a_date_drops_the_time_of_day():
    assert read_date("1950-05-06 00:00:00") == date(1950, 5, 6)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("400", "400.00"),
        ("-400.5", "-400.50"),
        ("1,234.50", "1234.50"),
        ("+1", "1.00"),
        (".5", "0.50"),
        ("1.500", "1.50"),
        ("４００．５", "400.50"),
        ("￥1,234.50", "1234.50"),
        ("400.50元", "400.50"),
        ("\u2212400", "-400.00"),
    ],
)
def test_a_decimal_is_read_exactly(text, value):
    assert read_decimal(text, 16, 2) == Decimal(value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x", Reason.BAD_DECIMAL),
        ("", Reason.BAD_DECIMAL),
        ("NaN", Reason.BAD_DECIMAL),
        ("Infinity", Reason.BAD_DECIMAL),
        ("1E+05", Reason.BAD_DECIMAL),
        ("1,23", Reason.BAD_DECIMAL),
        ("4 00", Reason.BAD_DECIMAL),
        ("12.345", Reason.TOO_MANY_DECIMALS),
        ("100000000000000", Reason.OUT_OF_RANGE),
    ],
)
def test_a_bad_decimal_has_a_reason(text, reason):
    with pytest.raises(ValueProblem) as caught:
        read_decimal(text, 16, 2)
    assert caught.value.reason is reason


@given(st.decimals(min_value=-(10**11), max_value=10**11, places=4))
def test_a_quantity_comes_back_as_written(number):
    assert read_decimal(format(number, "f"), 16, 4) == number


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", Reason.MISSING),
        ("   ", Reason.MISSING),
        ("a\nb", Reason.CONTROL_CHARACTER),
        ("a\x00b", Reason.CONTROL_CHARACTER),
        ("3.71121E+17", Reason.SPREADSHEET_NUMBER),
        ("张\ufffd", Reason.REPLACEMENT_CHARACTER),
        ("x" * 501, Reason.TOO_LONG),
        (1.5, Reason.NOT_PARSABLE),
        (True, Reason.NOT_PARSABLE),
        ([], Reason.NOT_PARSABLE),
    ],
)
def test_a_bad_id_has_a_reason(value, reason):
    with pytest.raises(ValueProblem) as caught:
        read_id(value)
    assert caught.value.reason is reason


def test_an_id_is_trimmed_and_a_whole_number_is_text():
    assert (read_id(" H1\t"), read_id(37)) == ("H1", "37")


def test_free_text_keeps_its_words_on_one_line():
    assert read_text("血液\r\n透析") == "血液 透析"


@pytest.mark.parametrize(
    ("value", "safe"),
    [("=1+1", "'=1+1"), ("@x", "'@x"), ("-400.00", "-400.00"), ("-x", "'-x"), ("a\x00b", "a\\x00b")],
)
def test_a_value_shown_in_a_list_is_no_formula(value, safe):
    assert shown(value) == safe
