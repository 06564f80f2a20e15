"""Lays evidence out on a line of time: plain numbers that a template draws as SVG."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from renzheng.central.nightly.evidence import LineEvidence
from renzheng.central.texts import Texts

WIDTH = 1000.0
LEFT = 118.0
LANE_HEIGHT = 30.0
TOP = 26.0
MOST_TICKS = 13
NARROWEST = 2.0
Lane = Literal["service", "attendance", "session", "machine", "check", "coverage"]


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of time in a lane."""

    x: float
    width: float
    kind: str
    label: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment in a lane."""

    x: float
    kind: str
    label: str
    cited: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One lane with what lies in it; `y` is its top."""

    lane: Lane
    name: str
    y: float
    bars: Sequence[Bar] = ()
    marks: Sequence[Mark] = ()


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled moment of the axis."""

    x: float
    label: str
    midnight: bool


@dataclass(frozen=True, slots=True)
class Timeline:
    """Everything that the drawing needs."""

    width: float
    height: float
    left: float
    ticks: Sequence[Tick]
    rows: Sequence[Row]
    service_x: float


class _Scale:
    """Turns moments into places on the drawing."""

    def __init__(self, start: datetime, end: datetime) -> None:
        self.start, self.end = start, end
        self._per_second = (WIDTH - LEFT - 12.0) / (end - start).total_seconds()

    def x(self, moment: datetime) -> float:
        inside = min(max(moment, self.start), self.end)
        return round(LEFT + (inside - self.start).total_seconds() * self._per_second, 1)

    def bar(self, start: datetime, end: datetime, kind: str, label: str) -> Bar:
        left, right = self.x(start), self.x(end)
        return Bar(left, round(max(right - left, NARROWEST), 1), kind, label)

    def overlaps(self, start: datetime, end: datetime) -> bool:
        return start < self.end and end > self.start


def lay_out(found: LineEvidence, cited: Sequence[str], zone: ZoneInfo, t: Texts) -> Timeline:
    """Lay out the evidence around a line.

    Args:
        found: the evidence.
        cited: ids that the verdict names as its evidence.
        zone: the institution's time zone, in which hours are written.
        t: the language of the labels.
    """
    scale = _Scale(*_window(found))
    rows: list[Row] = []

    def add(lane: Lane, name: str, bars: Iterable[Bar] = (), marks: Iterable[Mark] = ()) -> None:
        rows.append(Row(lane, name, TOP + len(rows) * LANE_HEIGHT, tuple(bars), tuple(marks)))

    add("attendance", "", marks=_marks(set(cited), found, scale, zone, t))
    sessions, machines = tuple(_sessions(found, scale, zone, t)), tuple(_machines(found, scale, zone))
    if found.item_class != "bed_day" or sessions or machines:
        add("session", "", bars=sessions)
        add("machine", "", bars=machines)
    if found.spot_checks or found.leaves:
        add("check", "", bars=_leaves(found, scale, t), marks=_checks(found, scale, zone, t))
    for device_id, bars in _coverage(found, scale, zone, t).items():
        add("coverage", device_id, bars=bars)
    height = TOP + len(rows) * LANE_HEIGHT + 8.0
    ticks = tuple(_ticks(scale, zone))
    return Timeline(WIDTH, height, LEFT, ticks, tuple(rows), scale.x(found.line["service_time"]))


def _window(found: LineEvidence) -> tuple[datetime, datetime]:
    """Show the service day, and beyond it what belongs to a session across midnight."""
    start, end = found.start, found.end
    for row in found.machine_sessions:
        if row["started_at"] < end and row["ended_at"] > start:
            start, end = min(start, row["started_at"]), max(end, row["ended_at"])
    service = found.line["service_time"]
    return min(start, service), max(end, service)


def _marks(cited: set[str], found: LineEvidence, scale: _Scale, zone: ZoneInfo, t: Texts) -> Iterable[Mark]:
    for event in found.attendance:
        moment = event["occurred_at"]
        if scale.start <= moment <= scale.end:
            here = event["institution_id"] == found.line["institution_id"]
            kind = event["outcome"] if here else "elsewhere"
            yield Mark(
                scale.x(moment),
                f"{event['event_type']} {kind}",
                f"{_hour(moment, zone)} {t.code('event_type', event['event_type'])} "
                f"{t.code('outcome', event['outcome'])} {event['institution_id']}",
                event["event_id"] in cited,
            )


def _sessions(found: LineEvidence, scale: _Scale, zone: ZoneInfo, t: Texts) -> Iterable[Bar]:
    """Draw each sign-in to its sign-out, as far as the events alone say so."""
    opened: dict[tuple[str, str], datetime] = {}
    for event in found.attendance:
        key = (event["institution_id"], event["session_id"] or "")
        if event["event_type"] == "sign_in":
            opened[key] = event["occurred_at"]
        elif event["event_type"] == "sign_out" and key in opened:
            start, end = opened.pop(key), event["occurred_at"]
            if scale.overlaps(start, end):
                here = event["institution_id"] == found.line["institution_id"]
                minutes = (end - start) // timedelta(minutes=1)
                label = f"{_hour(start, zone)}–{_hour(end, zone)} · {t('minutes', n=minutes)}"
                yield scale.bar(start, end, "session" if here else "elsewhere", label)


def _machines(found: LineEvidence, scale: _Scale, zone: ZoneInfo) -> Iterable[Bar]:
    for row in found.machine_sessions:
        start, end = row["started_at"], row["ended_at"]
        if scale.overlaps(start, end):
            here = row["institution_id"] == found.line["institution_id"]
            label = f"{row['machine_id']} {_hour(start, zone)}–{_hour(end, zone)}"
            yield scale.bar(start, end, "machine" if here else "elsewhere", label)


def _leaves(found: LineEvidence, scale: _Scale, t: Texts) -> Iterable[Bar]:
    for row in found.leaves:
        end = row["returned_at"] or row["due_back_at"] or scale.end
        if scale.overlaps(row["left_at"], end):
            yield scale.bar(row["left_at"], end, "leave", t.code("leave_kind", row["kind"]))


def _checks(found: LineEvidence, scale: _Scale, zone: ZoneInfo, t: Texts) -> Iterable[Mark]:
    for row in found.spot_checks:
        moment = row["answered_at"] or row["drawn_at"]
        if scale.start <= moment <= scale.end:
            label = f"{_hour(moment, zone)} {t.code('check', row['result'])}"
            yield Mark(scale.x(moment), f"check {row['result']}", label, cited=False)


def _coverage(found: LineEvidence, scale: _Scale, zone: ZoneInfo, t: Texts) -> Mapping[str, list[Bar]]:
    lanes: dict[str, list[Bar]] = {}
    for row in found.coverage:
        hours = f"{_hour(row['from_at'], zone)}–{_hour(row['to_at'], zone)}"
        label = f"{t.code('coverage_state', row['state'])} {hours}"
        bar = scale.bar(row["from_at"], row["to_at"], row["state"], label)
        lanes.setdefault(row["device_id"], []).append(bar)
    return lanes or {"—": []}


def _ticks(scale: _Scale, zone: ZoneInfo) -> Iterable[Tick]:
    hours = (scale.end - scale.start) / timedelta(hours=1)
    step = next(step for step in (1, 2, 3, 6, 12, 24) if hours / step < MOST_TICKS or step == 24)  # noqa: PLR2004 - hours of a day
    moment = scale.start.astimezone(zone).replace(minute=0, second=0, microsecond=0)
    while moment <= scale.end:
        if moment >= scale.start and moment.hour % step == 0:
            last = moment >= scale.end - timedelta(minutes=1)
            label = "24:00" if last and moment.hour == 0 else f"{moment:%H:%M}"
            yield Tick(scale.x(moment), label, moment.hour == 0)
        moment += timedelta(hours=1)


def _hour(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%H:%M}"
