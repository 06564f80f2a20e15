"""Metrics in Prometheus' text format (0.0.4); pure. Counts and ages only, nobody's name or number."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from renzheng.common.supervised import State


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric with its values by label."""

    name: str
    kind: Literal["gauge", "counter"]
    help: str
    values: Mapping[str, float]


def one(name: str, kind: Literal["gauge", "counter"], help_: str, value: float) -> Metric:
    """Make a metric without labels."""
    return Metric(name, kind, help_, {"": value})


def of_workers(states: Sequence[State]) -> list[Metric]:
    """Make the metrics of an agent's threads: a thread that does nothing must not look well."""

    def each(
        name: str, kind: Literal["gauge", "counter"], help_: str, value: Callable[[State], float]
    ) -> Metric:
        return Metric(name, kind, help_, {f'{{worker="{state.name}"}}': value(state) for state in states})

    return [
        each("worker_idle_seconds", "gauge", "Since a thread's last turn.", lambda s: s.idle_seconds),
        each("worker_well", "gauge", "1 while a thread's turns end well.", lambda s: s.condition == "ok"),
        each("worker_moves", "gauge", "0 while a thread is stalled or dead.", lambda s: s.moves),
        each("worker_turns_total", "counter", "Turns that ended well.", lambda s: s.turns),
        each("worker_failures_total", "counter", "Turns that ended in an error.", lambda s: s.failures),
    ]


def render(metrics: Iterable[Metric]) -> str:
    """Write metrics as text; a value's key is its label part, such as ``{outcome="match"}``."""
    lines = []
    for metric in metrics:
        lines.append(f"# HELP renzheng_edge_{metric.name} {metric.help}")
        lines.append(f"# TYPE renzheng_edge_{metric.name} {metric.kind}")
        lines += [f"renzheng_edge_{metric.name}{label} {value:g}" for label, value in metric.values.items()]
    return "\n".join(lines) + "\n"
