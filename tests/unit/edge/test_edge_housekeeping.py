"""What may go when, in which order, and what never goes."""

from datetime import UTC, datetime, timedelta

import pytest

from renzheng.common.metrics import write
from renzheng.contracts.ids import EventId
from renzheng.edge.device.housekeeping import Retention, plan
from renzheng.edge.device.metrics import each, one

NOW = datetime(2026, 3, 31, tzinfo=UTC)
KEPT = Retention(crops=timedelta(days=30), entries=timedelta(days=90), free_bytes=1_000)


def crops(*ages_days, size=100):
    return [(EventId(f"e{number}"), NOW - timedelta(days=age), size) for number, age in enumerate(ages_days)]


@pytest.mark.parametrize(
    ("free", "expired", "shed"),
    [
        (5_000, ("e0",), ()),
        (1_000, ("e0",), ()),
        (950, ("e0",), ()),
        (800, ("e0",), ("e1",)),
        (650, ("e0",), ("e1", "e2", "e3")),
        (0, ("e0",), ("e1", "e2", "e3")),
    ],
)
def test_the_oldest_crops_go_first_and_only_as_many_as_are_needed(free, expired, shed):
    decided = plan(crops(31, 20, 10, 1), free, NOW, KEPT)
    assert (decided.expired, decided.shed) == (expired, shed)
    assert decided.short == (free < 1_000)


def test_entries_that_central_has_go_at_once_only_when_space_is_short():
    assert plan([], 5_000, NOW, KEPT).entries_before == NOW - timedelta(days=90)
    assert plan([], 10, NOW, KEPT).entries_before == NOW


def test_metrics_are_prometheus_text():
    counted = each("n_total", "counter", "H.", ("a",), [(('"b"',), 2)])
    text = write([one("connected", "gauge", "Help.", 1), counted])
    assert text == (
        "# HELP renzheng_edge_connected Help.\n# TYPE renzheng_edge_connected gauge\n"
        "renzheng_edge_connected 1.0\n"
        "# HELP renzheng_edge_n_total H.\n# TYPE renzheng_edge_n_total counter\n"
        'renzheng_edge_n_total{a="\\"b\\""} 2.0\n'
    )


def test_a_counter_is_called_as_the_format_calls_it():
    with pytest.raises(ValueError, match="_total"):
        one("entries", "counter", "H.", 1)
