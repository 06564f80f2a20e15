"""Metrics in Prometheus' text format (0.0.4); pure. Counts and ages only, nobody's name or number."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal


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


def render(metrics: Iterable[Metric]) -> str:
    """Write metrics as text; a value's key is its label part, such as ``{outcome="match"}``."""
    lines = []
    for metric in metrics:
        lines.append(f"# HELP renzheng_edge_{metric.name} {metric.help}")
        lines.append(f"# TYPE renzheng_edge_{metric.name} {metric.kind}")
        lines += [f"renzheng_edge_{metric.name}{label} {value:g}" for label, value in metric.values.items()]
    return "\n".join(lines) + "\n"
