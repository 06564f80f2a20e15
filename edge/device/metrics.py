"""A device's metrics; pure. Counts and ages only, nobody's name or number."""

from collections.abc import Callable, Iterable, Sequence

from renzheng.common import metrics
from renzheng.common.metrics import Family, Kind, Value
from renzheng.common.supervised import State

PREFIX = "renzheng_edge_"


def one(name: str, kind: Kind, help_: str, value: float) -> Family:
    """Make a metric without labels."""
    return metrics.one(PREFIX + name, kind, help_, value)


def each(name: str, kind: Kind, help_: str, labels: Sequence[str], values: Iterable[Value]) -> Family:
    """Make a metric with a value for each combination of its labels' values."""
    return metrics.each(PREFIX + name, kind, help_, labels, values)


def summary(name: str, help_: str, count: int, total: float) -> Family:
    """Make a metric that says how often something was done, and how long it took in all."""
    return metrics.summary(PREFIX + name, help_, count, total)


def of_workers(states: Sequence[State]) -> list[Family]:
    """Make the metrics of an agent's threads: a thread that does nothing must not look well."""

    def by_worker(name: str, kind: Kind, help_: str, value: Callable[[State], float]) -> Family:
        return each(f"worker_{name}", kind, help_, ("worker",), [((one.name,), value(one)) for one in states])

    return [
        by_worker("idle_seconds", "gauge", "Since a thread's last turn.", lambda s: s.idle_seconds),
        by_worker("well", "gauge", "1 while a thread's turns end well.", lambda s: s.condition == "ok"),
        by_worker("moves", "gauge", "0 while a thread is stalled or dead.", lambda s: s.moves),
        by_worker("turns_total", "counter", "Turns that ended well.", lambda s: s.turns),
        by_worker("failures_total", "counter", "Turns that ended in an error.", lambda s: s.failures),
    ]
