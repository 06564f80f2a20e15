"""One track's shots against today's list: one of the list, nobody of the list, or not to be told; pure.

Open set: most who walk past are on no list. How often a stranger is taken for one of N people is N times the
false match rate of one comparison, so the threshold is asked for by the list's length.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from renzheng.models.decision import Threshold
from renzheng.models.errors import OperatingPointError
from renzheng.models.search import Found, Gallery
from renzheng.models.templates import Template


@dataclass(frozen=True, slots=True)
class Identified:
    """The track is of one person of the list.

    Args:
        person_id: whose.
        comparison_score: of all shots together.
        threshold: which it reaches, with the false match rate of one comparison.
        gallery_size: how many people were on the list.
    """

    person_id: str
    comparison_score: float
    threshold: Threshold
    gallery_size: int


@dataclass(frozen=True, slots=True)
class NotOnList:
    """No one on the list reaches the threshold; nothing is kept of whoever it was."""


@dataclass(frozen=True, slots=True)
class Divided:
    """The shots together point to one, a single one of them to another: perhaps two people in one track."""


@dataclass(frozen=True, slots=True)
class NotSupported:
    """Nothing measured supports so small a false match rate for so long a list; nobody is identified."""

    wanted_fmr: float


Identification = Identified | NotOnList | Divided | NotSupported


def identify(gallery: Gallery, shots: Sequence[Template], expected_false_matches: float) -> Identification:
    """Search the shots of one track by the mean of their scores; each alone must be likest the same person.

    Args:
        gallery: today's list of the ward, references of this device.
        shots: at least one.
        expected_false_matches: for how many of the list a stranger may be taken, on average.
    """
    if len(gallery) == 0:
        return NotOnList()
    at_fmr = wanted_fmr(expected_false_matches, len(gallery))
    try:
        found = gallery.search(shots, at_fmr=at_fmr, most=1, apart=True)
    except OperatingPointError:
        return NotSupported(at_fmr)
    if not isinstance(found, Found):
        return NotOnList()
    best = found.candidates[0]
    if any(gallery.likest(shot) != best.person_id for shot in shots):
        return Divided()
    return Identified(best.person_id, best.comparison_score, found.threshold, found.gallery_size)


def wanted_fmr(expected_false_matches: float, gallery_size: int) -> float:
    """The false match rate of one comparison at which a stranger is taken for so many of the list."""
    return expected_false_matches / max(gallery_size, 1)
