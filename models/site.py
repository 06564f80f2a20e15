"""What a site learns from its own people: where their centre lies, and what a score means among them.

Pure functions: templates in, a `Calibration` out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from renzheng.models.calibration import Calibration
from renzheng.models.errors import CalibrationError
from renzheng.models.population import space_of
from renzheng.models.priors import prior_of
from renzheng.models.strangers import OwnScores, own_scores
from renzheng.models.tail import pairs_of, same_sex, spread_of, thresholds_of
from renzheng.models.templates import Template, require_same

Scores = NDArray[np.float64]

# Ten people make 45 pairs: enough for the place and the width of strangers' scores, with the tail's shape
# from elsewhere (`renzheng.models.tail`).
SMALLEST_GALLERY_PEOPLE = 10
# A gallery that has grown by this share is calibrated again.
_GROWTH = 0.1
# Of more people every second, third ... is compared with the others: their number no longer says more.
MOST_COMPARED_PEOPLE = 480
# A genuine score that so few people show is an accident.
_FEWEST_GENUINE_PEOPLE = 5


def calibrate(
    gallery: Mapping[str, Sequence[Template]],
    trust: Sequence[float],
    *,
    now: datetime,
    previous: Calibration | None = None,
    sexes: Mapping[str, str] | None = None,
) -> Calibration:
    """Compute a site's space, weights and thresholds from its own gallery.

    Args:
        gallery: the references of each distinct person, all of one model and under one key.
        trust: one weight for each network of the model (`renzheng.models.engine.ENGINES`).
        now: aware time, recorded.
        previous: the calibration this one follows; its version is counted up.
        sexes: of people, where known: what the thresholds mean among each sex's pairs is shown as well.

    Raises:
        CalibrationError: fewer than `SMALLEST_GALLERY_PEOPLE` people.
        TemplateMismatchError: templates of different models or keys.
    """
    people = sorted(who for who, templates in gallery.items() if templates)
    require_enough(len(people))
    templates = [template for who in people for template in gallery[who]]
    require_same(*templates)
    person = np.repeat(np.arange(len(people)), [len(gallery[who]) for who in people])
    values = np.stack([template.values for template in templates])
    model = templates[0].model
    means = np.stack([values[person == who].mean(axis=0) for who in range(len(people))])
    own = own_scores(*_compared(values, person), model)
    weights = fusion_weights(own.strangers[np.isfinite(own.strangers[..., 0])], trust)
    space = space_of(means, model)
    prior = prior_of(model)
    pairs = pairs_of(own.strangers @ weights, own.person)
    spread = spread_of(pairs, float(own.excess @ weights), prior)
    thresholds = thresholds_of(pairs, spread, prior, _genuine(own, weights))
    of_sex = [(sexes or {}).get(who, "") for who in people[:: _step(len(people))]]
    return Calibration(
        space=replace(space, weights=tuple(float(weight) for weight in weights)),
        thresholds=thresholds,
        key=templates[0].key,
        version=(previous.version if previous else 0) + 1,
        people=len(people),
        comparisons=int(np.isfinite(pairs.scores).sum()),
        made_at=now,
        same_sex=same_sex(pairs, float(own.excess @ weights), prior, thresholds, of_sex),
    )


def require_enough(people: int) -> None:
    """Refuse a gallery of so few people; their photographs need not be looked at to know it.

    Raises:
        CalibrationError: fewer than `SMALLEST_GALLERY_PEOPLE`.
    """
    if people < SMALLEST_GALLERY_PEOPLE:
        raise CalibrationError(
            f"The gallery holds {people} people; a calibration takes {SMALLEST_GALLERY_PEOPLE}.",
            why="From fewer, neither the centre nor the spread of the strangers' scores is known.",
            do="Enrol more people; until then the card's thresholds serve.",
            people=people,
        )


def is_due(previous: Calibration | None, people: int) -> bool:
    """Return whether a gallery of so many people should be calibrated (again)."""
    if people < SMALLEST_GALLERY_PEOPLE:
        return False
    if previous is None or previous.space.damping is None:  # none, or one of a former release
        return True
    return people >= previous.people * (1 + _GROWTH)


def _compared(
    values: NDArray[np.float32], person: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Take an even part of very many people, numbered anew."""
    step = _step(int(person.max()) + 1)
    kept = person % step == 0
    return values[kept], person[kept] // step


def _step(people: int) -> int:
    return -(-people // MOST_COMPARED_PEOPLE)


def _genuine(own: OwnScores, weights: Scores) -> Scores | None:
    """Return the scores of people with their own references; None where too few people show them."""
    if len(np.unique(own.mated_person)) < _FEWEST_GENUINE_PEOPLE:
        return None
    scores: Scores = own.mated @ weights
    return scores


def fusion_weights(non_mated_cosines: Scores, trust: Sequence[float]) -> Scores:
    """Return the weight of each part, summing to 1: its trust divided by its deviation among strangers."""
    if non_mated_cosines.shape[1] == 1 or len(non_mated_cosines) < 2:  # noqa: PLR2004 - a deviation takes two
        raw = np.asarray(trust, dtype=np.float64)
    else:
        raw = np.asarray(trust) / np.maximum(non_mated_cosines.std(axis=0), 1e-6)
    weights: Scores = raw / raw.sum()
    return weights
