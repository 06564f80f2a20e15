"""What a site learns from its own people: where their centre lies, and what a score means among them.

Pure functions: templates in, a `Calibration` out.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from renzheng.models.calibration import Calibration
from renzheng.models.comparison import Space, centre_of, plain_space, unit_parts
from renzheng.models.decision import Threshold
from renzheng.models.errors import CalibrationError
from renzheng.models.templates import ModelId, Template, lengths, parts, require_same

Values = NDArray[np.float32]
Probe = tuple[int, tuple[int, ...]]

# Fewer people than this say too little about a population: 30 give 435 pairs, of which 43 lie in the upper
# tenth, and the tail's slope comes out within a third of the truth.
SMALLEST_GALLERY_PEOPLE = 30
# A false match rate is counted, not computed, once this many false matches among the site's own pairs carry
# it: at 1e-3 from 142 people on, at 1e-4 from 448.
COUNTED_FALSE_MATCHES = 10
# How far beyond one false match among all pairs the computed tail is followed.
_FURTHEST_EXTRAPOLATION = 0.02
# A gallery that has grown by this share is calibrated again.
_GROWTH = 0.1

_FMRS = (0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 3e-6, 1e-6)
_TAIL_SHARE = 0.1
_RESAMPLES = 200
_Z95 = 1.959963984540054

# A centre of so many people hardly moves when two are left out; taking it anew for each pair would only take
# time: in an evaluation, which is held to it, and in a calibration, which runs on the clinic's machine.
_LEAVE_OUT_PEOPLE = 300
_CALIBRATION_LEAVE_OUT_PEOPLE = 100


def calibrate(
    gallery: Mapping[str, Sequence[Template]],
    trust: Sequence[float],
    *,
    now: datetime,
    previous: Calibration | None = None,
) -> Calibration:
    """Compute a site's centre, weights and thresholds from its own gallery.

    Args:
        gallery: the references of each distinct person, all of one model and under one key.
        trust: one weight for each network of the model (`renzheng.models.engine.ENGINES`).
        now: aware time, recorded.
        previous: the calibration this one follows; its version is counted up.

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
    cosines, owners = _strangers(values, person, model)
    weights = fusion_weights(cosines, trust)
    means = np.stack([values[person == who].mean(axis=0) for who in range(len(people))])
    return Calibration(
        space=Space(model, centre_of(means, model), tuple(float(weight) for weight in weights)),
        thresholds=thresholds_from(cosines @ weights, owners, len(people)),
        key=templates[0].key,
        version=(previous.version if previous else 0) + 1,
        people=len(people),
        comparisons=len(cosines),
        made_at=now,
    )


def require_enough(people: int) -> None:
    """Refuse a gallery of so few people; their photographs need not be looked at to know it.

    Raises:
        CalibrationError: fewer than `SMALLEST_GALLERY_PEOPLE`.
    """
    if people < SMALLEST_GALLERY_PEOPLE:
        raise CalibrationError(
            f"The gallery holds {people} people; a calibration takes {SMALLEST_GALLERY_PEOPLE}.",
            why="From fewer, neither the centre nor the tail of the strangers' scores is known.",
            do="Enrol more people; until then the card's thresholds serve.",
            people=people,
        )


def is_due(previous: Calibration | None, people: int) -> bool:
    """Say whether a gallery of so many people should be calibrated (again)."""
    if people < SMALLEST_GALLERY_PEOPLE:
        return False
    return previous is None or people >= previous.people * (1 + _GROWTH)


def thresholds_from(
    scores: NDArray[np.float64], owners: NDArray[np.int64], people: int
) -> tuple[Threshold, ...]:
    """Return the operating points that strangers' scores support.

    Where enough of them lie above, the threshold is counted, and its interval comes from drawing the people
    (not the pairs, which share people) again and again. Beyond, the upper tenth is continued as an
    exponential, which falls more slowly than such scores do: the computed threshold errs towards safety.

    Args:
        scores: (comparisons,) all non-mated.
        owners: (comparisons, 2) the two people of each.
        people: how many there are.
    """
    ordered = np.sort(scores)[::-1]
    pairs = people * (people - 1) / 2
    points = []
    furthest = _FURTHEST_EXTRAPOLATION / pairs  # a list of some forty people is searched at about this rate
    for fmr in (*(one for one in _FMRS if one > furthest), furthest):
        if pairs * fmr >= COUNTED_FALSE_MATCHES:
            points.append(_counted(scores, ordered, owners, people, fmr))
        elif fmr >= furthest and fmr < _TAIL_SHARE:
            points.append(_computed(ordered, pairs, fmr))
    return tuple(points)


def _counted(
    scores: NDArray[np.float64],
    ordered: NDArray[np.float64],
    owners: NDArray[np.int64],
    people: int,
    fmr: float,
) -> Threshold:
    threshold = float(np.nextafter(ordered[int(fmr * len(ordered))], np.inf))
    drawn = _resampled_rates(scores >= threshold, owners, people)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Threshold(threshold, fmr, float(min(low, fmr)), float(max(high, fmr)), "site")


def _computed(ordered: NDArray[np.float64], pairs: float, fmr: float) -> Threshold:
    count = int(_TAIL_SHARE * len(ordered))
    start = float(ordered[count])
    slope = max(float(np.mean(ordered[:count] - start)), 1e-6)
    threshold = start + slope * math.log(_TAIL_SHARE / fmr)
    doubt = _Z95 / math.sqrt(_TAIL_SHARE * pairs)
    reach = threshold - start
    low, high = (_TAIL_SHARE * math.exp(-reach / (slope * factor)) for factor in (1 - doubt, 1 + doubt))
    return Threshold(threshold, fmr, low, high, "site-model")


