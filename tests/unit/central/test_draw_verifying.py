"""A published round holds, by two implementations; no change of it does."""

import copy
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from parts import second_draw
from parts.draws import make_round, seal_up
from parts.examples import examples

from renzheng.central.draw.documents import PublishedRound, digest, read_document
from renzheng.central.draw.verifying import Fails, Fault, Holds, verify_round
from renzheng.central.errors import DrawError
from renzheng.contracts import keys

ROUND, KEY = make_round(7)
KEPT = ROUND["commitment_sha256"]


def verdict(value, **known):
    """What the product says of a file: Holds, Fails, or no document at all."""
    try:
        return verify_round(read_document(json.dumps(value).encode(), PublishedRound), **known)
    except DrawError as error:
        return error


@pytest.mark.parametrize("number", range(1, 26))
def test_both_implementations_agree_on_honest_rounds(number):
    value, key = make_round(number, wards=1 + number % 7, per_ward=1 + number % 4, largest=1 + number)
    assert isinstance(verdict(value, key=key, kept_sha256=value["commitment_sha256"]), Holds)
    assert second_draw.holds(json.dumps(value), value["commitment_sha256"])


def places(value, path=()):
    """Every leaf, list and object of a document, as paths."""
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*path, key))
    elif isinstance(value, list):
        for index in range(len(value)):
            yield from places(value[index], (*path, index))


PLACES = [path for path in places(ROUND) if path]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


def mutations(draw, old):
    """A value that is not `old`: near it, or anything."""
    if isinstance(old, int) and not isinstance(old, bool) and draw(st.booleans()):
        return old + draw(st.sampled_from([-1, 1, 2, -7]))
    if isinstance(old, str) and old and draw(st.booleans()):
        place = draw(st.integers(0, len(old) - 1))
        letter = draw(st.sampled_from("0123456789abcdefZ-. /人"))
        return old[:place] + letter + old[place + 1 :]
    if isinstance(old, list) and len(old) > 1 and draw(st.booleans()):
        return draw(st.permutations(old))
    if isinstance(old, list) and old and draw(st.booleans()):
        return old[:-1] if draw(st.booleans()) else [*old, old[-1]]
    if isinstance(old, dict) and draw(st.booleans()):
        return {**old, draw(st.text(max_size=5)): 1}
    return draw(JSON)


@given(st.data())
@settings(max_examples=examples(400), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_change_anywhere_in_the_file_passes(data):
    path = data.draw(st.sampled_from(PLACES))
    changed = copy.deepcopy(ROUND)
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = mutations(data.draw, inner[path[-1]])
    same = json.dumps(changed, sort_keys=True) == json.dumps(ROUND, sort_keys=True)
    assert isinstance(verdict(changed), Holds) == same
    assert second_draw.holds(json.dumps(changed)) == same


@given(st.data())
@settings(max_examples=examples(200), deadline=None)
def test_no_change_of_a_byte_passes(data):
    text = bytearray(json.dumps(ROUND, ensure_ascii=False).encode())
    place = data.draw(st.integers(0, len(text) - 1))
    text[place] ^= 1 << data.draw(st.integers(0, 7))
    try:
        read = read_document(bytes(text), PublishedRound)
    except DrawError:
        return
    assert read == ROUND or isinstance(verify_round(read), Fails)


def forged(change):
    """What a bureau would publish that changes something after the commitment and redoes the rest."""
    commitment, frame = copy.deepcopy(ROUND["commitment"]), copy.deepcopy(ROUND["frame"])
    shares = [bytes.fromhex(one) for one in (ROUND["shares"]["system"], *ROUND["shares"]["officers"])]
    change(commitment, frame, shares)
    return seal_up(commitment, frame, shares, KEY)


def raise_a_weight(_commitment, frame, _shares):
    frame["units"][0]["candidates"][0][1] += 1


def drop_a_candidate(_commitment, frame, _shares):
    del next(unit for unit in frame["units"] if len(unit["candidates"]) > 1)["candidates"][0]


def drop_a_ward(_commitment, frame, _shares):
    del frame["units"][1]


def turn_the_order(_commitment, frame, _shares):
    frame["units"].reverse()


def try_another_share(_commitment, _frame, shares):
    shares[0] = bytes(32)


def swap_the_officers(_commitment, _frame, shares):
    shares[1], shares[2] = shares[2], shares[1]


def draw_more(commitment, _frame, _shares):
    commitment["sample"]["wards"] += 1


def name_another_value(commitment, _frame, _shares):
    commitment["public_value"]["description"] = "whatever suits us today"


def promise_anew(commitment, frame, _shares):
    frame["units"][0]["candidates"][0][1] += 1
    commitment["frame_sha256"] = digest(frame)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (raise_a_weight, Fault.FRAME),
        (drop_a_candidate, Fault.FRAME),
        (drop_a_ward, Fault.FRAME),
        (turn_the_order, Fault.FRAME_ORDER),
        (try_another_share, Fault.SHARE),
        (swap_the_officers, Fault.SHARE),
        (draw_more, Fault.KEPT_COMMITMENT),
        (name_another_value, Fault.KEPT_COMMITMENT),
        (promise_anew, Fault.KEPT_COMMITMENT),
    ],
)
def test_a_change_after_the_commitment_shows_though_all_the_rest_is_computed_anew(change, fault):
    value = forged(change)
    found = verdict(value, kept_sha256=KEPT, key=KEY)
    assert isinstance(found, Fails)
    assert fault in found.faults
    assert not second_draw.holds(json.dumps(value), KEPT)


