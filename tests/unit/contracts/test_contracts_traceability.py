"""A box has one code, however its mark was read."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from renzheng.contracts.traceability import has_valid_check_digit, read_traceability_code

GTIN = "06901234567892"
SERIAL = "A1B2-9"


@pytest.mark.parametrize(
    "scanned",
    [
        f"01{GTIN}21{SERIAL}",
        f"01{GTIN}21{SERIAL}\x1d17270331\x1d10L7",
        f"]d201{GTIN}17270331\x1d10L7\x1d21{SERIAL}",
        f"\x1d01{GTIN}1727033110L7\x1d21{SERIAL}",
        f"(01){GTIN}(17)270331(10)L7(21){SERIAL}",
        f"  (01) {GTIN} (21) {SERIAL} ",
        f"（01）{GTIN}（21）{SERIAL}",
    ],
)
def test_a_gs1_code_is_one_however_it_was_scanned(scanned):
    found = read_traceability_code(scanned)
    assert (found.code, found.product) == (f"01{GTIN}21{SERIAL}", GTIN)
    assert found.expires_on in {None, dt.date(2027, 3, 31)}
    assert (found.batch, found.expires_on is None) in {("L7", False), ("", True)}


@pytest.mark.parametrize(
    ("text", "code", "product"),
    [
        ("81234567890123456789", "81234567890123456789", "8123456"),
        ("8123 4567 8901 2345 6789", "81234567890123456789", "8123456"),
        ("８１２３４５６７８９０１２３４５６７８９", "81234567890123456789", "8123456"),
        ("\ufeffMK-2026/0001", "MK-2026/0001", ""),
    ],
)
def test_other_kinds_keep_their_spelling(text, code, product):
    found = read_traceability_code(text)
    assert (found.code, found.product) == (code, product)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "0", "-", "无", "0" * 20, "8" * 20, "----", "无码", "x" * 101, "a\x00bcd",
        f"01{GTIN[:-1]}321{SERIAL}", f"01{GTIN}", f"(01){GTIN}(21)",
    ],
)  # fmt: skip
def test_what_is_no_code_is_none(text):
    assert read_traceability_code(text) is None


def test_a_day_of_nought_is_the_end_of_the_month():
    assert read_traceability_code(f"01{GTIN}1728020021{SERIAL}").expires_on == dt.date(2028, 2, 29)
    assert read_traceability_code(f"01{GTIN}1727120021{SERIAL}").expires_on == dt.date(2027, 12, 31)
    assert read_traceability_code(f"01{GTIN}1727990121{SERIAL}").expires_on is None


@given(st.text(max_size=60))
def test_reading_is_idempotent_and_never_fails(text):
    found = read_traceability_code(text)
    if found is not None:
        again = read_traceability_code(found.code)
        assert (again.code, again.product) == (found.code, found.product)


@given(st.integers(min_value=0, max_value=10**13 - 1))
def test_exactly_one_check_digit_is_right(number):
    assert sum(has_valid_check_digit(f"{number:013}{digit}") for digit in range(10)) == 1
