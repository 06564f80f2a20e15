"""What is published of a round: the commitment before, the whole round afterwards.

Both are JSON of integers and texts, hashed in one canonical form, so that whoever keeps the commitment can
hold the round against it with nothing but SHA-256, HMAC and integers.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from renzheng.central.draw.sampling import Candidate, Unit
from renzheng.central.errors import DrawError
from renzheng.contracts.events import Text

COMMITMENT_KIND = "application/vnd.renzheng.draw-commitment.v1+json"
NO_COMMITMENT = "0" * 64
SYSTEM = "system"
MOST_DEVICES = 10_000

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Moment = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$")]
Weight = Annotated[int, Field(ge=1, le=1_000_000)]
Ref = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _Versioned(_Document):
    version: int


_V = TypeVar("_V", bound=_Versioned)


class PublicValue(_Document):
    """The value that nobody knows when the round is committed to.

    Args:
        description: which value, where everybody can read it, to the letter how it is written down.
        known_at: from when on it can be known.
    """

    description: Annotated[str, Field(min_length=8, max_length=500)]
    known_at: Moment


class SampleSize(_Document):
    """How many wards are drawn, and how many people in each."""

    wards: Annotated[int, Field(ge=1, le=500)]
    per_ward: Annotated[int, Field(ge=1, le=500)]


class OfficerShare(_Document):
    """One officer's promise of a share."""

    name: Text
    share_sha256: Sha256


class Commitment(_Document):
    """What binds the bureau before anybody can know the sample.

    Args:
        number: counts the rounds of this site from 1, without holes.
        previous: hash of the commitment before; of the first, sixty-four zeros.
        salt_sha256: of the salt under which the frame's references stand for visits.
        weighting: the numbers from which the weights were made.
    """

    version: Literal[1]
    round_id: Text
    number: Annotated[int, Field(ge=1)]
    previous: Sha256
    committed_at: Moment
    frame_sha256: Sha256
    salt_sha256: Sha256
    system_share_sha256: Sha256
    officers: Annotated[list[OfficerShare], Field(min_length=2, max_length=2)]
    public_value: PublicValue
    sample: SampleSize
    due_at: Moment
    closes_at: Moment
    weighting: dict[str, int]


class FrameUnit(_Document):
    """A ward with its candidates: pairs of reference and weight."""

    institution_id: Text
    ward: Text
    purpose: Literal["inpatient", "dialysis"]
    candidates: Annotated[list[tuple[Ref, Weight]], Field(min_length=1)]


class Frame(_Versioned):
    """Everybody who could be drawn, frozen at a moment.

    Args:
        devices: how many devices may hold the round's sheets; version 1 does not say.
    """

    version: Literal[1, 2]
    round_id: Text
    moment: Moment
    devices: Annotated[int, Field(ge=1, le=MOST_DEVICES)] | None = None
    units: Annotated[list[FrameUnit], Field(min_length=1)]

    @model_validator(mode="after")
    def _says_how_many(self) -> Self:
        return _has_from_version_2(self, "devices")


class Shares(_Document):
    """The revealed shares of the seed, in hexadecimal; the officers' in the commitment's order."""

    system: Sha256
    officers: Annotated[list[Sha256], Field(min_length=2, max_length=2)]


class SampledCheck(_Document):
    """One candidate of the sample; `chance` is a fraction in lowest terms."""

    unit: Annotated[int, Field(ge=0)]
    ref: Ref
    chance: Annotated[str, Field(pattern=r"^[1-9]\d*/[1-9]\d*$")]


class PublishedRound(_Versioned):
    """A round as it is published once it has closed.

    Args:
        signature: the commitment in an envelope signed by central.
        left_out: references drawn, but with a stay that had ended when the sheets were made.
        holders: the devices to which the sheets were addressed; version 1 does not say.
        sha256: of everything else in the file.
    """

    version: Literal[1, 2]
    commitment: Commitment
    commitment_sha256: Sha256
    signature: Annotated[str, Field(max_length=20_000)]
    frame: Frame
    shares: Shares
    public_value: Annotated[str, Field(min_length=1, max_length=500)]
    seed: Sha256
    drawn_at: Moment
    sample: list[SampledCheck]
    left_out: list[Ref]
    holders: Annotated[list[Text], Field(max_length=MOST_DEVICES)] | None = None
    sha256: Sha256

    @model_validator(mode="after")
    def _names_the_holders(self) -> Self:
        return _has_from_version_2(self, "holders")


def _has_from_version_2(document: _V, name: str) -> _V:
    if (name in document.model_fields_set) != (document.version > 1) or (
        document.version > 1 and getattr(document, name) is None
    ):
        raise ValueError(f"{name} belongs to version 2")
    return document


def canonical(value: object) -> bytes:
    """Write JSON in the one form that is hashed: keys sorted, no space, UTF-8 without escapes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest(value: object) -> str:
    """Hash a value in its canonical form (SHA-256, hexadecimal)."""
    return hashlib.sha256(canonical(value)).hexdigest()


def share_digest(round_id: str, name: str, share: bytes) -> str:
    """Hash a share of the seed as the commitment holds it."""
    text = f"renzheng draw share v1\n{round_id}\n{name}\n{share.hex()}"
    return hashlib.sha256(text.encode()).hexdigest()


def make_seed(round_id: str, shares: Sequence[bytes], public_value: str) -> bytes:
    """Mix the shares (the system's, then the officers') and the public value into the seed (32 bytes)."""
    parts = ["renzheng draw seed v1", round_id, *(share.hex() for share in shares), public_value]
    return hashlib.sha256("\n".join(parts).encode()).digest()


def units_of(frame: Mapping[str, Any]) -> list[Unit]:
    """Read the units of a frame document that has been checked."""
    return [
        Unit(
            unit["institution_id"],
            unit["ward"],
            unit["purpose"],
            tuple(Candidate(ref, weight) for ref, weight in unit["candidates"]),
        )
        for unit in frame["units"]
    ]


def read_document(content: bytes, model: type[BaseModel]) -> dict[str, Any]:
    """Read a published document as plain JSON, once its form is found right.

    Raises:
        DrawError: it is no JSON, names a key twice, or has another form.
    """
    try:
        value = json.loads(content, object_pairs_hook=_once, parse_float=_no_float, parse_constant=_no_float)
        model.model_validate_json(content)
    except ValidationError as error:
        places = [".".join(map(str, one["loc"])) or "file" for one in error.errors(include_url=False)[:5]]
        raise _no_document(", ".join(places)) from None
    except (ValueError, RecursionError) as error:
        raise _no_document(str(error)[:80]) from None
    return dict(value)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a key stands in it twice")
    return dict(pairs)


def _no_float(text: str) -> float:
    raise ValueError(f"{text[:20]} is no integer")


def _no_document(detail: str) -> DrawError:
    return DrawError(
        f"This is no published round or commitment: {detail}.",
        why="A file of another form proves nothing.",
        do="Take the file as the bureau published it, byte by byte.",
    )