def test_another_public_value_makes_another_sample_and_the_reader_who_knows_it_sees_that():
    shares = [bytes.fromhex(one) for one in (ROUND["shares"]["system"], *ROUND["shares"]["officers"])]
    other = seal_up(ROUND["commitment"], ROUND["frame"], shares, KEY, public_value="3D 2026321: 4 0 8")
    assert other["sample"] != ROUND["sample"]
    found = verdict(other, kept_sha256=KEPT, key=KEY, public_value=ROUND["public_value"])
    assert found == Fails((Fault.PUBLIC_VALUE,))
    unchanged = {**ROUND, "public_value": "3D 2026321: 4 0 8"}
    assert Fault.SEED in verdict(unchanged).faults


@pytest.mark.parametrize(
    "holders", [("tablet-1", "tablet-2", "tablet-3"), ("tablet-2", "tablet-1"), ("tablet-1", "tablet-1")]
)
def test_sheets_in_more_hands_than_the_frame_said_show(holders):
    shares = [bytes.fromhex(one) for one in (ROUND["shares"]["system"], *ROUND["shares"]["officers"])]
    other = seal_up(ROUND["commitment"], ROUND["frame"], shares, KEY, holders=holders)
    assert verdict(other, kept_sha256=KEPT, key=KEY) == Fails((Fault.HOLDERS,))
    assert not second_draw.holds(json.dumps(other), KEPT)


@pytest.mark.parametrize(
    "change",
    [{"version": 1}, {"holders": None}, {"frame": {**ROUND["frame"], "devices": None}}],
    ids=["version", "holders", "devices"],
)
def test_a_round_of_today_says_how_many_devices_may_hold_its_sheets(change):
    with pytest.raises(DrawError, match="no published round"):
        read_document(json.dumps({**ROUND, **change}).encode(), PublishedRound)


def test_another_s_signature_is_none():
    assert verdict(ROUND, key=keys.generate_key()) == Fails((Fault.SIGNATURE,))


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"a": 1, "a": 1}', b'{"a": 1.0}', b"NaN", b"1"],
)  # fmt: skip
def test_what_is_no_round_is_refused_by_name(content):
    with pytest.raises(DrawError, match="no published round"):
        read_document(content, PublishedRound)


def test_the_vector_of_the_specification_holds_by_both():
    text = (Path(__file__).parents[3] / "docs" / "draw-vector.json").read_text(encoding="utf-8")
    vector = read_document(text.encode(), PublishedRound)
    assert isinstance(verify_round(vector), Holds)
    assert second_draw.holds(text)
    assert any(one["chance"] != vector["sample"][0]["chance"] for one in vector["sample"])
