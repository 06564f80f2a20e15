"""Encounters as stay events.

An inpatient Encounter is a stay, its stretches on leave (`statusHistory`) are leaves. Where `classHistory`
tells when the patient became an inpatient, the stay begins then. An Encounter that is `partOf` another is no
stay of its own.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from renzheng.central.claims.fhir_nodes import (
    FieldProblem,
    Resource,
    classes,
    code,
    first,
    node,
    nodes,
    text,
    words,
)
from renzheng.central.claims.fhir_references import Ids
from renzheng.central.claims.fhir_times import read, span
from renzheng.central.claims.hl7_fields import UNSTATED
from renzheng.central.claims.rejects import Problem, Reason, RowPlace, RowProblem, shown
from renzheng.central.claims.rows import ZoneOf
from renzheng.central.claims.source import Ignored, Item
from renzheng.central.claims.stay_events import StayEvent, StayEventKind
from renzheng.central.claims.values import ValueProblem, read_id
from renzheng.contracts.ids import normalised_id

INPATIENT = frozenset({"IMP", "ACUTE", "NONAC", "SS"})
"""Codes of v3 ActEncounterCode for an inpatient."""
_NEVER_WAS = frozenset({"cancelled", "entered-in-error"})
_NOT_THERE = frozenset({"planned", "reserved"})


class Stays:
    """Reads encounters."""

    def __init__(self, ids: Ids, zone_of: ZoneOf) -> None:
        self._ids = ids
        self._zone_of = zone_of

    def items(self, encounter: Resource, place: RowPlace) -> Iterator[Item]:
        """Yield what an encounter brings."""
        told = classes(encounter)
        was_inpatient = any(_is_inpatient(one) for one in nodes(encounter.get("classHistory")))
        if not (told & INPATIENT or was_inpatient):
            yield Ignored(f"Encounter {' '.join(sorted(told)) or None}")
        elif encounter.get("status") == "planned":
            yield Ignored("Encounter planned")
        else:
            try:
                yield from _Stay(encounter, self._ids, self._zone_of, place).events()
            except FieldProblem as problem:
                yield RowProblem("stays", place, problem.problem, self._known(encounter))

    def _known(self, encounter: Resource) -> dict[str, object]:
        return {
            "institution_id": self._ids.institution(encounter.get("serviceProvider"), encounter),
            "person_id": self._ids.person(encounter.get("subject"), encounter),
            "visit_id": text(encounter.get("id")),
        }


class _Stay:
    """One encounter with the stay that it belongs to."""

    def __init__(self, encounter: Resource, ids: Ids, zone_of: ZoneOf, place: RowPlace) -> None:
        self._encounter, self._ids, self._place = encounter, ids, place
        provider = ids.institution(encounter.get("serviceProvider"), encounter) or ids.usual_institution
        self._institution_id = _id("Encounter.serviceProvider", provider)
        self._zone = zone_of(self._institution_id)
        self._visit_id = _id("Encounter.id", ids.root(encounter)[0])
        self._person_id = _id("Encounter.subject", ids.person(encounter.get("subject"), encounter))
        self._start, self._end = self._period()
        updated = read("meta.lastUpdated", node(encounter.get("meta")).get("lastUpdated"), self._zone)
        self._recorded_at = updated.at if updated else self._start
        participant = first(encounter.get("participant"))
        actor = participant.get("individual") or participant.get("actor")  # R4, R5
        self._doctor = ids.plain(actor, "Practitioner", encounter) or UNSTATED

    def events(self) -> Iterator[Item]:
        """Yield the stay and its leaves."""
        if self._encounter.get("status") in _NEVER_WAS:
            yield self._event(StayEventKind.VOID, self._start)
            return
        ward, bed = _location(self._encounter, self._ids)
        where = {"department": _service(self._encounter) or None, "ward": ward, "bed": bed}
        if node(self._encounter.get("partOf")):
            yield self._event(StayEventKind.PART, self._start, **where)
        else:
            ends = {"admitted_at": self._start, "discharged_at": self._end}
            yield self._event(StayEventKind.SNAPSHOT, self._start, **ends, **where)
        yield from self._leaves()

    def _leaves(self) -> Iterator[Item]:
        for stretch in nodes(self._encounter.get("statusHistory")):
            if stretch.get("status") == "onleave":
                left, back = span("Encounter.statusHistory.period", stretch.get("period"), self._zone)
                if left is None:
                    raise FieldProblem(Problem("Encounter.statusHistory.period.start", Reason.MISSING))
                yield self._event(StayEventKind.LEAVE, left)
                if back is not None:
                    yield self._event(StayEventKind.RETURN, back)

    def _period(self) -> tuple[datetime, datetime | None]:
        """Return when the stay began and ended: as an inpatient, where the history of classes tells it."""
        period = self._encounter.get("period") or self._encounter.get("actualPeriod")  # R4, R5
        start, end = span("Encounter.period", period, self._zone)
        stretches = [
            span("Encounter.classHistory.period", one.get("period"), self._zone)
            for one in nodes(self._encounter.get("classHistory"))
            if _is_inpatient(one)
        ]
        begun = [began for began, _ in stretches if began is not None]
        start = min(begun) if begun else start
        if stretches and not classes(self._encounter) & INPATIENT:
            end = max((over for _, over in stretches if over is not None), default=end)
        if start is None:
            raise FieldProblem(Problem("Encounter.period.start", Reason.MISSING))
        return start, end

    def _event(self, kind: StayEventKind, at: datetime, **told: Any) -> StayEvent:
        return StayEvent(
            self._place,
            kind,
            self._institution_id,
            self._visit_id,
            self._person_id,
            at,
            self._recorded_at,
            approved_by=self._doctor,
            **told,
        )


def _is_inpatient(stretch: Resource) -> bool:
    return bool(classes(stretch) & INPATIENT)


def _id(field: str, raw: str | None) -> str:
    try:
        return normalised_id(read_id(raw or ""))
    except ValueProblem as problem:
        raise FieldProblem(Problem(field, problem.reason, shown(raw or ""))) from None


def _service(encounter: Resource) -> str:
    """Return the department: a CodeableConcept in R4, a list of CodeableReference in R5."""
    service = first(encounter.get("serviceType"))
    return words(node(service.get("concept")) or service)


def _location(encounter: Resource, ids: Ids) -> tuple[str | None, str | None]:
    """Return ward and bed: the last location of each kind that is not over before the others begin."""
    ward = bed = None
    stretches = [one for one in nodes(encounter.get("location")) if one.get("status") not in _NOT_THERE]
    for entry in sorted(stretches, key=lambda one: str(node(one.get("period")).get("start") or "")):
        location = entry.get("location")
        found = ids.resolve(location, "Location", encounter)
        name = (
            text(node(location).get("display"))
            or text(found.get("name"))
            or ids.plain(location, "Location", encounter)
        )
        kind = next(
            (told for one in (entry, found) if (told := code(one.get("physicalType") or one.get("form")))), ""
        )
        if kind in {"wa", "wi"}:
            ward = name or None
        else:
            bed = name or None
    return ward, bed
