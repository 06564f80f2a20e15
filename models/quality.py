"""Whether a face sample is good enough, in the terms of ISO/IEC 29794-5, and what to tell the person.

The bounds are deliberately mild: they turn away what cannot work, not what is merely imperfect. They were set
on photographs that the embedder still recognises (docs/faces.md).
"""

from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from renzheng.models.detection.boxes import Box
from renzheng.models.landmarks import Landmarks

Pixels = NDArray[np.uint8]


class Problem(StrEnum):
    """What is wrong with a sample; the names follow ISO/IEC 29794-5's quality components."""

    INTEROCULAR_DISTANCE = "interocular_distance"
    SHARPNESS = "sharpness"
    UNDER_EXPOSURE = "under_exposure"
    OVER_EXPOSURE = "over_exposure"
    POSE_YAW = "pose_yaw"
    POSE_ROLL = "pose_roll"
    CROPPED = "crop_of_the_face"
    HEAD_SIZE = "head_size"
    ILLUMINATION_UNIFORMITY = "illumination_uniformity"
    NO_FACE = "no_face"
    SEVERAL_FACES = "single_face_present"
    MOUTH_OCCLUSION = "mouth_occlusion_prevention"
    EYES_VISIBLE = "eyes_visible"


class Guidance(StrEnum):
    """What to tell the person; `zh` and `en` hold the words."""

    STEP_INTO_VIEW = "step_into_view"
    ONE_PERSON_ONLY = "one_person_only"
    COME_CLOSER = "come_closer"
    MOVE_BACK = "move_back"
    CENTRE_FACE = "centre_face"
    LOOK_AT_CAMERA = "look_at_camera"
    HOLD_HEAD_UPRIGHT = "hold_head_upright"
    MORE_LIGHT = "more_light"
    LESS_LIGHT = "less_light"
    TURN_TO_LIGHT = "turn_to_light"
    TAKE_OFF_MASK = "take_off_mask"
    TAKE_OFF_DARK_GLASSES = "take_off_dark_glasses"
    HOLD_STILL = "hold_still"

    @property
    def zh(self) -> str:
        """The words in Chinese."""
        return _WORDS[self][0]

    @property
    def en(self) -> str:
        """The words in English."""
        return _WORDS[self][1]


_WORDS = {
    Guidance.STEP_INTO_VIEW: ("请站到摄像头前", "Please step in front of the camera"),
    Guidance.ONE_PERSON_ONLY: ("请一个人面对摄像头", "One person at a time, please"),
    Guidance.COME_CLOSER: ("请靠近一点", "Please come a little closer"),
    Guidance.MOVE_BACK: ("请离远一点", "Please move back a little"),
    Guidance.CENTRE_FACE: ("请将脸移到画面中间", "Please bring your face to the middle"),
    Guidance.LOOK_AT_CAMERA: ("请正对摄像头", "Please look into the camera"),
    Guidance.HOLD_HEAD_UPRIGHT: ("请把头摆正", "Please hold your head upright"),
    Guidance.MORE_LIGHT: ("光线太暗，请到亮一点的地方", "Too dark: please move into the light"),
    Guidance.LESS_LIGHT: ("光线太亮，请避开强光", "Too bright: please turn away from the glare"),
    Guidance.TURN_TO_LIGHT: ("请面向光线", "Please turn towards the light"),
    Guidance.TAKE_OFF_MASK: ("请摘下口罩", "Please take off your mask"),
    Guidance.TAKE_OFF_DARK_GLASSES: ("请摘下墨镜", "Please take off your dark glasses"),
    Guidance.HOLD_STILL: ("请保持不动", "Please hold still"),
}

# The order in which problems are put to the person: one at a time, the most telling first.
GUIDANCE_FOR: dict[Problem, Guidance] = {
    Problem.NO_FACE: Guidance.STEP_INTO_VIEW,
    Problem.SEVERAL_FACES: Guidance.ONE_PERSON_ONLY,
    Problem.INTEROCULAR_DISTANCE: Guidance.COME_CLOSER,
    Problem.HEAD_SIZE: Guidance.MOVE_BACK,
    Problem.CROPPED: Guidance.CENTRE_FACE,
    Problem.POSE_YAW: Guidance.LOOK_AT_CAMERA,
    Problem.POSE_ROLL: Guidance.HOLD_HEAD_UPRIGHT,
    Problem.ILLUMINATION_UNIFORMITY: Guidance.TURN_TO_LIGHT,
    Problem.UNDER_EXPOSURE: Guidance.MORE_LIGHT,
    Problem.OVER_EXPOSURE: Guidance.LESS_LIGHT,
    Problem.SHARPNESS: Guidance.HOLD_STILL,
    Problem.EYES_VISIBLE: Guidance.TAKE_OFF_DARK_GLASSES,
    Problem.MOUTH_OCCLUSION: Guidance.TAKE_OFF_MASK,
}


