"""What a look found, as it is told to a page and written down: a closed set."""

from dataclasses import dataclass
from enum import StrEnum

from renzheng.contracts.events import Pad
from renzheng.models.decision import Compared


class FaceVerdict(StrEnum):
    """How the look into the camera ended."""

    MATCH = "match"
    NON_MATCH = "non_match"
    NOT_SURE = "not_sure"
    NOT_ACQUIRED = "not_acquired"
    ATTACK_SUSPECTED = "attack_suspected"
    NO_REFERENCE = "no_reference"
    ENROL_AGAIN = "enrol_again"
    """There are references, but of another face engine only."""


@dataclass(frozen=True, slots=True)
class Face:
    """What the device itself found in the camera's frames; the page's word is not taken for it."""

    verdict: FaceVerdict
    pad: Pad = Pad.NOT_SHOWN
    compared: Compared | None = None
