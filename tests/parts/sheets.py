"""Presentations with some depth, or some life, but without a face: folded, rolled and flexed prints, turned
stills.

All of them wait as a patient does, turn when the kiosk asks, and shine back its colours: a print as paper
does, a screen by a program that sees the kiosk's. What they lack is what liveness must look for.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from parts.attacks import (
    FLOAT,
    FPS,
    SIZE,
    Act,
    Frame,
    Presentation,
    _framed,
    _noisy,
    _on_screen,
    camera_times,
    printed,
    sheet,
    still,
    wall,
)

from renzheng.bench import feed
from renzheng.models.liveness.challenge import Plan
from renzheng.models.liveness.light import FILLS, STEP_MS
from renzheng.models.liveness.mean_face import forward

DISTANCE = 8.0  # of the camera, in interocular distances: half a metre
ASKED_MS = 1_600  # when the kiosk asks whoever has shown nothing
Surface = Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]
"""From places along the paper (interocular distances from its middle) and a frame's number to across and
forward.
"""


def folded(degrees: float) -> Surface:
    """A sheet folded along the nose, each half bent back by so much."""
    back, kept = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    return lambda along, _: (along * kept, -np.abs(along) * back)


def rolled(radius: float) -> Surface:
    """A sheet round a cylinder, as round a bottle or a head."""
    return lambda along, _: (
        radius * np.sin(np.clip(along / radius, -1.5, 1.5)),
        -radius * (1 - np.cos(np.clip(along / radius, -1.5, 1.5))),
    )


def flexed(height: float, waves: float, phase: float) -> Surface:
    """A sheet that is flexed between two hands, more and less."""

    def at(along: np.ndarray, index: int) -> tuple[np.ndarray, np.ndarray]:
        much = height * np.sin(2 * np.pi * index / (1.7 * FPS) + phase)
        return along, much * np.cos(waves * along)

    return at


def places_on(surface: Surface, index: int, act: Act, eyes: float, centre: tuple[float, float]):
    """For each pixel of a pinhole camera the place on the flat sheet that it sees: two maps for a
    remapping.
    """
    x, y = np.meshgrid(np.arange(SIZE[0], dtype=np.float64), np.arange(SIZE[1], dtype=np.float64))
    x, y = (x[::2, ::2] - centre[0]) / eyes / act.scale, (y[::2, ::2] - centre[1]) / eyes / act.scale
    yaw, pitch = np.radians(act.yaw), np.radians(act.pitch)
    along, down = x.copy(), y.copy()
    for _ in range(14):  # where the paper's point is seen against where it should be seen
        across, near = surface(along, index)
        turned, toward = across * np.cos(yaw) + near * np.sin(yaw), near * np.cos(yaw) - across * np.sin(yaw)
        low, toward = (
            down * np.cos(pitch) + toward * np.sin(pitch),
            toward * np.cos(pitch) - down * np.sin(pitch),
        )
        nearer = DISTANCE / (DISTANCE - toward)
        along, down = along + 0.8 * (x - turned * nearer), down + 0.8 * (y - low * nearer)
    back_x = cv2.resize((along * eyes + centre[0]).astype(FLOAT), SIZE, interpolation=cv2.INTER_LINEAR)
    back_y = cv2.resize((down * eyes + centre[1]).astype(FLOAT), SIZE, interpolation=cv2.INTER_LINEAR)
    return back_x, back_y


def waiting(
    seconds: float, seed: int, plan: Plan | None, *, lag_ms: int = 150, strength: float = 0.03
) -> list[Act]:
    """What a hand or a program does: sways, turns a while after the prompt, and shines back what is shown."""
    random = np.random.default_rng([seed, 21])
    phase, sway, turned = random.uniform(0, 6.28, 2), random.uniform(2, 9), random.uniform(17, 28)
    acts = []
    for index in range(round(seconds * FPS)):
        since = index * 1000 / FPS - ASKED_MS
        asked = turned * np.sin(np.clip((since - 500) / 1600, 0, 1) * np.pi)
        swayed = sway * np.sin(2 * np.pi * index / (2.3 * FPS) + phase[0])
        nodding = 3 * np.sin(2 * np.pi * index / (3.1 * FPS) + phase[1])
        acts.append(
            Act(yaw=float(swayed + asked), pitch=float(nodding), tint=tint(plan, since - lag_ms, strength))
        )
    return acts


def tint(plan: Plan | None, since_ms: float, strength: float) -> tuple[float, float, float]:
    """The colour that falls on what stands before the screen, so long after the first fill was asked for."""
    step = int((since_ms - 60) // STEP_MS)
    shown = plan is not None and 0 <= step < len(plan.colours)
    fill = FILLS[plan.colours[step]] if shown and plan else (190, 190, 190)
    red, green, blue = (float(1 + strength * (value / 190 - 1)) for value in fill)
    return red, green, blue


def paper(surface: Callable[[np.random.Generator], Surface], species: str):
    """A maker of presentations of one kind of bent print."""

    def made(portrait: Path, seed: int, plan: Plan | None = None, seconds: float = 6.0) -> Presentation:
        random = np.random.default_rng([seed, 22])
        _, pose, _ = _framed(portrait)
        drawn, behind = printed(still(portrait), random), wall(random)
        outline = sheet(random, across=random.uniform(150, 230), down=random.uniform(190, 235))
        bent, frames = surface(random), []
        for index, act in enumerate(waiting(seconds, seed, plan)):
            back = places_on(bent, index, act, pose.eyes, (pose.x, pose.y))
            shown = cv2.remap(drawn, *back, cv2.INTER_LINEAR)
            cover = cv2.remap(outline, *back, cv2.INTER_LINEAR)[:, :, None]
            lit = shown * np.array(act.tint, FLOAT) * cover + behind * (1 - cover)
            frames.append(_noisy(lit.astype(FLOAT), 1.5, random))
        return Presentation(species, tuple(frames), camera_times(len(frames), random))

    return made


folded_print = paper(lambda random: folded(random.uniform(8, 45)), "folded_print")
rolled_print = paper(lambda random: rolled(random.uniform(1.0, 3.5)), "rolled_print")
flexed_print = paper(
    lambda random: flexed(random.uniform(0.1, 0.4), random.uniform(0.8, 2.2), random.uniform(0, 6.28)),
    "flexed_print",
)


def turned_still(portrait: Path, seed: int, plan: Plan | None = None, seconds: float = 6.0) -> Presentation:
    """One still, turned by a program that has a head's depth, fed in as by a capture card."""
    return _of_a_program(portrait, seed, waiting(seconds, seed, None), "turned_still")