@dataclass(frozen=True)
class Bounds:
    """What a sample must keep within; the units are those of `Quality`."""

    interocular_px: float = 24.0
    sharpness: float = 6.0
    darkest_mean: float = 40.0
    brightest_mean: float = 220.0
    largest_clipped_share: float = 0.35
    largest_yaw: float = 0.55
    largest_roll_degrees: float = 35.0
    smallest_inside_share: float = 0.85
    largest_head_share: float = 0.75
    brighter_surround: float = 1.8


@dataclass(frozen=True)
class Quality:
    """Measured properties of a face sample.

    Attributes:
        interocular_px: distance of the eyes' centres, in pixels of the image.
        sharpness: deviation of the Laplacian over the face, scaled to a face of 100 px, as a percentage of
            the deviation of its grey levels, so that neither distance nor light changes it. Photographs of
            the press have 15 to 40; blurred by 2, 4 and 6 % of the face's width about 11, 6.4 and 5.6.
        exposure_mean: mean luminance of the face, 0 to 255.
        clipped_share: share of the face's pixels at either end of the scale, 0 to 1.
        yaw: how far the nose stands from the middle of the eyes, in half interocular distances; 0 is frontal,
            the sign is positive towards the right of the picture.
        roll_degrees: tilt of the line through the eyes, positive clockwise.
        inside_share: share of the face's box that lies inside the image, 0 to 1.
        head_share: height of the face's box as a share of the image's; over 1 when it does not fit.
        surround_mean: mean luminance of the whole image, 0 to 255.
        redness: a* (CIELAB) between the eyes' corners, and of mouth and chin; the skin's is the same, a
            mask's is not.
        eye_brightness: median luminance just below the eyes as a share of the cheeks', of the brighter side.
            Of 108 photographs 0.63 to 1.34; behind drawn glasses that let a quarter of the light through 0.18
            to 0.51, behind black ones 0.07 to 0.19.
    """

    interocular_px: float
    sharpness: float
    exposure_mean: float
    clipped_share: float
    yaw: float
    roll_degrees: float
    inside_share: float
    head_share: float = 0.0
    surround_mean: float = 0.0
    redness: tuple[float, float] = (0.0, 0.0)
    eye_brightness: float = 1.0


def measure(image: Pixels, box: Box, landmarks: Landmarks) -> Quality:
    """Measure one face of an image (rows, columns, 3; RGB)."""
    right, left = np.array(landmarks.right_eye), np.array(landmarks.left_eye)
    across = left - right
    interocular = float(np.hypot(*across))
    nose = np.array(landmarks.nose_base) - (left + right) / 2
    yaw = float(nose @ across / interocular**2 * 2) if interocular > 0 else 0.0
    face = _grey_face(image, box)
    return Quality(
        interocular_px=interocular,
        sharpness=_sharpness(face),
        exposure_mean=float(face.mean()),
        clipped_share=float(np.mean((face <= 4) | (face >= 251))),  # noqa: PLR2004 - the ends of the scale
        yaw=yaw,
        roll_degrees=float(np.degrees(np.arctan2(across[1], across[0]))),
        inside_share=_inside_share(image, box),
        head_share=(box.bottom - box.top) / image.shape[0],
        surround_mean=float(image[::_COARSELY, ::_COARSELY].mean()),
        redness=_redness(image, (right + left) / 2, np.array(landmarks.nose_base), interocular),
        eye_brightness=_eye_brightness(image, right, left),
    )


def judge(quality: Quality, bounds: Bounds) -> tuple[Problem, ...]:
    """Return what is wrong, in the order in which to say it; empty where nothing is."""
    cropped = quality.inside_share < bounds.smallest_inside_share
    dark = quality.exposure_mean < bounds.darkest_mean
    against_light = dark and quality.surround_mean > bounds.brighter_surround * quality.exposure_mean
    found = {
        Problem.INTEROCULAR_DISTANCE: quality.interocular_px < bounds.interocular_px,
        Problem.HEAD_SIZE: cropped and quality.head_share > bounds.largest_head_share,
        Problem.CROPPED: cropped,
        Problem.POSE_YAW: abs(quality.yaw) > bounds.largest_yaw,
        Problem.POSE_ROLL: abs(quality.roll_degrees) > bounds.largest_roll_degrees,
        Problem.ILLUMINATION_UNIFORMITY: against_light,
        Problem.UNDER_EXPOSURE: dark,
        Problem.OVER_EXPOSURE: quality.exposure_mean > bounds.brightest_mean
        or quality.clipped_share > bounds.largest_clipped_share,
        Problem.SHARPNESS: quality.sharpness < bounds.sharpness,
    }
    return tuple(problem for problem in GUIDANCE_FOR if found.get(problem))


def judge_reference(quality: Quality, unsteadiness: float) -> tuple[Problem, ...]:
    """Return what keeps a face that can be compared from being a reference, in the order in which to say it.

    A probe is one of many, a reference turns its owner away visit after visit: so a mask and dark glasses,
    which are only advised against otherwise, are refused here, and a face that is not upright.

    Args:
        quality: as measured.
        unsteadiness: of its points, `FivePointPredictor.unsteadiness`.
    """
    above, below = quality.redness
    found = {
        Problem.POSE_ROLL: unsteadiness > LARGEST_UNSTEADINESS,
        Problem.EYES_VISIBLE: quality.eye_brightness < _BEHIND_GLASSES,
        Problem.MOUTH_OCCLUSION: above - below >= _LESS_RED and below <= _HARDLY_RED,
    }
    return tuple(problem for problem in GUIDANCE_FOR if found.get(problem))


