"""`renzheng bench sync` at its smallest: every figure is there, and the stores hold every event once."""

import pytest

from renzheng.bench.sync.sync import run


# `long`: a measurement on the side; what it measures has tests of its own
@pytest.mark.long
@pytest.mark.mosquitto
@pytest.mark.postgresql
def test_bench_sync_gives_its_figures():
    said = []
    figures = run(2000, said.append)
    assert figures.keys() == {
        "events",
        *(f"{part}_events_per_second" for part in ("ceiling", "sqlite", "postgresql")),
        *(f"{part}_cpu_us_per_event" for part in ("ceiling", "sqlite", "postgresql")),
    }
    assert figures["events"] == 2000
    assert all(value > 0 for value in figures.values())
    assert len(said) == 4
