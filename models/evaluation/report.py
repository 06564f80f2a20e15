"""An evaluation as JSON, as a table, and as a DET curve."""

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any

from rich.table import Table

from renzheng.models.evaluation.as_site import SEARCHED_FPIR, AsSite
from renzheng.models.evaluation.metrics import Rate
from renzheng.models.evaluation.run import Evaluation, Rates

SCHEMA = 1  # counts up when a key changes its meaning


def as_json(result: Evaluation) -> dict[str, Any]:
    """Return the stable JSON form; docs/faces.md explains every key. Rates are 0 to 1; NaN becomes null."""
    card = result.at_card
    return {
        "schema": SCHEMA,
        "engine": result.engine,
        "references": result.references,
        "images": result.images,
        "people": result.people,
        "fta": len(result.failures) / result.images,
        "not_acquired": dict(result.failures),
        **_rates(result.rates),
        "accuracy_at_card_threshold": card.accuracy.value if card else None,
        "fmr_at_card_threshold": card.fmr.value if card else None,
        "fnmr_at_card_threshold": card.fnmr.value if card else None,
        "card_threshold": card.threshold if card else None,
        "fnir_at_fpir": {_key(fpir): _number(value) for fpir, value in result.fnir_at_fpir.items()},
        "groups": {name: _rates(rates) for name, rates in result.groups.items()},
        "as_site": _as_site(result.as_site),
        "det": [list(point) for point in result.rates.det],
    }


def _as_site(found: AsSite | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "people": found.people,
        "draws": found.draws,
        "asked_fmr": found.asked_fmr,
        "real_fmr": _number(found.real_fmr.value),
        "real_fmr_interval": _interval(found.real_fmr),
        "tar": _number(found.tar.value),
        "tar_interval": _interval(found.tar),
        "not_carried": found.not_carried,
        "offered_fmr": found.offered_fmr,
        "thresholds": list(found.thresholds),
        "attempts": {
            "real_fmr": _number(found.attempts.value),
            "real_fmr_interval": _interval(found.attempts),
        },
        "search": {
            "people": found.searched,
            "asked_fpir": SEARCHED_FPIR,
            "real_fpir": _number(found.fpir.value),
            "real_fpir_interval": _interval(found.fpir),
        },
    }


def _rates(rates: Rates) -> dict[str, Any]:
    return {
        "comparisons": {
            "mated": rates.counts.mated,
            "non_mated": rates.counts.non_mated,
            "mated_not_acquired": rates.counts.mated_not_acquired,
        },
        "eer": _number(rates.eer),
        "tar_at_fmr": {_key(fmr): at.tar.value for fmr, at in rates.at_fmr.items()},
        "tar_at_fmr_interval": {_key(fmr): _interval(at.tar) for fmr, at in rates.at_fmr.items()},
        "fnmr_at_fmr": {_key(fmr): at.fnmr.value for fmr, at in rates.at_fmr.items()},
        "fnmr_at_fmr_interval": {_key(fmr): _interval(at.fnmr) for fmr, at in rates.at_fmr.items()},
        "threshold_at_fmr": {_key(fmr): _number(at.threshold) for fmr, at in rates.at_fmr.items()},
        "fmr_supported": {_key(fmr): at.supported for fmr, at in rates.at_fmr.items()},
    }


def as_table(result: Evaluation) -> Table:
    """Return what a person wants to read first."""
    counts = result.rates.counts
    table = Table(
        title=f"{result.engine}: {result.people} people, {result.images} images, "
        f"{len(result.failures)} not acquired; {counts.mated} mated, {counts.non_mated} non-mated comparisons"
    )
    for column in ("at", "threshold", "TAR (failures count)", "FNMR", "95 %"):
        table.add_column(column, justify="right")
    for fmr, at in result.rates.at_fmr.items():
        note = "" if at.supported else " (too few comparisons to show it)"
        low, high = _interval(at.fnmr)
        table.add_row(
            f"FMR {_key(fmr)}{note}",
            f"{at.threshold:.4f}",
            f"{at.tar.value:.3f}",
            f"{at.fnmr.value:.3f}",
            f"{low:.3f}-{high:.3f}",
        )
    if result.at_card:
        card = result.at_card
        table.add_row(
            f"card's threshold: FMR {card.fmr.value:.5f}",
            f"{card.threshold:.4f}",
            "",
            f"{card.fnmr.value:.3f}",
            f"{card.fnmr.low:.3f}-{card.fnmr.high:.3f}",
        )
    for fpir, value in result.fnir_at_fpir.items():
        table.add_row(f"1:N, FPIR {_key(fpir)}", "", "", f"FNIR {value:.3f}", "")
    table.add_row("EER", "", "", f"{result.rates.eer:.4f}", "")
    if result.as_site:
        _add_site(table, result.as_site)
    return table


def _add_site(table: Table, site: AsSite) -> None:
    low, high = _interval(site.tar)
    table.add_row(
        f"site of {site.people}, {site.draws} draws: FMR {_key(site.asked_fmr)} asked, "
        f"{site.real_fmr.value:.5f} real ({site.real_fmr.low:.5f}-{site.real_fmr.high:.5f})",
        f"{site.thresholds[1]:.4f}" if site.thresholds else f"offered: 1 in {1 / site.offered_fmr:.0f}",
        f"{site.tar.value:.3f}",
        f"{1 - site.tar.value:.3f}",
        f"{1 - high:.3f}-{1 - low:.3f}",
    )


def _key(value: float) -> str:
    return f"{value:g}" if value >= 1e-4 else repr(value)  # noqa: PLR2004 - %g would write 1e-05


def _interval(value: Rate) -> list[float]:
    return [value.low, value.high]


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


_SIDE_PX = 480
_MARGIN_PX = 70
_TICKS = (0.0001, 0.001, 0.01, 0.05, 0.2, 0.4)
_SMALLEST, _LARGEST = 0.00005, 0.5
_COLOURS = ("#0b5394", "#b45309", "#38761d", "#7f1d7f", "#444444")


def det_svg(curves: Mapping[str, Sequence[tuple[float, float, float]]]) -> str:
    """Draw DET curves (FNMR over FMR, both on normal-deviate axes) as an SVG document."""
    size = _SIDE_PX + 2 * _MARGIN_PX
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}" role="img">',
        "<title>DET</title><style>text { font: 13px sans-serif }</style>",
        f'<rect width="{size}" height="{size}" fill="white"/>',
    ]
    parts += _grid()
    for index, (name, points) in enumerate(curves.items()):
        colour = _COLOURS[index % len(_COLOURS)]
        line = " ".join(f"{_place(fmr):.1f},{size - _place(fnmr):.1f}" for _, fmr, fnmr in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(
            f'<text x="{size - _MARGIN_PX - 8}" y="{_MARGIN_PX + 20 + 18 * index}" text-anchor="end" '
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
