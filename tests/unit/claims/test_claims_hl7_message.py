"""HL7 v2 messages as segments and fields: against an independent reader, and whatever bytes come."""

import hl7
import pytest
from hypothesis import given
from hypothesis import strategies as st

from renzheng.central.claims.hl7_adt import Hl7Source
from renzheng.central.claims.hl7_message import Delimiters, MessageError, parse
from renzheng.central.claims.rejects import RowPlace
from renzheng.central.claims.source import Options
from renzheng.central.claims.values import read_time

ESCAPES = {"\\": "E", "|": "F", "^": "S", "&": "T", "~": "R"}
TEXTS = st.text(st.sampled_from("ab|^&~\\ 张"), max_size=6).map(str.strip)
FIELDS = st.lists(st.lists(st.lists(TEXTS, min_size=1, max_size=3), min_size=1, max_size=3), max_size=4)


def escaped(text):
    return "".join(f"\\{ESCAPES[letter]}\\" if letter in ESCAPES else letter for letter in text)


def written(fields):
    """Fields, each of repetitions, each of components."""
    return "|".join("~".join("^".join(map(escaped, one)) for one in field) for field in fields)


@given(FIELDS)
def test_values_are_those_of_an_independent_reader(fields):
    segments = ["MSH|^~\\&|HIS|H1", f"PID|{written(fields)}"]
    ours, theirs = parse(segments), hl7.parse("\r".join(segments) + "\r")
    for number, field in enumerate(fields, 1):
        for repetition, components in enumerate(field, 1):
            for component, text in enumerate(components, 1):
                assert ours.get(f"PID-{number}.{component}", repetition) == text
                if any(map(len, components)) and "\\" not in text:  # theirs loses an escaped escape
                    raw = theirs.extract_field("PID", 1, number, repetition, component)
                    assert theirs.unescape(raw).strip() == text


def test_the_header_counts_its_delimiters_as_fields():
    message = parse(["MSH|^~\\&|HIS|H1|||20260301||ADT^A01^ADT_A01|7|P|2.5.1"])
    assert (message.get("MSH-3"), message.get("MSH-9.2"), message.get("MSH-10")) == ("HIS", "A01", "7")


@pytest.mark.parametrize(
    ("written_as", "meant"),
    [
        ("a\\F\\b", "a|b"),
        ("\\E\\\\S\\\\T\\\\R\\", "\\^&~"),
        ("\\X4142\\", "AB"),
        ("\\XE5BCA0\\", "张"),
        ("a\\.br\\b", "a\nb"),
        ("\\H\\bold\\N\\", "bold"),
        ("\\Zown\\", "\\Zown\\"),
        ("half\\", "half\\"),
    ],
)
def test_escapes_are_undone_and_unknown_ones_stay(written_as, meant):
    """Chapter 2.7."""
    assert Delimiters().unescape(written_as) == meant


def test_a_deleted_value_is_empty_and_a_missing_one_too():
    """Two quotation marks delete a value (2.5.3)."""
    message = parse(["MSH|^~\\&|", 'PID|1|""|a^""^c&""'])
    values = [message.get(path) for path in ("PID-2", "PID-3.1", "PID-3.2", "PID-3.3.2", "PID-9", "ZZZ-1")]
    assert values == ["", "a", "", "", "", ""]


def test_the_truncation_character_of_later_versions_is_a_fifth_delimiter():
    """MSH-2 from v2.7 on."""
    message = parse(["MSH|^~\\&#|HIS", "PID|1|a\\P\\b"])
    assert message.get("PID-2") == "a#b"


@pytest.mark.parametrize(
    "header", ["", "MSH", "MSH|", "MSH||x", "MSHA^~\\&", "MSH|^^\\&|", "MSH| ~\\&|", "PID|1"]
)
def test_what_names_no_delimiters_is_no_message(header):
    with pytest.raises(MessageError):
        parse([header])


@given(
    st.lists(
        st.sampled_from(["PID|1||P1", "MRG|T1", "PV1|1|I", "EVN|A40|2026", "ZZZ", "PID", "MRG", ""]),
        max_size=7,
    ),
    st.sampled_from(["A01", "A06", "A08", "A10", "A17", "A31", "A40", "A41", "A45", "A50", "A99", ""]),
    st.text(max_size=20),
)
def test_no_message_breaks_the_reader(segments, trigger, text):
    source = Hl7Source(Options(institution="H1"))
    header = f"MSH|^~\\&|HIS|H1|||20260301090000||ADT^{trigger}|1|P|2.4"
    utc = read_time("2026-03-01T00:00:00Z", None).tzinfo
    source.read_message(
        [header, *segments, f"PID|1||{text}", f"PV1|1|I|{text}"], RowPlace("a", 1), lambda _: utc
    )
