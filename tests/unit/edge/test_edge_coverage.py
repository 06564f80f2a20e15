"""Coverage: what nobody saw is never said to have been seen."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from renzheng.contracts.events import CoverageState
from renzheng.edge.device import coverage
from renzheng.edge.device.coverage import CoverageStatus, Intervals, OpenStretch, Stretch

START = datetime(2026, 3, 2, 6, tzinfo=UTC)
INTERVALS = Intervals(timedelta(seconds=60), timedelta(minutes=15))
UP = CoverageStatus(CoverageState.UP)
DARK = CoverageStatus(CoverageState.DEGRADED, "dark")


def at(seconds):
    return START + timedelta(seconds=seconds)


def play(beats):
    open_, told = coverage.begin(START, UP), []
    for seconds, standing in beats:
        open_, closed = coverage.beat(open_, at(seconds), standing, INTERVALS)
        told += closed
    return open_, told


def test_a_quiet_stretch_is_told_at_the_interval():
    open_, told = play([(second, UP) for second in range(10, 911, 10)])
    assert told == [Stretch(START, at(900), CoverageState.UP)]
    assert open_ == OpenStretch(at(900), at(910), UP)


def test_a_change_closes_the_stretch_at_once():
    _, told = play([(10, UP), (20, DARK), (30, DARK), (40, UP)])
    assert told == [
        Stretch(START, at(20), CoverageState.UP),
        Stretch(at(20), at(40), CoverageState.DEGRADED, "dark"),
    ]


def test_missing_beats_are_down_and_not_up():
    _, told = play([(10, UP), (200, UP)])
    assert told == [
        Stretch(START, at(10), CoverageState.UP),
        Stretch(at(10), at(200), CoverageState.DOWN, "no_heartbeat"),
    ]


def test_a_clock_set_back_ends_the_stretch_at_what_was_seen():
    open_, told = play([(10, UP), (20, UP), (-3600, UP)])
    assert told == [Stretch(START, at(20), CoverageState.UP)]
    assert open_ == coverage.begin(at(-3600), UP)


def test_after_a_crash_everything_since_the_last_beat_is_down():
    last = OpenStretch(START, at(120), UP)
    assert coverage.resume(last, at(500), stopped=False) == [
        Stretch(START, at(120), CoverageState.UP),
        Stretch(at(120), at(500), CoverageState.DOWN, "crashed"),
    ]


def test_after_a_stop_on_purpose_it_is_down_too_under_another_name():
    last = OpenStretch(at(120), at(120), UP)
    assert coverage.resume(last, at(500), stopped=True) == [
        Stretch(at(120), at(500), CoverageState.DOWN, "stopped")
    ]


def test_a_start_before_the_last_beat_claims_no_length_of_the_absence():
    last = OpenStretch(START, at(120), UP)
    assert coverage.resume(last, at(60), stopped=False) == [Stretch(START, at(120), CoverageState.UP)]


@given(st.lists(st.tuples(st.integers(1, 200), st.sampled_from([UP, DARK])), min_size=1, max_size=60))
def test_stretches_join_without_overlap_and_no_silence_is_up(steps):
    beats, now = [], 0
    for gap, standing in steps:
        now += gap
        beats.append((now, standing))
    open_, told = play(beats)
    edges = [START, *(edge for stretch in told for edge in (stretch.from_at, stretch.to_at)), open_.since]
    assert edges[::2] == edges[1::2]
    silent = sum(gap for gap, _ in steps if gap > 60)
    down = sum(
        ((s.to_at - s.from_at).total_seconds() for s in told if s.state is CoverageState.DOWN), start=0.0
    )
    assert down == silent
