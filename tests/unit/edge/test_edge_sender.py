"""The sender against a central that takes entries once and in order, over a line that does anything."""

import hashlib
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parts.examples import examples

from renzheng.contracts.messages import Ack
from renzheng.edge.device.link import sender
from renzheng.edge.device.link.sender import Alarm, Sender

BATCH = 10
PATIENCE_MS = 10_000


def hash_of(sequence):
    return hashlib.sha256(str(sequence).encode()).hexdigest()


def ack(upto, problem=None, head_hash=None):
    return Ack(device_id="d", upto=upto, head_hash=head_hash or hash_of(upto), problem=problem)


def answered(state, message, *, head, base=0, now_ms=0):
    return state.answered(message, hash_of(message.upto), head=head, base=base, now_ms=now_ms)


@dataclass
class Central:
    """Commits what follows, answers with what it has."""

    upto: int = 0
    taken: list[int] = field(default_factory=list)

    def take(self, first, last):
        if first > self.upto + 1:
            return ack(self.upto, "gap")
        self.taken.extend(range(self.upto + 1, last + 1))
        self.upto = max(self.upto, last)
        return ack(self.upto)


def run(head, fates, lag_ms=40):
    """Play until everything is acknowledged; each message's fate is the next of `fates`, then all arrive."""
    state = sender.begin(0).joined(0)
    central, now, upwards, downwards = Central(), 0, [], []
    fates = iter(fates)
    most = 0

    def put(line, message):
        fate = next(fates, "arrive")
        if fate != "lose":
            line.append(message)
        if fate == "double":
            line.append(message)
        if fate == "overtake" and len(line) > 1:
            line[-1], line[-2] = line[-2], line[-1]

    for _ in range(20_000):
        now += lag_ms
        state = state.tick(now, PATIENCE_MS)
        while (after := state.next_after(head, now)) is not None:
            last = min(after + BATCH, head)
            put(upwards, (after + 1, last))
            state = state.sent(last, now)
        most = max(most, len(state.outstanding))
        if upwards:
            put(downwards, central.take(*upwards.pop(0)))
        if downwards:
            state, alarm = answered(state, downwards.pop(0), head=head, now_ms=now)
            assert alarm is None
        if state.acknowledged == head and not upwards and not downwards:
            break
    return state, central, most


@settings(max_examples=examples(150), deadline=None)
@given(
    head=st.integers(1, 120),
    fates=st.lists(st.sampled_from(["arrive", "lose", "double", "overtake"]), max_size=80),
)
def test_whatever_the_line_does_everything_arrives_once_in_order_and_the_window_holds(head, fates):
    state, central, most = run(head, fates)
    assert state.acknowledged == head
    assert central.taken == list(range(1, head + 1))
    assert most <= sender.WINDOW


def test_a_quiet_line_is_sent_again_after_the_patience_and_not_before():
    state = sender.begin(0).joined(0).sent(10, 0)
    assert state.tick(PATIENCE_MS - 1, PATIENCE_MS).next_after(10, 0) is None
    assert state.tick(PATIENCE_MS, PATIENCE_MS).next_after(10, PATIENCE_MS) == 0


def test_one_gap_answered_several_times_is_followed_once():
    state = sender.begin(0).joined(0)
    for upto in (10, 20, 30, 40):
        state = state.sent(upto, 0)
    state, _ = answered(state, ack(0, "gap"), head=40, now_ms=600)
    assert state.next_after(40, 600) == 0
    state = state.sent(10, 600)
    again, _ = answered(state, ack(0, "gap"), head=40, now_ms=650)
    assert again == state


def test_a_central_that_was_set_back_is_followed_back():
    state = Sender(acknowledged=50, sent_upto=50, connected=True)
    back, alarm = answered(state, ack(20, "gap"), head=60)
    assert (back.acknowledged, back.next_after(60, 0), alarm) == (20, 20, None)


@pytest.mark.parametrize(
    ("message", "base", "alarm"),
    [
        (ack(61), 0, Alarm.AHEAD),
        (ack(30, "fork"), 0, Alarm.FORK),
        (ack(10), 20, Alarm.FORGOTTEN),
    ],
)
def test_a_history_that_is_not_ours_is_an_alarm_and_stops_everything(message, base, alarm):
    state, raised = answered(sender.begin(50).joined(0), message, head=60, base=base)
    assert raised is alarm
    assert state.next_after(60, 0) is None
    assert state.joined(1).next_after(60, 1) is None


@pytest.mark.parametrize(("base", "after"), [(0, 29), (30, 30)])
def test_a_device_that_sees_the_fork_first_hands_its_other_history_in_once_a_connection(base, after):
    other = ack(30, head_hash="0" * 64)
    state, raised = answered(sender.begin(50).joined(0), other, head=60, base=base)
    assert raised is Alarm.FORK
    assert state.next_after(60, 0) == after
    assert state.next_after(after, 0) is None, "nothing was written after that"
    state = state.sent(after + 5, 0)
    assert state.next_after(60, 0) is None
    for word in (other, ack(30, "fork")):
        state, raised = answered(state, word, head=60, base=base)
        assert (raised, state.next_after(60, 0)) == (None, None)
    state, raised = answered(state.joined(1), other, head=60, base=base)
    assert (raised, state.next_after(60, 1)) == (None, after), "it may have been lost with the connection"
    state, raised = answered(state, ack(30), head=60, base=base)
    assert (raised, state.halted, state.next_after(60, 1)) == (None, None, 30)


