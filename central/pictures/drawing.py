"""Draws: a month by day, a person's month, rates in a funnel. Values in, SVG out."""

import calendar
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from markupsafe import Markup, escape

from renzheng.central.texts import Texts
from renzheng.common.shares import wilson

POOR_COVERAGE = 0.8
"""Below this mean share of watched time a day is hatched: few contradictions there mean little."""
SHADES = ("#ffffff", "#fde7e4", "#f6c3bc", "#e99489", "#d35f52", "#b3261e")
NEUTRAL = ("#ffffff", "#e3eef4", "#bcd7e4", "#86b3ca", "#37789b", "#14597d")
"""Shades of numbers that contradict nothing."""
WHITE_FROM = 4
"""Of the shades, the first on which white letters are read."""
INK, PAPER = "#1d2a33", "#ffffff"
HAN_FROM = 0x2E80
"""Letters from here on are twice as wide."""
Money = Callable[[int], str]


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture with its numbers.

    Args:
        title: what it shows.
        svg: the drawing.
        heads: of the table, one a column.
        rows: its cells, as they are read.
    """

    title: str
    svg: Markup
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Day:
    """What a day came to; `coverage` is the mean share of watched time, None when not known."""

    contradicted_fen: int
    lines: int
    coverage: float | None


def month(t: Texts, of: str, days: Mapping[str, Day], money: Money) -> Figure:
    """Draw a month as a calendar: the darker a day, the more yuan are contradicted; poor coverage is hatched.

    Args:
        t: the language.
        of: the month, `YYYY-MM`.
        days: by ISO date; a day without an answer is missing.
        money: writes fen.
    """
    year, number = (int(part) for part in of.split("-"))
    most = max((day.contradicted_fen for day in days.values()), default=0)
    weeks = calendar.Calendar().monthdatescalendar(year, number)
    width, height, side, row = 88, 60, 4, 26
    parts = [_hatching(f"h{of}")]
    for place, name in enumerate(t("picture.weekdays").split()):
        parts.append(text_of(side + place * width + width / 2, 16, name, "middle"))
    for line, week in enumerate(weeks):
        for place, one in enumerate(week):
            if one.month == number:
                x, y = side + place * width, row + line * height
                parts.append(
                    _day(one, days.get(one.isoformat()), (x, y, width - 4, height - 4), most, of, money)
                )
    svg = svg_of(side * 2 + 7 * width, row + len(weeks) * height + 4, t("picture.month", month=of), parts)
    rows = [
        [day, money(own.contradicted_fen), f"{own.lines:,}", _share(own.coverage)]
        for day, own in sorted(days.items())
    ]
    heads = [t(key) for key in ("day", "column.contradicted", "lines.head", "coverage")]
    return Figure(t("picture.month", month=of), svg, heads, rows)


def _day(  # noqa: PLR0917 - one square and all that is written in it
    one: date, own: Day | None, box: tuple[float, float, float, float], most: int, of: str, money: Money
) -> str:
    x, y, width, height = box
    frame = f'x="{x}" y="{y}" width="{width}" height="{height}" rx="3" stroke="#c5cfd6"'
    if own is None:
        return f'<rect {frame} fill="#f4f6f7" stroke-dasharray="3 3"/>' + text_of(
            x + 6, y + 15, str(one.day), "start"
        )
    shade = shade_of(own.contradicted_fen, most)
    colour = PAPER if shade >= WHITE_FROM else INK
    parts = [f'<rect {frame} fill="{SHADES[shade]}"/>']
    if own.coverage is not None and own.coverage < POOR_COVERAGE:
        parts.append(f'<rect {frame} fill="url(#h{of})"/>')
    parts.append(text_of(x + 6, y + 15, str(one.day), "start", colour))
    if own.contradicted_fen:
        parts.append(text_of(x + width - 5, y + height - 8, money(own.contradicted_fen), "end", colour))
    title = f"{one.isoformat()} {money(own.contradicted_fen)} {_share(own.coverage)}"
    return f"<g><title>{escape(title)}</title>{''.join(parts)}</g>"


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of days of the month, 1 to 31, and what it is."""

    first: int
    last: int
    kind: str
    label: str


