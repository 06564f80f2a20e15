"""The challenge: did the head do what was asked, measured on five landmarks; pure.

dlib's five points (the eyes' corners, the base of the nose) give three numbers a frame. The nose's base is
before the eyes by about 0.3 interocular distances, so when a head turns it moves against them, which a flat
picture's does not: turning a print leaves the nose in the middle of the eyes. A print folded along the nose
does as a head does, and any can be tilted and moved nearer: a movement done is an answer, no depth. `shape`
sees that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from renzheng.models.landmarks import Landmarks


class Challenge(StrEnum):
    """What the person may be asked to do; left and right are their own."""

    TURN_LEFT = "turn_left"
    TURN_RIGHT = "turn_right"
    NOD = "nod"
    COME_NEARER = "come_nearer"


MIN_YAW = 0.13
"""Change of `Pose.yaw`. Drawn heads of five portraits: 0.03 to 0.10 at the seven degrees that they sway by
themselves, 0.14 to 0.23 at twenty (one side of one of them 0.03); a picture turned by twenty 0.07 at most."""

MIN_RAISED, MIN_LOWERED = 0.033, 0.06
"""Change of `Pose.drop` as a head is raised or lowered. Drawn heads raised by ten degrees 0.034 to 0.053, by
fifteen 0.040 to 0.065; lowered by fifteen 0.016 to 0.036 only. A picture tilted by fifteen degrees seems
raised by 0.011 to 0.026, by more as it is tilted further: a nod shows no depth, its motion must."""

MIN_NEARER = 1.15
REACTION_MS = 200
"""Nobody answers a prompt sooner; what moved before was not an answer."""

_STEADY = 2  # frames in a row that must show it: one slipped landmark answers nothing


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a head looks in one frame.

    Args:
        at_ms: when.
        yaw: how far the nose's base stands from the middle of the eyes along their line, in half interocular
            distances; positive towards the right of the picture, which is the person's left.
        drop: how far it stands below their line, in interocular distances.
        scale: interocular distance in pixels.
    """

    at_ms: int
    yaw: float
    drop: float
    scale: float


def pose_of(landmarks: Landmarks, at_ms: int) -> Pose | None:
    """Measure one frame; None where the eyes fall together."""
    right, left = np.array(landmarks.right_eye), np.array(landmarks.left_eye)
    across = left - right
    apart = float(np.hypot(*across))
    if apart < 1.0:
        return None
    nose = (np.array(landmarks.nose_base) - (left + right) / 2) / apart
    along = across / apart
    return Pose(at_ms, 2 * float(nose @ along), float(nose @ np.array([-along[1], along[0]])), apart)


def done(challenge: Challenge, before: Sequence[Pose], after: Sequence[Pose], asked_ms: int) -> bool:
    """Tell whether the head has done what was asked, in the right direction and after the prompt.

    Args:
        challenge: what was asked.
        before: poses up to the prompt; their median is what the head is compared with.
        after: poses since.
        asked_ms: when the prompt was shown.
    """
    answered = [pose for pose in after if pose.at_ms - asked_ms >= REACTION_MS]
    if not before or len(answered) < _STEADY:
        return False
    yaw, drop, scale = np.median([(pose.yaw, pose.drop, pose.scale) for pose in before], axis=0)
    match challenge:
        case Challenge.TURN_LEFT:
            shown = [pose.yaw - yaw >= MIN_YAW for pose in answered]
        case Challenge.TURN_RIGHT:
            shown = [yaw - pose.yaw >= MIN_YAW for pose in answered]
        case Challenge.NOD:
            shown = [not -MIN_RAISED < pose.drop - drop < MIN_LOWERED for pose in answered]
        case Challenge.COME_NEARER:
            shown = [pose.scale >= MIN_NEARER * scale for pose in answered]
    return any(all(shown[first : first + _STEADY]) for first in range(len(shown) - _STEADY + 1))