def _resampled_rates(
    matched: NDArray[np.bool_], owners: NDArray[np.int64], people: int
) -> NDArray[np.float64]:
    """Return the false match rate in each of many galleries drawn from these people with replacement."""
    matches, trials = np.zeros((people, people)), np.zeros((people, people))
    np.add.at(matches, (owners[:, 0], owners[:, 1]), matched)
    np.add.at(trials, (owners[:, 0], owners[:, 1]), 1)
    # A fixed seed: the same gallery gives the same interval.
    draws = np.random.default_rng(0).multinomial(people, np.full(people, 1 / people), size=_RESAMPLES)
    rates: NDArray[np.float64] = np.einsum("bi,ij,bj->b", draws, matches, draws, optimize=True) / np.einsum(
        "bi,ij,bj->b", draws, trials, draws, optimize=True
    )
    return rates


def _strangers(
    values: Values, person: NDArray[np.int64], model: ModelId
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Compare every template with every other person's fused references.

    Returns:
        (comparisons, parts) cosines, and (comparisons, 2) the people compared.
    """
    people = int(person.max()) + 1
    images = [tuple(int(image) for image in np.flatnonzero(person == who)) for who in range(people)]
    if people <= _CALIBRATION_LEAVE_OUT_PEOPLE:
        comparisons = [
            (probe, images[who])
            for probe in range(len(person))
            for who in range(people)
            if who != person[probe]
        ]
        owners = np.array([(person[probe], person[references[0]]) for probe, references in comparisons])
        return centred_cosines(values, person, comparisons, model), owners
    means = np.stack([values[list(own)].mean(axis=0) for own in images])
    rows = unit_parts(values - centre_of(means, model), model)
    fused = unit_parts(np.stack([rows[list(own)].mean(axis=0) for own in images]), model)
    strange = person[:, None] != np.arange(people)[None]
    columns = [
        (one @ other.T)[strange] for one, other in zip(parts(rows, model), parts(fused, model), strict=True)
    ]
    probes, others = np.nonzero(strange)
    return np.stack(columns, axis=1).astype(np.float64), np.column_stack([person[probes], others])


def fusion_weights(non_mated_cosines: NDArray[np.float64], trust: Sequence[float]) -> NDArray[np.float64]:
    """Return the weight of each part, summing to 1: its trust divided by its deviation among strangers."""
    if non_mated_cosines.shape[1] == 1 or len(non_mated_cosines) < 2:  # noqa: PLR2004 - a deviation takes two
        raw = np.asarray(trust, dtype=np.float64)
    else:
        raw = np.asarray(trust) / np.maximum(non_mated_cosines.std(axis=0), 1e-6)
    weights: NDArray[np.float64] = raw / raw.sum()
    return weights


def person_means(values: Values, person: NDArray[np.int64]) -> dict[int, Values]:
    """Return each person's mean template over the acquired images."""
    means = {}
    for who in np.unique(person):
        own = values[(person == who) & np.isfinite(values[:, 0])]
        if len(own):
            means[int(who)] = own.mean(axis=0)
    return means


def centred_cosines(
    values: Values, person: NDArray[np.int64], comparisons: Sequence[Probe], model: ModelId
) -> NDArray[np.float64]:
    """Compare probes with references, each pair of people under the centre of everyone else.

    Args:
        values: (images, length); rows of NaN where there is no template.
        person: (images,) who each image is of.
        comparisons: (probe, references) as indices of images; the references are all of one person.
        model: of the templates.

    Returns:
        (comparisons, parts) cosines, one column for each network of the model.
    """
    groups: dict[tuple[int, int], list[int]] = defaultdict(list)
    for index, (probe, references) in enumerate(comparisons):
        one, other = int(person[probe]), int(person[references[0]])
        groups[min(one, other), max(one, other)].append(index)
    means = person_means(values, person)
    people = np.array(sorted(means))
    stacked = np.stack([means[who] for who in people])
    shared = _space(stacked, model) if len(people) > _LEAVE_OUT_PEOPLE else None
    cosines = np.empty((len(comparisons), len(lengths(model))))
    for pair, indices in groups.items():
        space = shared or _space(stacked[~np.isin(people, pair)], model)
        cosines[indices] = _group_cosines(values, [comparisons[index] for index in indices], space)
    return cosines


def _space(means: Values, model: ModelId) -> Space:
    plain = plain_space(model)
    return Space(model, centre_of(means, model), plain.weights) if len(means) else plain


def _group_cosines(values: Values, comparisons: Sequence[Probe], space: Space) -> NDArray[np.float64]:
    images = sorted({image for probe, references in comparisons for image in (probe, *references)})
    rows = unit_parts(values[images] - space.centre, space.model)
    place = {image: row for row, image in enumerate(images)}
    sets = sorted({references for _, references in comparisons})
    means = np.stack([rows[[place[image] for image in references]].mean(axis=0) for references in sets])
    fused = unit_parts(means, space.model)
    number = {references: row for row, references in enumerate(sets)}
    probes = rows[[place[probe] for probe, _ in comparisons]]
    chosen = fused[[number[references] for _, references in comparisons]]
    columns = [
        np.einsum("ij,ij->i", one, other)
        for one, other in zip(parts(probes, space.model), parts(chosen, space.model), strict=True)
    ]
    return np.stack(columns, axis=1).astype(np.float64)
