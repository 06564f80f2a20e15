"""What a process counts, as Prometheus reads it (text format 0.0.4): families made for one answer.

Nothing is registered in the library's own registry of the whole process: several agents may run in one.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from prometheus_client import disable_created_metrics, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    SummaryMetricFamily,
    UnknownMetricFamily,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

Family = Metric
CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
Value = tuple[Sequence[str], float]
"""The texts of a value's labels, in their order, and the value."""
Kind = Literal["gauge", "counter", "untyped"]
_OfValues = GaugeMetricFamily | CounterMetricFamily | UnknownMetricFamily
_FAMILIES: Mapping[Kind, type[_OfValues]] = {
    "gauge": GaugeMetricFamily,
    "counter": CounterMetricFamily,
    "untyped": UnknownMetricFamily,
}

disable_created_metrics()  # type: ignore[no-untyped-call]  # here they would be a gauge beside each counter


class _Scrape:
    """The families of one answer; what the library writes out is anything that collects."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterable[Family]:
        return self._families


def one(name: str, kind: Kind, help_: str, value: float) -> Family:
    """Make a family of one value without labels; the name of a counter ends in `_total`."""
    return each(name, kind, help_, (), [((), value)])


def each(name: str, kind: Kind, help_: str, labels: Sequence[str], values: Iterable[Value]) -> Family:
    """Make a family of values by the values of its labels; the name of a counter ends in `_total`."""
    if kind == "counter" and not name.endswith("_total"):
        raise ValueError(f"{name}: the format calls a counter ..._total")
    family = _FAMILIES[kind](name, help_, labels=labels)
    for texts, value in values:
        family.add_metric(texts, value)
    return family


def summary(name: str, help_: str, count: int, total: float) -> Family:
    """Make a family of `name_count` and `name_sum`."""
    return SummaryMetricFamily(name, help_, count_value=count, sum_value=total)


def write(families: Iterable[Family]) -> str:
    """Write families as text."""
    return generate_latest(_Scrape(families)).decode()
