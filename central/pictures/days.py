"""Draws a month day by day: machine runs against billed sessions, and when devices could see."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import escape

from renzheng.central.pictures.drawing import Figure, svg_of, text_of
from renzheng.central.texts import Texts

LEFT, DAY, TOP = 150, 27, 24
TALL = 150
"""Of the highest bar, in pixels."""
STRIP = 22
MOST_DEVICES = 30
HOURS_A_DAY = 24.0
MOST_LETTERS = 20


@dataclass(frozen=True, slots=True)
class SessionDay:
    """Dialysis sessions that were billed for a day, runs that machines recorded, and hours that they ran."""

    day: str
    billed: int
    runs: int
    hours: float


@dataclass(frozen=True, slots=True)
class Hours:
    """Of a device's day: hours in which it saw, saw badly and did not see; nobody reported the rest."""

    up: float = 0.0
    degraded: float = 0.0
    down: float = 0.0

    @property
    def unreported(self) -> float:
        """Hours of which nobody has said anything."""
        return max(HOURS_A_DAY - self.up - self.degraded - self.down, 0.0)


def sessions(t: Texts, of: str, days: Sequence[SessionDay]) -> Figure:
    """Draw billed sessions beside machine runs, day by day; a triangle where more were billed than ran.

    Args:
        t: the language.
        of: the month, or the days, that are shown.
        days: in order of time.
    """
    most = max((max(one.billed, one.runs) for one in days), default=0) or 2
    most += most % 2
    names = (t("picture.billed"), t("picture.runs"), t("picture.more_billed"))
    sums = (sum(one.billed for one in days), sum(one.runs for one in days))
    drawn = [
        f'<rect x="{LEFT}" y="4" width="12" height="12" fill="#d39a1c"/>',
        text_of(LEFT + 17, 15, f"{names[0]} {sums[0]:,}", "start"),
        f'<rect x="{LEFT + 220}" y="4" width="12" height="12" fill="#14597d"/>',
        text_of(LEFT + 237, 15, f"{names[1]} {sums[1]:,}", "start"),
        f'<path d="M{LEFT + 446} 4l7 12h-14z" fill="#b3261e"/>',
        text_of(LEFT + 457, 15, names[2], "start"),
    ]
    base = TOP + TALL + 18
    for share in (0.5, 1.0):
        y = base - TALL * share
        drawn.append(f'<line x1="{LEFT}" x2="{LEFT + DAY * len(days)}" y1="{y}" y2="{y}" stroke="#dfe5e9"/>')
        drawn.append(text_of(LEFT - 8, y + 4, f"{most * share:.0f}", "end"))
    for place, one in enumerate(days):
        x = LEFT + place * DAY
        label = f"{one.day} {names[0]} {one.billed:,}, {names[1]} {one.runs:,}"
        bars = "".join(
            f'<rect x="{x + 2 + side * 11}" y="{base - TALL * number / most:.1f}" width="10" '
            f'height="{TALL * number / most:.1f}" fill="{colour}"/>'
            for side, (number, colour) in enumerate(((one.billed, "#d39a1c"), (one.runs, "#14597d")))
        )
        if one.billed > one.runs:
            top = base - TALL * one.billed / most
            bars += f'<path d="M{x + 7} {top - 11:.1f}l5 9h-10z" fill="#b3261e"/>'
        drawn.append(f"<g><title>{escape(label)}</title>{bars}</g>")
        drawn.append(text_of(x + DAY / 2, base + 16, str(int(one.day[8:])), "middle"))
    title = t("picture.sessions", of=of)
    heads = [t("day"), *names[:2], t("picture.machine_hours")]
    rows = [[one.day, f"{one.billed:,}", f"{one.runs:,}", f"{one.hours:,.1f}"] for one in days]
    return Figure(title, svg_of(LEFT + DAY * len(days) + 6, base + 24, title, drawn), heads, rows)


def coverage(t: Texts, of: str, days: Sequence[str], devices: Mapping[str, Mapping[str, Hours]]) -> Figure:
    """Draw when each device could see: a strip a device, a square a day, filled as far as it was up.

    Args:
        t: the language.
        of: the month, or the days, that are shown.
        days: in order of time, ISO.
        devices: of each its days; a day without a report is missing.
    """
    up = {device: sum(day.up for day in own.values()) for device, own in devices.items()}
    shown = sorted(devices, key=lambda one: (up[one], one))[:MOST_DEVICES]
    drawn = [
        text_of(LEFT + (place + 0.5) * DAY, 15, str(int(day[8:])), "middle") for place, day in enumerate(days)
    ]
    for line, device in enumerate(shown):
        y = TOP + line * STRIP
        drawn.append(text_of(0, y + 15, device[:MOST_LETTERS], "start"))
        for place, day in enumerate(days):
            own = devices[device].get(day)
            drawn.append(_square(t, f"{device} {day}", own, LEFT + place * DAY, y))
    title = t("picture.coverage", of=of)
    states = ("up", "degraded", "down", "unreported")
    heads = [t("device"), t("day"), *(f"{t.code('coverage_state', one)} ({t('hours')})" for one in states)]
    rows = [
        [device, day, *(f"{getattr(own, state):.1f}" for state in states)]
        for device in shown
        for day, own in ((day, devices[device].get(day, Hours())) for day in days)
    ]
    size = (LEFT + DAY * len(days) + 6, TOP + STRIP * len(shown) + 6)
    return Figure(title, svg_of(*size, title, drawn), heads, rows)


def _square(t: Texts, name: str, own: Hours | None, x: float, y: float) -> str:
    """Draw a device's day: up from below, then degraded and down; an empty dashed square when unreported."""
    high, wide = STRIP - 4, DAY - 3
    frame = f'x="{x}" y="{y + 2}" width="{wide}" height="{high}"'
    if own is None:
        return f'<rect {frame} fill="none" stroke="#8a99a3" stroke-dasharray="2 2"/>'
    label = escape(f"{name} {t.code('coverage_state', 'up')} {own.up:.1f} {t('hours')}")
    parts, bottom = [f'<rect {frame} fill="#ffffff" stroke="#8a99a3"/>'], y + 2 + high
    for hours, colour in ((own.up, "#1f7a55"), (own.degraded, "#d39a1c"), (own.down, "#8a99a3")):
        tall = min(high * hours / HOURS_A_DAY, bottom - y - 2)
        if tall > 0:
            bottom -= tall
            parts.append(
                f'<rect x="{x}" y="{bottom:.1f}" width="{wide}" height="{tall:.1f}" fill="{colour}"/>'
            )
    return f"<g><title>{label}</title>{''.join(parts)}</g>"
