"""Networks that turn an aligned face into numbers."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from renzheng.models.alignment import EXACT, THOROUGH, arcface_chips, dlib_chip, dlib_chips
from renzheng.models.analysis import Face
from renzheng.models.catalogue.cards import Card
from renzheng.models.network import Network

Pixels = NDArray[np.uint8]


class Embedder(Protocol):
    """Aligns a face and embeds it."""

    name: str
    sha256: str
    length: int

    def align(self, image: Pixels, face: Face, *, thorough: bool) -> list[Pixels]:
        """Return the chip that the network expects; with `thorough`, several that vary a little."""

    def embed(self, chips: Sequence[Pixels], *, mirrored: bool) -> NDArray[np.float32]:
        """Return the mean of the chips' numbers, (length,); `mirrored`: and of their mirror images'."""


class DlibEmbedder:
    """dlib's residual network of 29 convolutions, converted."""

    name = "dlib-resnet"
    length = 128

    def __init__(self, network: Network) -> None:
        self._network = network
        self.sha256 = network.sha256

    def align(self, image: Pixels, face: Face, *, thorough: bool) -> list[Pixels]:
        """Return dlib's own chip, 150 x 150 RGB; or, with `thorough`, several from the finer landmarks."""
        if thorough:
            return dlib_chips(image, face.landmarks, THOROUGH)
        return [dlib_chip(image, face.box, face.landmarks)]

    def embed(self, chips: Sequence[Pixels], *, mirrored: bool) -> NDArray[np.float32]:
        """Return dlib's 128 numbers, for one chip as dlib itself gives them (not of unit length)."""
        batch = with_mirrored(chips) if mirrored else np.stack(list(chips))
        mean: NDArray[np.float32] = self._network.run(batch).mean(axis=0)
        return mean


class ArcfaceEmbedder:
    """Any network that takes 112 x 112 pixels aligned on eyes, nose and mouth, as its card describes it."""

    def __init__(self, card: Card, network: Network) -> None:
        self.name = card.name
        self.length = card.output.length
        self.sha256 = network.sha256
        self._card = card
        self._network = network

    def align(self, image: Pixels, face: Face, *, thorough: bool) -> list[Pixels]:
        """Return one chip, or with `thorough` several, of 112 x 112 RGB."""
        return arcface_chips(image, face.landmarks, face.points, THOROUGH[:3] if thorough else [EXACT])

    def embed(self, chips: Sequence[Pixels], *, mirrored: bool) -> NDArray[np.float32]:
        """Return the numbers at unit length; the card, too, may ask for the mirror image."""
        batch = with_mirrored(chips) if mirrored or self._card.output.mirrored else np.stack(list(chips))
        total = np.zeros(self.length, dtype=np.float32)
        for chip in batch:  # such networks are mostly exported for one picture at a time
            total += unit(self._network.run(prepared(chip, self._card))[0])
        return unit(total)


def prepared(chip: Pixels, card: Card) -> NDArray[np.float32]:
    """Return one chip (rows, columns, 3; RGB) as the card's network wants it, with a batch axis."""
    pixels = chip[:, :, ::-1] if card.input.colour == "BGR" else chip
    values = (pixels.astype(np.float32) - np.array(card.input.mean, np.float32)) / np.array(
        card.input.deviation, np.float32
    )
    ordered = values.transpose(2, 0, 1) if card.input.layout == "NCHW" else values
    return np.ascontiguousarray(ordered, dtype=np.float32)[None]


def with_mirrored(chips: Sequence[Pixels]) -> Pixels:
    """Return the chips and their mirror images as one batch."""
    batch = np.stack(list(chips))
    return np.concatenate([batch, batch[:, :, ::-1]])


def unit(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return values at unit length; zeros stay."""
    norm = np.linalg.norm(values)
    scaled: NDArray[np.float32] = values / np.float32(norm) if norm > 0 else values
    return scaled
