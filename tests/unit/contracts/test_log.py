"""The chain and the envelope: what holds, and what each kind of tampering is called."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from renzheng.contracts import keys, log, messages

DEVICE = "kiosk-01"
KEY = keys.generate_key()


def chain(count):
    head, lines = log.genesis(DEVICE), []
    for number in range(count):
        entry = log.append(head, b'{"type":"renzheng.v1.device.started","n":%d}' % number)
        head = log.Head(entry.sequence, entry.hash)
        lines.append(entry.line)
    return lines, head


def problem_of(lines):
    try:
        for _ in log.follow(log.genesis(DEVICE), lines):
            pass
    except log.BrokenChainError as error:
        return error.problem, error.sequence
    return None


def test_a_whole_chain_ends_in_its_head():
    lines, head = chain(5)
    *_, (_, reached) = log.follow(log.genesis(DEVICE), lines)
    assert reached == head


@pytest.mark.parametrize(
    ("tamper", "expected"),
    [
        (lambda lines: lines[:2] + lines[3:], ("gap", 4)),
        (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], ("gap", 3)),
        (lambda lines: [*lines[:2], lines[1], *lines[2:]], ("gap", 2)),
        (lambda lines: [lines[0].replace(b'"n":0', b'"n":9'), *lines[1:]], ("altered", 2)),
        (lambda lines: [*lines[:1], b"not json", *lines[2:]], ("malformed", 0)),
        (lambda lines: [*lines[:1], b'{"sequence":2}', *lines[2:]], ("malformed", 0)),
        (lambda lines: [lines[0].replace(b'"sequence":1', b'"sequence":true'), *lines[1:]], ("malformed", 0)),
    ],
    ids=["deleted", "reordered", "doubled", "altered", "no json", "no entry", "boolean sequence"],
)
def test_tampering_is_named(tamper, expected):
    lines, _ = chain(5)
    assert problem_of(tamper(lines)) == expected


@given(position=st.integers(0, 4), data=st.data())
def test_any_changed_byte_shows_by_the_end_of_the_chain(position, data):
    lines, head = chain(5)
    line = bytearray(lines[position])
    at = data.draw(st.integers(0, len(line) - 1))
    line[at] ^= data.draw(st.integers(1, 255))
    lines[position] = bytes(line)
    try:
        *_, (_, reached) = log.follow(log.genesis(DEVICE), lines)
    except log.BrokenChainError:
        return
    assert reached != head


def test_a_batch_opens_only_with_the_key_that_signed_it():
    lines, _ = chain(3)
    envelope = log.sign_batch(DEVICE, lines, KEY)
    assert log.open_batch(envelope, KEY).lines == lines
    with pytest.raises(keys.SignatureError):
        log.open_batch(envelope, keys.generate_key())


def test_a_batch_is_not_an_acknowledgement_and_the_other_way_round():
    lines, head = chain(1)
    ack = messages.sign_ack(messages.Ack(device_id=DEVICE, upto=1, head_hash=head.hash), KEY)
    with pytest.raises(keys.SignatureError):
        log.open_batch(ack, KEY)
    with pytest.raises(keys.SignatureError):
        messages.open_ack(log.sign_batch(DEVICE, lines, KEY), KEY)


@given(st.binary(max_size=400))
def test_noise_is_refused_by_name(noise):
    with pytest.raises((keys.SignatureError, log.LogError)):
        log.read_batch_header(noise)
    with pytest.raises(keys.SignatureError):
        log.open_batch(noise, KEY)


@given(data=st.data())
def test_an_altered_envelope_is_refused(data):
    lines, _ = chain(2)
    envelope = bytearray(log.sign_batch(DEVICE, lines, KEY))
    at = data.draw(st.integers(0, len(envelope) - 3))  # the last characters may hold unused base64 bits
    envelope[at] ^= data.draw(st.sampled_from([1, 2, 4, 8]))
    try:
        batch = log.open_batch(bytes(envelope), KEY)
    except (keys.SignatureError, log.LogError):
        return
    assert batch.lines == lines


def test_batches_are_cut_by_count_and_by_size():
    assert len(log.cut_batch([b"x"] * 250)) == log.MAX_BATCH_ENTRIES
    assert len(log.cut_batch([b"x" * 50_000] * 5)) == 2
    assert len(log.cut_batch([b"x" * (log.MAX_BATCH_BYTES + 1)])) == 1
    assert log.cut_batch([]) == []


@pytest.mark.parametrize("lines", [[], [b"a"] * 101, [b"a\nb"]], ids=["none", "too many", "newline"])
def test_what_is_no_batch_is_not_signed(lines):
    with pytest.raises(log.LogError):
        log.sign_batch(DEVICE, lines, KEY)


@pytest.mark.parametrize(
    "part",
    [
        *(b"QR", b"Q", b"QQ==", b"QQ=", b"QQ+/", b"Q Q", b"QQ\n", b'QQ"', b"QQ\xff", b"\xc3\xa9Q"),
        *(rb"\u0051Q", rb"QQ\n", rb"\\QQ", rb"\/QQ"),
    ],
)
def test_what_encode_would_have_written_otherwise_is_not_decoded(part):
    with pytest.raises(keys.SignatureError):
        keys.decode(part)


@given(st.binary(max_size=60))
def test_what_was_encoded_is_decoded(payload):
    assert keys.decode(keys.encode(payload)) == payload


def test_a_header_is_the_readers_own():
    envelope = keys.sign(b"{}", KEY, "x")
    keys.read_header(envelope)["kid"] = "another"
    assert keys.read_header(envelope)["kid"] == keys.key_id(KEY)


def test_an_entry_says_which_head_it_follows_however_its_line_is_written():
    (_, second), _ = chain(2)
    entry = log.read_entry(second)
    spaced = json.dumps({"sequence": 2, "previous": entry.previous, "event": entry.event}).encode()
    assert log.head_before(second) == log.head_before(spaced) == log.Head(1, entry.previous)
    for line in (b"", b"{}", second.replace(b'"sequence":2', b'"sequence":0')):
        with pytest.raises(log.BrokenChainError):
            log.head_before(line)
