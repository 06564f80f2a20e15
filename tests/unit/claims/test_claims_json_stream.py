"""JSON one value at a time: where each begins, what is broken, exact numbers, bounded memory."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from renzheng.central.claims import json_stream
from renzheng.central.claims.json_stream import is_json, read_values
from renzheng.central.claims.rejects import Reason

OBJECTS = st.lists(
    st.dictionaries(
        st.text(max_size=4),
        st.one_of(st.text(max_size=9), st.integers(), st.none(), st.booleans()),
        min_size=1,  # a first line that is a whole object means a value a line
    ),
    min_size=1,
    max_size=6,
)


def _read(tmp_path, text, codec="utf-8"):
    path = tmp_path / "a.json"
    path.write_bytes(text.encode(codec))
    return list(read_values(path))


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('{"a": 1}\n{"a": 2}\n', [(1, {"a": 1}), (2, {"a": 2})]),
        ('\n{"a": 1}\n\n{"a": 2}', [(2, {"a": 1}), (4, {"a": 2})]),
        ('{\n"a": 1\n}\n{\n"a": 2\n}', [(1, {"a": 1}), (4, {"a": 2})]),
        ('[\n{"a": 1},\n{"a": 2}\n]', [(2, {"a": 1}), (3, {"a": 2})]),
        ('[{"a": [1, 2]}, {"b": "]"}]', [(1, {"a": [1, 2]}), (1, {"b": "]"})]),
        ("[]", []),
        ("", []),
        ('{"a": 1.10}', [(1, {"a": Decimal("1.10")})]),
        ('{"a": 1}\n{broken\n{"a": 2}\n', [(1, {"a": 1}), (2, Reason.NOT_PARSABLE), (3, {"a": 2})]),
        ('[\n{"a": 1},\n{broken}\n]', [(2, {"a": 1}), (3, Reason.NOT_PARSABLE)]),
        ('{"a": ', [(1, Reason.NOT_PARSABLE)]),
        ('{"a": Infinity}', [(1, Reason.NOT_PARSABLE)]),
        ('{"a": 1}\n' + "[" * 100_000, [(1, {"a": 1}), (2, Reason.NOT_PARSABLE)]),
    ],
)
def test_values_come_with_their_lines(tmp_path, text, values):
    assert _read(tmp_path, text) == values


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "gb18030"])
def test_encodings(tmp_path, codec):
    assert _read(tmp_path, '[{"a": "血液透析"}]', codec) == [(1, {"a": "血液透析"})]
    assert _read(tmp_path, '{"a": "血液透析"}\n{"a": "床位"}\n', codec)[1] == (2, {"a": "床位"})


def test_a_bad_byte_in_a_line_costs_the_line(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes('{"a": "血液透析"}\n'.encode() + b'{"a": "\xff"}\n{"a": 3}\n')
    assert list(read_values(path))[1:] == [(2, Reason.UNDECODABLE), (3, {"a": 3})]


@given(OBJECTS, st.sampled_from([None, 1]), st.integers(1, 40))
def test_any_values_come_back_whatever_the_window(tmp_path_factory, values, indent, chunk):
    path = tmp_path_factory.mktemp("any") / "a.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "_CHUNK", chunk)
        path.write_text(json.dumps(values, indent=indent), encoding="utf-8")
        assert [value for _, value in read_values(path)] == values
        path.write_text("\n".join(json.dumps(one, indent=indent) for one in values), encoding="utf-8")
        assert [value for _, value in read_values(path)] == values


def test_a_value_without_end_is_given_up_in_bounded_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(json_stream, "_CHUNK", 100)
    monkeypatch.setattr(json_stream, "_VALUE_LIMIT", 1000)
    text = '[{"a": 1},\n{"a": "' + "x" * 5000 + '"}]'
    assert _read(tmp_path, text) == [(1, {"a": 1}), (2, Reason.TOO_LONG)]


@pytest.mark.parametrize(
    ("text", "answer"), [(' {"a": 1}', True), ("\ufeff[", True), ("a,b\n", False), ("", False)]
)
def test_json_is_known_by_its_first_character(tmp_path, text, answer):
    (tmp_path / "a").write_text(text, encoding="utf-8")
    assert is_json(tmp_path / "a") is answer


def test_progress_adds_up(tmp_path):
    for text in ('{"a": 1}\n' * 100, json.dumps([{"a": "血"}] * 100, ensure_ascii=False)):
        told = []
        (tmp_path / "a").write_text(text, encoding="utf-8")
        list(read_values(tmp_path / "a", advance=told.append))
        assert sum(told) == len(text.encode())
