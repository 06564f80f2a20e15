"""Counters of one process, in a registry of its own, as Prometheus reads them."""

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from renzheng.common.metrics import Family, Kind, each, write

Labels = tuple[tuple[str, str], ...]
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

HELP: Mapping[str, tuple[Kind | Literal["histogram"], str]] = {
    "renzheng_ingest_messages_total": ("counter", "Messages taken off the broker, by how they ended."),
    "renzheng_ingest_entries_total": ("counter", "Log entries committed."),
    "renzheng_ingest_flaws_total": ("counter", "Entries whose event cannot be used."),
    "renzheng_ingest_store_faults_total": ("counter", "Transactions that failed and were tried again."),
    "renzheng_ingest_unanswered_total": ("counter", "Messages that the store refused while it took others."),
    "renzheng_ingest_dropped_total": ("counter", "Messages dropped, of devices that had too much waiting."),
    "renzheng_store_takes_writes": ("gauge", "1 while the store takes a probe write."),
    "renzheng_worker_idle_seconds": ("gauge", "Since a thread's last turn."),
    "renzheng_worker_well": ("gauge", "1 while a thread's turns end well."),
    "renzheng_worker_moves": ("gauge", "0 while a thread is stalled or dead."),
    "renzheng_worker_turns_total": ("counter", "A thread's turns that ended well."),
    "renzheng_worker_failures_total": ("counter", "A thread's turns that ended in an error."),
    "renzheng_stored_faces": ("gauge", "People with a stored face, each counted once over all devices."),
    "renzheng_days_not_audited": ("gauge", "Billed days up to yesterday that no run has answered."),
    "renzheng_certificate_days_left": ("gauge", "Days that a certificate of this site still holds."),
    "renzheng_ingest_commit_seconds": ("histogram", "From a group's first message to its commit."),
    "renzheng_ingest_connected": ("gauge", "Whether a shard's consumer is connected to the broker."),
    "renzheng_access_wrong_tokens_total": ("counter", "Wrong access tokens shown to console and API."),
    "renzheng_sign_in_people": ("gauge", "People at kiosks in four weeks, by group; ten or more."),
    "renzheng_sign_in_share": ("gauge", "Mean of people's shares of visits that ended so, and its interval."),
    "renzheng_sign_in_tries": ("gauge", "Mean of people's tries at the camera a visit, and its interval."),
    "renzheng_sign_in_seconds_to_green": ("gauge", "Median of people's times to green, and its interval."),
    "renzheng_checks_total": ("counter", "Checks, by stage and how they ended."),
    "renzheng_advices_total": ("counter", "Advices that were shown, by kind and power."),
    "renzheng_check_answers_total": ("counter", "Answers to advices, by action and counted reason."),
    "renzheng_check_replay_differences": (
        "gauge",
        "Points that only check or audit named yesterday.",
    ),
    "renzheng_devices": ("gauge", "Registered devices that are not revoked."),
    "renzheng_device_backlog_entries": ("gauge", "Entries that devices say they still hold, by device."),
    "renzheng_device_oldest_waiting_seconds": ("gauge", "Age of a device's oldest unacknowledged entry."),
    "renzheng_open_alarms": ("gauge", "Alarms that nobody has resolved, by problem."),
    "renzheng_quarantined_messages": ("gauge", "Messages in quarantine, by problem."),
}


class Metrics:
    """Values by name and labels; safe to use from several threads.

    A metric is there from its first value on: a gauge that nobody has set yet says nothing.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._registry = CollectorRegistry(auto_describe=False)
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}

    def add(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add to a counter."""
        with self._lock:
            if name not in self._counters:
                help_ = _help(name, "counter")
                self._counters[name] = Counter(name, help_, tuple(labels), registry=self._registry)
            counter = self._counters[name]
            (counter.labels(**labels) if labels else counter).inc(amount)

    def put(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""
        with self._lock:
            if name not in self._gauges:
                help_ = _help(name, "gauge")
                self._gauges[name] = Gauge(name, help_, tuple(labels), registry=self._registry)
            gauge = self._gauges[name]
            (gauge.labels(**labels) if labels else gauge).set(value)

    def observe(self, name: str, seconds: float) -> None:
        """Count a duration in a histogram."""
        with self._lock:
            if name not in self._histograms:
                help_ = _help(name, "histogram")
                self._histograms[name] = Histogram(name, help_, buckets=SECONDS, registry=self._registry)
            self._histograms[name].observe(seconds)

    def value(self, name: str, **labels: str) -> float:
        """Read one value; 0 when it was never touched."""
        with self._lock:
            return self._registry.get_sample_value(name, labels) or 0.0

    def text(self, gauges: Iterable[tuple[str, Labels, float]] = ()) -> str:
        """Write everything, and `gauges` that the caller has just read, for a scraper."""
        with self._lock:
            return write([*self._registry.collect(), *_families(gauges)])


def _families(values: Iterable[tuple[str, Labels, float]]) -> list[Family]:
    """Put values that were read for this one answer together by name."""
    by_name: dict[str, dict[Labels, float]] = defaultdict(dict)
    for name, labels, value in values:
        by_name[name][labels] = value
    return [_family(name, of_name) for name, of_name in by_name.items()]


def _family(name: str, values: Mapping[Labels, float]) -> Family:
    kind, help_ = HELP[name]
    assert kind != "histogram"
    labels = tuple(label for label, _ in next(iter(values)))
    by_texts = [(tuple(text for _, text in key), value) for key, value in values.items()]
    return each(name, kind, help_, labels, by_texts)


def _help(name: str, kind: str) -> str:
    named, text = HELP[name]
    if named != kind:
        raise ValueError(f"{name} is a {named}")
    return text
