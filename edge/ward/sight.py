"""Whether a camera can see: dark, covered, frozen or moved; pictures in small in, a condition out; pure.

Coverage rests on it, so it errs towards saying that a camera could not see: then nobody's absence follows.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from renzheng.contracts.events import CoverageState
from renzheng.edge.device.coverage import CoverageStatus

SMALL_PX = (160, 90)
"""Columns and rows of the small picture: a face in it has a handful of pixels and cannot be known."""

Small = NDArray[np.uint8]
Edges = NDArray[np.float32]


class Condition(StrEnum):
    """What a camera's pictures are like."""

    GOOD = "good"
    DARK = "dark"
    COVERED = "covered"
    FROZEN = "frozen"
    MOVED = "moved"


@dataclass(frozen=True, slots=True)
class Rules:
    """From where on a picture is no good.

    Args:
        darkest_mean: of the luminance, 0 to 255, below which faces drown in noise.
        flattest: deviation of the luminance below which nothing is to be seen: a hand, paper or paint.
        frozen_seconds: every pixel the same for this long; a living sensor's noise is never the same.
        moved_share: shift of the scene, as a share of the picture's width.
        least_response: a phase correlation below this found no common scene at all.
        moved_looks: so many looks in a row must agree, since somebody may stand before the camera.
        settling_looks: the scene is learnt from so many looks.
    """

    darkest_mean: float = 22.0
    flattest: float = 9.0
    frozen_seconds: float = 60.0
    moved_share: float = 0.03
    least_response: float = 0.03
    moved_looks: int = 10
    settling_looks: int = 10


@dataclass(frozen=True)
class PictureHistory:
    """What is remembered of a camera's pictures.

    Args:
        condition: of the last one.
        scene: edges of the scene as the camera saw it when it was hung, (rows, columns); None at first.
        looks: how many pictures the scene was learnt from.
        astray: how many pictures in a row showed it elsewhere.
        fingerprint: of the last picture, for pictures that are exactly the same.
        same_since_s: since when they have been.
    """

    condition: Condition = Condition.GOOD
    scene: Edges | None = None
    looks: int = 0
    astray: int = 0
    fingerprint: bytes = b""
    same_since_s: float = 0.0


def look(
    sight: PictureHistory, small: Small, fingerprint: bytes, at_s: float, rules: Rules
) -> PictureHistory:
    """Take one picture.

    Args:
        sight: what is remembered.
        small: the luminance in `SMALL_PX`.
        fingerprint: of the whole picture.
        at_s: on a steady clock.
        rules: from where on it is no good.
    """
    same = fingerprint == sight.fingerprint
    sight = replace(sight, fingerprint=fingerprint, same_since_s=sight.same_since_s if same else at_s)
    if float(small.mean()) < rules.darkest_mean:
        return replace(sight, condition=Condition.DARK)
    if float(small.std()) < rules.flattest:
        return replace(sight, condition=Condition.COVERED)
    if at_s - sight.same_since_s >= rules.frozen_seconds:
        return replace(sight, condition=Condition.FROZEN)
    return _placed(sight, edges_of(small), rules)


def _placed(sight: PictureHistory, edges: Edges, rules: Rules) -> PictureHistory:
    """Compare the scene with the one that was learnt, or go on learning it."""
    if sight.scene is None:
        return replace(sight, condition=Condition.GOOD, scene=edges, looks=1)
    if sight.looks < rules.settling_looks:
        share = np.float32(1 / (sight.looks + 1))
        learnt = sight.scene + (edges - sight.scene) * share
        return replace(sight, condition=Condition.GOOD, scene=learnt, looks=sight.looks + 1)
    shift, response = shift_between(sight.scene, edges)
    if shift <= rules.moved_share and response >= rules.least_response:
        condition = Condition.GOOD  # furniture and light change slowly: the scene follows
        learnt = sight.scene + (edges - sight.scene) * np.float32(0.01)
        return replace(sight, condition=condition, scene=learnt, astray=0)
    astray = sight.astray + 1
    moved = astray >= rules.moved_looks or sight.condition is Condition.MOVED
    return replace(sight, condition=Condition.MOVED if moved else Condition.GOOD, astray=astray)


def edges_of(small: Small) -> Edges:
    """Return where brightness changes, scaled so that light and shade do not matter."""
    grey = small.astype(np.float32)
    across, down = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    strength = cv2.magnitude(across, down)
    return np.asarray(strength / max(float(strength.std()), 1.0), np.float32)


def shift_between(scene: Edges, edges: Edges) -> tuple[float, float]:
    """Return how far the scene moved, as a share of the width, and how surely (0 to 1)."""
    window = cv2.createHanningWindow((scene.shape[1], scene.shape[0]), cv2.CV_32F)
    (across, down), response = cv2.phaseCorrelate(scene, edges, window)
    return float(np.hypot(across, down)) / scene.shape[1], float(response)


def in_small(grey: NDArray[np.uint8]) -> Small:
    """Return a picture's luminance in `SMALL_PX`."""
    return np.asarray(cv2.resize(grey, SMALL_PX, interpolation=cv2.INTER_AREA), np.uint8)


def union(cameras: dict[str, CoverageStatus]) -> CoverageStatus:
    """What a device with several cameras could see: all, some or nothing; the cause names the cameras.

    A ward of which one entrance is not watched is not a watched ward, so `up` takes every camera.
    """
    if not cameras:
        return CoverageStatus(CoverageState.DOWN, "no_camera")
    troubled = {name: one for name, one in cameras.items() if one.state is not CoverageState.UP}
    if not troubled:
        return CoverageStatus(CoverageState.UP)
    causes = sorted(f"{name}:{one.cause or one.state.value}" for name, one in troubled.items())
    cause = ",".join(causes) if len(",".join(causes)) <= _LONGEST_CAUSE else f"{len(causes)}_cameras"
    all_down = all(one.state is CoverageState.DOWN for one in cameras.values())
    return CoverageStatus(CoverageState.DOWN if all_down else CoverageState.DEGRADED, cause)


_LONGEST_CAUSE = 180
