"""Turn a photograph into a video for a browser's pretended camera: a head that moves a little, or a still.

The moving head is a 2.5-D warp: the depth of the mean face and a little of an ellipsoid, laid under the
photographed face by dlib's five points, turned by a few degrees of yaw and pitch, with a little sway and
sensor noise, under a lamp that stays where it is. It speaks, blinks and keeps its gaze on the camera. It has
a face's parallax, light and own motion, which a photograph in front of the camera has not. It is *not* a bona
fide presentation in the sense of ISO/IEC 30107-3; it stands in for one where no volunteer can.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import cv2
import dlib
import numpy as np
from numpy.typing import NDArray

from renzheng.common.files import put
from renzheng.contracts.errors import InputError
from renzheng.models.errors import ImageError
from renzheng.models.home import dlib_file
from renzheng.models.images import decode
from renzheng.models.liveness.mean_face import forward

Motion = Literal["head", "still", "flat"]
_Image = NDArray[np.uint8]
_Map = NDArray[np.float32]

FACE_SHARE = 0.21
"""Distance of the eyes as a share of the picture's height: a person half a metre away."""


SOUGHT_IN = 640
"""Longest side in pixels of the picture in which the face is sought first; the whole one has its points."""


class NoFaceInPhotographError(InputError):
    """The photograph shows no frontal face, so it cannot be made to move."""


@dataclass(frozen=True, slots=True)
class _Pose:
    """Where the face lies in the picture, in pixels: point between the eyes, eye distance."""

    x: float
    y: float
    eyes: float


def render_feed(
    image_path: Path,
    out_y4m: Path,
    *,
    motion: Motion = "head",
    seconds: float = 4,
    periods: int = 1,
    fps: int = 15,
    size: tuple[int, int] = (640, 480),
    seed: int = 0,
) -> Path:
    """Write a Y4M video of a photograph; the file is replaced at once, never half.

    Args:
        image_path: a photograph with one frontal face.
        out_y4m: where the video goes.
        motion: ``head`` turns like a head; ``flat`` moves and tilts the photograph as a hand would;
            ``still`` does not move.
        seconds: length of a period of the motion, so that the video loops without a jump.
        periods: how often the motion comes; each time with a sensor's noise of its own. A video that loops
            while it is looked at is rightly taken for one that is fed in.
        fps: frames a second.
        size: width and height in pixels.
        seed: of the sensor noise and the motion's phase.

    Raises:
        NoFaceInPhotographError: no frontal face was found.
    """
    frames = each_frame(image_path, motion=motion, count=round(seconds * fps), size=size, seed=seed)
    planes = (np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2YUV_I420), dtype=np.uint8) for frame in frames)
    partial = out_y4m.with_suffix(".part")
    with partial.open("wb") as out:
        out.write(f"YUV4MPEG2 W{size[0]} H{size[1]} F{fps}:1 Ip A1:1 C420\n".encode())
        for frame in islice(endless(planes, seed), periods * round(seconds * fps)):
            out.write(b"FRAME\n" + frame.tobytes())
    put(partial, out_y4m, synced=False)
    return out_y4m


def endless(frames: Iterable[_Image], seed: int = 0) -> Iterator[_Image]:
    """Let the motion come again and again, no frame twice: a sensor's noise is another each time.

    However long a busy machine looks, nothing repeats: a camera that repeats is rightly taken for an attack.
    """
    noise = np.random.default_rng([seed, 1])
    period = []
    for frame in frames:
        period.append(frame)
        yield frame
    while True:
        for frame in period:
            yield _grained(frame, noise, _FINE)


def feed_frames(
    image_path: Path, *, motion: Motion, count: int, size: tuple[int, int] = (640, 480), seed: int = 0
) -> list[_Image]:
    """Make the frames of one period, BGR; see `render_feed`."""
    return list(each_frame(image_path, motion=motion, count=count, size=size, seed=seed))


def each_frame(
    image_path: Path, *, motion: Motion, count: int, size: tuple[int, int] = (640, 480), seed: int = 0
) -> Iterator[_Image]:
    """Make the frames of one period one by one: a look that is over early needs no more of them."""
    picture, pose = _framed(image_path, size)
    noise = np.random.default_rng(seed)
    depth = _depth_map(size, pose)
    phase = noise.uniform(0, 2 * np.pi)
    for index in range(count):
        turn = 2 * np.pi * index / count
        shown = alive(picture, pose, expression_at(turn, phase)) if motion == "head" else picture
        frame = _moved(shown, pose, depth, turn=turn, phase=phase, motion=motion)
        yield _grained(frame, noise, _COARSE)


