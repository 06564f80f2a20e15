"""The core of the ingest: duplicates, reorder, gaps, forks, and what is not signed as it must be."""

from base64 import urlsafe_b64encode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from parts.devices import LogWriter
from parts.examples import examples

from renzheng.central.ingest.decide import (
    AlreadyStored,
    Commit,
    DeviceKey,
    DeviceState,
    OpenedBatch,
    Problem,
    Refused,
    open_message,
    place,
)
from renzheng.contracts import keys, log

WRITER = LogWriter()
WRITER.many(24)
OTHER_HISTORY = LogWriter()
OTHER_HISTORY.key = WRITER.key
OTHER_HISTORY.many(24)


def state(writer=WRITER, *, head=None, revoked=False, key_revoked=False):
    known = {keys.key_id(writer.key): DeviceKey(writer.public_key, key_revoked)}
    return DeviceState(
        writer.device_id, "H1", revoked, known, head or log.genesis(writer.device_id), "dialysis"
    )


def opened(first, last, writer=WRITER):
    found = open_message(state(writer), writer.batch(writer.entries[first - 1 : last]))
    assert isinstance(found, OpenedBatch)
    return found


def head(sequence, writer=WRITER):
    return log.Head(sequence, writer.entries[sequence - 1].hash) if sequence else log.genesis("kiosk-1")


def stored(upto, writer=WRITER):
    return {entry.sequence: entry.hash for entry in writer.entries[:upto]}


def test_a_batch_that_follows_the_head_is_committed():
    decision = place(head(0), opened(1, 10), {})
    assert isinstance(decision, Commit)
    assert decision.head == head(10)
    assert [placed.sequence for placed in decision.entries] == list(range(1, 11))


def test_a_resent_batch_is_already_stored():
    assert place(head(10), opened(3, 8), stored(10)) == AlreadyStored()


def test_an_overlapping_batch_commits_only_what_is_new():
    decision = place(head(10), opened(8, 14), stored(10))
    assert isinstance(decision, Commit)
    assert [placed.sequence for placed in decision.entries] == [11, 12, 13, 14]


def test_a_batch_beyond_the_head_is_a_gap():
    decision = place(head(10), opened(12, 14), {})
    assert isinstance(decision, Refused)
    assert (decision.problem, decision.sequence) == (Problem.GAP, 12)


def test_another_entry_under_a_stored_number_is_a_fork():
    decision = place(head(10), opened(8, 12, OTHER_HISTORY), stored(10))
    assert isinstance(decision, Refused)
    assert (decision.problem, decision.sequence) == (Problem.FORK, 8)


def test_a_new_entry_on_another_history_is_a_fork():
    decision = place(head(10), opened(11, 12, OTHER_HISTORY), {})
    assert isinstance(decision, Refused)
    assert (decision.problem, decision.sequence) == (Problem.FORK, 10)


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(1, 24), st.integers(1, 8)), min_size=1, max_size=25))
def test_any_order_of_true_batches_never_forks_and_grows_without_a_hole(pieces):
    current, kept = head(0), {}
    for first, length in pieces:
        batch = opened(first, min(first + length - 1, 24))
        match place(current, batch, kept):
            case Commit(entries, grown):
                assert entries[0].sequence == current.sequence + 1
                assert grown.sequence == batch.last
                kept.update({placed.sequence: placed.hash for placed in entries})
                current = grown
            case AlreadyStored():
                assert batch.last <= current.sequence
            case Refused(problem, _, _):
                assert problem is Problem.GAP
                assert batch.first > current.sequence + 1
    assert kept == stored(current.sequence)


def test_an_unknown_device():
    refused = open_message(None, WRITER.batch())
    assert isinstance(refused, Refused)
    assert refused.problem is Problem.UNKNOWN_DEVICE


@pytest.mark.parametrize(
    ("device", "problem"),
    [
        (state(revoked=True), Problem.REVOKED),
        (state(key_revoked=True), Problem.REVOKED),
        (state(LogWriter("kiosk-2")), Problem.WRONG_DEVICE),
        (state(LogWriter("kiosk-1")), Problem.UNKNOWN_KEY),
    ],
)
def test_who_may_not_speak(device, problem):
    refused = open_message(device, WRITER.batch())
    assert isinstance(refused, Refused)
    assert refused.problem is problem


def test_a_changed_byte_breaks_the_signature():
    envelope = bytearray(WRITER.batch())
    envelope[len(envelope) // 2] ^= 1
    refused = open_message(state(), bytes(envelope))
    assert isinstance(refused, Refused)
    assert refused.problem is Problem.SIGNATURE


@pytest.mark.parametrize("kept", [[0, 1, 3], [0, 2, 1], [1, 1]])
def test_a_signed_batch_with_a_hole_or_out_of_order_is_altered(kept):
    refused = open_message(state(), WRITER.batch([WRITER.entries[n] for n in kept]))
    assert isinstance(refused, Refused)
    assert refused.problem is Problem.ALTERED


def test_a_signed_batch_that_holds_no_entries_is_malformed():
    envelope = log.sign_batch("kiosk-1", [b'{"sequence":0}'], WRITER.key)
    refused = open_message(state(), envelope)
    assert isinstance(refused, Refused)
    assert refused.problem is Problem.MALFORMED


def test_what_is_kept_of_an_envelope_verifies_again():
    found = opened(3, 7)
    lines = b"\n".join(placed.line for placed in found.entries)
    rebuilt = b".".join([found.header, log_payload(lines), found.signature])
    assert log.open_batch(rebuilt, WRITER.public_key).lines == lines.split(b"\n")


def log_payload(lines):
    return urlsafe_b64encode(lines).rstrip(b"=")


@settings(max_examples=examples(300), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=300))
def test_no_bytes_crash_it(payload):
    assert isinstance(open_message(state(), payload), Refused)


PARTS = WRITER.batch().split(b".")


@settings(max_examples=examples(300), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2), st.binary(max_size=80))
def test_no_changed_part_crashes_it_or_is_taken(place_of, part):
    parts = [*PARTS]
    parts[place_of] = part
    assert isinstance(open_message(state(), b".".join(parts)), Refused)
