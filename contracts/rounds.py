"""A round of spot checks as it travels to the inspector's device: sealed before it is due, opened by a code.

Central seals each sheet under a key stretched from an *opening code*. The sealed sheet may lie on the device
days before; the code is made known when the round is due, over the link or read aloud on the telephone, so
that a whole round works without network and nobody, at the ward or at the bureau, reads the list earlier.
"""

import hashlib
import secrets
from typing import Annotated, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import Base64Bytes, BaseModel, ConfigDict, Field, ValidationError, model_validator

from renzheng.contracts.errors import InputError
from renzheng.contracts.events import Purpose, Text, UtcDatetime
from renzheng.contracts.once import read_once
from renzheng.contracts.rosters import Away

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_READ_AS = str.maketrans("OILU", "011V")
_CODE_LENGTH = 20
_NONCE_BYTES = 12
_PADDED_TO_BYTES = 8192


class RoundError(InputError):
    """A round's sheet cannot be used."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Check(_Part):
    """One patient to be looked up.

    Args:
        purpose: `inpatient` is a check at the bed, `dialysis` one in a running session.
        away: absences recorded when the round was drawn; whatever is recorded later is not prior.
    """

    check_id: Text
    visit_id: Text
    person_id: Text
    surname: Annotated[str, Field(max_length=40)] = ""
    masked_number: Annotated[str, Field(max_length=40)] = ""
    ward: Text
    bed: Annotated[str, Field(max_length=40)] = ""
    purpose: Purpose = Purpose.INPATIENT
    away: tuple[Away, ...] = ()


class Sheet(_Part):
    """The checks of one round at one institution.

    Args:
        drawn_at: when the sample was fixed.
        due_at: from when it may be opened.
        closes_at: until when an answer counts; a check without one by then is `unanswered`.
    """

    version: Literal[1] = 1
    round_id: Text
    institution_id: Text
    institution_name: Text
    drawn_at: UtcDatetime
    due_at: UtcDatetime
    closes_at: UtcDatetime
    checks: Annotated[tuple[Check, ...], Field(min_length=1, max_length=500)]

    @model_validator(mode="after")
    def _whole(self) -> "Sheet":
        if not self.drawn_at <= self.due_at < self.closes_at:
            raise ValueError("drawn_at, due_at and closes_at are not in this order")
        if len({check.check_id for check in self.checks}) != len(self.checks):
            raise ValueError("a check stands in it twice")
        return self


class SealedSheet(_Part):
    """A sheet that cannot be read without the round's opening code.

    Args:
        institution_id: the institution's, or a label that stands for it until the sheet is open.
        sealed: nonce and AES-256-GCM text of the sheet's JSON; `round_id` and `institution_id` are bound in.
    """

    version: Literal[1] = 1
    round_id: Text
    institution_id: Text
    due_at: UtcDatetime
    closes_at: UtcDatetime
    sealed: Base64Bytes


class Opening(_Part):
    """The code that opens a round's sheets, given out by central from `due_at` on."""

    round_id: Text
    code: Annotated[str, Field(min_length=_CODE_LENGTH, max_length=40)]


def new_opening_code() -> str:
    """Make a code of 100 bits, in four groups of five for reading aloud."""
    letters = "".join(secrets.choice(_ALPHABET) for _ in range(_CODE_LENGTH))
    return "-".join(letters[start : start + 5] for start in range(0, _CODE_LENGTH, 5))


def seal(sheet: Sheet, code: str, label: str = "") -> SealedSheet:
    """Seal a sheet under its round's opening code.

    Args:
        sheet: what to seal; it is padded, so that the size does not tell how many checks are in it.
        code: the round's opening code.
        label: stands outside in the place of the institution, where that must not be known before.
    """
    nonce = secrets.token_bytes(_NONCE_BYTES)
    body = sheet.model_dump_json().encode()
    body += b" " * (-len(body) % _PADDED_TO_BYTES)
    outside = label or sheet.institution_id
    sealed = nonce + AESGCM(_key(code, sheet.round_id)).encrypt(nonce, body, _bound(sheet.round_id, outside))
    shown = sheet.model_dump(include={"round_id", "due_at", "closes_at"})
    return SealedSheet.model_construct(version=1, **shown, institution_id=outside, sealed=sealed)


def unseal(sealed: SealedSheet, code: str) -> Sheet:
    """Open a sealed sheet.

    Raises:
        RoundError: the code is not this round's, or the sheet was altered.
    """
    nonce, body = sealed.sealed[:_NONCE_BYTES], sealed.sealed[_NONCE_BYTES:]
    bound = _bound(sealed.round_id, sealed.institution_id)
    try:
        opened = AESGCM(_key(code, sealed.round_id)).decrypt(nonce, body, bound)
        sheet = read_once(Sheet, opened)
    except (InvalidTag, ValueError, ValidationError):
        raise _not_this_code() from None
    if (sheet.due_at, sheet.closes_at) != (sealed.due_at, sealed.closes_at):
        raise _not_this_code()
    return sheet


def _not_this_code() -> RoundError:
    return RoundError(
        "The code does not open this round.",
        why="Either it belongs to another round or a letter was misheard.",
        do="Ask the bureau to read it again; O counts as 0, I and L as 1.",
    )


def _bound(round_id: str, institution_id: str) -> bytes:
    return f"renzheng round {round_id} {institution_id}".encode()


def _key(code: str, round_id: str) -> bytes:
    """Derive the key; with 100 random bits in the code there is nothing to stretch."""
    plain = "".join(code.split()).replace("-", "").upper().translate(_READ_AS)
    if len(plain) != _CODE_LENGTH or not set(plain) <= set(_ALPHABET):
        raise _not_this_code()
    return hashlib.sha256(f"renzheng opening {round_id} {plain}".encode()).digest()
