"""Finds, adds, fetches and checks the catalogue's model files."""

import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError

from renzheng.common.files import write_whole
from renzheng.models.catalogue.cards import Card, cards
from renzheng.models.conversion.convert import SOURCES
from renzheng.models.errors import DownloadError, ModelFileError, ModelMissingError
from renzheng.models.home import models_folder, search_path
from renzheng.models.network import Network

_LARGEST_DOWNLOAD = 512 * 1024 * 1024
_TIMEOUT_SECONDS = 60


class State(StrEnum):
    """What became of looking for a model's file."""

    PRESENT = "present"
    MISSING = "missing"
    ALTERED = "altered"
    UNFIT = "unfit"


@dataclass(frozen=True)
class Finding:
    """One model's file on this machine.

    Attributes:
        card: the model.
        state: whether it is there and whole.
        path: where; None if missing.
        detail: what is wrong, in words; empty if nothing is.
    """

    card: Card
    state: State
    path: Path | None
    detail: str = ""


def candidates(known: Card, folder: Path | None = None) -> list[Path]:
    """Return the existing files of a card's name: of `folder`, then in the order of the search path."""
    return [each / known.file for each in search_path(first=folder) if (each / known.file).is_file()]


def find_file(known: Card, folder: Path | None = None) -> Path:
    """Return the first file of a card's name.

    Raises:
        ModelMissingError: there is none.
    """
    found = candidates(known, folder)
    if not found:
        fetch = f"renzheng models fetch {known.name}, or " if known.download else ""
        raise ModelMissingError(
            f"The model {known.name} ({known.file}) is not on this machine.",
            why="The engine that was asked for needs it.",
            do=f"Run: {fetch}renzheng models add FILE; or name its folder in RENZHENG_MODEL_DIR,"
            " for an agent in face.model_dir.",
            name=known.name,
        )
    return found[0]


def installed(known: Card, folder: Path | None = None) -> bool:
    """Return whether a model's file is in `folder` or elsewhere on this machine, without checking it."""
    return bool(candidates(known, folder))


def check_shapes(network: Network, known: Card) -> None:
    """Compare a network's input and output with its card.

    Raises:
        ModelFileError: they differ: the file is of another task.
    """
    channels_last = known.input.layout == "NHWC"
    shape = network.input_shape
    sides = shape[1:3] if channels_last else shape[2:4]
    fits = len(shape) == 4 and shape[3 if channels_last else 1] == 3  # noqa: PLR2004 - batch, channels, rows, columns
    if known.input.size:
        fits = fits and tuple(sides) == known.input.size
    if known.output.length:
        fits = fits and [output[-1] for output in network.output_shapes] == [known.output.length]
    if not fits:
        raise ModelFileError(
            f"{known.file} takes {shape} and gives {network.output_shapes}; "
            f"that is no {known.task} network as the card {known.name} describes it.",
            why="A model of another task gives numbers that mean nothing here.",
            do="Check that the file belongs to the card.",
        )


def inspect(known: Card) -> Finding:
    """Look for a model's file and check it whole: hash, then shapes."""
    found = candidates(known)
    if not found:
        return Finding(known, State.MISSING, None)
    path = found[0]
    digest = sha256(path.read_bytes()).hexdigest()
    if digest != known.sha256:
        return Finding(known, State.ALTERED, path, f"SHA-256 is {digest}, the card says {known.sha256}")
    try:
        check_shapes(Network(path), known)
    except ModelFileError as error:
        return Finding(known, State.UNFIT, path, error.what)
    return Finding(known, State.PRESENT, path)


def identify(data: bytes, known: Mapping[str, Card] | None = None) -> Card | None:
    """Return the card whose SHA-256 a file has, whatever the file's name."""
    digest = sha256(data).hexdigest()
    return next((each for each in (known or cards()).values() if each.sha256 == digest), None)


def add(path: Path) -> Card:
    """Copy a model file into this machine's folder, if it is one of the catalogue's.

    Raises:
        ModelFileError: it is empty, or of no card.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelMissingError(f"{path} cannot be read.", why=str(error), do="Check the path.") from None
    if not data:
        raise ModelFileError(f"{path} is empty (0 bytes).", do="Copy the file again.", path=str(path))
    found = identify(data)
    if found is None:
        raise ModelFileError(
            f"{path} (SHA-256 {sha256(data).hexdigest()}) is of no card in the catalogue.",
            why="What an unknown file computes, and what its scores mean, nobody has written down.",
            do="Write a card for it (models/catalogue/NAME/card.toml), or check that the file arrived whole.",
            path=str(path),
        )
    write_whole(models_folder() / found.file, data)
    return found


def fetch(known: Card) -> Path:
    """Download a model to this machine's folder, and keep it only if its SHA-256 is the card's.

    Raises:
        DownloadError: no address, or it did not arrive.
        ModelFileError: another file arrived.
    """
    if known.name in SOURCES:
        raise DownloadError(f"{known.name} is converted, not fetched.", do="Run: renzheng models convert")
    if not known.download.startswith("https://"):
        raise DownloadError(
            f"The card {known.name} has no download address.",
            do="Copy the file and run: renzheng models add FILE",
        )
    try:
        with urllib.request.urlopen(known.download, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310 - https only
            data: bytes = response.read(_LARGEST_DOWNLOAD + 1)
    except (URLError, OSError, HTTPException) as error:
        raise DownloadError(
            f"{known.download} cannot be reached.",
            why=str(error),
            do="On an offline site copy the file and run: renzheng models add FILE",
        ) from error
    digest = sha256(data).hexdigest()
    if digest != known.sha256:
        raise ModelFileError(
            f"What came from {known.download} has SHA-256 {digest}, the card says {known.sha256}.",
            why="It is not the model that was examined; nothing was kept.",
            do="Try again; if it stays so, the address serves another file by now.",
        )
    target = models_folder() / known.file
    write_whole(target, data)
    return target
