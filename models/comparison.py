"""How alike two faces are: centred cosine, several references and probes fused. Values in, values out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from renzheng.models.errors import TemplateMismatchError
from renzheng.models.templates import ModelId, Template, parts, require_same

Rows = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Damping:
    """Directions of the templates' space whose part of every template is made smaller.

    Attributes:
        directions: float32, (count, length): of unit length and at right angles to each other.
        shares: float32, (count,): what is taken away along each, 0 (nothing) to 1 (all).
    """

    directions: Rows
    shares: Rows

    def apply(self, centred: Rows) -> Rows:
        """Damp centred templates, (..., length)."""
        along = (centred @ self.directions.T) * self.shares
        damped: Rows = (centred - along @ self.directions).astype(np.float32)
        return damped


@dataclass(frozen=True)
class Space:
    """The space in which templates are compared.

    Attributes:
        model: the networks that made the templates.
        centre: float32, (length,): the mean template of a population, subtracted before the angle is taken.
            A network sees a population it was not trained on in a corner of its space, where every angle is
            small; from that corner's own centre the people stand apart again.
        weights: a number for every part of the model: how much its cosine counts. They sum to 1.
        fused_at_unit_length: several templates of a person are averaged and given unit length again, which
            tells people apart best, but gives strangers higher scores than single templates have: only for a
            space whose thresholds were measured on fused references. Else the mean of the scores counts.
        damping: the directions in which the population's people differ most, which count less; None: all
            count alike.
    """

    model: ModelId
    centre: Rows
    weights: tuple[float, ...]
    fused_at_unit_length: bool = True
    damping: Damping | None = None

    def project(self, values: NDArray[np.floating]) -> Rows:
        """Centre and damp templates and give them unit length: a dot product is then the comparison score.

        Args:
            values: (..., length).
        """
        centred: Rows = np.asarray(values, dtype=np.float32) - self.centre
        if self.damping is not None:
            centred = self.damping.apply(centred)
        pieces = [
            _unit(piece) * np.float32(np.sqrt(weight))
            for piece, weight in zip(parts(centred, self.model), self.weights, strict=True)
        ]
        return np.concatenate(pieces, axis=-1)

    def fuse(self, values: NDArray[np.floating]) -> Rows:
        """Fuse several templates of one person, (count, length), into one projected row, (length,).

        Each is projected first, so that each counts alike; see `fused_at_unit_length` for what follows.
        """
        mean: Rows = self.project(values).mean(axis=0)
        if not self.fused_at_unit_length:
            return mean
        pieces = [
            _unit(piece) * np.float32(np.sqrt(weight))
            for piece, weight in zip(parts(mean, self.model), self.weights, strict=True)
        ]
        return np.concatenate(pieces, axis=-1)


def plain_space(model: ModelId) -> Space:
    """Return the space of a card: no centre, all parts weigh the same, thresholds for single templates."""
    sizes = [piece.shape[-1] for piece in parts(np.zeros(_length(model), np.float32), model)]
    weights = tuple(1 / len(sizes) for _ in sizes)
    return Space(model, np.zeros(sum(sizes), np.float32), weights, fused_at_unit_length=False)


def compare(probes: Sequence[Template], references: Sequence[Template], space: Space) -> float:
    """Return the comparison score of one attempt's probes with one person's references.

    Returns:
        The cosine, -1 to 1 (weighted over the parts of the model); higher is more alike. Symmetric.

    Raises:
        TemplateMismatchError: the templates are not all of the space's model and of one key.
    """
    require_same(*probes, *references)
    if probes[0].model != space.model:
        raise TemplateMismatchError(
            f"The templates are of {probes[0].model}, the calibration is of {space.model}.",
            do="Run: renzheng models calibrate",
        )
    probe = space.fuse(np.stack([template.values for template in probes]))
    reference = space.fuse(np.stack([template.values for template in references]))
    return float(np.clip(probe @ reference, -1.0, 1.0))


# A centre measured on n people counts n / (n + 1). Of 20 East Asian people the full centre served best, of
# 157 in LFW one shortened to n / (n + 2); this lies between the two (docs/faces.md).
_CENTRE_DOUBT = 1.0


def centre_of(means: NDArray[np.floating], model: ModelId) -> Rows:
    """Return the centre to subtract, given each person's mean template, (people, length).

    A mean over few people is itself uncertain, so each part of it is shortened: by n / (n + 1), and by the
    share of its squared length that chance alone would give it (James and Stein's shrinkage).
    """
    people = len(means)
    if people < 2:  # noqa: PLR2004 - a spread takes two
        return np.zeros(means.shape[-1], dtype=np.float32)
    pieces = []
    for part in parts(np.asarray(means, dtype=np.float64), model):
        middle = part.mean(axis=0)
        spread = float(((part - middle) ** 2).sum() / (people - 1))
        length = float(middle @ middle)
        certain = max(0.0, 1 - spread / (people * length)) if length > 0 else 0.0
        pieces.append(middle * certain * people / (people + _CENTRE_DOUBT))
    return np.concatenate(pieces).astype(np.float32)


def unit_parts(values: NDArray[np.floating], model: ModelId) -> Rows:
    """Give each part of templates, (..., length), unit length, so that none counts more for being larger."""
    return np.concatenate([_unit(piece) for piece in parts(np.asarray(values, np.float32), model)], axis=-1)


def _length(model: ModelId) -> int:
    return sum(int(part.split(":")[2]) for part in model.split("+"))


def _unit(rows: NDArray[np.floating]) -> Rows:
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    # A template that is the centre itself points nowhere: it stays zero and scores 0 with everyone.
    unit: Rows = np.divide(rows, norms, out=np.zeros_like(rows, dtype=np.float32), where=norms > 0)
    return unit
