"""Scores comparisons in three ways: as a calibrated site would, by the card alone, and as the library does."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from renzheng.models.comparison import Space, centre_of, plain_space, unit_parts
from renzheng.models.evaluation.sets import Comparison
from renzheng.models.templates import ModelId, lengths, parts

Values = NDArray[np.float32]

# A centre of so many people hardly moves when two are left out; taking it anew for each pair would only take time.
_LEAVE_OUT_PEOPLE = 300


def site_scores(
    values: Values,
    person: NDArray[np.int64],
    comparisons: Sequence[Comparison],
    model: ModelId,
    trust: Sequence[float],
) -> NDArray[np.float64]:
    """Score as a site would that has calibrated on its own people, but never on the two it is comparing.

    For each pair of people the centre is taken from everyone else's mean templates. Where a template has several
    parts, each part's cosine is divided by its deviation over non-mated comparisons and weighted by `trust`.

    Args:
        values: (images, length); rows of NaN where no template was acquired.
        person: (images,) who each image is of.
        comparisons: whose images are all acquired.
        model: of the templates.
        trust: one weight a part.

    Returns:
        (comparisons,) scores.
    """
    cosines = _centred_cosines(values, person, comparisons, model)
    mated = np.array([comparison.mated for comparison in comparisons], dtype=bool)
    weights = fusion_weights(cosines[~mated], trust)
    scores: NDArray[np.float64] = cosines @ weights
    return scores


def fusion_weights(non_mated_cosines: NDArray[np.float64], trust: Sequence[float]) -> NDArray[np.float64]:
    """Return the weight of each part, summing to 1: its trust divided by its deviation among strangers."""
    if non_mated_cosines.shape[1] == 1 or len(non_mated_cosines) < 2:  # noqa: PLR2004 - a deviation takes two
        raw = np.asarray(trust, dtype=np.float64)
    else:
        raw = np.asarray(trust) / np.maximum(non_mated_cosines.std(axis=0), 1e-6)
    weights: NDArray[np.float64] = raw / raw.sum()
    return weights


def card_scores(
    values: Values, comparisons: Sequence[Comparison], space: Space
) -> NDArray[np.float64]:
    """Score by the card's space, without anything learned from these images."""
    projected = space.project(values)
    scores = []
    for comparison in comparisons:
        references = list(comparison.references)
        reference = projected[references[0]] if len(references) == 1 else space.fuse(values[references])
        scores.append(float(projected[comparison.probe] @ reference))
    return np.array(scores, dtype=np.float64)


def library_scores(values: Values, comparisons: Sequence[Comparison]) -> NDArray[np.float64]:
    """Score as face_recognition's users do: 1 minus the smallest Euclidean distance to any reference."""
    return np.array(
        [
            1.0 - float(np.linalg.norm(values[list(each.references)] - values[each.probe], axis=1).min())
            for each in comparisons
        ],
        dtype=np.float64,
    )


def person_means(values: Values, person: NDArray[np.int64], model: ModelId) -> dict[int, Values]:
    """Return each person's mean template over the acquired images."""
    means = {}
    for who in np.unique(person):
        own = values[(person == who) & np.isfinite(values[:, 0])]
        if len(own):
            means[int(who)] = own.mean(axis=0)
    return means


def _centred_cosines(
    values: Values, person: NDArray[np.int64], comparisons: Sequence[Comparison], model: ModelId
) -> NDArray[np.float64]:
    """Return (comparisons, parts) cosines, each pair of people under the centre of all others."""
    groups: dict[tuple[int, int], list[int]] = defaultdict(list)
    for index, comparison in enumerate(comparisons):
        one, other = int(person[comparison.probe]), int(person[comparison.references[0]])
        groups[min(one, other), max(one, other)].append(index)
    means = person_means(values, person, model)
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


def _group_cosines(values: Values, comparisons: Sequence[Comparison], space: Space) -> NDArray[np.float64]:
    images = sorted({image for each in comparisons for image in (each.probe, *each.references)})
    rows = unit_parts(values[images] - space.centre, space.model)
    place = {image: row for row, image in enumerate(images)}
    result = np.empty((len(comparisons), len(space.weights)))
    for index, each in enumerate(comparisons):
        reference = rows[[place[image] for image in each.references]].mean(axis=0)
        fused = unit_parts(reference, space.model)
        probe = rows[place[each.probe]]
        result[index] = [
            float(one @ other)
            for one, other in zip(parts(probe, space.model), parts(fused, space.model), strict=True)
        ]
    return result