Lane = Literal["stay", "billed", "check"]


def strip(t: Texts, of: str, lanes: Mapping[Lane, Sequence[Span]]) -> Figure:
    """Draw a person's month: one lane each for stays, billed lines and bedside checks.

    Args:
        t: the language.
        of: the month, `YYYY-MM`.
        lanes: what stands in each; the kind of a billed line is its verdict, of a check its result.
    """
    year, number = (int(part) for part in of.split("-"))
    last = calendar.monthrange(year, number)[1]
    left, width, height, top = 110, 27, 34, 24
    parts = [
        text_of(left + (day - 0.5) * width, 15, str(day), "middle")
        + f'<line x1="{left + day * width}" x2="{left + day * width}" y1="20" '
        f'y2="{top + len(lanes) * height}" '
        'stroke="#e8edf0"/>'
        for day in range(1, last + 1)
    ]
    for line, (lane, spans) in enumerate(lanes.items()):
        y = top + line * height
        parts.append(text_of(0, y + 21, t(f"picture.lane.{lane}"), "start"))
        parts += [
            _span(one, left + (one.first - 1) * width, y, (one.last - one.first + 1) * width) for one in spans
        ]
    title = t("picture.strip", month=of)
    rows = [
        [t(f"picture.lane.{lane}"), f"{of}-{one.first:02d}", f"{of}-{one.last:02d}", one.label]
        for lane, spans in lanes.items()
        for one in spans
    ]
    svg = svg_of(left + last * width, top + len(lanes) * height + 6, title, parts)
    return Figure(title, svg, [t(key) for key in ("event", "from", "to", "detail")], rows)


_MARKS = {"contradicted": "#b3261e", "insufficient": "#d39a1c", "supported": "#1f7a55"}
_RESULTS = {"present": "#1f7a55", "absent": "#b3261e", "identity_mismatch": "#b3261e"}


def _span(one: Span, x: float, y: float, width: float) -> str:
    title = f"<title>{escape(one.label)}</title>"
    if one.kind == "stay":
        return f'<g>{title}<rect x="{x}" y="{y + 9}" width="{width}" height="16" fill="#9fb6c2"/></g>'
    colour = _MARKS.get(one.kind) or _RESULTS.get(one.kind, "#8a99a3")
    middle = x + width / 2
    if one.kind in ("contradicted", "absent", "identity_mismatch"):  # a shape of its own beside the colour
        return f'<g>{title}<path d="M{middle} {y + 8}l8 16h-16z" fill="{colour}"/></g>'
    if one.kind in ("supported", "present"):
        return f'<g>{title}<circle cx="{middle}" cy="{y + 17}" r="7" fill="{colour}"/></g>'
    return f'<g>{title}<path d="M{middle} {y + 8}l8 9l-8 9l-8-9z" fill="{colour}"/></g>'


@dataclass(frozen=True, slots=True)
class Rate:
    """How many of the checks of a ward found the person there; `counted` is at least 1."""

    name: str
    present: int
    counted: int


