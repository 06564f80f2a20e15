"""Error rates of presentation attack detection after ISO/IEC 30107-3: APCER by species, BPCER.

Every presentation goes through the same `Following` and `Watch` as a kiosk's frames. It counts as classified
bona fide when that is concluded at any frame before an attack is; a kiosk would take it then. Whatever else
is concluded, *attack* or *not shown*, is not bona fide: the kiosk asks for the challenge, or refuses.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rich.table import Table

from renzheng.common.terminal import table
from renzheng.common.words import say
from renzheng.contracts.events import Pad
from renzheng.models.analysis import OneFace, PoorQuality
from renzheng.models.engine import FaceEngine
from renzheng.models.evaluation.metrics import Rate, rate
from renzheng.models.evaluation.presentations import Pixels, Presentation
from renzheng.models.following import Following
from renzheng.models.liveness import fusion, watch
from renzheng.models.liveness.network import LivenessNetwork
from renzheng.models.liveness.stream import Camera

SCHEMA = 1  # counts up when a key changes its meaning
FRAMES_PER_SECOND = 12.0  # what a kiosk's page sends


class Concluded(StrEnum):
    """What a presentation was classified as."""

    BONA_FIDE = "bona_fide"
    ATTACK = "attack"
    NOT_SHOWN = "not_shown"
    NOT_ACQUIRED = "not_acquired"


@dataclass(frozen=True)
class Result:
    """What came of one presentation.

    Attributes:
        presentation: which.
        concluded: how it was classified.
        weight: the last sum of evidence.
        signals: what each signal said.
        frames: how many were looked at.
        decided_ms: when bona fide was concluded; None otherwise.
    """

    presentation: Presentation
    concluded: Concluded
    weight: float
    signals: tuple[str, ...]
    frames: int
    decided_ms: int | None


def classify(
    presentation: Presentation,
    frames: Iterable[Pixels],
    engine: FaceEngine,
    network: LivenessNetwork | None,
    *,
    fps: float = FRAMES_PER_SECOND,
) -> Result:
    """Show one presentation, frame by frame, until bona fide is concluded or the frames end."""
    watching = watch.Watch(network, Camera(presentation.camera))
    following = Following(engine)
    verdict, count, faces, attacked = fusion.NOTHING_SHOWN, 0, 0, False
    for count, image in enumerate(frames, start=1):
        # Frames of a folder have no times of their own; with a camera's jitter their clock says nothing.
        at_ms = round((count - 1) * 1000 / fps) + (count * 7) % 5
        analysis = following.analyse(image, at_ms)
        faces += isinstance(analysis, OneFace | PoorQuality)
        verdict = watching.take(image, analysis, at_ms)
        attacked = attacked or verdict.pad is Pad.ATTACK
        if verdict.pad is Pad.BONA_FIDE and not attacked:
            return Result(presentation, Concluded.BONA_FIDE, verdict.weight, verdict.codes(), count, at_ms)
    concluded = Concluded.ATTACK if attacked else Concluded.NOT_SHOWN
    if not faces:
        concluded = Concluded.NOT_ACQUIRED
    return Result(presentation, concluded, verdict.weight, verdict.codes(), count, None)


@dataclass(frozen=True)
class Classified:
    """How the presentations of one species, or all bona fide ones, were classified.

    Attributes:
        counts: by conclusion.
        error: APCER of a species, BPCER of bona fide presentations.
    """

    counts: Counter[Concluded]
    error: Rate

    @property
    def presentations(self) -> int:
        """How many there were."""
        return self.counts.total()


@dataclass(frozen=True)
class PadEvaluation:
    """All of it.

    Attributes:
        species: attacks, by species.
        bona_fide: bona fide presentations; None where the list has none.
        results: each presentation's.
    """

    species: dict[str, Classified]
    bona_fide: Classified | None
    results: tuple[Result, ...]


def evaluate(results: Sequence[Result]) -> PadEvaluation:
    """Count errors."""
    by_species: dict[str, Counter[Concluded]] = {}
    bona_fide: Counter[Concluded] = Counter()
    for result in results:
        attack = result.presentation.attack
        counts = by_species.setdefault(result.presentation.species, Counter()) if attack else bona_fide
        counts[result.concluded] += 1
    species = {
        name: Classified(counts, rate(counts[Concluded.BONA_FIDE], counts.total()))
        for name, counts in sorted(by_species.items())
    }
    refused = bona_fide.total() - bona_fide[Concluded.BONA_FIDE]
    people = Classified(bona_fide, rate(refused, bona_fide.total())) if bona_fide else None
    return PadEvaluation(species, people, tuple(results))


def as_json(result: PadEvaluation, *, engine: str, network: str | None) -> dict[str, Any]:
    """Return the stable JSON form; docs/liveness.md explains every key. Rates are 0 to 1."""
    worst = max(result.species.values(), key=lambda each: each.error.value, default=None)
    people = result.bona_fide
    return {
        "schema": SCHEMA,
        "engine": engine,
        "network": network,
        "presentations": len(result.results),
        "working_point": {
            "bona_fide_at": fusion.BONA_FIDE_AT,
            "attack_at": fusion.ATTACK_AT,
            "depth_needed": True,
            "families_needed": fusion.FAMILIES_NEEDED,
            "shortest_ms": watch.SHORTEST_MS,
        },
        "species": {
            name: {
                "presentations": each.presentations,
                "apcer": each.error.value,
                "apcer_interval": [each.error.low, each.error.high],
                "classified": _counts(each),
            }
            for name, each in result.species.items()
        },
        "apcer_worst": None if worst is None else worst.error.value,
        "bpcer": None if people is None else people.error.value,
        "bpcer_interval": None if people is None else [people.error.low, people.error.high],
        "bona_fide": None
        if people is None
        else {"presentations": people.presentations, "classified": _counts(people)},
        "results": [_one(each) for each in result.results],
    }


def _counts(classified: Classified) -> dict[str, int]:
    return {each.value: classified.counts[each] for each in Concluded}


def _one(result: Result) -> dict[str, Any]:
    return {
        "file": result.presentation.name,
        "species": result.presentation.species,
        "attack": result.presentation.attack,
        "classified": result.concluded.value,
        "weight": round(result.weight, 3),
        "signals": list(result.signals),
        "frames": result.frames,
        "decided_ms": result.decided_ms,
    }


def as_table(result: PadEvaluation, *, network: str | None) -> Table:
    """Return what a person wants to read first."""
    title = say(
        "bona fide from {0} with depth, attack from {1}; network: {2}",
        *(f"{fusion.BONA_FIDE_AT:+.1f}", f"{fusion.ATTACK_AT:+.1f}", network or say("none")),
    )
    concluded = (each.value.replace("_", " ") for each in Concluded)
    shown = table("species", "shown", *concluded, "error (95 %)", title=title)
    rows = [(name, each, "APCER") for name, each in result.species.items()]
    if result.bona_fide is not None:
        rows.append(("bona fide", result.bona_fide, "BPCER"))
    for name, each, error in rows:
        shown.add_row(
            name,
            str(each.presentations),
            *(str(each.counts[concluded]) for concluded in Concluded),
            f"{error} {each.error.value:.3f} ({each.error.low:.3f}-{each.error.high:.3f})",
        )
    return shown
