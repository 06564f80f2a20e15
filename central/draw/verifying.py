"""Holds a published round against its commitment: everything is computed again from the file alone."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from joserfc.jwk import OKPKey

from renzheng.central.draw.documents import (
    COMMITMENT_KIND,
    SYSTEM,
    canonical,
    digest,
    make_seed,
    share_digest,
    units_of,
)
from renzheng.central.draw.sampling import Drawn, draw
from renzheng.contracts import keys
from renzheng.contracts.keys import SignatureError


class Fault(StrEnum):
    """What does not hold in a published round."""

    FILE = "file"
    COMMITMENT = "commitment"
    KEPT_COMMITMENT = "kept_commitment"
    SIGNATURE = "signature"
    FRAME = "frame"
    FRAME_ORDER = "frame_order"
    SHARE = "share"
    SEED = "seed"
    SAMPLE = "sample"
    LEFT_OUT = "left_out"
    TIMES = "times"
    PUBLIC_VALUE = "public_value"
    HOLDERS = "holders"

    @property
    def explanation(self) -> str:
        """What that means."""
        return _EXPLANATIONS[self]


_EXPLANATIONS = {
    Fault.FILE: "the file is not as it was published: its own hash differs",
    Fault.COMMITMENT: "the commitment in the file has another hash than the file says",
    Fault.KEPT_COMMITMENT: "the commitment is not the one that was kept from before the draw",
    Fault.SIGNATURE: "central has not signed this commitment",
    Fault.FRAME: "the frame of candidates is not the one committed to",
    Fault.FRAME_ORDER: "the frame is not in order, or somebody stands in it twice",
    Fault.SHARE: "a share of the seed is not the one committed to",
    Fault.SEED: "the seed does not follow from the shares and the public value",
    Fault.SAMPLE: "the sample does not follow from the seed",
    Fault.LEFT_OUT: "somebody is named as left out who was not drawn",
    Fault.TIMES: "the moments of commitment, public value, draw, due and close are not in this order",
    Fault.PUBLIC_VALUE: "the public value is not the one that you know",
    Fault.HOLDERS: "the sheets went to more devices than the frame allows",
}


@dataclass(frozen=True, slots=True)
class Holds:
    """Everything follows from the commitment; the public value remains to be looked up by the reader."""

    public_value: str
    description: str
    sample_size: int


@dataclass(frozen=True, slots=True)
class Fails:
    """What does not hold."""

    faults: tuple[Fault, ...]


def verify_round(
    document: Mapping[str, Any],
    *,
    kept_sha256: str | None = None,
    key: OKPKey | None = None,
    public_value: str | None = None,
) -> Holds | Fails:
    """Verify a published round whose form was found right by `read_document`.

    Args:
        document: the file's JSON.
        kept_sha256: hash of the commitment as the reader kept it from before the draw.
        key: central's public key; without it the signature's payload is compared, not its signature.
        public_value: the value as the reader knows it from elsewhere.
    """
    faults = dict.fromkeys(
        (
            *_of_file(document),
            *_of_commitment(document, kept_sha256, key),
            *_of_frame(document),
            *_of_seed(document, public_value),
            *_of_sample(document),
            *_of_times(document),
            *_of_holders(document),
        )
    )
    if faults:
        return Fails(tuple(faults))
    stated = document["commitment"]["public_value"]["description"]
    return Holds(document["public_value"], stated, len(document["sample"]))


def sample_rows(drawn: list[Drawn]) -> list[dict[str, str | int]]:
    """Write a sample as it is published."""
    return [
        {"unit": one.unit, "ref": one.ref, "chance": f"{one.chance.numerator}/{one.chance.denominator}"}
        for one in drawn
    ]


def _of_file(document: Mapping[str, Any]) -> Iterator[Fault]:
    rest = {name: value for name, value in document.items() if name != "sha256"}
    if digest(rest) != document["sha256"]:
        yield Fault.FILE


def _of_commitment(
    document: Mapping[str, Any], kept_sha256: str | None, key: OKPKey | None
) -> Iterator[Fault]:
    commitment = document["commitment"]
    found = digest(commitment)
    if found != document["commitment_sha256"]:
        yield Fault.COMMITMENT
    if kept_sha256 is not None and found != kept_sha256:
        yield Fault.KEPT_COMMITMENT
    if not _is_signed(document["signature"], canonical(commitment), key):
        yield Fault.SIGNATURE


def _is_signed(signature: str, content: bytes, key: OKPKey | None) -> bool:
    """Compare the envelope's payload, and verify its signature where the key is known."""
    envelope = signature.encode()
    try:
        if keys.encode(content) != envelope.split(b".")[1] or envelope.count(b".") != 2:  # noqa: PLR2004 - RFC 7515
            return False
        if key is None:
            return keys.read_header(envelope).get("typ") == COMMITMENT_KIND
        return keys.open_signed(envelope, key, COMMITMENT_KIND) == content
    except (SignatureError, IndexError):
        return False