def tinted_still(portrait: Path, seed: int, plan: Plan | None = None, seconds: float = 6.0) -> Presentation:
    """The same, and its program tints the picture as the kiosk's screen shines, a little later."""
    lag = int(np.random.default_rng([seed, 23]).uniform(170, 400))
    return _of_a_program(portrait, seed, waiting(seconds, seed, plan, lag_ms=lag), "tinted_still")


@dataclass(frozen=True)
class Puppet:
    """What a program does with a still beside turning it, by painting over the eyes and the lips.

    Args:
        blinks: seconds from one closing of the lids to the next, and that one takes; None: never.
        speaks: the lips open and close.
        looks: the gaze goes to and fro.
        mould: makes the depth by which it is turned, from the head's own; in pixels.
    """

    blinks: tuple[float, float] | None = None
    speaks: bool = False
    looks: bool = False
    mould: Callable[[feed._Pose, np.ndarray], np.ndarray] = lambda _, depth: depth

    def expression(self, seconds: float, phase: float) -> feed.Expression:
        """What the face does at a time."""
        lids = 0.0
        if self.blinks is not None:
            every, lasts = self.blinks
            lids = max(0.0, 1 - abs((seconds - phase) % every - lasts / 2) / (lasts / 2))
        lips = float(np.clip(2 * np.sin(11 * seconds + phase), 0, 1)) if self.speaks else 0.0
        gaze = float(np.sin(2.3 * seconds + phase)) if self.looks else 0.0
        return feed.Expression(lids=lids, lips=lips, gaze=gaze)


def too_right(pose: feed._Pose, depth: np.ndarray) -> np.ndarray:
    """The very mean face that the shape is compared with, and nothing of a head's roundness."""
    x, y = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    places = np.column_stack([((x - pose.x) / pose.eyes).ravel(), ((y - pose.y) / pose.eyes).ravel()])
    face = (forward(places.astype(np.float64)).reshape(depth.shape) + 1.05) * pose.eyes
    return (face * (depth > 0)).astype(FLOAT)


def half_as_deep(pose: feed._Pose, depth: np.ndarray) -> np.ndarray:
    """Another head's depth: as of a child's flat face."""
    return depth * FLOAT(0.5)


