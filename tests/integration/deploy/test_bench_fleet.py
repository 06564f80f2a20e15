"""`renzheng bench fleet` at its smallest: every figure is there, and the store holds every entry once."""

import pytest

from renzheng.bench.site.fleet import run


@pytest.mark.mosquitto
def test_bench_fleet_gives_its_figures():
    said = []
    figures = run(4, 20, 12, said.append)
    assert (figures["devices"], figures["registered"], figures["entries"]) == (4, 20, 32)
    assert all(value > 0 for value in figures.values())
    assert figures["slow_entries_share"] < figures["slow_line_share"] <= 1.1
    assert len(said) == 5
