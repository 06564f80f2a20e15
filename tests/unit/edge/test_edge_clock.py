"""The machine's clock and the stepped one keep the same contract; jumps are named."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from renzheng.edge.device import clock as clock_module
from renzheng.edge.device.clock import ClockChange, ClockReading, SteppedClock, SystemClock, watch

START = datetime(2026, 3, 2, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    "make", [SystemClock, lambda: SteppedClock(START), lambda: SteppedClock(START, runs=True)]
)
def test_both_clocks_keep_one_contract(make):
    clock = make()
    first, second = clock.read(), clock.read()
    assert first.wall.utcoffset() == timedelta(0)
    assert second.monotonic_ms >= first.monotonic_ms >= 0
    assert first.boot_id == second.boot_id != ""
    assert isinstance(first.trusted, bool)
    assert first.as_event_clock().monotonic_ms == first.monotonic_ms


def test_time_that_passes_is_no_jump_and_a_step_of_the_wall_clock_is():
    clock = SteppedClock(START)
    before = clock.read()
    clock.advance(timedelta(hours=5))
    assert watch(before, clock.read()) == []
    before = clock.read()
    clock.set_wall(timedelta(days=-1))
    assert watch(before, clock.read()) == [ClockChange("jumped", -86_400_000)]


@pytest.mark.parametrize(("before", "now", "change"), [(True, False, "lost"), (False, True, "synchronised")])
def test_losing_and_finding_the_time_source_is_named(before, now, change):
    clock = SteppedClock(START, trusted=before)
    first = clock.read()
    clock.trust(now)
    assert watch(first, clock.read()) == [ClockChange(change)]


def test_readings_of_two_boots_do_not_compare():
    first = ClockReading(START, 5_000, "one", trusted=True)
    assert watch(first, replace(first, wall=START + timedelta(days=2), boot_id="two")) == []


def test_a_process_that_is_held_up_between_its_looks_has_seen_no_jump(monkeypatch):
    boot_ms = iter([1_000, 6_000, 6_000, 6_001])
    monkeypatch.setattr(clock_module, "_boot_ms", lambda: next(boot_ms))
    assert SystemClock().read().monotonic_ms == 6_001
    assert list(boot_ms) == []


def test_a_process_that_is_always_held_up_still_gets_a_reading(monkeypatch):
    boot_ms = iter(range(0, 10**9, 5_000))
    monkeypatch.setattr(clock_module, "_boot_ms", lambda: next(boot_ms))
    assert SystemClock().read().monotonic_ms > 0