def _grains(coins: int) -> NDArray[np.int8]:
    """Give half a sensor's noise by random byte: how many of `coins` of its bits fall more than half do."""
    return np.array(
        [(byte & (1 << coins) - 1).bit_count() - coins // 2 for byte in range(256)], dtype=np.int8
    )


_COARSE, _FINE = _grains(8), _grains(4)
"""Of two such halves each: standard deviations of 2 and of 1.4 grey levels, nearly normal."""


def _grained(frame: _Image, noise: np.random.Generator, grains: NDArray[np.int8]) -> _Image:
    """Add a sensor's noise, drawn quickly: sixteen tossed coins are as good as a normal number."""
    drawn = np.frombuffer(noise.bytes(2 * frame.size), dtype=np.uint8).reshape(2, *frame.shape)
    grain = cv2.add(cv2.LUT(drawn[0], grains), cv2.LUT(drawn[1], grains))
    return np.asarray(cv2.add(frame, grain, dtype=cv2.CV_8U), dtype=np.uint8)


@lru_cache(maxsize=8)
def _framed(image_path: Path, size: tuple[int, int]) -> tuple[_Image, _Pose]:
    """Cut and scale the photograph so that the face stands where a person at a kiosk would."""
    try:
        image = np.ascontiguousarray(decode(image_path.read_bytes())[:, :, ::-1])
    except (ImageError, OSError):
        raise NoFaceInPhotographError(f"{image_path.name} cannot be read as a photograph.") from None
    right, left = _eyes(np.asarray(image, dtype=np.uint8), image_path.name)
    between, eyes = (right + left) / 2, float(np.linalg.norm(left - right))
    scale = FACE_SHARE * size[1] / eyes
    target = np.array([size[0] / 2, size[1] * 0.42])
    move = np.array([[scale, 0, target[0] - scale * between[0]], [0, scale, target[1] - scale * between[1]]])
    framed = cv2.warpAffine(image, move, size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(framed, dtype=np.uint8), _Pose(float(target[0]), float(target[1]), scale * eyes)


@cache
def _dlib() -> tuple[Any, Any]:
    """Load the detector and the five points once: it takes longer than to ask them."""
    predictor = dlib.shape_predictor(str(dlib_file("shape_predictor_5_face_landmarks.dat")))
    return dlib.get_frontal_face_detector(), predictor


def _eyes(image: _Image, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find the middle of each eye with dlib's own detector and five points."""
    detector, predictor = _dlib()
    rgb = np.ascontiguousarray(image[:, :, ::-1])
    for share in dict.fromkeys((min(1.0, SOUGHT_IN / max(image.shape)), 1.0)):
        sought = cv2.resize(rgb, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
        if found := detector(sought, 1):
            break
    if not found:
        raise NoFaceInPhotographError(
            f"No frontal face was found in {name}.", do="Give a photograph of one person facing the camera."
        )
    face = max(found, key=lambda face: face.width())
    box = dlib.rectangle(
        *(round(side / share) for side in (face.left(), face.top(), face.right(), face.bottom()))
    )
    parts = np.array([(p.x, p.y) for p in predictor(rgb, box).parts()], dtype=np.float64)
    eyes = sorted(((parts[0] + parts[1]) / 2, (parts[2] + parts[3]) / 2), key=lambda point: float(point[0]))
    return eyes[0], eyes[1]


@lru_cache(maxsize=8)
def _grid(height: int, width: int) -> tuple[_Map, _Map]:
    """Give each pixel's column and row."""
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return x, y


def _depth_map(size: tuple[int, int], pose: _Pose) -> _Map:
    """Height of the head over the plane behind it, in pixels: mostly the mean face, a little an ellipsoid."""
    x, y = _grid(size[1], size[0])
    across, down = (x - pose.x) / pose.eyes, (y - pose.y) / pose.eyes
    inside = 1 - (across / 1.35) ** 2 - ((down - 0.35) / 1.9) ** 2
    head = 1.1 * np.sqrt(np.clip(inside, 0, None))
    places = np.column_stack([across.ravel(), down.ravel()]).astype(np.float64)
    face = (forward(places).reshape(head.shape) + 1.05) * np.clip(6 * inside, 0, 1)
    depth = ((0.8 * face + 0.2 * head) * pose.eyes).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(depth, (0, 0), pose.eyes * 0.06), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Expression:
    """What a face does by itself: how far lids are closed and lips open, 0 to 1, and the gaze, -1 to 1."""

    lids: float = 0.0
    lips: float = 0.0
    gaze: float = 0.0


def expression_at(turn: float, phase: float) -> Expression:
    """Speak, blink twice a period, and keep looking at the camera while the head turns, as people do."""
    blink = max(0.0, 1 - abs((turn / np.pi + phase) % 1 - 0.12) / 0.07)
    lips = float(np.clip(2 * np.sin(7 * turn + phase), 0.0, 1.0))
    return Expression(lids=blink, lips=lips, gaze=-float(np.sin(2 * turn + phase)))


def alive(picture: _Image, pose: _Pose, expression: Expression) -> _Image:
    """Move lids, lips and gaze in the photograph, BGR, where dlib's points say that they are."""
    top, bottom, left, right = _around_the_face(picture.shape, pose)
    whole, picture = picture.copy(), picture[top:bottom, left:right]
    pose = _Pose(pose.x - left, pose.y - top, pose.eyes)
    drawn = picture.astype(np.float32)
    for side in (-0.5, 0.5):
        eye = _oval(picture.shape, pose, (side, 0.0), (0.2, 0.1))
        aside = np.array([[1, 0, 0.055 * expression.gaze * pose.eyes], [0, 1, 0]], dtype=np.float64)
        looking = cv2.warpAffine(picture, aside, picture.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
        drawn += eye * (looking - drawn)
        x, y = round(pose.x + side * pose.eyes), round(pose.y + 0.26 * pose.eyes)
        skin = picture[max(0, y - 2) : y + 3, max(0, x - 3) : x + 4].reshape(-1, 3).mean(axis=0)
        drawn += expression.lids * eye * (skin - drawn)
    open_px = max(0.01, 0.11 * expression.lips)
    mouth = _oval(picture.shape, pose, (0.0, 1.1), (0.26, open_px))
    drawn += min(1.0, 4 * expression.lips) * mouth * (_other_mouth(picture, pose) - drawn)
    whole[top:bottom, left:right] = np.clip(drawn, 0, 255)
    return whole


def _around_the_face(shape: tuple[int, ...], pose: _Pose) -> tuple[int, int, int, int]:
    """Give rows and columns within which eyes, mouth and chin lie; nothing else of the picture changes."""
    top, bottom = round(pose.y - 0.5 * pose.eyes), round(pose.y + 2 * pose.eyes)
    left, right = round(pose.x - pose.eyes), round(pose.x + pose.eyes)
    return max(0, top), min(shape[0], bottom), max(0, left), min(shape[1], right)


def _other_mouth(picture: _Image, pose: _Pose) -> NDArray[np.float32]:
    """Return the colour of a mouth that speaks: dark where the photograph's is light, else the skin's."""
    x, y, half = round(pose.x), round(pose.y + 1.1 * pose.eyes), max(2, round(0.08 * pose.eyes))
    there = picture[max(0, y - half) : y + half, max(0, x - half) : x + half].reshape(-1, 3).mean(axis=0)
    if there.mean() > 90.0:  # noqa: PLR2004 - grey levels
        return np.array([28, 22, 48], np.float32)
    chin = round(pose.y + 1.5 * pose.eyes)
    skin = picture[chin - half : chin + half, max(0, x - half) : x + half].reshape(-1, 3).mean(axis=0)
    return np.asarray(skin, np.float32)


def _oval(shape: tuple[int, ...], pose: _Pose, place: tuple[float, float], half: tuple[float, float]) -> _Map:
    """A soft oval, 1 inside, around a place of the face; all in interocular distances."""
    x, y = _grid(*shape[:2])
    across, down = (x - pose.x) / pose.eyes - place[0], (y - pose.y) / pose.eyes - place[1]
    outside = (across / half[0]) ** 2 + (down / half[1]) ** 2
    return np.asarray(np.clip(3 - 2.5 * outside, 0, 1)[:, :, None], dtype=np.float32)


def _moved(picture: _Image, pose: _Pose, depth: _Map, *, turn: float, phase: float, motion: Motion) -> _Image:
    """One frame at `turn` of the period, in radians."""
    if motion == "still":
        return picture
    x, y = _grid(*depth.shape)
    sway_x = 0.06 * pose.eyes * np.sin(turn + phase)
    sway_y = 0.04 * pose.eyes * np.sin(2 * turn + phase)
    if motion == "flat":
        return _tilted(picture, pose, turn, phase)
    yaw = np.radians(7.0) * np.sin(2 * turn + phase)
    pitch = np.radians(3.5) * np.sin(3 * turn + 2 * phase)
    picture = lit(picture, pose, depth, yaw=float(yaw), pitch=float(pitch))
    from_x = x - sway_x - depth * np.sin(yaw)
    from_y = y - sway_y - depth * np.sin(pitch)
    return np.asarray(
        cv2.remap(
            picture,
            from_x.astype(np.float32),
            from_y.astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        ),
        dtype=np.uint8,
    )


LAMP = (0.6, -0.5, 0.62)
"""Whence the drawn room's light comes: right, down, forward, of length 1; half of all light is the lamp's."""

_LIGHT_EVERY = 4  # pixels: light changes slowly over a face


def lit(picture: _Image, pose: _Pose, depth: _Map, *, yaw: float, pitch: float) -> _Image:
    """Change a head's brightness as it turns (radians) under a lamp that does not turn with it.

    The photograph's own light is that of a head that looks straight ahead; only the change is computed.
    """
    coarse = cv2.resize(depth, None, fx=1 / _LIGHT_EVERY, fy=1 / _LIGHT_EVERY, interpolation=cv2.INTER_AREA)
    coarse = cv2.GaussianBlur(coarse, (0, 0), 0.15 * pose.eyes / _LIGHT_EVERY)
    down, across = np.gradient(coarse, float(_LIGHT_EVERY))
    forward_part = 1 / np.sqrt(1 + across**2 + down**2)
    x, y = -across * forward_part, -down * forward_part
    before = _brightness(x, y, forward_part)
    after = _brightness(x + yaw * forward_part, y + pitch * forward_part, forward_part - yaw * x - pitch * y)
    head = np.clip(coarse / (0.3 * pose.eyes), 0, 1)
    gain = cv2.resize((1 + head * (after / before - 1)).astype(np.float32), picture.shape[1::-1])
    return np.asarray(cv2.multiply(picture, cv2.merge([gain] * 3), dtype=cv2.CV_8U), dtype=np.uint8)


def _brightness(x: _Map, y: _Map, forward_part: _Map) -> _Map:
    """Of a matt surface that looks there: half of it from everywhere, half from the lamp."""
    facing = x * LAMP[0] + y * LAMP[1] + forward_part * LAMP[2]
    return np.asarray(0.5 + 0.5 * np.clip(facing, 0, None), dtype=np.float32)


def _tilted(picture: _Image, pose: _Pose, turn: float, phase: float) -> _Image:
    """The photograph held in a hand: shifted, rolled, tilted, seen in true perspective."""
    height, width = picture.shape[:2]
    yaw = np.radians(22.0) * np.sin(2 * turn + phase)
    pitch = np.radians(10.0) * np.sin(turn + phase)
    roll = np.radians(4.0) * np.sin(turn)
    around_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    around_x = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    around_z = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    turned = around_z @ around_x @ around_y
    distance = 8.0 * pose.eyes  # half a metre, as eyes are about 63 mm apart
    camera = np.array([[distance, 0, pose.x], [0, distance, pose.y], [0, 0, 1]])
    plane = np.column_stack([turned[:, 0], turned[:, 1], np.array([0.0, 0.0, distance])])
    back = np.array([[1, 0, -pose.x], [0, 1, -pose.y], [0, 0, 1]], dtype=np.float64)
    warp = camera @ plane @ back
    return np.asarray(
        cv2.warpPerspective(
            picture, warp, (width, height), borderMode=cv2.BORDER_CONSTANT, borderValue=(90, 96, 99)
        ),
        dtype=np.uint8,
    )
