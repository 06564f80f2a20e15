"""A public value is named beforehand and has too many bits to be tried out."""

import pytest

from renzheng.central.draw.public_values import check_value, source_of
from renzheng.central.errors import DrawError

BEACON = "9f2c41d07be86a35c1f09d4e7720ab3358e6d90142fa7c8b6e15d3047ba9f8c2"


@pytest.mark.parametrize(
    ("description", "value"),
    [
        ("drand: round 4711000", BEACON),
        ("nist-beacon: the pulse of 15:00 UTC", BEACON.upper() * 2),
        ("lottery：福彩3D 七期", "407 112 398 560 771 024 935"),
        ("index: seven closing figures", "3021.45 9876.10 1234.56 77.81 402.19"),
    ],
)
def test_what_a_source_gives_is_taken(description, value):
    check_value(description, value)


@pytest.mark.parametrize(
    ("description", "value"),
    [
        ("lottery: 福彩3D", "4 0 7"),
        ("lottery: 福彩3D", "1234567890123456789"),  # 63 bits
        ("lottery: 福彩3D", "0" * 40),
        ("lottery: words", "x" * 400),
        ("lottery: other digits", "٤" * 40),
        ("drand: round 4711000", BEACON[:-1]),
        ("drand: round 4711000", BEACON.upper()),
        ("nist-beacon: the pulse", BEACON * 2),
        ("nist-beacon: the pulse", "0" * 128),
        ("drand: round 4711000", "ab" * 32),
    ],
)
def test_what_could_be_tried_out_or_is_not_of_the_source_is_refused(description, value):
    with pytest.raises(DrawError):
        check_value(description, value)


@pytest.mark.parametrize("description", ["", "drand", "drand:  ", "whatever: 20 digits", "福彩3D 第1期"])
def test_a_description_without_a_source_is_refused(description):
    with pytest.raises(DrawError, match="names no source"):
        source_of(description)
