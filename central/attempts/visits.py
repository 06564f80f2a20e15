"""From the recorded attempts of a kiosk to visits; pure.

Every try leaves an event: an `identity_check` where it did not sign the patient in, a `sign_in` or `sign_out`
at the end, by face or by the other way. The events of one person that follow one another on one device are a
visit, which ends with a sign-in or sign-out, with somebody else's event, or after `VISIT_MS` without one.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from renzheng.contracts.events import Outcome

VISIT_MS = 10 * 60_000
"""Whoever comes back later than this begins a new visit; a kiosk's screen is cleared far sooner."""
KINDS = ("sign_in", "sign_out", "identity_check")
"""The kinds of events that are attempts at a kiosk; a presence has no tries."""
_OTHER_WAY = (Outcome.MANUAL.value, Outcome.DECLINED.value)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One recorded event.

    Args:
        device_id: whose log it is from.
        institution_id: where that device stands.
        person_id: under whose number it was made.
        at_us: when, in microseconds since 1970.
        kind: one of `KINDS`.
        outcome: a value of `Outcome`.
        engine: name and model of the face engine; None where nothing was compared.
        decision_ms: from the first usable face to the decision; None where there was none.
        boot_id: within which `monotonic_ms` is comparable.
        monotonic_ms: when it was recorded, on the device's boot clock.
    """

    device_id: str
    institution_id: str
    person_id: str
    at_us: int
    kind: str
    outcome: str
    engine: str | None
    decision_ms: int | None
    boot_id: str
    monotonic_ms: int

    @property
    def ends(self) -> bool:
        """Whether a visit ends with it."""
        return self.kind != "identity_check"

    @property
    def is_try(self) -> bool:
        """Whether the camera was tried."""
        return self.outcome not in _OTHER_WAY


@dataclass(frozen=True, slots=True)
class Visit:
    """One visit of one person to one device.

    Args:
        institution_id: where the device stands.
        person_id: under whose number.
        at_us: when it ended.
        engine: of the device at that time; None where it never compared anything.
        tries: how often the camera was tried.
        green: the face signed the person in or out.
        other_way: a witness did.
        green_ms: from the first usable face of the first try to the written sign-in; where the first try
            found no usable face, from that try's end. None without green, or where the device started anew.
    """

    institution_id: str
    person_id: str
    at_us: int
    engine: str | None
    tries: int
    green: bool
    other_way: bool
    green_ms: int | None

    @property
    def failed(self) -> bool:
        """Whether the camera was tried and did not sign the person in, however the visit ended."""
        return self.tries > 0 and not self.green

    @property
    def again(self) -> bool:
        """Whether the first try did not sign the person in."""
        return self.tries > 0 and not (self.green and self.tries == 1)


def visits(attempts: Iterable[Attempt]) -> Iterator[Visit]:
    """Put attempts together to visits.

    Args:
        attempts: by device, and of each device in the order of its log.
    """
    for _, of_device in groupby(attempts, key=lambda one: one.device_id):
        yield from _with_engines([_visit(parts) for parts in _parted(of_device)])


def _parted(attempts: Iterable[Attempt]) -> Iterator[Sequence[Attempt]]:
    parts: list[Attempt] = []
    for one in attempts:
        if parts and not _goes_on(parts[-1], one):
            yield parts
            parts = []
        parts.append(one)
    if parts:
        yield parts


def _goes_on(before: Attempt, after: Attempt) -> bool:
    """Whether an attempt belongs to the visit of the one before it."""
    if before.ends or before.person_id != after.person_id:
        return False
    return 0 <= _between_ms(before, after) <= VISIT_MS


def _between_ms(before: Attempt, after: Attempt) -> int:
    if before.boot_id == after.boot_id:
        return after.monotonic_ms - before.monotonic_ms
    return (after.at_us - before.at_us) // 1000


def _visit(parts: Sequence[Attempt]) -> Visit:
    first, last = parts[0], parts[-1]
    green = last.ends and last.outcome == Outcome.MATCH.value
    return Visit(
        institution_id=last.institution_id,
        person_id=last.person_id,
        at_us=last.at_us,
        engine=next((one.engine for one in reversed(parts) if one.engine), None),
        tries=sum(one.is_try for one in parts),
        green=green,
        other_way=last.outcome in _OTHER_WAY,
        green_ms=_green_ms(first, last) if green else None,
    )


def _green_ms(first: Attempt, last: Attempt) -> int | None:
    if last.decision_ms is None or first.boot_id != last.boot_id:
        return None
    return (first.decision_ms or 0) + last.monotonic_ms - first.monotonic_ms


def _with_engines(found: Sequence[Visit]) -> Iterator[Visit]:
    """Name the engine of visits in which nothing was compared: the device's, as before or else after."""
    engine = next((one.engine for one in found if one.engine), None)
    for one in found:
        engine = one.engine or engine
        yield one if one.engine else replace(one, engine=engine)
