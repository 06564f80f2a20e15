"""Charts as SVG, drawn on the server: geometry only, in pixels; the page's style sheet gives the colours."""

from collections.abc import Sequence
from dataclasses import dataclass

from renzheng.models.evaluation.metrics import Rate

WIDTH_PX, HEIGHT_PX = 760, 260
LEFT_PX, RIGHT_PX, TOP_PX, BOTTOM_PX = 48, 16, 14, 34
BAR_PX = 180
TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_MOST_LABELS = 12


@dataclass(frozen=True, slots=True)
class Point:
    """A share in one month with its interval, in pixels; `y` grows downwards."""

    x: float
    y: float
    low_y: float
    high_y: float
    month: str
    label: str
    shown: bool


@dataclass(frozen=True, slots=True)
class Chart:
    """Points in time over a grid, and the line of the threshold."""

    points: Sequence[Point]
    line: str
    ticks: Sequence[tuple[float, str]]
    threshold_y: float
    width: int = WIDTH_PX
    height: int = HEIGHT_PX
    left: int = LEFT_PX
    right: int = WIDTH_PX - RIGHT_PX
    bottom: int = HEIGHT_PX - BOTTOM_PX


@dataclass(frozen=True, slots=True)
class Bar:
    """One rate with its interval and the threshold, on a line `BAR_PX` wide."""

    share: float
    low: float
    high: float
    threshold: float
    width: int = BAR_PX


def over_time(months: Sequence[tuple[str, Rate, int]], threshold: float) -> Chart:
    """Lay out months, given as month, rate and answered checks; those without any are left out."""
    told = [one for one in months if one[2]]
    step = (WIDTH_PX - LEFT_PX - RIGHT_PX) / max(len(told), 1)
    every = max(-(-len(told) // _MOST_LABELS), 1)
    points = [
        Point(
            round(LEFT_PX + (place + 0.5) * step, 1),
            _y(share.value),
            _y(share.low),
            _y(share.high),
            month,
            f"{month}: {share.value:.0%} ({share.low:.0%}–{share.high:.0%}), n = {answered}",
            place % every == 0,
        )
        for place, (month, share, answered) in enumerate(told)
    ]
    line = " ".join(f"{point.x},{point.y}" for point in points)
    return Chart(points, line, [(_y(tick), f"{tick:.0%}") for tick in TICKS], _y(threshold))


def bar(share: Rate, threshold: float) -> Bar:
    """Lay out one rate."""
    at, low, high, line = (round(one * BAR_PX, 1) for one in (share.value, share.low, share.high, threshold))
    return Bar(at, low, high, line)


def _y(share: float) -> float:
    return round(TOP_PX + (1 - share) * (HEIGHT_PX - TOP_PX - BOTTOM_PX), 1)