def _of_frame(document: Mapping[str, Any]) -> Iterator[Fault]:
    frame, commitment = document["frame"], document["commitment"]
    if digest(frame) != commitment["frame_sha256"] or frame["round_id"] != commitment["round_id"]:
        yield Fault.FRAME
    places = [(unit["purpose"], unit["institution_id"], unit["ward"]) for unit in frame["units"]]
    inner = [[ref for ref, _ in unit["candidates"]] for unit in frame["units"]]
    every = [ref for refs in inner for ref in refs]
    ordered = places == sorted(set(places)) and all(refs == sorted(refs) for refs in inner)
    if not ordered or len(set(every)) != len(every):
        yield Fault.FRAME_ORDER


def _shares(document: Mapping[str, Any]) -> list[bytes]:
    told = document["shares"]
    return [bytes.fromhex(share) for share in (told["system"], *told["officers"])]


def _of_seed(document: Mapping[str, Any], public_value: str | None) -> Iterator[Fault]:
    commitment = document["commitment"]
    names = [SYSTEM, *(officer["name"] for officer in commitment["officers"])]
    promised = [
        commitment["system_share_sha256"],
        *(officer["share_sha256"] for officer in commitment["officers"]),
    ]
    shares = _shares(document)
    found = [
        share_digest(commitment["round_id"], name, share) for name, share in zip(names, shares, strict=True)
    ]
    if found != promised:
        yield Fault.SHARE
    if make_seed(commitment["round_id"], shares, document["public_value"]).hex() != document["seed"]:
        yield Fault.SEED
    if public_value is not None and public_value != document["public_value"]:
        yield Fault.PUBLIC_VALUE


def _of_sample(document: Mapping[str, Any]) -> Iterator[Fault]:
    size = document["commitment"]["sample"]
    seed = make_seed(document["commitment"]["round_id"], _shares(document), document["public_value"])
    drawn = draw(seed, units_of(document["frame"]), size["wards"], size["per_ward"])
    if sample_rows(drawn) != document["sample"]:
        yield Fault.SAMPLE
    if not set(document["left_out"]) <= {one.ref for one in drawn}:
        yield Fault.LEFT_OUT


def _of_holders(document: Mapping[str, Any]) -> Iterator[Fault]:
    """Version 1 says neither how many devices may hold the sheets nor which did."""
    frame, holders = document["frame"], document.get("holders", [])
    is_listed = holders == sorted(set(holders)) and len(holders) <= frame.get("devices", 0)
    if frame["version"] != document["version"] or not is_listed:
        yield Fault.HOLDERS


def _of_times(document: Mapping[str, Any]) -> Iterator[Fault]:
    """The one form of moments sorts as text."""
    commitment = document["commitment"]
    committed, known = commitment["committed_at"], commitment["public_value"]["known_at"]
    due, closes = commitment["due_at"], commitment["closes_at"]
    frozen, drawn = document["frame"]["moment"], document["drawn_at"]
    if not (frozen <= committed < known <= drawn < due < closes):
        yield Fault.TIMES
