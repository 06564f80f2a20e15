"""What a scraper makes of a page of metrics."""

from prometheus_client.parser import text_string_to_metric_families

OF_WORKERS = {
    ("worker_idle_seconds", "gauge", "worker"),
    ("worker_well", "gauge", "worker"),
    ("worker_moves", "gauge", "worker"),
    ("worker_turns_total", "counter", "worker"),
    ("worker_failures_total", "counter", "worker"),
}


def series(text, prefix="renzheng_edge_"):
    """Names without their prefix, types and labels of all series."""
    return {
        (one.name.removeprefix(prefix), family.type.replace("unknown", "untyped"), *sorted(one.labels))
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }
