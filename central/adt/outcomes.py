"""What can become of a message, row or form about a stay; each has a name, none is lost."""

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What became of it. Whatever is `kept` stands in the journal and counts once it fits."""

    TAKEN = "taken"
    REPEATED = "repeated"
    IGNORED = "ignored"
    NO_ADMISSION = "no_admission"
    OUT_OF_SEQUENCE = "out_of_sequence"
    NOTHING_TO_CANCEL = "nothing_to_cancel"
    BED_TAKEN = "bed_taken"
    END_BEFORE_START = "end_before_start"
    LEAVE_AFTER_DRAW = "leave_after_draw"
    UNKNOWN_INSTITUTION = "unknown_institution"
    REJECTED = "rejected"
    FOREIGN_CALLER = "foreign_caller"
    UNREADABLE = "unreadable"
    FRAMING = "framing"

    @property
    def kept(self) -> bool:
        """Whether it stands in the journal of stays."""
        return self not in _NOT_KEPT

    @property
    def code(self) -> str:
        """The code of HL7's acknowledgement: AA taken, AE its content is at fault, AR it cannot be read."""
        return _CODES.get(self, "AA")


_NOT_KEPT = frozenset(
    {
        Outcome.REPEATED,
        Outcome.IGNORED,
        Outcome.UNKNOWN_INSTITUTION,
        Outcome.REJECTED,
        Outcome.FOREIGN_CALLER,
        Outcome.UNREADABLE,
        Outcome.FRAMING,
    }
)
_CODES = {
    Outcome.UNKNOWN_INSTITUTION: "AE",
    Outcome.REJECTED: "AE",
    Outcome.FOREIGN_CALLER: "AE",
    Outcome.UNREADABLE: "AR",
    Outcome.FRAMING: "AR",
}


@dataclass(frozen=True, slots=True)
class Ending:
    """An outcome with what there is to say of it: fields and reasons, never values."""

    outcome: Outcome
    detail: str = ""
