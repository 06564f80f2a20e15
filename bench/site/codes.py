"""How many drawn QR codes are read, and in what time: the kiosk's reader (zxing-cpp) beside OpenCV's.

The frames are a kiosk's (640 x 480, JPEG as the page sends it), the code on white paper before a room. What
they are not: a telephone's glass with a lamp in it, or a torn card.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from renzheng.edge.kiosk.camera import JPEG_QUALITY
from renzheng.edge.kiosk.codes import read_code
from renzheng.models.images import decode

Pixels = NDArray[np.uint8]
WIDTH, HEIGHT = 640, 480
CONTENT = "e-credential:{number:06d}:7f3a91c2"


@dataclass(frozen=True, slots=True)
class Look:
    """How one code is shown.

    Args:
        module_px: side of one of its squares, in pixels.
        turned: in the picture's plane, in degrees.
        tilted: out of it, in degrees.
        blur_px: standard deviation of the lens's and the hand's blur.
        contrast: between paper and ink, of 255.
        inverted: light on dark, as telephones show it at night.
    """

    module_px: float = 5.0
    turned: float = 8.0
    tilted: float = 0.0
    blur_px: float = 0.6
    contrast: int = 170
    inverted: bool = False


PLAIN = Look()
SERIES: dict[str, tuple[Look, ...]] = {
    "plain": (PLAIN,),
    "small": tuple(replace(PLAIN, module_px=px) for px in (1.5, 2.0, 2.5, 3.0)),
    "turned": tuple(replace(PLAIN, turned=degrees) for degrees in (25.0, 45.0, 90.0, 160.0)),
    "tilted": tuple(replace(PLAIN, tilted=degrees) for degrees in (25.0, 40.0, 50.0, 60.0)),
    "blurred": tuple(replace(PLAIN, blur_px=px) for px in (1.5, 2.0, 2.5, 3.0)),
    "pale": tuple(replace(PLAIN, contrast=levels) for levels in (60, 35, 20, 12)),
    "inverted": (replace(PLAIN, inverted=True),),
    "small, tilted, blurred, pale": (Look(3.0, 20.0, 30.0, 1.0, 60), Look(2.5, 20.0, 30.0, 1.0, 60)),
}


def draw(look: Look, number: int) -> Pixels:
    """Draw a frame with one code, (HEIGHT, WIDTH, 3), RGB, after a JPEG's loss."""
    chance = np.random.default_rng([number, 7])
    code = cv2.QRCodeEncoder.create().encode(CONTENT.format(number=number))
    paper = cv2.copyMakeBorder(code, 4, 4, 4, 4, cv2.BORDER_CONSTANT, value=255)
    paper = np.asarray(cv2.resize(paper, None, fx=8, fy=8, interpolation=cv2.INTER_NEAREST), np.float32)
    paper = 255 - paper if look.inverted else paper
    shades = 128 + (paper - 127.5) * look.contrast / 255
    room = room_of(chance).astype(np.float32)
    placed = _placing(look, paper.shape[0], chance)
    size = (WIDTH, HEIGHT)
    shown = cv2.warpPerspective(shades, placed, size, flags=cv2.INTER_AREA)
    mask = cv2.warpPerspective(np.ones_like(shades), placed, size, flags=cv2.INTER_AREA)[:, :, None]
    scene = room * (1 - mask) + shown[:, :, None] * mask
    return _taken(cv2.GaussianBlur(scene, (0, 0), look.blur_px), chance)


def room_of(chance: np.random.Generator) -> Pixels:
    """Draw a room without a code."""
    room = np.full((HEIGHT, WIDTH, 3), (150, 156, 160), np.uint8)
    for _ in range(30):
        x, y = int(chance.integers(0, WIDTH - 40)), int(chance.integers(0, HEIGHT - 40))
        across, down = (int(one) for one in chance.integers(8, 140, 2))
        shade = tuple(int(one) for one in chance.integers(20, 240, 3))
        cv2.rectangle(room, (x, y), (x + across, y + down), shade, cv2.FILLED)
    return room


def _placing(look: Look, side: int, chance: np.random.Generator) -> NDArray[np.float64]:
    """Reckon where the paper's points fall in the picture: scaled, turned, tilted, seen in perspective."""
    scale = look.module_px / 8
    turn, tilt = np.radians(look.turned), np.radians(look.tilted)
    around_z = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    around_y = np.array([[np.cos(tilt), 0, np.sin(tilt)], [0, 1, 0], [-np.sin(tilt), 0, np.cos(tilt)]])
    turned = around_z @ around_y
    distance = 900.0
    plane = np.column_stack([turned[:, 0] * scale, turned[:, 1] * scale, np.array([0.0, 0.0, distance])])
    x, y = WIDTH / 2 + chance.uniform(-30, 30), HEIGHT / 2 + chance.uniform(-20, 20)
    camera = np.array([[distance, 0, x], [0, distance, y], [0, 0, 1]])
    middle = np.array([[1, 0, -side / 2], [0, 1, -side / 2], [0, 0, 1]])
    return np.asarray(camera @ plane @ middle, np.float64)


def _taken(scene: Any, chance: np.random.Generator) -> Pixels:
    noisy = np.clip(scene + chance.normal(0, 3, scene.shape), 0, 255).astype(np.uint8)
    jpeg = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
    return np.ascontiguousarray(decode(jpeg))


READERS: dict[str, Callable[[Pixels], str | None]] = {"read_code": read_code}


def by_opencv(frame: Pixels) -> str | None:
    """Read a code by OpenCV, at the frame's size and at twice that."""
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    for scale in (1, 2):
        scaled = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        try:
            content, _, _ = cv2.QRCodeDetector().detectAndDecode(scaled)
        except (cv2.error, UnicodeDecodeError):
            continue
        if content:
            return str(content)
    return None


READERS["opencv"] = by_opencv


def run(frames: int) -> list[dict[str, Any]]:
    """Show each reader the same frames; the share it read rightly, wrongly, and its time a frame."""
    figures = []
    for name, looks in SERIES.items():
        drawn = [
            (CONTENT.format(number=number), draw(looks[number % len(looks)], number))
            for number in range(frames)
        ]
        figures += [{"series": name, **_measured(reader, read, drawn)} for reader, read in READERS.items()]
    empty = [
        ("", _taken(room_of(np.random.default_rng([n, 9])), np.random.default_rng(n))) for n in range(frames)
    ]
    figures += [{"series": "no code", **_measured(reader, read, empty)} for reader, read in READERS.items()]
    return figures


def _measured(
    reader: str, read: Callable[[Pixels], str | None], drawn: list[tuple[str, Pixels]]
) -> dict[str, Any]:
    began = time.process_time()
    answers = [read(frame) for _, frame in drawn]
    ms = 1000 * (time.process_time() - began) / len(drawn)
    right = sum(answer == wanted for answer, (wanted, _) in zip(answers, drawn, strict=True))
    wrong = sum(
        answer is not None and answer != wanted for answer, (wanted, _) in zip(answers, drawn, strict=True)
    )
    return {"reader": reader, "frames": len(drawn), "read": right, "wrong": wrong, "cpu_ms": round(ms, 2)}
