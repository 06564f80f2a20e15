"""`renzheng bench fleet` at its smallest: every figure is there, and the store holds every entry once."""

import pytest

from renzheng.bench.site.fleet import run


# `long`: a measurement on the side; what it measures has tests of its own
@pytest.mark.long
@pytest.mark.mosquitto
def test_bench_fleet_gives_its_figures():
    said = []
    figures = run(4, 20, 4, said.append, away_seconds=1.0)
    assert (figures["devices"], figures["registered"], figures["entries"]) == (4, 20, 24)
    assert all(value > 0 for name, value in figures.items() if not name.endswith("_seconds"))
    assert all(value >= 0 for value in figures.values())  # four devices may be back in no time
    assert figures["slow_entries_share"] < figures["slow_line_share"] <= 1.1
    assert len(said) == 5
