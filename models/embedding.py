"""Networks that turn an aligned face into numbers."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from renzheng.models.alignment import dlib_chip
from renzheng.models.detection.boxes import Box
from renzheng.models.landmarks import Landmarks
from renzheng.models.network import Network

Pixels = NDArray[np.uint8]


class Embedder(Protocol):
    """Aligns a face and embeds it."""

    name: str
    sha256: str
    length: int

    def align(self, image: Pixels, box: Box, landmarks: Landmarks) -> Pixels:
        """Return the chip that the network expects."""

    def embed(self, chip: Pixels, *, mirrored: bool) -> NDArray[np.float32]:
        """Return the chip's numbers, (length,); with `mirrored`, the mean over the chip and its mirror image."""


class DlibEmbedder:
    """dlib's residual network of 29 convolutions, converted."""

    name = "dlib-resnet"
    length = 128

    def __init__(self, network: Network) -> None:
        self._network = network
        self.sha256 = network.sha256

    def align(self, image: Pixels, box: Box, landmarks: Landmarks) -> Pixels:
        """Return dlib's face chip, 150 x 150 RGB."""
        return dlib_chip(image, box, landmarks)

    def embed(self, chip: Pixels, *, mirrored: bool) -> NDArray[np.float32]:
        """Return dlib's 128 numbers, as dlib itself gives them (not of unit length)."""
        chips = np.stack([chip, chip[:, ::-1]]) if mirrored else chip[None]
        mean: NDArray[np.float32] = self._network.run(chips).mean(axis=0)
        return mean