def test_a_refusal_pauses_longer_each_time_and_progress_forgets_it():
    state, now, waits = sender.begin(0).joined(0), 0, []
    for _ in range(8):
        state, alarm = answered(state.sent(10, now), ack(0, "unknown_key"), head=10, now_ms=now)
        assert alarm is Alarm.REFUSED
        waits.append(state.paused_until_ms - now)
        assert state.next_after(10, state.paused_until_ms - 1) is None
        now = state.paused_until_ms
        assert state.next_after(10, now) == 0
    assert waits == [5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000]
    state, _ = answered(state.sent(10, now), ack(10), head=10, now_ms=now)
    assert state.pause_ms == sender.FIRST_PAUSE_MS


def test_nothing_is_sent_while_the_connection_is_gone_and_all_of_it_after():
    state, _ = sender.begin(5).joined(0).sent(15, 0).parted()
    assert state.next_after(20, 0) is None
    assert state.joined(10).next_after(20, 10) == 5


def test_a_broker_that_breaks_over_large_messages_gets_smaller_ones_down_to_one_entry_and_then_an_alarm():
    state, sizes, alarms = sender.begin(0), [], []
    for _ in range(14):
        state, alarm = state.joined(0).sent(10, 0).parted()
        sizes.append(state.batch_bytes)
        alarms.append(alarm)
    assert sizes[:3] == [4_000, 2_000, 1_000]
    assert sizes[-1] == 1
    assert [alarm for alarm in alarms if alarm] == [Alarm.UNDELIVERABLE]
    state, _ = answered(state.joined(0).sent(1, 0), ack(1), head=10)
    assert (state.batch_bytes, state.broken) == (1_000, 0)


def test_a_connection_that_breaks_while_nothing_is_under_way_says_nothing_about_size():
    state, alarm = sender.begin(0).joined(0).parted()
    assert (state.batch_bytes, alarm) == (sender.FIRST_BATCH_BYTES, None)


ENTRY_BYTES = 800
"""An entry of a sign-in as it travels, in base64."""


def drain(entries, bytes_a_second, *, delay_ms=600, patience_ms=PATIENCE_MS):
    """Send a backlog over a line of so many bytes a second, moved in steps of 10 ms.

    Returns:
        The milliseconds it took, the bytes that the line carried, how many entries went twice, and the
        largest batch.
    """
    state, central, now, free_at, largest = sender.begin(0).joined(0), Central(), 0, 0.0, 0
    line, back, carried, sent = [], [], 0, 0
    while state.acknowledged < entries:
        state = state.tick(now, patience_ms)
        while (after := state.next_after(entries, now)) is not None:
            last = min(after + max(state.batch_bytes // ENTRY_BYTES, 1), after + 100, entries)
            size = (last - after) * ENTRY_BYTES + 600
            carried, sent, largest = carried + size, sent + last - after, max(largest, last - after)
            free_at = max(free_at, now) + 1000 * size / bytes_a_second
            line.append((free_at + delay_ms, after + 1, last))
            state = state.sent(last, now)
        now += 10
        while line and line[0][0] <= now:
            arrived, first, last = line.pop(0)
            back.append((arrived + delay_ms, central.take(first, last)))
        while back and back[0][0] <= now:
            state, alarm = answered(state, back.pop(0)[1], head=entries, now_ms=now)
            assert alarm is None
    return now, carried, sent - entries, largest


@pytest.mark.parametrize("bits_a_second", [9_600, 32_000, 128_000])
def test_a_slow_line_carries_nothing_twice_and_is_not_left_idle(bits_a_second):
    """What is sent again too early would fill the very line that was too slow."""
    took_ms, carried, twice, _ = drain(1_000, bits_a_second / 8)
    assert twice == 0
    assert 1000 * carried / (bits_a_second / 8) >= 0.8 * took_ms, "at least 80 % of the line"


def test_a_fast_line_has_the_largest_batches_at_once():
    took_ms, _, twice, largest = drain(5_000, 10_000_000, delay_ms=5)
    assert (twice, largest) == (0, 100)
    assert took_ms < 2_000


def test_the_patience_doubles_while_nothing_moves_and_progress_forgets_it():
    state, now, waits = sender.begin(0).joined(0).sent(10, 0), 0, []
    for _ in range(5):
        began = now
        while state.tick(now, 1_000) is state:
            now += 100
        state = state.tick(now, 1_000)
        waits.append(now - began)
        state = state.sent(10, now)
    assert waits == [1_000, 2_000, 4_000, 8_000, 8_000]
    state, _ = answered(state, ack(10), head=20, now_ms=now)
    assert state.rewinds == 0
