"""Waits after failures grow, have a limit, and keep many devices apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from renzheng.common.backoff import back_off, jittered


def test_each_wait_is_twice_the_one_before_up_to_the_longest():
    assert [back_off(failures, 0.5, 5.0) for failures in range(7)] == [0, 0.5, 1, 2, 4, 5, 5]


@pytest.mark.parametrize("failures", [31, 1_000, 10**9])
def test_however_many_failures_there_were_it_can_be_reckoned(failures):
    assert back_off(failures, 0.2, 30.0) == 30.0


@given(failures=st.integers(1, 100), chance=st.floats(0, 0.999))
def test_the_back_off_grows_is_jittered_and_has_a_ceiling(failures, chance):
    wait = jittered(back_off(failures, 500, 60_000), chance)
    assert 0 < wait <= min(60_000, 500 * 2.0 ** (failures - 1))


def test_jitter_leaves_at_least_the_part_that_is_named():
    assert jittered(10.0, 0.0) == pytest.approx(1.0)
    assert jittered(10.0, 0.0, least=0.5) == pytest.approx(5.0)
    assert jittered(10.0, 1.0) == pytest.approx(10.0)
