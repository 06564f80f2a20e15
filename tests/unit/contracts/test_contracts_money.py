"""One rule for money, the same in Python and in the audit's engine."""

from decimal import Decimal

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from renzheng.contracts.money import in_wan, rounded


@pytest.mark.parametrize(
    ("value", "cents"),
    [("12.345", "12.35"), ("-12.345", "-12.35"), ("12.3449", "12.34"), ("0.005", "0.01"), ("-0.004", "0.00")],
)
def test_halves_go_away_from_zero(value, cents):
    assert rounded(Decimal(value)) == Decimal(cents)


@settings(deadline=None)  # a busy machine is no fault
@given(st.lists(st.decimals(min_value=-(10**9), max_value=10**9, places=5), min_size=1, max_size=20))
def test_the_engines_cast_says_the_same(numbers):
    with duckdb.connect() as connection:
        for number in numbers:
            row = connection.execute("SELECT CAST(? AS DECIMAL(16,2))", [format(number, "f")]).fetchone()
            assert row is not None
            assert row[0] == rounded(number)


@pytest.mark.parametrize(
    ("fen", "zh", "en"),
    [
        (999_999, "¥9,999.99", "¥9,999.99"),
        (1_000_000, "1.00 万元", "¥10,000.00"),
        (123_456_789_50, "12,345.68 万元", "¥123,456,789.50"),
        (-1_234_500, "−1.23 万元", "−¥12,345.00"),
        (0, "¥0.00", "¥0.00"),
    ],
)
def test_totals_are_read_in_ten_thousands_in_chinese_only(fen, zh, en):
    assert in_wan(fen, "zh") == zh
    assert in_wan(fen, "en") == en
