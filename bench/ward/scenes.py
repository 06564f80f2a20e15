"""Composed ward videos: portraits that walk through a picture of 1280 x 720, encoded by the real encoders.

What it is: real faces in plain sizes on a textured scene with sensor noise, through a real codec. What it is
not: people of flesh who turn, bow and are lit from above. So it measures speed and whether the parts work
together, not how well a ward's patients are recognised.
"""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from renzheng.bench.ward.server import FRAMES_PER_SECOND
from renzheng.contracts.errors import FaultError
from renzheng.edge.ward.decoder import DecoderMissingError
from renzheng.edge.ward.rtsp import Codec
from renzheng.models.engine import FaceEngine

Pixels = NDArray[np.uint8]
COLUMNS, ROWS = 1280, 720
_ENCODERS = {
    Codec.H264: ("-c:v", "libx264", "-preset", "ultrafast", "-b:v", "2M", "-bf", "0"),
    Codec.H265: ("-c:v", "libx265", "-preset", "ultrafast", "-crf", "30"),
}
_SUFFIXES = {Codec.H264: ".h264", Codec.H265: ".h265"}


class EncoderError(FaultError):
    """ffmpeg could not encode a clip."""


@dataclass(frozen=True)
class Head:
    """A face cut out of a photograph, with some hair and neck.

    Args:
        pixels: RGB, (rows, columns, 3).
        mask: float32, (rows, columns), 0 to 1: soft towards the edge.
        face_share: width of the face's box as a share of the columns.
    """

    pixels: Pixels
    mask: NDArray[np.float32]
    face_share: float


@dataclass(frozen=True)
class Walk:
    """One person's way: the middle of the face and its width in pixels, at the beginning and at the end."""

    head: Head
    begins_s: float
    lasts_s: float
    start: tuple[float, float, float]
    end: tuple[float, float, float]

    def at(self, moment_s: float) -> tuple[float, float, float] | None:
        """Where the face is, or None while the person is not there."""
        share = (moment_s - self.begins_s) / self.lasts_s
        if not 0 <= share <= 1:
            return None
        x, y, width = (a + share * (b - a) for a, b in zip(self.start, self.end, strict=True))
        return x, y + 6 * float(np.sin(moment_s * 6.0)), width  # a step's up and down


