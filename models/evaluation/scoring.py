"""Scores comparisons: as a calibrated site would, by the card alone, or as the library does."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from renzheng.models.comparison import Space
from renzheng.models.evaluation.sets import Comparison
from renzheng.models.site import fusion_weights
from renzheng.models.strangers import Values, held_out_cosines
from renzheng.models.templates import ModelId


def site_scores(
    values: Values,
    person: NDArray[np.int64],
    comparisons: Sequence[Comparison],
    model: ModelId,
    trust: Sequence[float],
) -> NDArray[np.float64]:
    """Score as a site would that has calibrated on its own people, but never on the two it is comparing.

    For each pair of people the space is made of others' mean templates. Where a template has
    several parts, each part's cosine is divided by its deviation over non-mated comparisons and weighted by
    `trust`.

    Args:
        values: (images, length); rows of NaN where no template was acquired.
        person: (images,) who each image is of.
        comparisons: whose images are all acquired.
        model: of the templates.
        trust: one weight a part.

    Returns:
        (comparisons,) scores.
    """
    probes = [(each.probe, each.references) for each in comparisons]
    cosines = held_out_cosines(values, person, probes, model)
    mated = np.array([comparison.mated for comparison in comparisons], dtype=bool)
    weights = fusion_weights(cosines[~mated], trust)
    scores: NDArray[np.float64] = cosines @ weights
    return scores


def card_scores(values: Values, comparisons: Sequence[Comparison], space: Space) -> NDArray[np.float64]:
    """Score by the card's space, without anything learned from these images."""
    projected = space.project(values)
    sets = sorted({comparison.references for comparison in comparisons})
    fused = {references: space.fuse(values[list(references)]) for references in sets}
    scores = [float(projected[each.probe] @ fused[each.references]) for each in comparisons]
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
