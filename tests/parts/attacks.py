"""Presentations that the tests make themselves: bona fide motion and attacks on it, by seed.

From one portrait each presentation is a second or three of frames, as a kiosk's camera would take them. The
attacks are drawn, not filmed: a sheet of paper and a screen are planes in true perspective, a screen has a
grid of red, green and blue stripes that the camera samples, a print has the paper's grain and edges. They
show that the machinery works on what they draw; they are no test after ISO/IEC 30107-3 with real instruments.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from renzheng.bench import feed

SIZE = (640, 480)
FPS = 12  # what the page sends
LAMP_LIGHT = 0.4  # where somebody acts, the lamp gives so much of what it gives in `feed.lit`
WEBCAM = "HD Webcam (046d:0825)"
Frame = np.ndarray  # RGB, uint8
FLOAT = np.float32


@dataclass(frozen=True)
class Presentation:
    """What was held before the camera; `frames` RGB, one every `1000 / FPS` ms unless `at_ms` says else."""

    species: str
    frames: tuple[Frame, ...]
    at_ms: tuple[int, ...]
    device_label: str = WEBCAM
    virtual_devices: tuple[str, ...] = ()

    @property
    def bona_fide(self) -> bool:
        """Whether it is a person and no attack."""
        return self.species == "bona_fide"


def camera_times(count: int, random: np.random.Generator) -> tuple[int, ...]:
    """When a real page sends frames: a camera's clock plus a browser's jitter."""
    return tuple(int(index * 1000 / FPS + abs(random.normal(0, 6))) for index in range(count))


@lru_cache(maxsize=16)
def _framed(portrait: Path) -> tuple[np.ndarray, feed._Pose, np.ndarray]:
    """The portrait as the demo frames it, where its face is, and how deep."""
    picture, pose = feed._framed(portrait, SIZE)
    return picture, pose, feed._depth_map(SIZE, pose)


def head(portrait: Path, count: int, seed: int, *, grain: float | None = None) -> list[Frame]:
    """A head that moves and lives as the demo's does, under a random light, as a camera with noise sees
    it.
    """
    random = np.random.default_rng([seed, 1])
    picture, pose, depth = _framed(portrait)
    start, phase = random.uniform(0, 2 * np.pi), random.uniform(0, 2 * np.pi)
    gain = random.uniform(0.85, 1.1, 3) * random.uniform(0.8, 1.1)
    noise = random.uniform(1.0, 2.5) if grain is None else grain
    made = []
    for index in range(count):
        turn = start + 2 * np.pi * index / (4 * FPS)
        shown = feed.alive(picture, pose, feed.expression_at(turn, phase))
        frame = feed._moved(shown, pose, depth, turn=turn, phase=phase, motion="head")
        made.append(_noisy(frame[:, :, ::-1] * gain, noise, random))
    return made


@dataclass(frozen=True)
class Act:
    """What a head does in one frame: degrees of yaw (to its own left) and pitch (down), scale, and a tint."""

    yaw: float = 0.0
    pitch: float = 0.0
    scale: float = 1.0
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    lips: float = 0.0


def acting(
    portrait: Path, acts: list[Act], seed: int, *, grain: float = 1.5, body: bool = True
) -> list[Frame]:
    """A head, or a flat picture in its place, that does what it is told, in the light of a screen."""
    random = np.random.default_rng([seed, 14])
    picture, pose, depth = _framed(portrait)
    x, y = np.meshgrid(np.arange(SIZE[0], dtype=FLOAT), np.arange(SIZE[1], dtype=FLOAT))
    made = []
    for act in acts:
        near_x, near_y = (x - pose.x) / act.scale + pose.x, (y - pose.y) / act.scale + pose.y
        yaw, pitch = np.radians(act.yaw), np.radians(act.pitch)
        if body:
            from_x, from_y = near_x - depth * np.sin(yaw), near_y - depth * np.sin(pitch)
        else:
            from_x = (near_x - pose.x) / np.cos(yaw) + pose.x
            from_y = (near_y - pose.y) / np.cos(pitch) + pose.y
        shown = feed.alive(picture, pose, feed.Expression(lips=act.lips)) if act.lips else picture
        frame = cv2.remap(
            feed.lit(shown, pose, depth, yaw=LAMP_LIGHT * yaw, pitch=LAMP_LIGHT * pitch) if body else shown,
            from_x.astype(FLOAT),
            from_y.astype(FLOAT),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        lit = _lit(depth, pose.eyes, from_x, from_y) if body else 1.0
        made.append(_noisy(frame[:, :, ::-1] * (1 + lit * (np.array(act.tint) - 1)), grain, random))
    return made


def _lit(depth: np.ndarray, eyes: float, from_x: np.ndarray, from_y: np.ndarray) -> np.ndarray:
    """How much of a screen's light each pixel catches: a head's middle all, its sides less, a wall next to
    none.
    """
    share = np.clip(depth / (1.45 * eyes), 0, 1) ** 1.5 * 0.92 + 0.08
    shown = cv2.remap(share.astype(FLOAT), from_x.astype(FLOAT), from_y.astype(FLOAT), cv2.INTER_LINEAR)
    return shown[:, :, None]


def _noisy(picture: np.ndarray, sigma: float, random: np.random.Generator) -> Frame:
    """A sensor's noise on a picture."""
    grain = random.standard_normal(picture.shape, dtype=FLOAT) * FLOAT(sigma) if sigma else 0.0
    return np.clip(picture.astype(FLOAT) + grain, 0, 255).astype(np.uint8)