def cut_head(image: Pixels, engine: FaceEngine) -> Head | None:
    """Cut out the face that a photograph is of; None where there is none."""
    face = engine.subject(image)
    if face is None:
        return None
    box, room = face.box, 0.45 * face.box.width
    left, right = max(0, int(box.left - room)), min(image.shape[1], int(box.right + room))
    top, bottom = max(0, int(box.top - 1.3 * room)), min(image.shape[0], int(box.bottom + room))
    pixels = np.ascontiguousarray(image[top:bottom, left:right])
    rows, columns = pixels.shape[:2]
    mask = np.zeros((rows, columns), np.float32)
    middle, axes = (columns // 2, rows // 2), (int(columns * 0.47), int(rows * 0.48))
    cv2.ellipse(mask, middle, axes, 0, 0, 360, 1.0, -1)
    soft = np.asarray(cv2.GaussianBlur(mask, (0, 0), columns / 40), np.float32)
    return Head(pixels, soft, box.width / columns)


def frames(walks: Sequence[Walk], seconds: float, *, seed: int = 0) -> Iterator[Pixels]:
    """Draw the pictures of a clip."""
    chance = np.random.default_rng(seed)
    scene = _scene(chance)
    noises = [_noise(chance) for _ in range(5)]
    for number in range(round(seconds * FRAMES_PER_SECOND)):
        picture = scene.copy()
        for walk in walks:
            place = walk.at(number / FRAMES_PER_SECOND)
            if place is not None:
                _draw(picture, walk.head, place)
        noise = noises[number % len(noises)]
        yield np.asarray(cv2.add(picture, noise, dtype=cv2.CV_8U), np.uint8)


def encode(pictures: Iterator[Pixels], path: Path, codec: Codec) -> Path:
    """Encode a clip with one key frame a second; returns the path with the codec's suffix.

    Raises:
        DecoderMissingError: there is no ffmpeg.
        EncoderError: it failed.
    """
    program = shutil.which("ffmpeg")
    if program is None:
        raise DecoderMissingError(
            "ffmpeg is not on this machine.", do="Install it: apt-get install --no-install-recommends ffmpeg"
        )
    out = path.with_suffix(_SUFFIXES[codec])
    rate = str(FRAMES_PER_SECOND)
    keys: tuple[str, ...] = ("-g", rate, "-keyint_min", rate, "-sc_threshold", "0")
    if codec is Codec.H265:
        keys = ("-x265-params", f"keyint={rate}:min-keyint={rate}:bframes=0:log-level=none:repeat-headers=1")
    source = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{COLUMNS}x{ROWS}", "-r", rate, "-i", "pipe:0")
    command = [program, "-y", "-loglevel", "error", *source, *_ENCODERS[codec], *keys, "-pix_fmt", "yuv420p"]
    with subprocess.Popen([*command, str(out)], stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        for picture in pictures:
            process.stdin.write(picture.tobytes())
        process.stdin.close()
        said = process.stderr.read().decode(errors="replace")
    if process.returncode:
        raise EncoderError("A clip could not be encoded.", why=said[-300:])
    return out


def _noise(chance: np.random.Generator) -> NDArray[np.int16]:
    """A sensor's noise, two pixels coarse."""
    coarse = chance.normal(0, 2.0, (ROWS // 2, COLUMNS // 2, 1)).repeat(3, axis=2)
    return np.rint(coarse).astype(np.int16).repeat(2, axis=0).repeat(2, axis=1)


def _scene(chance: np.random.Generator) -> Pixels:
    """A corridor: walls, floor, doors and signs, so that a shift can be seen."""
    scene = np.full((ROWS, COLUMNS, 3), (176, 182, 178), np.uint8)
    scene[ROWS * 2 // 3 :] = (128, 124, 116)
    for _ in range(26):
        x, y = int(chance.integers(0, COLUMNS - 60)), int(chance.integers(0, ROWS - 60))
        across, down = int(chance.integers(30, 180)), int(chance.integers(20, 200))
        shade = tuple(int(one) for one in chance.integers(80, 220, 3))
        filled = cv2.FILLED if chance.integers(2) else 3
        cv2.rectangle(scene, (x, y), (x + across, y + down), shade, filled)
    return np.asarray(cv2.GaussianBlur(scene, (0, 0), 1.2), np.uint8)


def _draw(picture: Pixels, head: Head, place: tuple[float, float, float]) -> None:
    x, y, width = place
    factor = width / (head.face_share * head.pixels.shape[1])
    size = (max(2, round(head.pixels.shape[1] * factor)), max(2, round(head.pixels.shape[0] * factor)))
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    pixels = cv2.resize(head.pixels, size, interpolation=how).astype(np.float32)
    mask = cv2.resize(head.mask, size, interpolation=how)[:, :, None]
    left, top = round(x - size[0] / 2), round(y - size[1] / 2)
    _draw_body(picture, (x, top + size[1] * 0.9), size[0])
    across = slice(max(0, left), min(COLUMNS, left + size[0]))
    down = slice(max(0, top), min(ROWS, top + size[1]))
    if across.start >= across.stop or down.start >= down.stop:
        return
    part = (slice(down.start - top, down.stop - top), slice(across.start - left, across.stop - left))
    behind = picture[down, across].astype(np.float32)
    picture[down, across] = np.rint(behind + mask[part] * (pixels[part] - behind)).astype(np.uint8)


def _draw_body(picture: Pixels, neck: tuple[float, float], across: int) -> None:
    x, y = round(neck[0]), round(neck[1])
    axes = (round(across * 0.95), round(across * 1.9))
    cv2.ellipse(picture, (x, y + axes[1]), axes, 0, 0, 360, (70, 88, 118), -1)
