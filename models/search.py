"""Finds a person among many: exact, all at once; "nobody here" is an answer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from renzheng.models.calibration import Calibration
from renzheng.models.decision import Threshold
from renzheng.models.errors import OperatingPointError, TemplateMismatchError
from renzheng.models.templates import Template, require_same


@dataclass(frozen=True)
class Candidate:
    """Someone in the gallery who reaches the threshold."""

    person_id: str
    comparison_score: float


@dataclass(frozen=True)
class Found:
    """Candidates, best first.

    Attributes:
        candidates: never empty.
        threshold: which all of them reach.
        gallery_size: how many people were searched.
        expected_false_matches: how many of these people a stranger would be taken for, on average: the
            threshold's false match rate times the size. Near 1 and above, a hit alone says nothing.
    """

    candidates: tuple[Candidate, ...]
    threshold: Threshold
    gallery_size: int
    expected_false_matches: float


@dataclass(frozen=True)
class NotInGallery:
    """No one in the gallery reaches the threshold."""

    threshold: Threshold
    gallery_size: int
    expected_false_matches: float


Identification = Found | NotInGallery


class Gallery:
    """The references of many people, ready to be searched.

    Args:
        ids: the people's.
        rows: float32, (people, length), as `Space.fuse` gives them.
        calibration: the site's, or a card's.
    """

    def __init__(self, ids: Sequence[str], rows: NDArray[np.float32], calibration: Calibration) -> None:
        self._ids = list(ids)
        self._rows = np.ascontiguousarray(rows, dtype=np.float32)
        self._calibration = calibration

    @classmethod
    def enrolled(
        cls, people: Sequence[tuple[str, Sequence[Template]]], calibration: Calibration
    ) -> "Gallery":
        """Make a gallery of people's references, all of the calibration's model and under its key."""
        for _, templates in people:
            _require(templates, calibration)
        space = calibration.space
        rows = [space.fuse(np.stack([each.values for each in templates])) for _, templates in people]
        empty = np.empty((0, len(space.centre)), dtype=np.float32)
        return cls([who for who, _ in people], np.stack(rows) if rows else empty, calibration)

    def __len__(self) -> int:
        return len(self._ids)

    def likest(self, probe: Template) -> str:
        """Name the one of the gallery whom a template is likest, however little; the gallery is not empty.

        Raises:
            TemplateMismatchError: a probe of another model or key.
        """
        _require([probe], self._calibration)
        row = self._calibration.space.fuse(probe.values[None])
        return self._ids[int(np.argmax(self._rows @ row))]

    def search(
        self, probes: Sequence[Template], *, at_fmr: float, most: int = 10, apart: bool = False
    ) -> Identification:
        """Search one attempt's probes.

        Args:
            probes: one or more templates; they are fused.
            at_fmr: false match rate of the probes with each single person.
            most: how many candidates at most.
            apart: take the mean of the probes' scores, not the score of their fusion, which is higher, for
                strangers too. Thresholds are measured with single probes, so this keeps what they promise.

        Raises:
            OperatingPointError: no probe, or nothing measured supports that rate.
            TemplateMismatchError: probes of another model or key.
        """
        if not probes:
            raise OperatingPointError("There is no probe to search for.", do="Embed at least one face first.")
        _require(probes, self._calibration)
        threshold = self._calibration.threshold_at(at_fmr, several=len(probes) > 1 and not apart)
        expected = threshold.fmr * len(self)
        fuse = self._calibration.space.fuse
        if apart:
            probe = np.mean([fuse(each.values[None]) for each in probes], axis=0)
        else:
            probe = fuse(np.stack([each.values for each in probes]))
        indices, scores = top(self._rows, probe, threshold.score, most)
        if not len(indices):
            return NotInGallery(threshold, len(self), expected)
        candidates = tuple(
            Candidate(self._ids[index], float(score)) for index, score in zip(indices, scores, strict=True)
        )
        return Found(candidates, threshold, len(self), expected)


def top(
    rows: NDArray[np.float32], probe: NDArray[np.float32], smallest: float, most: int
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return the indices and scores of the best `most` rows that score at least `smallest`, best first.

    Equal scores come in the order of the rows.
    """
    scores = rows @ probe
    hits = np.flatnonzero(scores >= smallest)
    if len(hits) > most:
        # Everything that ties with the last place stays in, so that the order among equals is the rows'.
        bar = np.partition(scores[hits], len(hits) - most)[len(hits) - most]
        hits = hits[scores[hits] >= bar]
    order = np.argsort(-scores[hits], kind="stable")[:most]
    chosen = hits[order]
    return chosen, scores[chosen]


def _require(templates: Sequence[Template], calibration: Calibration) -> None:
    require_same(*templates)
    for template in templates[:1]:
        wanted = (calibration.space.model, calibration.key)
        if calibration.version == 0:
            wanted = (calibration.space.model, template.key)  # a card has no centre: any key's space will do
        if (template.model, template.key) != wanted:
            raise TemplateMismatchError(
                f"A template of {template.model} under key {template.key or 'none'} does not belong to "
                f"a calibration of {wanted[0]} under key {wanted[1] or 'none'}.",
                do="Re-issue the template under the site's key, or calibrate again.",
            )
