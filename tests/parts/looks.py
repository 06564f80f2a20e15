"""One look at the kiosk without its clock: a presentation's frames through liveness and the attempt's core.

Whoever is shown is taken to match, as the worst case has it: what stands between an attack and a green screen
here is liveness alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from parts.attacks import ATTACKS, FPS, Act, Presentation, acting, as_the_page_sends, bona_fide
from parts.sheets import ANIMATED

from renzheng.edge.look import attempt
from renzheng.edge.look.attempt import Observation
from renzheng.edge.look.faces import FaceEngine, Look, decode, look_of
from renzheng.edge.look.outcomes import LookOutcome, Matched
from renzheng.models.analysis import Analysis, OneFace, PoorQuality
from renzheng.models.decision import Match, Threshold
from renzheng.models.following import Following
from renzheng.models.liveness.challenge import Plan
from renzheng.models.liveness.light import FILLS, STEP_MS, Colour, PaintedColour, skin_of
from renzheng.models.liveness.network import LivenessNetwork
from renzheng.models.liveness.pose import Challenge, pose_of
from renzheng.models.liveness.stream import Camera
from renzheng.models.liveness.watch import Watch
from renzheng.models.templates import ModelId, Template

PORTRAITS = ("obama.jpg", "obama2.jpg", "obama3.jpg", "biden.jpg", "astronaut.png")
MATCH = Match(0.99, Threshold(0.9, 1e-3, 1e-4, 2e-3, "card"))
PLAN = Plan("nonce", Challenge.TURN_LEFT, tuple(Colour)[:3] * 2 + tuple(Colour)[:2])
ANYBODY = Template(np.array([1.0, 0.0], np.float32), ModelId("anybody:000000000000:2"))


@dataclass(frozen=True)
class Seen:
    """One frame as the engine saw it."""

    at_ms: int
    image: np.ndarray
    analysis: Analysis


def presentations(name: str, folder: Path, seeds: Sequence[int], count: int) -> Iterator[Presentation]:
    """Make presentations of one kind, each of another portrait, by turns."""
    for seed in seeds:
        mine, other = (folder / PORTRAITS[(seed + step) % len(PORTRAITS)] for step in (0, 3))
        if name in ANIMATED:
            yield ANIMATED[name](mine, seed, PLAN)
        else:
            yield {**ATTACKS, "bona_fide": bona_fide}[name](mine, other, count, seed)


def seen_by(engine: FaceEngine, presentation: Presentation) -> list[Seen]:
    """Let the engine see what the page would send."""
    frames, following = [], Following(engine)
    for at_ms, jpeg in as_the_page_sends(presentation):
        image = decode(jpeg)
        assert image is not None
        frames.append(Seen(at_ms, image, following.analyse(image, at_ms)))
    return frames


def look(
    frames: Sequence[Seen],
    presentation: Presentation,
    network: LivenessNetwork | None = None,
    *,
    plan: Plan = PLAN,
    painting: bool = True,
) -> tuple[LookOutcome, attempt.Attempt]:
    """Play one look to its end; when the frames end first, nothing more comes until the time is over."""
    watch = Watch(network, Camera(presentation.device_label, presentation.virtual_devices))
    state = attempt.begin(0, 12_000, plan, shown_is_needed=True)
    painted = 0
    for number, seen in enumerate(frames, start=1):
        asked = None if state.answering is None else state.answering.asked_ms
        while painting and asked is not None and painted < len(plan.colours):
            if seen.at_ms - asked < 60 + painted * STEP_MS:
                break
            shown = PaintedColour(asked + 60 + painted * STEP_MS, plan.colours[painted])
            state, painted = attempt.painted(state, shown), painted + 1
        state = attempt.observe(state, _observed(number, seen, watch), lambda _: MATCH)
        outcome = attempt.conclude(state, seen.at_ms + 1)
        if outcome is not None:
            return outcome, state
    outcome = attempt.conclude(state, 60_000)
    assert outcome is not None
    return outcome, state


def _observed(number: int, seen: Seen, watch: Watch) -> Observation:
    verdict = watch.take(seen.image, seen.analysis, seen.at_ms)
    pose = skin = None
    if isinstance(seen.analysis, OneFace | PoorQuality):
        pose = pose_of(seen.analysis.face.landmarks, seen.at_ms)
        skin = skin_of(seen.image, seen.analysis.face.box, seen.at_ms)
    usable = ANYBODY if isinstance(seen.analysis, OneFace) else None
    shown: Look = look_of(seen.analysis)
    return Observation(number, seen.at_ms, shown, usable, verdict, watch.continuity, pose=pose, skin=skin)


def passes(outcome: LookOutcome) -> bool:
    """Whether the kiosk would sign in."""
    return isinstance(outcome, Matched)


def answering(
    portrait: Path,
    seed: int,
    *,
    seconds: float = 6.0,
    asked_ms: int = 1_600,
    degrees: float = 22.0,
    strength: float = 0.03,
    lag_ms: int = 150,
    plan: Plan = PLAN,
    body: bool = True,
) -> Presentation:
    """Somebody who holds still until asked and then turns and speaks, in the light of the colours shown.

    Args:
        portrait: whose.
        seed: of the noise.
        seconds: how long.
        asked_ms: when the kiosk will ask.
        degrees: how far the head turns, to its own left.
        strength: share of the face's light that is the screen's; 0 is a replay, which does not answer.
        lag_ms: of screen, camera and page together.
        plan: whose colours are answered: of this attempt, or of another one that was recorded.
        body: False turns a flat picture instead.
    """
    acts = []
    for index in range(round(seconds * FPS)):
        since = index * 1000 / FPS - asked_ms
        turn = degrees * np.sin(np.clip((since - 500) / 1500, 0, 1) * np.pi)
        step = int((since - 60 - lag_ms) // STEP_MS)
        fill = FILLS[plan.colours[step]] if 0 <= step < len(plan.colours) else (190, 190, 190)
        tint = tuple(float(1 + strength * (value / 190 - 1)) for value in fill)
        lips = float(np.clip(2 * np.sin(since / 160), 0, 1)) if body and strength and since > 500 else 0.0
        acts.append(Act(yaw=float(turn), tint=(tint[0], tint[1], tint[2]), lips=lips))
    times = tuple(int(index * 1000 / FPS + (index * 7) % 9) for index in range(len(acts)))
    species = "bona_fide" if body and strength else "answered_attack"
    return Presentation(species, tuple(acting(portrait, acts, seed, body=body)), times)
