"""An evaluation as JSON and as a table."""

import math
from typing import Any

from rich.table import Table

from renzheng.common.terminal import table
from renzheng.common.words import say
from renzheng.models.evaluation.as_site import SEARCHED_FPIR, AsSite
from renzheng.models.evaluation.metrics import Rate
from renzheng.models.evaluation.run import AtCommon, Evaluation, Rates

SHOWN_FMR = 1e-3
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
        **_rates(result.rates) | {"people": result.people},
        "accuracy_at_card_threshold": card.accuracy.value if card else None,
        "fmr_at_card_threshold": card.fmr.value if card else None,
        "fnmr_at_card_threshold": card.fnmr.value if card else None,
        "card_threshold": card.threshold if card else None,
        "fnir_at_fpir": {_key(fpir): _number(value) for fpir, value in result.fnir_at_fpir.items()},
        "groups": {
            name: _rates(rates) | {"det": [list(point) for point in rates.det]}
            for name, rates in result.groups.items()
        },
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
        "people": rates.people,
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
        "at_common_threshold": {_key(fmr): _at_common(at) for fmr, at in rates.at_common.items()},
        "scores": {
            "edges": list(rates.scores.edges),
            "mated": list(rates.scores.mated),
            "non_mated": list(rates.scores.non_mated),
        },
        "fmr_supported": {_key(fmr): at.supported for fmr, at in rates.at_fmr.items()},
    }


def _at_common(at: AtCommon) -> dict[str, Any]:
    return {
        "threshold": _number(at.threshold),
        "fmr": _number(at.fmr.value),
        "fmr_interval": _interval(at.fmr),
        "fnmr": _number(at.fnmr.value),
        "fnmr_interval": _interval(at.fnmr),
    }


def as_table(result: Evaluation) -> Table:
    """Return what a person wants to read first."""
    counts = result.rates.counts
    title = say(
        "{0}: {1} people, {2} images, {3} not acquired; {4} mated, {5} non-mated comparisons",
        *(result.engine, result.people, result.images, len(result.failures)),
        *(counts.mated, counts.non_mated),
    )
    shown = table(
        "operating point", "threshold", "TAR (failures count)", "FNMR", "95 %", title=title, numbers=5
    )
    for fmr, at in result.rates.at_fmr.items():
        note = "" if at.supported else say(" (too few comparisons to show it)")
        low, high = _interval(at.fnmr)
        shown.add_row(
            f"FMR {_key(fmr)}{note}",
            f"{at.threshold:.4f}",
            f"{at.tar.value:.3f}",
            f"{at.fnmr.value:.3f}",
            f"{low:.3f}-{high:.3f}",
        )
    if result.at_card:
        card = result.at_card
        shown.add_row(
            say("card's threshold: FMR {0}", f"{card.fmr.value:.5f}"),
            f"{card.threshold:.4f}",
            "",
            f"{card.fnmr.value:.3f}",
            f"{card.fnmr.low:.3f}-{card.fnmr.high:.3f}",
        )
    for fpir, value in result.fnir_at_fpir.items():
        shown.add_row(f"1:N, FPIR {_key(fpir)}", "", "", f"FNIR {value:.3f}", "")
    shown.add_row("EER", "", "", f"{result.rates.eer:.4f}", "")
    for name, rates in result.groups.items():
        _add_group(shown, name, rates)
    if result.as_site:
        _add_site(shown, result.as_site)
    return shown


def _add_group(shown: Table, name: str, rates: Rates) -> None:
    """Add what the whole set's threshold does to one group; intervals by people."""
    at = rates.at_common[SHOWN_FMR]
    shown.add_row(
        f"{name} ({rates.people} people), all people's threshold for FMR {_key(SHOWN_FMR)}: "
        f"FMR {at.fmr.value:.5f} ({at.fmr.low:.5f}-{at.fmr.high:.5f})",
        f"{at.threshold:.4f}",
        "",
        f"{at.fnmr.value:.3f}",
        f"{at.fnmr.low:.3f}-{at.fnmr.high:.3f}",
    )


def _add_site(shown: Table, site: AsSite) -> None:
    low, high = _interval(site.tar)
    shown.add_row(
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
