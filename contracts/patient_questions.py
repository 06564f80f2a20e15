"""What a patient is asked about one treatment that was billed, and what came of asking.

The bureau asks by telephone: *did you have dialysis at this institution on this day?* Three answers stand as
equals, and not to remember is one of them. A refusal, or nobody who could speak alone, is no answer. The
record is what central signs as an entry of the journal of questions; it is evidence beside one billed line
and is read by no rule, so that it alone never contradicts anything.
"""

from collections.abc import Sequence
from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Outcome = Literal["had", "had_not", "does_not_remember", "declined", "not_alone", "not_reached"]
ANSWERS: Sequence[Outcome] = ("had", "had_not", "does_not_remember")
"""What the patient has said of the day; equals."""
NO_ANSWERS: Sequence[Outcome] = ("declined", "not_alone", "not_reached")
"""The patient does not want to say, could be heard by others, or was not reached."""


class PatientQuestion(BaseModel):
    """A question about one day.

    Args:
        doubt_id: whose first line it is about.
        line_id: that line, at the institution.
        institution_id: who has billed it.
        service_day: the day that is asked about.
        reason: why it is asked, by whoever put it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    doubt_id: str = Field(min_length=1)
    line_id: str = Field(min_length=1)
    institution_id: str = Field(min_length=1)
    service_day: date
    reason: str = Field(min_length=1)


class PatientAnswered(BaseModel):
    """What came of one attempt to ask it.

    Args:
        doubt_id: of the question.
        way: how it was asked: by telephone, where only the caller and the patient hear it.
        alone: the patient has said that nobody of the institution hears them; without it there is no answer.
        outcome: one of `ANSWERS` or `NO_ANSWERS`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    doubt_id: str = Field(min_length=1)
    way: Literal["call"] = "call"
    alone: bool
    outcome: Outcome