BLINKING = Puppet(blinks=(1.9, 0.3))
PUPPETS: Mapping[str, Callable[[np.random.Generator], Puppet]] = {
    "blinking_still": lambda _: BLINKING,
    "oddly_blinking_still": lambda random: Puppet(
        blinks=(random.uniform(0.6, 3.5), random.uniform(0.1, 0.5))
    ),
    "speaking_still": lambda _: Puppet(speaks=True),
    "lively_still": lambda _: Puppet((1.9, 0.3), speaks=True, looks=True),
    "lively_still_too_right": lambda _: Puppet((1.9, 0.3), speaks=True, looks=True, mould=too_right),
    "lively_still_half_as_deep": lambda _: Puppet((1.9, 0.3), speaks=True, looks=True, mould=half_as_deep),
}
"""All of them turn as asked, and tint the picture as the kiosk's screen shines."""


def _puppet(species: str) -> "Maker":
    def made(portrait: Path, seed: int, plan: Plan | None = None, seconds: float = 6.0) -> Presentation:
        random = np.random.default_rng([seed, 24])
        acts = waiting(seconds, seed, plan, lag_ms=int(random.uniform(170, 400)))
        return _of_a_program(portrait, seed, acts, species, PUPPETS[species](random))

    return made


def _of_a_program(
    portrait: Path, seed: int, acts: Sequence[Act], species: str, puppet: Puppet = Puppet()
) -> Presentation:
    random = np.random.default_rng([seed, 25])
    frames = [frame.astype(FLOAT) for frame in _animated(portrait, seed, acts, puppet)]
    return Presentation(
        species, tuple(_noisy(f, 1.0, random) for f in frames), camera_times(len(frames), random)
    )


def _animated(portrait: Path, seed: int, acts: Sequence[Act], puppet: Puppet) -> list[Frame]:
    """A still that a program turns by a head's depth and paints over; its light turns with it."""
    random = np.random.default_rng([seed, 26])
    picture, pose, depth = _framed(portrait)
    depth = puppet.mould(pose, depth)
    x, y = np.meshgrid(np.arange(SIZE[0], dtype=FLOAT), np.arange(SIZE[1], dtype=FLOAT))
    at = random.uniform(0.3, 1.2)
    frames = []
    for index, act in enumerate(acts):
        now = puppet.expression(index / FPS, at)
        shown = picture if now == feed.Expression() else feed.alive(picture, pose, now)
        from_x = x - depth * np.sin(np.radians(act.yaw))
        from_y = y - depth * np.sin(np.radians(act.pitch))
        frame = cv2.remap(
            shown,
            from_x.astype(FLOAT),
            from_y.astype(FLOAT),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        frames.append(np.clip(frame[:, :, ::-1] * np.array(act.tint), 0, 255).astype(np.uint8))
    return frames


def _screened(species: str, half: tuple[tuple[float, float], tuple[float, float]], puppet: Puppet):
    def made(portrait: Path, seed: int, plan: Plan | None = None, seconds: float = 6.0) -> Presentation:
        random = np.random.default_rng([seed, 27])
        lag = int(random.uniform(170, 400))
        acts = waiting(seconds, seed, plan, lag_ms=lag)
        video = [frame.astype(FLOAT) for frame in _animated(portrait, seed, acts, puppet)]
        size = random.uniform(*half[0]), random.uniform(*half[1])
        pitch = random.uniform(0.55, 1.3)
        return _on_screen(video, species, seed, half=size, pitch_px=pitch, count=len(video))

    return made


turned_on_a_phone = _screened("turned_on_a_phone", ((120, 165), (200, 225)), BLINKING)
turned_on_a_tablet = _screened("turned_on_a_tablet", ((400, 420), (320, 330)), BLINKING)
lively_on_a_tablet = _screened(
    "lively_on_a_tablet", ((400, 420), (320, 330)), Puppet((1.9, 0.3), speaks=True, looks=True)
)

Maker = Callable[..., Presentation]
ANIMATED: Mapping[str, Maker] = {
    "folded_print": folded_print,
    "rolled_print": rolled_print,
    "flexed_print": flexed_print,
    "turned_still": turned_still,
    "tinted_still": tinted_still,
    **{species: _puppet(species) for species in PUPPETS},
    "turned_on_a_phone": turned_on_a_phone,
    "turned_on_a_tablet": turned_on_a_tablet,
    "lively_on_a_tablet": lively_on_a_tablet,
}
