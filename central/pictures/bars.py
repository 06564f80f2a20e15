"""Draws what several have come to as bars beside each other, each in parts. Values in, SVG out."""

from collections.abc import Callable, Mapping, Sequence

from markupsafe import escape

from renzheng.central.pictures.drawing import HAN_FROM, Figure, svg_of, text_of
from renzheng.central.texts import Texts

MOST_BARS = 20
MOST_LETTERS = 14
"""Of a name beside its bar."""
COLOURS = ("#b3261e", "#1f7a55", "#d39a1c", "#6b7f8a", "#14597d", "#6b4fa0", "#c9d2d8")
"""Of the parts, in their order; each is named beside the drawing and in its table."""
WIDTH, SIDE, ROW = 960, 190, 28
Money = Callable[[int], str]


def bars(
    t: Texts, title: str, parts: Sequence[str], rows: Sequence[tuple[str, Mapping[str, int]]], money: Money
) -> Figure:
    """Draw one bar a row, as long as the sum of its parts, on one scale; the longest first.

    Args:
        t: the language.
        title: what is shown.
        parts: keys of the catalogue that name the parts, as the rows have them, in order.
        rows: the name of each bar, and its parts in fen.
        money: writes fen.
    """
    sums = {name: sum(held.get(part, 0) for part in parts) for name, held in rows}
    shown = sorted(rows, key=lambda row: (-sums[row[0]], row[0]))[:MOST_BARS]
    most = max((sums[name] for name, _ in shown), default=0) or 1
    room = WIDTH - SIDE - 120
    drawn = _legend(t, parts)
    for line, (name, held) in enumerate(shown):
        y, x = 34 + line * ROW, float(SIDE)
        short = name if len(name) <= MOST_LETTERS else f"{name[: MOST_LETTERS - 1]}…"
        drawn.append(text_of(SIDE - 8, y + 15, short, "end"))
        for place, part in enumerate(parts):
            fen = held.get(part, 0)
            wide = room * fen / most
            if wide > 0:
                label = escape(f"{name} {t(part)} {money(fen)}")
                drawn.append(
                    f'<g><title>{label}</title><rect x="{x:.1f}" y="{y}" width="{wide:.1f}" height="20" '
                    f'fill="{COLOURS[place % len(COLOURS)]}"/></g>'
                )
                x += wide
        drawn.append(text_of(x + 8, y + 15, money(sums[name]), "start"))
    table = [[name, *(money(held.get(part, 0)) for part in parts), money(sums[name])] for name, held in rows]
    heads = [t("ledger.of"), *(t(part) for part in parts), t("ledger.sum")]
    return Figure(title, svg_of(WIDTH, 40 + ROW * len(shown), title, drawn), heads, table)


def _legend(t: Texts, parts: Sequence[str]) -> list[str]:
    drawn, x = [], float(SIDE)
    for place, part in enumerate(parts):
        drawn.append(
            f'<rect x="{x:.0f}" y="6" width="12" height="12" fill="{COLOURS[place % len(COLOURS)]}"/>'
        )
        drawn.append(text_of(x + 17, 17, t(part), "start"))
        x += 40 + 13 * sum(2 if ord(letter) > HAN_FROM else 1 for letter in t(part)) * 0.55 + 8
    return drawn
