"""Counters of one process in Prometheus' text form (version 0.0.4)."""

import threading
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping

Labels = tuple[tuple[str, str], ...]
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

HELP: Mapping[str, tuple[str, str]] = {
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
    "renzheng_days_not_audited": ("gauge", "Billed days up to yesterday that no run has answered."),
    "renzheng_certificate_days_left": ("gauge", "Days that a certificate of this site still holds."),
    "renzheng_ingest_commit_seconds": ("histogram", "From a group's first message to its commit."),
    "renzheng_ingest_connected": ("gauge", "Whether a shard's consumer is connected to the broker."),
    "renzheng_access_wrong_tokens_total": ("counter", "Wrong access tokens shown to console and API."),
    "renzheng_devices": ("gauge", "Registered devices that are not revoked."),
    "renzheng_device_backlog_entries": ("gauge", "Entries that devices say they still hold, by device."),
    "renzheng_device_oldest_waiting_seconds": ("gauge", "Age of a device's oldest unacknowledged entry."),
    "renzheng_open_alarms": ("gauge", "Alarms that nobody has resolved, by problem."),
    "renzheng_quarantined_messages": ("gauge", "Messages in quarantine, by problem."),
}


class Metrics:
    """Values by name and labels; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[tuple[str, Labels], float] = defaultdict(float)
        self._buckets: dict[str, list[int]] = {}
        self._sums: dict[str, float] = defaultdict(float)

    def add(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add to a counter."""
        with self._lock:
            self._values[name, tuple(sorted(labels.items()))] += amount

    def put(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""
        with self._lock:
            self._values[name, tuple(sorted(labels.items()))] = value

    def observe(self, name: str, seconds: float) -> None:
        """Count a duration in a histogram."""
        with self._lock:
            buckets = self._buckets.setdefault(name, [0] * (len(SECONDS) + 1))
            buckets[bisect_left(SECONDS, seconds)] += 1
            self._sums[name] += seconds

    def value(self, name: str, **labels: str) -> float:
        """Read one value; 0 when it was never touched."""
        with self._lock:
            return self._values.get((name, tuple(sorted(labels.items()))), 0.0)

    def text(self, gauges: Iterable[tuple[str, Labels, float]] = ()) -> str:
        """Write everything, and `gauges` that the caller has just read, for a scraper."""
        with self._lock:
            values = [(name, labels, value) for (name, labels), value in self._values.items()]
            values += self._histograms()
        values += gauges
        lines: list[str] = []
        for family, (kind, text) in HELP.items():
            of_family = [value for value in values if value[0] in _names(family, kind)]
            if kind != "histogram":
                of_family.sort()
            if of_family:
                lines += [f"# HELP {family} {text}", f"# TYPE {family} {kind}"]
                lines += [_line(*value) for value in of_family]
        return "\n".join(lines) + "\n"

    def _histograms(self) -> list[tuple[str, Labels, float]]:
        found: list[tuple[str, Labels, float]] = []
        for name, buckets in self._buckets.items():
            total = 0
            for bound, count in zip((*map(str, SECONDS), "+Inf"), buckets, strict=True):
                total += count
                found.append((f"{name}_bucket", (("le", bound),), float(total)))
            found += [(f"{name}_sum", (), self._sums[name]), (f"{name}_count", (), float(total))]
        return found


def _names(family: str, kind: str) -> tuple[str, ...]:
    return (f"{family}_bucket", f"{family}_sum", f"{family}_count") if kind == "histogram" else (family,)


def _line(name: str, labels: Labels, value: float) -> str:
    escaped = [
        (key, text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")) for key, text in labels
    ]
    inside = ",".join(f'{key}="{text}"' for key, text in escaped)
    return f"{name}{{{inside}}} {value:g}" if inside else f"{name} {value:g}"
