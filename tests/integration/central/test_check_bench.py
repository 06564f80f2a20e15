"""The bench of checks: the evaluator and the same kinds as SQL name the same points, over HTTP or not."""

import datetime as dt

import pytest

from renzheng.bench.checks import world
from renzheng.bench.checks.run import against_the_rival, run


def test_evaluator_and_sql_name_the_same_points(tmp_path):
    size = world.Size(40, 60)
    world.lay_history(tmp_path / "history.sqlite", size, dt.datetime.now(dt.UTC).date())
    ours, theirs, same = against_the_rival(tmp_path / "history.sqlite", size, 120)
    assert same == 1
    assert min(*ours, *theirs) > 0


@pytest.mark.long
def test_checks_are_asked_over_http():
    found = run(world.Size(200, 12), 2, 2.0, lambda _: None)
    assert found.checks > 0
    assert found.advices > 0
    assert found.same == 1
