"""Today's inpatients of one institution, as central tells its devices and as a file carries them.

Cameras identify against this list and against nobody else; the bedside page shows names from it.
"""

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from renzheng.contracts.errors import InputError
from renzheng.contracts.events import Text, UtcDatetime
from renzheng.contracts.once import read_once

LeaveKind = Literal["leave", "examination", "transfer"]


class RosterError(InputError):
    """A roster cannot be read."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Away(_Part):
    """A recorded absence of an inpatient: a formal leave, an examination elsewhere, a transfer.

    Args:
        recorded_at: when somebody wrote it down; only what was recorded before a check was drawn is *prior*.
    """

    kind: LeaveKind
    left_at: UtcDatetime
    due_back_at: UtcDatetime | None = None
    returned_at: UtcDatetime | None = None
    recorded_at: UtcDatetime

    @model_validator(mode="after")
    def _ordered(self) -> "Away":
        if self.returned_at is not None and self.returned_at < self.left_at:
            raise ValueError("returned_at is before left_at")
        return self

    def covers(self, moment: datetime) -> bool:
        """Whether the absence covers a moment: until the return, else until it was due, else open-ended."""
        end = self.returned_at or self.due_back_at
        return self.left_at <= moment and (end is None or moment < end)


class Inpatient(_Part):
    """One open stay; the bed is where to walk to, never an identifier (WS/T 840)."""

    visit_id: Text
    person_id: Text
    surname: Annotated[str, Field(max_length=40)] = ""
    masked_number: Annotated[str, Field(max_length=40)] = ""
    ward: Text
    bed: Annotated[str, Field(max_length=40)] = ""
    admitted_at: UtcDatetime
    away: tuple[Away, ...] = ()


class InpatientRoster(_Part):
    """Everybody with an open stay at one institution on one local day."""

    version: Literal[1] = 1
    institution_id: Text
    day: date
    made_at: UtcDatetime
    patients: tuple[Inpatient, ...] = ()

    @model_validator(mode="after")
    def _distinct(self) -> "InpatientRoster":
        visits = [patient.visit_id for patient in self.patients]
        if len(set(visits)) != len(visits):
            raise ValueError("a visit stands in it twice")
        return self

    def of_ward(self, ward: str) -> tuple[Inpatient, ...]:
        """The inpatients of one ward."""
        return tuple(patient for patient in self.patients if patient.ward == ward)


def read_roster(content: bytes) -> InpatientRoster:
    """Read a roster's JSON.

    Raises:
        RosterError: the fields at fault are named, never their values, which are personal.
    """
    try:
        return read_once(InpatientRoster, content)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)[:5]
        places = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'roster'}: {one['msg']}" for one in found)
        raise RosterError(
            f"This is no roster of inpatients: {places}.",
            why="Nobody is looked for by a list that may be another ward's.",
            do="Fetch it again; the list used so far stays.",
        ) from None
