"""What the counter's page may send, and what it is told; version 1."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from renzheng.contracts.events import ProxyBasis, Relation

Number = Annotated[str, Field(min_length=1, max_length=2000)]
"""As a reader types it: a card's number, a person's, or what the QR code of an e-credential holds."""
Way = Literal["face", "document", "card_pin", "witness", "nhsa_terminal", "none"]


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PinCall(_Message):
    """A number and its PIN."""

    number: Annotated[str, Field(min_length=1, max_length=64)]
    pin: Annotated[SecretStr, Field(min_length=1, max_length=64)]


class PersonCall(_Message):
    """Who is meant by a number?"""

    number: Number


class PersonShown(_Message):
    """What the page shows of a person.

    Args:
        surname: None for somebody whom this device does not know.
        face: whether a look is possible.
    """

    person: str
    masked: str
    surname: str | None
    face: bool


PurchaseId = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{16,64}$")]


class LookCall(_Message):
    """Look whether the buyer is who the number says."""

    purchase_id: PurchaseId
    buyer: Number


class PurchaseCall(_Message):
    """One purchase.

    Args:
        purchase_id: made by the page once; a repetition with the same id changes nothing.
        patient: whom the medicine is for.
        holder: whose account is to pay; the patient's when None.
        buyer: who is here; the patient when None.
        papers_seen: the clerk has seen the papers or cards of patient and buyer.
        way: how the buyer was identified.
        look_id: of the look that ended, if there was one.
        witness: who vouches.
        terminal_reference: what the insurer's terminal printed.
        reason: why nothing could be told.
    """

    purchase_id: PurchaseId
    patient: Number
    holder: Number | None = None
    buyer: Number | None = None
    relation: Relation = "self"
    basis: ProxyBasis = "self"
    papers_seen: bool = False
    way: Way
    look_id: Annotated[str, Field(max_length=64)] | None = None
    witness: PinCall | None = None
    terminal_reference: Annotated[str, Field(pattern=r"^[A-Za-z0-9._/-]{4,100}$")] | None = None
    reason: Literal["no_papers", "face_not_told", "refused", "device_fault"] | None = None


class PurchaseShown(_Message):
    """What became of a purchase: it always goes on."""

    purchase_id: str
    event_id: str
    identified: bool
