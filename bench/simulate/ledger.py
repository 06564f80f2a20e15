"""What a simulated county wrote down, and what the simulator alone knows: the truth of each line.

Times are whole seconds since the first simulated day's local midnight, in a zone of constant offset; they
become UTC instants when the tables are written. A day is ``seconds // DAY``.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

DAY, HOUR, MINUTE = 86_400, 3_600, 60


class Truth(StrEnum):
    """What a billed line really is: genuine, or the kind of fraud it was planted as."""

    GENUINE = "genuine"
    PHANTOM_DIALYSIS = "phantom_dialysis"
    HANG_BED = "hang_bed"
    IMPERSONATION = "impersonation"
    LENT_CARD = "lent_card"
    PADDED_SESSION = "padded_session"
    CAPACITY_PADDING = "capacity_padding"
    WITNESS_COLLUSION = "witness_collusion"
    AFTER_DEATH = "after_death"


@dataclass(frozen=True, slots=True)
class Event:
    """One attendance event, as the device recorded it."""

    event_id: str
    institution_id: str
    device_id: str
    person_id: str
    event_type: str
    purpose: str
    at: int
    received_at: int
    outcome: str
    pad: str
    score: float | None
    witness_id: str | None
    session_id: str | None
    clock_trusted: bool

    @property
    def verified(self) -> bool:
        """Match, bona fide and a trusted clock: what AUDIT calls verified."""
        return self.outcome == "match" and self.pad == "bona_fide" and self.clock_trusted


@dataclass(frozen=True, slots=True)
class MachineSession:
    """One run of a dialysis machine."""

    institution_id: str
    machine_id: str
    person_id: str | None
    start: int
    end: int


@dataclass(slots=True)
class Session:
    """One visit to a dialysis unit, as it happened, with whatever of it was recorded.

    Args:
        need_minutes: below this shown duration it is too short (half of what is prescribed).
    """

    institution_id: str
    person_id: str
    need_minutes: float
    sign_in: Event | None = None
    sign_out: Event | None = None
    presences: list[Event] = field(default_factory=list)
    machines: list[MachineSession] = field(default_factory=list)

    @property
    def machines_named(self) -> list[MachineSession]:
        """The machine's runs that name the person."""
        return [run for run in self.machines if run.person_id == self.person_id]


@dataclass(frozen=True, slots=True)
class Leave:
    """One approved absence."""

    visit_id: str
    institution_id: str
    person_id: str
    kind: str
    left_at: int
    due_back_at: int
    returned_at: int | None
    approved_by: str
    recorded_at: int

    @property
    def end(self) -> int:
        """When it ended, or should have."""
        return self.due_back_at if self.returned_at is None else self.returned_at


@dataclass(frozen=True, slots=True)
class Check:
    """One bedside check."""

    check_id: str
    round_id: str
    institution_id: str
    visit_id: str
    person_id: str
    drawn_at: int
    due_at: int
    answered_at: int | None
    result: str
    inspector_id: str


@dataclass(slots=True)
class Stay:
    """One inpatient stay; `discharged_at` is None when it outlasts the simulation."""

    visit_id: str
    institution_id: str
    person_id: str
    admitted_at: int
    discharged_at: int | None
    department: str
    ward: str
    bed: str


@dataclass(slots=True)
class Line:
    """One billed line with its truth.

    Args:
        session: the session it bills, where there was one that no other line of its class has.
        taken: whether the person had a session there that another line of the class bills.
        dropped: whether a reversal took the whole line back, so that it gets no verdict.
        bundle: of a line that bills several sessions at once, those of them that took place.
        bed_days: of a bed line, the days that it bills; empty: the day of its own time.
        name: the item's name as billed, where it is not the usual one; empty when left blank.
    """

    line_id: str
    institution_id: str
    visit_id: str
    person_id: str
    visit_type: str
    item: str
    at: int
    quantity: float
    cents: int
    truth: Truth
    reverses: str | None = None
    session: Session | None = None
    taken: bool = False
    dropped: bool = False
    doctor_id: str | None = None
    department: str | None = None
    bundle: tuple[Session, ...] = ()
    bed_days: tuple[int, ...] = ()
    name: str | None = None


class Ledger:
    """Everything that was written down, in the order in which it was made."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.machines: list[MachineSession] = []
        self.leaves: list[Leave] = []
        self.checks: list[Check] = []
        self.stays: list[Stay] = []
        self.lines: list[Line] = []
        self.renumbered: list[tuple[str, str, int]] = []
        """Old number, new number, since when."""
        self.prescriptions: list[tuple[Any, ...]] = []
        self._numbers: dict[str, int] = defaultdict(int)
        self._stay_days: set[tuple[str, int]] = set()

    def number(self, prefix: str) -> str:
        """Give the next id with a prefix."""
        self._numbers[prefix] += 1
        return f"{prefix}{self._numbers[prefix]:07d}"

    def is_inpatient(self, person_id: str, at: int) -> bool:
        """Whether a stay of the person is on the books on the day of a moment."""
        if not self._stay_days:
            for stay in self.stays:
                last = stay.admitted_at + 60 * DAY if stay.discharged_at is None else stay.discharged_at
                self._stay_days.update(
                    (stay.person_id, day) for day in range(stay.admitted_at // DAY, last // DAY + 1)
                )
        return (person_id, at // DAY) in self._stay_days
