"""Every attack that the tests can make against the whole look, species by species; figures go to artefacts.

    pytest -m long tests/evaluation/edge

42 presentations of each species (RENZHENG_PAD_PRESENTATIONS): none of 42 that passes shows an APCER under 7 %
at 95 % by the one-sided bound of ISO/IEC 30107-3's practice, and 8.4 % by Wilson's two-sided interval.
"""

import json
import os
from pathlib import Path

import pytest
from parts.attacks import ATTACKS
from parts.looks import look, passes, presentations, seen_by
from parts.sheets import ANIMATED

from renzheng.models.engine import is_ready, open_engine
from renzheng.models.evaluation.metrics import rate
from renzheng.models.liveness.network import open_if_here

FOLDER = Path(os.environ.get("RENZHENG_PORTRAITS", ".cache/portraits"))
OUT = Path(os.environ.get("RENZHENG_ARTEFACTS", "artefacts")) / "pad"
COUNT, FRAMES = int(os.environ.get("RENZHENG_PAD_PRESENTATIONS", "42")), 24
SEEDS = range(100, 100 + COUNT)  # none of those on which the weights were set


@pytest.fixture(scope="module")
def engine():
    if not (FOLDER / "obama.jpg").exists():
        pytest.skip(f"no portraits in {FOLDER}: run make setup, or set RENZHENG_PORTRAITS")
    return open_engine("yunet-dlib" if is_ready("yunet-dlib") else "dlib", threads=1)


def shown(name, engine):
    """Every presentation of one kind: what became of it without a network and, if there is one, with it."""
    networks = {"none": None}
    found = open_if_here()
    if found is not None:
        networks[found.model] = found
    counts = {
        key: {"presentations": 0, "passed": 0, "asked": 0, "outcomes": {}, "ms": []} for key in networks
    }
    for presentation in presentations(name, FOLDER, SEEDS, FRAMES):
        frames = seen_by(engine, presentation)
        for key, network in networks.items():
            outcome, state = look(frames, presentation, network)
            kept, kind = counts[key], type(outcome).__name__
            kept["presentations"] += 1
            kept["passed"] += passes(outcome)
            kept["asked"] += state.answering is not None
            kept["outcomes"][kind] = kept["outcomes"].get(kind, 0) + 1
            if passes(outcome):
                kept["ms"].append(outcome.decision_ms)
    for kept in counts.values():
        passed = rate(kept["passed"], kept["presentations"])
        kept["passed_interval"] = [passed.low, passed.high]
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / f"{name}.json").write_text(json.dumps(counts, indent=1), encoding="utf-8")
    return counts


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("species", [*ATTACKS, *ANIMATED])
def test_no_attack_of_this_species_passes(species, engine):
    for counts in shown(species, engine).values():
        assert counts["passed"] == 0


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_at_most_one_bona_fide_presentation_in_twenty_is_asked_for_anything(engine):
    for counts in shown("bona_fide", engine).values():
        assert counts["asked"] <= COUNT / 20
        assert counts["passed"] >= COUNT * 0.95
