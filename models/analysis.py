"""What was seen in one image: a closed set of answers."""

from dataclasses import dataclass

from renzheng.models.detection.boxes import Box
from renzheng.models.landmarks import Landmarks, Point
from renzheng.models.quality import GUIDANCE_FOR, Guidance, Problem, Quality


@dataclass(frozen=True)
class Face:
    """A face in an image.

    Attributes:
        box: in pixels of the image; dlib's framing, from the brows to the chin.
        confidence: the detector's score.
        landmarks: corners of the eyes and base of the nose, in pixels of the image.
        points: the detector's own five points where it gives them: eyes, tip of the nose, corners of the
            mouth, from the left of the image to the right.
        followed: it was found near its last place, and the rest of the image was not looked at.
    """

    box: Box
    confidence: float
    landmarks: Landmarks
    points: tuple[Point, ...] = ()
    followed: bool = False


@dataclass(frozen=True)
class OneFace:
    """One face, good enough to be embedded; `guidance` is what would help all the same."""

    face: Face
    quality: Quality
    guidance: Guidance | None = None


@dataclass(frozen=True)
class PoorQuality:
    """One face that would give an unreliable template; `problems` is never empty, the foremost first."""

    face: Face
    quality: Quality
    problems: tuple[Problem, ...]

    @property
    def guidance(self) -> Guidance:
        """What to tell the person now."""
        return GUIDANCE_FOR[self.problems[0]]


@dataclass(frozen=True)
class NoFace:
    """Nobody's face was found."""

    guidance: Guidance = Guidance.STEP_INTO_VIEW


@dataclass(frozen=True)
class SeveralFaces:
    """Several faces of similar size: whose is meant is not known.

    Attributes:
        count: of the faces of similar size.
        boxes: theirs, largest first.
    """

    count: int
    boxes: tuple[Box, ...]
    guidance: Guidance = Guidance.ONE_PERSON_ONLY


Analysis = OneFace | PoorQuality | NoFace | SeveralFaces