def funnel(t: Texts, rates: Sequence[Rate], threshold: float | None) -> Figure:
    """Draw rates against the number of checks, with the limits between which chance keeps 95 % of them.

    The limits are Wilson's around the rate of all checks together: a rate from few checks may lie far off
    without meaning anything, which a list in the order of rates hides.

    Args:
        t: the language.
        rates: of the wards.
        threshold: of the bureau, 0 to 1.
    """
    present, counted = sum(one.present for one in rates), sum(one.counted for one in rates)
    centre = present / counted if counted else 1.0
    most = max((one.counted for one in rates), default=1)
    left, top, width, height = 52, 14, 700, 260

    def x(n: float) -> float:
        return round(left + width * n / (most * 1.05), 1)

    def y(share: float) -> float:
        return round(top + height * (1 - share), 1)

    steps = [1 + (most - 1) * place / 60 for place in range(61)]
    limits = [wilson(centre * n, n) for n in steps]
    low = " ".join(f"{x(n)},{y(one[0])}" for n, one in zip(steps, limits, strict=True))
    high = " ".join(f"{x(n)},{y(one[1])}" for n, one in zip(steps[::-1], limits[::-1], strict=True))
    parts = [f'<polygon points="{low} {high}" fill="#e6eef2"/>']
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(
            f'<line x1="{left}" x2="{left + width}" y1="{y(share)}" y2="{y(share)}" stroke="#dfe5e9"/>'
        )
        parts.append(text_of(left - 6, y(share) + 4, f"{share:.0%}", "end"))
    parts.append(
        f'<line x1="{left}" x2="{left + width}" y1="{y(centre)}" y2="{y(centre)}" stroke="#14597d"/>'
    )
    if threshold is not None:
        parts.append(
            f'<line x1="{left}" x2="{left + width}" y1="{y(threshold)}" y2="{y(threshold)}" stroke="#1d2a33" '
            'stroke-dasharray="4 3"/>'
        )
    for one in rates:
        share = one.present / one.counted
        outside = share < wilson(centre * one.counted, one.counted)[0]
        title = f"<title>{escape(f'{one.name} {one.present}/{one.counted} {share:.0%}')}</title>"
        at, up = x(one.counted), y(share)
        mark = (
            f'<path d="M{at} {up - 7}l7 13h-14z" fill="#b3261e"/>'
            if outside
            else f'<circle cx="{at}" cy="{up}" r="5" fill="#14597d"/>'
        )
        parts.append(f"<g>{title}{mark}</g>")
    parts.append(text_of(left + width, top + height + 22, t("picture.checks", n=most), "end"))
    rows = [[one.name, f"{one.present}/{one.counted}", f"{one.present / one.counted:.0%}"] for one in rates]
    svg = svg_of(left + width + 10, top + height + 30, t("picture.funnel"), parts)
    return Figure(t("picture.funnel"), svg, [t("rate.ward"), t("rate.present_of"), t("rate.rate")], rows)


def shade_of(fen: int, most: int) -> int:
    """Choose one of the shades by the square root, or one large day would pale all the others."""
    if fen <= 0 or most <= 0:
        return 0
    return max(1, min(math.ceil(math.sqrt(fen / most) * (len(SHADES) - 1)), len(SHADES) - 1))


def _share(share: float | None) -> str:
    return "—" if share is None else f"{share:.0%}"


def _hatching(name: str) -> str:
    return (
        f'<defs><pattern id="{name}" width="7" height="7" patternUnits="userSpaceOnUse" '
        'patternTransform="rotate(45)"><line x1="0" y1="0" x2="0" y2="7" stroke="#566873" stroke-width="1.6" '
        'stroke-opacity=".55"/></pattern></defs>'
    )


def shortened(text: str, letters: int) -> str:
    """Cut a text to so many letters' width, a Chinese one counted as two; what was cut is marked."""
    wide = 0
    for place, letter in enumerate(text):
        wide += 2 if ord(letter) > HAN_FROM else 1
        if wide > letters:
            return f"{text[: max(place - 1, 1)]}…"
    return text


def text_of(x: float, y: float, text: str, anchor: str, colour: str = INK) -> str:
    """Draw a text."""
    return (
        f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="{colour}" font-size="12">{escape(text)}</text>'
    )


def svg_of(width: float, height: float, label: str, parts: Sequence[str]) -> Markup:
    """Put a drawing together; texts of its parts are escaped already."""
    # Every text that came from outside went through `escape`; the rest is our own numbers and names.
    return Markup(  # noqa: S704
        f'<svg class="picture" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}" '
        f">{''.join(parts)}</svg>"
    )