def still(portrait: Path) -> np.ndarray:
    """The portrait as the demo frames it, RGB float32."""
    return _framed(portrait)[0][:, :, ::-1].astype(FLOAT)


def wall(random: np.random.Generator) -> np.ndarray:
    """What is behind the attack: a wall under a lamp, with a door's edge at one side."""
    x, y = np.meshgrid(np.linspace(-1, 1, SIZE[0]), np.linspace(-1, 1, SIZE[1]))
    shade = 150 + 30 * random.uniform(-1, 1) * x - 25 * y + random.normal(0, 3)
    shade[:, : int(random.uniform(0, 60))] -= 40
    tint = np.array([1.0, 0.98, 0.93]) * random.uniform(0.8, 1.05)
    return (shade[:, :, None] * tint).astype(FLOAT)


def hand(index: int, random_seed: int, *, yaw: float, pitch: float, roll: float = 3.0, sway: float = 10.0):
    """The homography of a plane held in a hand, and its pose, at one frame."""
    random = np.random.default_rng([random_seed, 7])
    phase = random.uniform(0, 2 * np.pi, 5)
    speed = random.uniform(0.7, 1.3, 5)
    turn = 2 * np.pi * index / (2 * FPS)
    wave = np.sin(turn * speed + phase)
    a, b, c = np.radians([yaw * wave[0], pitch * wave[1], roll * wave[2]])
    around_y = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    around_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    around_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    turned = around_z @ around_x @ around_y
    centre, distance = (SIZE[0] / 2, SIZE[1] * 0.5), 800.0
    camera = np.array([[distance, 0, centre[0]], [0, distance, centre[1]], [0, 0, 1]])
    plane = np.column_stack([turned[:, 0], turned[:, 1], np.array([0.0, 0.0, distance])])
    back = np.array([[1, 0, -centre[0]], [0, 1, -centre[1]], [0, 0, 1]])
    moved = np.array([[1, 0, sway * wave[3]], [0, 1, sway * wave[4]], [0, 0, 1]])
    return moved @ camera @ plane @ back


