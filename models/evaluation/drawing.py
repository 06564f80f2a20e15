"""An evaluation's pictures as SVG: DET curves, and how scores spread."""

from collections.abc import Mapping, Sequence
from statistics import NormalDist

from renzheng.models.evaluation.metrics import Histogram

_SIDE_PX = 480
_MARGIN_PX = 70
_TICKS = (0.0001, 0.001, 0.01, 0.05, 0.2, 0.4)
_SMALLEST, _LARGEST = 0.00005, 0.5
_COLOURS = ("#0b5394", "#b45309", "#38761d", "#7f1d7f", "#444444")
_DASHES = ("none", "8 4", "2 3", "10 3 2 3")
_PANEL_WIDTH_PX, _PANEL_HEIGHT_PX, _PANEL_GAP_PX = 640, 120, 46
Curve = Sequence[tuple[float, float, float]]


def det_svg(curves: Mapping[str, Curve]) -> str:
    """Draw DET curves (FNMR over FMR, both on normal-deviate axes; ISO/IEC 19795-1) as an SVG document.

    A curve ends where no comparison was wrong any more: the axis has no place for a rate of nothing.
    """
    size = _SIDE_PX + 2 * _MARGIN_PX
    parts = [*_opened(size, size, "DET", f"FNMR over FMR of {', '.join(curves)}"), *_grid()]
    for index, (name, points) in enumerate(curves.items()):
        colour, dashes = _COLOURS[index % len(_COLOURS)], _DASHES[index % len(_DASHES)]
        line = " ".join(
            f"{_place(fmr):.1f},{size - _place(fnmr):.1f}" for _, fmr, fnmr in points if fmr > 0 and fnmr > 0
        )
        parts.append(
            f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2" '
            f'stroke-dasharray="{dashes}"/>'
        )
        at = _MARGIN_PX + 20 + 18 * index
        parts.append(
            f'<line x1="{size - _MARGIN_PX - 36}" x2="{size - _MARGIN_PX - 8}" y1="{at - 4}" y2="{at - 4}" '
            f'stroke="{colour}" stroke-width="2" stroke-dasharray="{dashes}"/>'
        )
        parts.append(
            f'<text x="{size - _MARGIN_PX - 42}" y="{at}" text-anchor="end" '
            f'fill="{colour}">{_escaped(name)}</text>'
        )
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def _grid() -> list[str]:
    size = _SIDE_PX + 2 * _MARGIN_PX
    near, far = _MARGIN_PX, size - _MARGIN_PX
    parts = []
    for tick in _TICKS:
        at = _place(tick)
        parts += [
            f'<line x1="{at:.1f}" y1="{near}" x2="{at:.1f}" y2="{far}" stroke="#ddd"/>',
            f'<line x1="{near}" y1="{size - at:.1f}" x2="{far}" y2="{size - at:.1f}" stroke="#ddd"/>',
            f'<text x="{at:.1f}" y="{far + 18}" text-anchor="middle">{tick:.4g}</text>',
            f'<text x="{near - 8}" y="{size - at + 4:.1f}" text-anchor="end">{tick:.4g}</text>',
        ]
    parts += [
        f'<rect x="{near}" y="{near}" width="{_SIDE_PX}" height="{_SIDE_PX}" fill="none" stroke="black"/>',
        f'<text x="{size / 2}" y="{size - 20}" text-anchor="middle">FMR</text>',
        f'<text x="20" y="{size / 2}" text-anchor="middle" transform="rotate(-90 20 {size / 2})">FNMR</text>',
    ]
    return parts


def _place(share: float) -> float:
    """Return a rate's place in pixels, on a scale on which normal scores make a straight line."""
    normal = NormalDist()
    low, high = normal.inv_cdf(_SMALLEST), normal.inv_cdf(_LARGEST)
    at = normal.inv_cdf(min(max(share, _SMALLEST), _LARGEST))
    return _MARGIN_PX + (at - low) / (high - low) * _SIDE_PX


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def scores_svg(spreads: Mapping[str, Histogram], threshold: float) -> str:
    """Draw how mated and non-mated scores spread, one panel a group, all on one axis, as an SVG document.

    Args:
        spreads: by the group's name; all with the same edges.
        threshold: the score that is marked.
    """
    width = _PANEL_WIDTH_PX + 2 * _MARGIN_PX
    height = len(spreads) * (_PANEL_HEIGHT_PX + _PANEL_GAP_PX) + _MARGIN_PX
    told = f"Mated and non-mated scores of {', '.join(spreads)}; the threshold is {threshold:.4f}"
    parts = _opened(width, height, "Scores", told)
    for index, (name, spread) in enumerate(spreads.items()):
        parts += _panel(name, spread, threshold, _PANEL_GAP_PX + index * (_PANEL_HEIGHT_PX + _PANEL_GAP_PX))
    parts.append(
        f'<text x="{width / 2}" y="{height - 14}" text-anchor="middle">comparison score; filled: non-mated, '
        f"line: mated, dashed: threshold {threshold:.4f}</text></svg>"
    )
    return "\n".join(parts) + "\n"


def _panel(name: str, spread: Histogram, threshold: float, top: float) -> list[str]:
    low, high = spread.edges[0], spread.edges[-1]
    bottom = top + _PANEL_HEIGHT_PX
    most = max(*spread.mated, *spread.non_mated) or 1.0

    def across(score: float) -> float:
        share = (min(max(score, low), high) - low) / (high - low)
        return _MARGIN_PX + share * _PANEL_WIDTH_PX

    def steps(shares: Sequence[float]) -> str:
        points = []
        for left, right, share in zip(spread.edges, spread.edges[1:], shares, strict=False):
            up = bottom - share / most * _PANEL_HEIGHT_PX
            points += [f"{across(left):.1f},{up:.1f}", f"{across(right):.1f},{up:.1f}"]
        return " ".join(points)

    ends = f"{_MARGIN_PX},{bottom:.1f} {{}} {_MARGIN_PX + _PANEL_WIDTH_PX},{bottom:.1f}"
    at, end = across(threshold), _MARGIN_PX + _PANEL_WIDTH_PX
    marked = 'stroke="#b45309" stroke-dasharray="5 3"'
    ticks = [low + (high - low) * part / 5 for part in range(6)]
    return [
        f'<text x="{_MARGIN_PX}" y="{top - 8}">{_escaped(name)}</text>',
        f'<polygon points="{ends.format(steps(spread.non_mated))}" fill="#b6c2c9"/>',
        f'<polyline points="{steps(spread.mated)}" fill="none" stroke="#0b5394" stroke-width="2"/>',
        f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{top}" y2="{bottom}" {marked}/>',
        f'<line x1="{_MARGIN_PX}" x2="{end}" y1="{bottom}" y2="{bottom}" stroke="black"/>',
        *(
            f'<text x="{across(tick):.1f}" y="{bottom + 16}" text-anchor="middle">{tick:.2f}</text>'
            for tick in ticks
        ),
    ]


def _opened(width: float, height: float, title: str, told: str) -> list[str]:
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        f"<title>{_escaped(title)}</title><desc>{_escaped(told)}</desc>",
        "<style>text { font: 13px sans-serif }</style>",
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
