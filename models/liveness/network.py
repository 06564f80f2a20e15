"""One sign among several of whether a living face is before the camera.

A network of this kind lets spoofs of other makes pass, so its score never decides alone; and where it is not
there, liveness is not shown, rather than shown.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from renzheng.models.analysis import Face
from renzheng.models.catalogue.cards import Card, card
from renzheng.models.catalogue.files import installed
from renzheng.models.detection.boxes import Box
from renzheng.models.embedding import prepared
from renzheng.models.engine import load_network
from renzheng.models.liveness.evidence import SignalResult
from renzheng.models.network import Network

Pixels = NDArray[np.uint8]

_CONTEXT = 1.5  # of the face's box: paper edges and screen frames lie around the face


@dataclass(frozen=True)
class LivenessScore:
    """What one network says.

    Attributes:
        score: 0 (a presentation of something) to 1 (a living face).
        model: the network's name and the first digits of its SHA-256.
    """

    score: float
    model: str


def say(score: float) -> SignalResult:
    """Weigh a score: nothing at 0.8, at most 0.5 for a living face and 2 against.

    On what the tests draw, at 5 %, half and 95 %: bona fide 0.80, 0.998, 1; phone 0.002, 0.21, 0.56; tablet
    0.006, 0.84, 0.998; print 0.28, 0.81, 0.99; a mask of paper 0.74, 0.99, 0.999.
    """
    kept = min(max(score, 1e-4), 1 - 1e-4)
    against = math.log(kept / (1 - kept)) - math.log(0.8 / 0.2)
    return SignalResult("network", min(max(0.6 * against, -2.0), 0.5), score)


class LivenessNetwork:
    """A network that tells living faces from presentations, as its card describes it."""

    def __init__(self, known: Card, network: Network) -> None:
        self._card = known
        self._network = network
        self.model = f"{known.name}:{network.sha256[:12]}"

    def score(self, image: Pixels, face: Face) -> LivenessScore:
        """Score one face of an image (rows, columns, 3; RGB)."""
        side = self._card.input.size[0]
        around = surroundings(image, face.box)
        crop = cv2.resize(around, (side, side), interpolation=cv2.INTER_AREA)
        logits = self._network.run(prepared(np.asarray(crop, np.uint8), self._card))[0].astype(np.float64)
        live = self._card.output.live_index
        assert live is not None, "a liveness card names the output that stands for a living face"
        likely = np.exp(logits - logits.max())
        return LivenessScore(float(likely[live] / likely.sum()), self.model)


def open_liveness(
    name: str = "antispoof", *, threads: int = 1, folder: Path | None = None
) -> LivenessNetwork:
    """Load a liveness network.

    Raises:
        ModelMissingError: its file is not on this machine: liveness is then not shown.
        ModelFileError: the file is not what its card says.
    """
    return LivenessNetwork(card(name), load_network(name, threads, folder))


def open_if_here(
    name: str = "antispoof", *, threads: int = 1, folder: Path | None = None
) -> LivenessNetwork | None:
    """Load a liveness network where its file is on this machine; None where it is not: one signal less.

    Raises:
        ModelFileError: the file is not what its card says.
    """
    return open_liveness(name, threads=threads, folder=folder) if installed(card(name), folder) else None


def surroundings(image: Pixels, box: Box) -> Pixels:
    """Return the square of 1.5 times the box around it; what lies outside of the image is mirrored in."""
    side = max(1, int(max(box.width, box.height) * _CONTEXT))
    left = int((box.left + box.right - side) / 2)
    top = int((box.top + box.bottom - side) / 2)
    rows, columns = image.shape[:2]
    across = _reflected(np.arange(left, left + side), columns)
    down = _reflected(np.arange(top, top + side), rows)
    return np.ascontiguousarray(image[np.ix_(down, across)])


def _reflected(places: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Fold places outside of 0 .. length - 1 back in, as in a mirror at either edge."""
    if length == 1:
        return np.zeros_like(places)
    period = 2 * (length - 1)
    folded: NDArray[np.int64] = np.abs((places + length - 1) % period - (length - 1))
    return folded
