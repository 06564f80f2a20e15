"""Reads the cards: what a model is, where it is from, and what was measured of it."""

import datetime as dt
import tomllib
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from renzheng.models.errors import CardError, UnknownModelError

_FOLDER = Path(__file__).parent
_DIGEST = r"^[0-9a-f]{64}$"

Task = Literal["detection", "landmarks", "embedding", "liveness"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class Input(_Part):
    """What the network wants to be fed.

    Attributes:
        layout: NHWC or NCHW.
        element: uint8 or float32.
        colour: order of the channels.
        size: rows and columns; empty where any size may come.
        mean: subtracted from each channel (of pixels 0 to 255), in the order of `colour`.
        deviation: by which it is then divided.
        alignment: how the face is cut out.
    """

    layout: Literal["NHWC", "NCHW"]
    element: Literal["uint8", "float32"]
    colour: Literal["RGB", "BGR"]
    size: tuple[int, ...] = ()
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    deviation: tuple[float, float, float] = (1.0, 1.0, 1.0)
    alignment: Literal["none", "dlib-150", "arcface-112", "box-1.5"] = "none"


class Output(_Part):
    """What the network gives.

    Attributes:
        length: of a template; 0 for other tasks.
        comparison: how two are compared.
        mirrored: the image's and its mirror image's outputs are added.
        live_index: of a liveness network: which output stands for a living face.
    """

    length: int = 0
    comparison: Literal["none", "cosine"] = "none"
    mirrored: bool = False
    live_index: int | None = None


class OperatingPoint(_Part):
    """A threshold and what it gave on a data set.

    Attributes:
        engine: which engine's scores (the same network aligned otherwise scores otherwise).
        population: on whom; what holds for one says nothing about another.
        people: how many of them.
        threshold: comparison score.
        fmr: false match rate there, with its 95 % interval.
        fnmr: false non-match rate there, with its 95 % interval.
        data_set: which, and how many comparisons.
        date: of the measurement.
    """

    engine: str
    population: str
    people: int = Field(gt=0)
    threshold: float
    fmr: float = Field(gt=0, le=1)
    fmr_interval: tuple[float, float]
    fnmr: float = Field(ge=0, le=1)
    fnmr_interval: tuple[float, float]
    data_set: str
    date: dt.date


class StrangersPrior(_Part):
    """How strangers' scores spread in calibrated sites, for templates of these embedders.

    Attributes:
        embedders: names of the cards whose networks make the templates, in order.
        deviation: of strangers' scores, a probe against three references.
        doubt: by what share populations differ in it (one sigma).
        people: on how many people it was measured.
        data_set: which.
    """

    embedders: tuple[str, ...]
    deviation: float = Field(gt=0, lt=1)
    doubt: float = Field(gt=0, lt=1)
    people: int = Field(gt=0)
    data_set: str


class Card(_Part):
    """One model's card."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    title: str
    task: Task
    file: str
    sha256: str = Field(pattern=_DIGEST)
    origin: str
    licence: str
    training_data: str
    converted_from: str = ""
    download: str = ""
    notes: str = ""
    input: Input
    output: Output = Output()
    operating_points: tuple[OperatingPoint, ...] = ()
    priors: tuple[StrangersPrior, ...] = ()


def read_card(path: Path) -> Card:
    """Read one card.

    Raises:
        CardError: it is malformed; every fault is named.
    """
    try:
        return Card.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (ValidationError, tomllib.TOMLDecodeError, OSError) as error:
        raise CardError(f"The card {path.parent.name}/{path.name} cannot be used.", why=str(error)) from error


@cache
def cards() -> dict[str, Card]:
    """Return all cards by name, in alphabetical order."""
    found = [read_card(path) for path in sorted(_FOLDER.glob("*/card.toml"))]
    return {card.name: card for card in found}


def card(name: str) -> Card:
    """Return one card.

    Raises:
        UnknownModelError: there is none of that name.
    """
    known = cards()
    if name not in known:
        raise UnknownModelError(
            f"There is no model {name!r} in the catalogue.", do=f"Known: {', '.join(known)}.", name=name
        )
    return known[name]