def laid(picture: np.ndarray, behind: np.ndarray, warp: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A plane picture with its outline before what is behind it."""
    shown = cv2.warpPerspective(picture, warp, SIZE, flags=cv2.INTER_LINEAR)
    cover = cv2.warpPerspective(mask, warp, SIZE, flags=cv2.INTER_LINEAR)[:, :, None]
    return shown * cover + behind * (1 - cover)


def printed(picture: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """What a printer and paper make of a picture: less contrast, softer, with the paper's grain."""
    soft = cv2.GaussianBlur(picture, (0, 0), random.uniform(0.8, 1.6))
    flat = 25 + soft * random.uniform(0.72, 0.85)
    fibre = cv2.GaussianBlur(random.normal(0, 1, flat.shape[:2]).astype(FLOAT), (0, 0), 0.9)
    grain = 1 + random.uniform(0.015, 0.035) * fibre / fibre.std()
    if random.uniform() < 0.5:  # a coarse halftone, as of an office printer held near
        x, y = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
        pitch = random.uniform(2.6, 4.2)
        screen = np.sin(2 * np.pi * (x + y) / (pitch * 1.41)) * np.sin(2 * np.pi * (x - y) / (pitch * 1.41))
        grain += random.uniform(0.02, 0.05) * screen
    return (flat * grain[:, :, None]).astype(FLOAT)


def sheet(random: np.random.Generator, *, across: float, down: float) -> np.ndarray:
    """The outline of something held up around the middle of the face, with half-sizes in pixels."""
    mask = np.zeros((SIZE[1], SIZE[0]), FLOAT)
    x, y = SIZE[0] / 2 + random.uniform(-15, 15), SIZE[1] * 0.5 + random.uniform(-10, 10)
    cv2.rectangle(mask, (int(x - across), int(y - down)), (int(x + across), int(y + down)), 1.0, -1)
    return mask


def printed_photo(portrait: Path, another: Path, count: int, seed: int) -> Presentation:
    """A print, moved and tilted by hand, all of it or its edges in view."""
    random = np.random.default_rng([seed, 2])
    paper, behind = printed(still(portrait), random), wall(random)
    mask = sheet(random, across=random.uniform(150, 260), down=random.uniform(190, 235))
    yaw, pitch = random.uniform(3, 22), random.uniform(2, 10)
    frames = [
        _noisy(laid(paper, behind, hand(index, seed, yaw=yaw, pitch=pitch), mask), 1.5, random)
        for index in range(count)
    ]
    return Presentation("printed_photo", tuple(frames), camera_times(count, random))


def bent_photo(portrait: Path, another: Path, count: int, seed: int) -> Presentation:
    """A print bent around an upright axis, more and less, and turned, so that it has some depth."""
    random = np.random.default_rng([seed, 3])
    paper, behind = printed(still(portrait), random), wall(random)
    mask = sheet(random, across=random.uniform(150, 240), down=random.uniform(190, 235))
    x, y = np.meshgrid(np.arange(SIZE[0], dtype=FLOAT), np.arange(SIZE[1], dtype=FLOAT))
    across = (x - SIZE[0] / 2) / 100
    bend, phase = random.uniform(0.05, 0.18), random.uniform(0, 6.28)
    frames = []
    for index in range(count):
        turn = 2 * np.pi * index / (2 * FPS) + phase
        depth = 100 * bend * (1 + 0.3 * np.sin(1.3 * turn)) * (1.5**2 - across**2)
        yaw = np.radians(random.uniform(7, 9)) * np.sin(turn)
        from_x = (x - depth * np.sin(yaw)).astype(FLOAT)
        bowed = cv2.remap(paper, from_x, y, cv2.INTER_LINEAR)
        cover = cv2.remap(mask, from_x, y, cv2.INTER_LINEAR)
        shown = laid(bowed, behind, hand(index, seed, yaw=2, pitch=3, sway=6), cover)
        frames.append(_noisy(shown, 1.5, random))
    return Presentation("bent_photo", tuple(frames), camera_times(count, random))


def cut_out_mask(portrait: Path, another: Path, count: int, seed: int) -> Presentation:
    """A print cut along the face's outline with holes for the eyes; the wearer's own eyes move behind it."""
    random = np.random.default_rng([seed, 4])
    paper = printed(still(portrait), random)
    wearer = head(another, count, seed, grain=0.0)
    mask = np.zeros((SIZE[1], SIZE[0]), FLOAT)
    eyes_y, apart = SIZE[1] * 0.42, 0.21 * SIZE[1]
    cv2.ellipse(
        mask,
        (SIZE[0] // 2, int(eyes_y + 0.4 * apart)),
        (int(1.15 * apart), int(1.6 * apart)),
        0,
        0,
        360,
        1.0,
        -1,
    )
    for side in (-1, 1):
        centre = (int(SIZE[0] / 2 + side * apart / 2), int(eyes_y))
        cv2.ellipse(mask, centre, (int(0.24 * apart), int(0.12 * apart)), 0, 0, 360, 0.0, -1)
    yaw, pitch = random.uniform(3, 9), random.uniform(2, 5)
    frames = [
        _noisy(
            laid(paper, wearer[index].astype(FLOAT), hand(index, seed, yaw=yaw, pitch=pitch, sway=5), mask),
            1.5,
            random,
        )
        for index in range(count)
    ]
    return Presentation("cut_out_mask", tuple(frames), camera_times(count, random))


def recorded(portrait: Path, count: int, seed: int) -> list[np.ndarray]:
    """A video of the patient as a codec keeps it: soft, without the sensor's noise."""
    frames = head(portrait, count, seed, grain=0.0)
    kept = []
    for frame in frames:
        smooth = cv2.bilateralFilter(np.ascontiguousarray(frame), 5, 18, 3)
        _, data = cv2.imencode(".jpg", smooth[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 70])
        kept.append(cv2.imdecode(data, cv2.IMREAD_COLOR)[:, :, ::-1].astype(FLOAT))
    return kept


def _on_screen(
    video: list[np.ndarray],
    species: str,
    seed: int,
    *,
    half: tuple[float, float],
    pitch_px: float,
    count: int,
) -> Presentation:
    """Frames on a screen with a pixel grid, bezel, glare and refresh bands, as a camera samples them."""
    random = np.random.default_rng([seed, 5])
    behind = wall(random) * random.uniform(0.55, 0.9)
    screen = sheet(random, across=half[0], down=half[1])
    rim = int(random.uniform(8, 18))
    bezel = cv2.dilate(screen, np.ones((2 * rim + 1, 2 * rim + 1), np.uint8))
    x, y = np.meshgrid(np.arange(SIZE[0], dtype=FLOAT), np.arange(SIZE[1], dtype=FLOAT))
    glare_at = random.uniform([200, 90], [440, 330])
    glare = np.exp(
        -(((x - glare_at[0]) / random.uniform(25, 60)) ** 2)
        - ((y - glare_at[1]) / random.uniform(15, 45)) ** 2
    )
    glare_level = random.uniform(0, 110) if random.uniform() < 0.7 else 0.0
    bands, band_px, roll_px = random.uniform(0.01, 0.05), random.uniform(120, 300), random.uniform(25, 90)
    contrast = random.uniform(0.85, 1.05)
    grid = random.uniform(0.15, 0.6)  # how much of the grid the optics leave
    steady = 0.4 if random.uniform() < 0.4 else 1.0
    frames = []
    for index in range(count):
        warp = hand(index, seed, yaw=4 * steady, pitch=3 * steady, roll=1.5 * steady, sway=6 * steady)
        shown = 12 + contrast * cv2.warpPerspective(video[index], warp, SIZE, flags=cv2.INTER_LINEAR)
        shown = shown * np.array([0.96, 1.0, 1.05], FLOAT)
        shown *= pixel_grid(warp, pitch_px, grid)
        shown *= 1 + bands * np.sin(2 * np.pi * (y + roll_px * index) / band_px)[:, :, None]
        cover = cv2.warpPerspective(screen, warp, SIZE)[:, :, None]
        frame = cv2.warpPerspective(bezel, warp, SIZE)[:, :, None]
        seen = shown * cover + 22 * (frame - cover).clip(0, 1) + behind * (1 - frame)
        seen += glare_level * glare[:, :, None] * frame
        frames.append(_noisy(cv2.GaussianBlur(seen.astype(FLOAT), (0, 0), 0.5), 1.5, random))
    return Presentation(species, tuple(frames), camera_times(count, random))


def pixel_grid(warp: np.ndarray, pitch_px: float, depth: float) -> np.ndarray:
    """How much of each colour's stripes a camera pixel gathers: moire, where the two grids beat.

    Args:
        warp: from the screen to the camera, in pixels of either.
        pitch_px: a screen pixel's width in camera pixels where the screen is seen straight on.
        depth: share of the grid's contrast that lens and sensor leave.
    """
    back = np.linalg.inv(warp)
    x, y = np.meshgrid(np.arange(SIZE[0], dtype=FLOAT), np.arange(SIZE[1], dtype=FLOAT))
    stripes, rows = np.zeros((2, SIZE[1], SIZE[0]), FLOAT), np.zeros((SIZE[1], SIZE[0]), FLOAT)
    for off in (-0.34, 0.0, 0.34):  # three looks within a camera's pixel, along its diagonal
        w = back[2, 0] * (x + off) + back[2, 1] * (y + off) + back[2, 2]
        u = (back[0, 0] * (x + off) + back[0, 1] * (y + off) + back[0, 2]) * (2 * np.pi / pitch_px) / w
        v = (back[1, 0] * (x + off) + back[1, 1] * (y + off) + back[1, 2]) * (2 * np.pi / pitch_px) / w
        stripes += np.stack([np.cos(u), np.sin(u)]).astype(FLOAT) / 3
        rows += np.cos(v).astype(FLOAT) / 3
    grid = [
        1 + depth * (stripes[0] * np.cos(lag) + stripes[1] * np.sin(lag))
        for lag in (0.0, 2 * np.pi / 3, 4 * np.pi / 3)
    ]
    return np.stack(grid, axis=2).astype(FLOAT) * (1 + 0.6 * depth * rows)[:, :, None]


def phone_replay(portrait: Path, another: Path, count: int, seed: int) -> Presentation:
    """A video on a phone held near: its frame is in view."""
    random = np.random.default_rng([seed, 6])
    half = (random.uniform(120, 165), random.uniform(200, 225))
    video = recorded(portrait, count, seed)
    return _on_screen(video, "phone_replay", seed, half=half, pitch_px=random.uniform(0.55, 1.3), count=count)


def tablet_replay(portrait: Path, another: Path, count: int, seed: int) -> Presentation:
    """A video on a tablet: the frame is at the edge of the view or outside of it."""
    random = np.random.default_rng([seed, 8])
    half = (random.uniform(240, 420), random.uniform(215, 330))
    video = recorded(portrait, count, seed)
    return _on_screen(video, "tablet_replay", seed, half=half, pitch_px=random.uniform(0.6, 1.6), count=count)


def static_image(portrait: Path, another: Path, count: int, seed: int) -> Presentation:
    """A still that fills the view: before the camera (with its noise) or fed into its place (without)."""
    random = np.random.default_rng([seed, 9])
    picture, noise = still(portrait), 1.5 if seed % 2 else 0.0
    frames = [_noisy(picture, noise, random) for _ in range(count)]
    return Presentation("static_image", tuple(frames), camera_times(count, random))


def looped_video(portrait: Path, another: Path, count: int, seed: int) -> Presentation:
    """A short good video of the patient, fed in again and again; every other one runs forth and back."""
    random = np.random.default_rng([seed, 10])
    period = int(random.integers(6, 11))
    video = head(portrait, period, seed)
    order = list(range(period)) + (list(range(period - 2, 0, -1)) if seed % 2 else [])
    frames = [video[order[index % len(order)]] for index in range(count)]
    times = camera_times(count, random)
    return Presentation("looped_video", tuple(frames), times, *virtual_camera(seed))


def injected_stream(portrait: Path, another: Path, count: int, seed: int) -> Presentation:
    """A video file fed in by a virtual camera, as a codec kept it; the label is forged in every other one."""
    random = np.random.default_rng([seed, 11])
    video = recorded(portrait, count, seed)
    frames = [np.clip(frame, 0, 255).astype(np.uint8) for frame in video]
    times = camera_times(count, random)  # the page's own jitter stays
    return Presentation("injected_stream", tuple(frames), times, *virtual_camera(seed))


def virtual_camera(seed: int) -> tuple[str, tuple[str, ...]]:
    """What the machine tells of a software camera: its honest name, or a forged one and the device."""
    return ("OBS Virtual Camera", ()) if seed % 2 else (WEBCAM, (WEBCAM,))


def capture_card(portrait: Path, another: Path, count: int, seed: int) -> Presentation:
    """A video player plugged in as a camera: hardware, an ordinary name, a camera's timing.

    Not among `ATTACKS`: without the challenge nothing stands against it, and the tests say so.
    """
    random = np.random.default_rng([seed, 13])
    frames = [np.clip(frame, 0, 255).astype(np.uint8) for frame in recorded(portrait, count, seed)]
    return Presentation("capture_card", tuple(frames), camera_times(count, random))


def bona_fide(portrait: Path, another: Path, count: int, seed: int) -> Presentation:
    """The patient, moving a little."""
    random = np.random.default_rng([seed, 12])
    return Presentation("bona_fide", tuple(head(portrait, count, seed)), camera_times(count, random))


Maker = Callable[[Path, Path, int, int], Presentation]
ATTACKS: Mapping[str, Maker] = {
    made.__name__: made
    for made in (
        printed_photo,
        bent_photo,
        cut_out_mask,
        phone_replay,
        tablet_replay,
        static_image,
        looped_video,
        injected_stream,
    )
}


def as_the_page_sends(presentation: Presentation) -> Iterator[tuple[int, bytes]]:
    """Each frame's time and its JPEG, as the page would make it."""
    for at_ms, frame in zip(presentation.at_ms, presentation.frames, strict=True):
        done, data = cv2.imencode(".jpg", frame[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
        assert done
        yield at_ms, data.tobytes()
