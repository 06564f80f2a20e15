"""From what a clerk enters to the event that is written; pure.

Nobody is turned away: what could not be told is written down as that, and the purchase goes on. A face that
was refused does not bar the other ways.
"""

from dataclasses import dataclass
from typing import Any

from renzheng.contracts.events import CounterData, Outcome, Pad
from renzheng.edge.counter.calls import PurchaseCall
from renzheng.edge.counter.errors import PurchaseRefusedError
from renzheng.edge.look.attendance import comparison_fields
from renzheng.edge.look.verdicts import Face, FaceVerdict

_LOOKED = {
    FaceVerdict.MATCH: Outcome.MATCH,
    FaceVerdict.NON_MATCH: Outcome.NON_MATCH,
    FaceVerdict.ATTACK_SUSPECTED: Outcome.ATTACK_SUSPECTED,
}


@dataclass(frozen=True, slots=True)
class People:
    """The ids of a purchase's people."""

    patient: str
    holder: str
    buyer: str


@dataclass(frozen=True, slots=True)
class Purchase:
    """What is known of one purchase.

    Args:
        call: as the page sent it.
        people: whom its numbers name.
        clerk_id: who is signed in.
        witness_id: whose PIN was right.
        face: how the look at the buyer ended; None without one.
    """

    call: PurchaseCall
    people: People
    clerk_id: str
    witness_id: str | None = None
    face: Face | None = None


def refuse_incomplete(call: PurchaseCall, people: People) -> None:
    """Refuse a purchase that does not say what it must.

    Raises:
        PurchaseRefusedError: which part is missing stands in `attributes["missing"]`.
    """
    own = call.relation == "self"
    missing = None
    if own != (people.buyer == people.patient):
        missing = "buyer"
    elif own != (call.basis == "self"):
        missing = "basis"
    elif call.way == "witness" and call.witness is None:
        missing = "witness"
    elif (call.way == "nhsa_terminal") != (call.terminal_reference is not None):
        missing = "terminal_reference"
    elif call.way == "face" and call.look_id is None:
        missing = "look"
    elif call.way == "document" and not call.papers_seen:
        missing = "papers"
    if missing is not None:
        raise PurchaseRefusedError(
            f"The purchase lacks its {missing}.",
            why="What is written down must say who bought, for whom, and how that was established.",
            do="Complete it, or choose that it could not be told: the purchase goes on either way.",
            missing=missing,
        )


def described(purchase: Purchase) -> dict[str, Any]:
    """Return the fields of `CounterData` that the purchase decides.

    A face that does not match leaves open who is here: the number was the buyer's word, so no id is written.
    """
    call, people, face = purchase.call, purchase.people, purchase.face
    outcome = _outcome(call, face)
    known = outcome in (Outcome.MATCH, Outcome.MANUAL)
    by_terminal = call.way == "nhsa_terminal"
    return {
        "purchase_id": call.purchase_id,
        "outcome": outcome,
        "pad": Pad.NOT_SHOWN if face is None or call.way != "face" else face.pad,
        "method": "face" if by_terminal else call.way,
        "source": "nhsa_terminal" if by_terminal else "counter" if call.way == "face" else "clerk",
        "clerk_id": purchase.clerk_id,
        "holder_id": people.holder,
        "buyer_id": people.buyer if known else None,
        "relation": call.relation,
        "basis": call.basis,
        "papers_shown": ("patient", "buyer") if call.papers_seen else (),
        "witness_id": purchase.witness_id,
        "terminal_reference": call.terminal_reference,
        "reason": _reason(call, face),
    }


def scores(face: Face | None, engine: str) -> dict[str, Any]:
    """Return what is written of the comparison."""
    return dict(comparison_fields(None if face is None else face.compared, engine))


def is_identified(data: CounterData) -> bool:
    """Whether it was established who bought, by what right."""
    right = data.relation == "self" or (data.basis != "not_shown" and len(data.papers_shown) > 1)
    return right and data.outcome in (Outcome.MATCH, Outcome.MANUAL)


def _outcome(call: PurchaseCall, face: Face | None) -> Outcome:
    if call.way == "face":
        return Outcome.NOT_ACQUIRED if face is None else _LOOKED.get(face.verdict, Outcome.NOT_ACQUIRED)
    return Outcome.NOT_ACQUIRED if call.way == "none" else Outcome.MANUAL


def _reason(call: PurchaseCall, face: Face | None) -> str | None:
    if call.reason is not None:
        return call.reason
    looked = face is not None and face.verdict is not FaceVerdict.MATCH
    return face.verdict.value if face is not None and looked else None