LARGEST_UNSTEADINESS = 0.035
"""Of 160 upright photographs 98 % have less than 0.022; of those turned by a quarter or a half 5 % have."""
_BEHIND_GLASSES = 0.5
_HARDLY_RED = 3.0
"""Stricter than the advice: it refuses 1 of 108 photographs, and 107 of those with a mask drawn in."""


def advise(quality: Quality) -> Guidance | None:
    """Say what would help although the sample can be compared; never a reason to turn anybody away.

    A mask covers mouth and chin with something less red than skin. Of 45 photographs this was said of 1 as
    it was, and of 36, 38 and 41 with a blue, white and black mask drawn in (docs/kiosk.md). A grey beard may
    look the same, which is why nothing hangs on it.
    """
    above, below = quality.redness
    masked = above - below >= _LESS_RED and below <= _NO_SKIN
    return Guidance.TAKE_OFF_MASK if masked else None


_LESS_RED, _NO_SKIN = 4.0, 8.0
_COARSELY = 8
_FEWEST_PIXELS = 30


def _redness(
    image: Pixels, between_eyes: NDArray[np.float64], nose: NDArray[np.float64], apart: float
) -> tuple[float, float]:
    """Median a* of two patches, upright enough for a face that may be compared."""
    down = nose - between_eyes
    length = float(np.hypot(*down))
    if apart <= 0 or length <= 0:
        return 0.0, 0.0
    down = down / length
    above = _patch(image, between_eyes - 0.05 * apart * down, apart, 0.5 * apart)
    below = _patch(image, nose + 0.65 * apart * down, 0.8 * apart, 0.6 * apart)
    if min(above.shape[0] * above.shape[1], below.shape[0] * below.shape[1]) < _FEWEST_PIXELS:
        return 0.0, 0.0
    a_above, a_below = (float(np.median(cv2.cvtColor(p, cv2.COLOR_RGB2LAB)[..., 1])) for p in (above, below))
    return a_above - 128.0, a_below - 128.0


def _eye_brightness(image: Pixels, right: NDArray[np.float64], left: NDArray[np.float64]) -> float:
    """Return the luminance below the lid, where a lens hangs, against the cheek's; of the brighter eye."""
    across = left - right
    apart = float(np.hypot(*across))
    if apart <= 0:
        return 1.0
    down = np.array([-across[1], across[0]]) / apart
    shares = []
    for eye in (right, left):
        lens = _patch(image, eye + 0.17 * apart * down, 0.5 * apart, 0.12 * apart)
        cheek = _patch(image, eye + 0.62 * apart * down, 0.4 * apart, 0.25 * apart)
        if min(lens.size, cheek.size) < _FEWEST_PIXELS:
            return 1.0
        of_lens, of_cheek = (float(np.median(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY))) for p in (lens, cheek))
        shares.append(of_lens / max(of_cheek, 1.0))
    return max(shares)


def _patch(image: Pixels, centre: NDArray[np.float64], width: float, height: float) -> Pixels:
    left, top = max(0, int(centre[0] - width / 2)), max(0, int(centre[1] - height / 2))
    right, bottom = int(centre[0] + width / 2), int(centre[1] + height / 2)
    return np.ascontiguousarray(image[top : max(top, bottom), left : max(left, right)])


_FACE_SIDE_PX = 100
_FLATTEST = 1.0  # grey levels: a face of less contrast is a blank wall, not a sharp picture of one


def _sharpness(face: NDArray[np.float32]) -> float:
    return 100 * float(cv2.Laplacian(face, cv2.CV_32F).std()) / max(float(face.std()), _FLATTEST)


def _grey_face(image: Pixels, box: Box) -> NDArray[np.float32]:
    """Return the face as 100 x 100 grey levels, so that sharpness does not depend on the distance.

    They are not rounded: on a blurred face the rounding would be the sharpest thing in the picture.
    """
    rows, columns = image.shape[:2]
    left, top = max(0, int(box.left)), max(0, int(box.top))
    right, bottom = min(columns, max(left + 1, int(box.right))), min(rows, max(top + 1, int(box.bottom)))
    face = image[min(top, rows - 1) : bottom, min(left, columns - 1) : right]
    grey = cv2.cvtColor(face.astype(np.float32), cv2.COLOR_RGB2GRAY)
    side = (_FACE_SIDE_PX, _FACE_SIDE_PX)
    return np.asarray(cv2.resize(grey, side, interpolation=cv2.INTER_AREA), np.float32)


def _inside_share(image: Pixels, box: Box) -> float:
    rows, columns = image.shape[:2]
    width = min(box.right, columns) - max(box.left, 0)
    height = min(box.bottom, rows) - max(box.top, 0)
    return max(width, 0.0) * max(height, 0.0) / box.area if box.area else 0.0
