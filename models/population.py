"""What the means of a population's people tell: where their centre lies, and along what they differ most.

Pure functions: each person's mean template in, a `Space` out.
"""

import numpy as np
from numpy.typing import NDArray

from renzheng.models.comparison import Damping, Space, centre_of, plain_space
from renzheng.models.templates import ModelId, lengths, names, parts

# Along a direction in which the people's means have the variance l, a template counts a m / (l + a m), where
# m is the mean of all l above zero. dlib's network gains from 4; MobileFaceNet, which uses its whole space
# already, gains nothing from 4 and loses nothing with 16 (docs/faces.md).
_STRENGTH = {"dlib-resnet": 4.0}
_USUAL_STRENGTH = 16.0

# So many people differ in at least as many directions; of fewer nothing is said.
_FEWEST_PEOPLE = 4
# Directions beyond the strongest few are hardly damped, and tell more of single people than of a population.
_MOST_DIRECTIONS = 32


def space_of(means: NDArray[np.floating], model: ModelId) -> Space:
    """Return the space of a population, given each person's mean template, (people, length).

    Of few people the centre is shortened and the directions are fewer: what is not known is not subtracted.
    """
    plain = plain_space(model)
    if not len(means):
        return plain
    return Space(model, centre_of(means, model), plain.weights, damping=damping_of(means, model))


def damping_of(means: NDArray[np.floating], model: ModelId) -> Damping | None:
    """Return the principal directions of the people's means and how much each is damped.

    What most people of a population differ in (sex, age, how their pictures were taken) makes two of them
    alike by chance; what few share tells them apart. Hence a soft whitening between persons: see `_STRENGTH`.
    None for fewer than `_FEWEST_PEOPLE`.
    """
    if len(means) < _FEWEST_PEOPLE:
        return None
    total = sum(lengths(model))
    directions, shares = [], []
    start = 0
    for name, part in zip(names(model), parts(np.asarray(means, np.float64), model), strict=True):
        own, share = _principal(np.asarray(part, np.float64), _STRENGTH.get(name, _USUAL_STRENGTH))
        placed = np.zeros((len(own), total))
        placed[:, start : start + part.shape[-1]] = own
        directions.append(placed)
        shares.append(share)
        start += part.shape[-1]
    return Damping(np.concatenate(directions).astype(np.float32), np.concatenate(shares).astype(np.float32))


def _principal(
    means: NDArray[np.float64], strength: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the strongest directions, (count, length), and the share to take away along each."""
    people = len(means)
    _, singular, directions = np.linalg.svd(means - means.mean(axis=0), full_matrices=False)
    variance = singular**2 / (people - 1)
    there = variance > 1e-9 * max(float(variance[0]), 1e-12)
    variance, directions = variance[there], directions[there]
    if not len(variance):
        return directions, variance
    shares = variance / (variance + strength * variance.mean())
    most = min(_MOST_DIRECTIONS, people // 2)
    return directions[:most], shares[:most]
