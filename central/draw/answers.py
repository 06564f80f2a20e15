"""What became of each check: pure, from the draw, the answers and the leaves.

An answer counts until its round closes; of several the last one counts, and those that it overturns are kept
with it. No answer is *unanswered*, never absent. Who had been discharged, and central told, before the draw
is *void*: there was nobody to find. A discharge told between draw and answer stands apart: it voids nothing,
and is looked at on its own. One told after the answer, with an earlier hour, takes no absence back.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from renzheng.central.store.times import from_us
from renzheng.contracts.events import SpotCheckResult
from renzheng.contracts.rosters import Away


class RateCategory(StrEnum):
    """How a check counts in the in-bed rate."""

    PRESENT = "present"
    ABSENT = "absent"
    COVERED = "covered"
    MISMATCH = "identity_mismatch"
    REFUSED = "refused"
    UNANSWERED = "unanswered"
    DISCHARGED = "discharged_after_draw"
    OPEN = "open"
    VOID = "void"


@dataclass(frozen=True, slots=True)
class DrawnCheck:
    """One check as it was drawn; moments are microseconds since 1970.

    Args:
        away: the leaves that central knew of when it was drawn; None where that was not kept.
    """

    check_id: str
    round_id: str
    institution_id: str
    ward: str
    visit_id: str
    person_id: str
    purpose: str
    drawn_at: int
    due_at: int
    closes_at: int
    left_out: str | None = None
    device_id: str | None = None
    away: tuple[Away, ...] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer as a device gave it.

    Args:
        place: orders answers of the same moment: device and entry.
        received_at: when central had it; None where that was not kept.
    """

    check_id: str
    answered_at: int
    result: SpotCheckResult
    inspector_id: str | None
    place: tuple[str, int]
    received_at: int | None = None

    @property
    def offline_us(self) -> int:
        """How long it waited at the device before central had it."""
        return 0 if self.received_at is None else max(self.received_at - self.answered_at, 0)


@dataclass(frozen=True, slots=True)
class Discharge:
    """The end of a stay, and when central was told of it."""

    ended_at: int
    told_at: int


@dataclass(frozen=True, slots=True)
class SettledCheck:
    """A check, the answer that counts, how it counts, and earlier answers that it overturned."""

    check: DrawnCheck
    answer: Answer | None
    standing: RateCategory
    overturned: tuple[Answer, ...] = ()


def settle_checks(
    checks: Iterable[DrawnCheck],
    answers: Iterable[Answer],
    leaves: Mapping[tuple[str, str], Sequence[Away]],
    discharged: Mapping[tuple[str, str], Discharge],
    now_us: int,
) -> list[SettledCheck]:
    """Say how each check counts at a moment.

    Args:
        checks: as drawn.
        answers: every answer that came, in any order.
        leaves: recorded absences by institution and visit.
        discharged: the end of a stay by institution and visit, where it has one.
        now_us: until the round closes, a check without an answer is still open.
    """
    given: dict[str, list[Answer]] = {}
    closing = {check.check_id: check for check in checks}
    for answer in sorted(answers, key=lambda one: (one.answered_at, one.place)):
        check = closing.get(answer.check_id)
        if check is not None and check.due_at <= answer.answered_at <= check.closes_at:
            given.setdefault(answer.check_id, []).append(answer)
    settled = []
    for name, check in closing.items():
        mine = given.get(name, [])
        latest = mine[-1] if mine else None
        overturned = tuple(one for one in mine if latest and one.result is not latest.result)
        standing = _stand(check, latest, leaves, discharged, now_us)
        settled.append(SettledCheck(check, latest, standing, overturned))
    return settled


def _stand(
    check: DrawnCheck,
    answer: Answer | None,
    leaves: Mapping[tuple[str, str], Sequence[Away]],
    discharged: Mapping[tuple[str, str], Discharge],
    now_us: int,
) -> RateCategory:
    visit = (check.institution_id, check.visit_id)
    moment = check.closes_at if answer is None else answer.answered_at
    missing = answer is None or answer.result is SpotCheckResult.ABSENT
    end = discharged.get(visit)
    known_from = None if end is None else max(end.ended_at, end.told_at)
    if check.left_out is not None:
        return RateCategory.VOID
    if check.away is None and missing and known_from is not None and known_from <= check.drawn_at:
        return RateCategory.VOID
    if missing and known_from is not None and known_from <= moment:
        return RateCategory.DISCHARGED
    if answer is None:
        return RateCategory.OPEN if now_us <= check.closes_at else RateCategory.UNANSWERED
    if answer.result is SpotCheckResult.ABSENT and _was_covered(leaves.get(visit, ()), check, moment):
        return RateCategory.COVERED
    return _STANDS[answer.result]


def _was_covered(leaves: Sequence[Away], check: DrawnCheck, moment_us: int) -> bool:
    """Say whether a leave recorded before the check was drawn covers the moment of the answer.

    What was known at the draw decides: no later message, however it is dated, makes a leave of that time.
    One that was taken back since, or that has ended, no longer covers.
    """
    drawn, moment = from_us(check.drawn_at), from_us(moment_us)
    if check.away is None:
        return any(leave.recorded_at < drawn and leave.covers(moment) for leave in leaves)
    was_known = any(leave.covers(moment) for leave in check.away)
    return was_known and any(leave.covers(moment) for leave in leaves)


_STANDS = {
    SpotCheckResult.PRESENT: RateCategory.PRESENT,
    SpotCheckResult.ABSENT: RateCategory.ABSENT,
    SpotCheckResult.AWAY_APPROVED: RateCategory.COVERED,
    SpotCheckResult.IDENTITY_MISMATCH: RateCategory.MISMATCH,
    SpotCheckResult.REFUSED: RateCategory.REFUSED,
    SpotCheckResult.UNANSWERED: RateCategory.UNANSWERED,
}
