"""What a check knows: the patient, the encounter, and lines at hand or of before; values only."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

DAY_US, HOUR_US = 86_400_000_000, 3_600_000_000
EPOCH = dt.date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Patient:
    """Who is treated; None where it is not known.

    Args:
        person_id: the insured person.
        sex: `M` or `F`.
        birth_day: days since 1970-01-01.
    """

    person_id: str
    sex: str | None = None
    birth_day: int | None = None


@dataclass(frozen=True, slots=True)
class Encounter:
    """Where and as what; None where it is not known.

    Args:
        institution_id: where.
        visit_id: the visit, as the institution numbers it.
        visit_type: `outpatient`, `inpatient` or `pharmacy`.
        insurance: `employee`, `resident`, `work_injury` or `maternity`.
        diagnoses: ICD codes.
        level: of the institution, 1 to 3.
    """

    institution_id: str
    visit_id: str
    visit_type: str | None = None
    insurance: str | None = None
    diagnoses: tuple[str, ...] = ()
    level: int | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One item that is ordered or was billed.

    Args:
        id: unique within its institution.
        code: national item code.
        quantity_e4: in ten-thousandths.
        amount_fen: in hundredths of a yuan.
        at_us: microseconds since 1970 by the institution's wall clock.
        institution_id, visit_id: where and in which visit.
        at_hand: it is asked about; else it is history.
        name: as the asking system calls it.
    """

    id: str
    code: str
    quantity_e4: int
    amount_fen: int
    at_us: int
    institution_id: str
    visit_id: str
    at_hand: bool = False
    name: str = ""

    @property
    def day(self) -> int:
        """Local service day, in days since 1970-01-01."""
        return self.at_us // DAY_US


def day_of(number: int) -> dt.date:
    """Return the date of a number of days since 1970-01-01."""
    return EPOCH + dt.timedelta(days=number)


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that a check looks at, with lines by item code.

    Args:
        patient, encounter: whom and where it is about.
        by_code: lines that count, oldest first, those of before too.
    """

    patient: Patient
    encounter: Encounter
    by_code: dict[str, list[Line]] = field(default_factory=dict)


def situation(
    patient: Patient, encounter: Encounter, at_hand: Iterable[Line], before: Iterable[Line]
) -> Situation:
    """Put lines together as they count.

    A line at hand that history has already (the same id at the same institution) counts once, as it is at
    hand. Of an id that comes again the last row counts. Lines of nothing count for nothing, and negative ones
    take back others of their code: of the same day first, then the latest before.
    """
    lines: dict[tuple[str, str], Line] = {}
    for line in (*before, *at_hand):
        lines[line.institution_id, line.id] = line
    grouped: dict[str, list[Line]] = defaultdict(list)
    for line in lines.values():
        grouped[line.code].append(line)
    return Situation(patient, encounter, {code: _net(found) for code, found in grouped.items()})


def _net(lines: Sequence[Line]) -> list[Line]:
    """Take negative lines off positive ones of one code, and leave out what is nothing then."""
    kept = sorted((one for one in lines if counts(one)), key=lambda one: (one.at_us, one.id))
    backs = sorted(
        (one for one in lines if one.quantity_e4 < 0), key=lambda one: (one.day, one.at_us, one.id)
    )
    if not backs:
        return kept
    latest_last = sorted(range(len(kept)), key=lambda at: (kept[at].day, kept[at].at_us, -at))
    open_at: dict[str, list[int]] = defaultdict(list)
    coming = 0
    for back in backs:
        while coming < len(latest_last) and kept[latest_last[coming]].day <= back.day:
            open_at[kept[latest_last[coming]].institution_id].append(latest_last[coming])
            coming += 1
        left, candidates = -back.quantity_e4, open_at[back.institution_id]
        while left and candidates:
            at = candidates[-1]
            taken = min(left, kept[at].quantity_e4)
            if taken:
                kept[at] = _reduced(kept[at], taken)
                left -= taken
            if not kept[at].quantity_e4:
                candidates.pop()
    return [one for one in kept if counts(one)]


def counts(line: Line) -> bool:
    """Return whether a line is of anything: a quantity, or, once billed, what is still paid."""
    return line.quantity_e4 > 0 or (line.quantity_e4 == 0 and line.amount_fen > 0 and not line.at_hand)


def _reduced(line: Line, taken_e4: int) -> Line:
    rest = line.quantity_e4 - taken_e4
    return replace(line, quantity_e4=rest, amount_fen=line.amount_fen * rest // line.quantity_e4)
