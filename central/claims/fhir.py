"""FHIR R4 (Encounter, Claim, Procedure, Patient), as bundles, arrays or a resource a line.

An inpatient Encounter is a stay; its stretches on leave (`statusHistory`) are leaves. A Claim's items are
claim lines; one without a serviced time takes that of the Procedure it points at (`procedureSequence`), else
the claim's billable period. A Procedure adds no row of its own: a hospital's record of a session is what is
audited, not a second witness of it.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from decimal import Decimal
from typing import Any

from renzheng.central.claims.hl7_fields import UNSTATED
from renzheng.central.claims.json_stream import read_values
from renzheng.central.claims.nhsa_lines import join_id
from renzheng.central.claims.rejects import Place, Problem, Reason, Remark, shown
from renzheng.central.claims.rows import Draft, ZoneOf
from renzheng.central.claims.source import Advance, Ignored, InputFile, Item, Options
from renzheng.central.claims.stay_events import StayEvent, StayEventKind
from renzheng.central.claims.values import ValueProblem, read_id, read_time

_INPATIENT = {"IMP", "ACUTE", "NONAC", "SS"}
_NOT_REAL = {"cancelled", "entered-in-error", "planned", "draft"}
_SEXES = {"male": "M", "female": "F"}
_REMEMBERED = 200_000
Resource = Mapping[str, Any]


class FhirSource:
    """FHIR R4 resources."""

    tables: Sequence[str] = ("claim_lines", "stays", "leaves", "persons")
    sources: Mapping[str, str] = {"line_id": "Claim.item.sequence"}

    def __init__(self, options: Options) -> None:
        self._options = options

    def check(self, files: Sequence[InputFile]) -> list[InputFile]:
        """Nothing to see beforehand: every resource says itself what it is."""
        return list(files)

    def read(self, file: InputFile, zone_of: ZoneOf, advance: Advance) -> Iterator[Item]:
        """Read one file; references are resolved within a bundle, or to what stood before in the file."""
        known: dict[str, Resource] = {}
        for line, value in read_values(file.path, encoding=self._options.encoding, advance=advance):
            place = Place(file.name, line)
            if not isinstance(value, dict):
                reason = value if isinstance(value, Reason) else Reason.NOT_PARSABLE
                yield Remark("claim_lines", place, Problem("", reason))
                continue
            resources = list(_resources(value))
            if value.get("resourceType") == "Bundle" or len(known) > _REMEMBERED:
                known.clear()
            for url, resource in resources:
                if resource.get("resourceType") in {"Procedure", "Encounter"}:
                    known.update(dict.fromkeys((url, _name(resource)), resource))
            reader = _Reader(place, known, self._options.institution, zone_of)
            for _, resource in resources:
                yield from reader.items(resource)


def _resources(value: Resource) -> Iterator[tuple[str, Resource]]:
    """Yield the resources of a bundle, each with its full URL; of anything else, itself."""
    if value.get("resourceType") != "Bundle":
        yield "", value
        return
    for entry in _list(value.get("entry")):
        resource = entry.get("resource")
        if isinstance(resource, dict):
            yield str(entry.get("fullUrl") or ""), resource


def _name(resource: Resource) -> str:
    return f"{resource.get('resourceType')}/{resource.get('id')}"


def _list(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _first(value: Any) -> dict[str, Any]:
    return next(iter(_list(value)), {})


def _id_of(reference: Any) -> str:
    """Give the bare id of a reference: behind the last slash, or the last colon of a URN."""
    text = str(_dict(reference).get("reference") or "")
    if not text:
        return str(_dict(_dict(reference).get("identifier")).get("value") or "")
    return (
        text.split("/_history", maxsplit=1)[0].rsplit("/", 1)[-1].rsplit("|", 1)[-1].removeprefix("urn:uuid:")
    )


def _code(concept: Any) -> str:
    return str(_first(_dict(concept).get("coding")).get("code") or _dict(concept).get("text") or "")


def _words(concept: Any) -> str:
    coding = _first(_dict(concept).get("coding"))
    return str(_dict(concept).get("text") or coding.get("display") or coding.get("code") or "")


class _Reader:
    """Reads the resources of one place."""

    def __init__(
        self, place: Place, known: Mapping[str, Resource], institution: str | None, zone_of: ZoneOf
    ) -> None:
        self._place = place
        self._known = known
        self._institution = institution
        self._zone_of = zone_of

    def items(self, resource: Resource) -> Iterator[Item]:
        """Give what a resource brings."""
        kind = resource.get("resourceType")
        if kind in {"Encounter", "Claim"} and resource.get("status") in _NOT_REAL:
            yield Ignored(f"{kind} {resource.get('status')}")
        elif kind == "Encounter":
            yield from self._encounter(resource)
        elif kind == "Claim":
            yield from self._claim(resource)
        elif kind == "Patient":
            yield self._patient(resource)
        elif kind == "Procedure":
            return
        elif isinstance(kind, str):
            yield Ignored(kind)
        else:
            yield Remark("claim_lines", self._place, Problem("resourceType", Reason.UNKNOWN_MESSAGE))

    def _patient(self, resource: Resource) -> Draft:
        died = resource.get("deceasedDateTime")
        values = {
            "person_id": resource.get("id"),
            "sex": _SEXES.get(str(resource.get("gender")), "U"),
            "birth_date": resource.get("birthDate"),
            "death_date": None if died is None else str(died)[:10],
        }
        sources = {
            "person_id": "Patient.id",
            "birth_date": "Patient.birthDate",
            "death_date": "Patient.deceasedDateTime",
        }
        return Draft("persons", self._place, values, sources)

    def _encounter(self, resource: Resource) -> Iterator[Item]:
        if _dict(resource.get("class")).get("code") not in _INPATIENT:
            yield Ignored(f"Encounter {_dict(resource.get('class')).get('code')}")
            return
        try:
            yield from self._stay(resource)
        except _FieldProblem as problem:
            yield Remark("stays", self._place, problem.problem)

    def _stay(self, resource: Resource) -> list[Item]:
        institution_id = self._id(
            "Encounter.serviceProvider", _id_of(resource.get("serviceProvider")) or self._institution
        )
        zone = self._zone_of(institution_id)
        period = _dict(resource.get("period"))
        admitted_at = _time("Encounter.period.start", period.get("start"), zone)
        if admitted_at is None:
            raise _FieldProblem(Problem("Encounter.period.start", Reason.MISSING))
        updated = _time("meta.lastUpdated", _dict(resource.get("meta")).get("lastUpdated"), zone)
        recorded_at = updated or admitted_at
        visit_id = self._id("Encounter.id", resource.get("id"))
        person_id = self._id("Encounter.subject", _id_of(resource.get("subject")))
        doctor = _id_of(_dict(_first(resource.get("participant")).get("individual"))) or UNSTATED

        def event(kind: StayEventKind, at: datetime, **told: Any) -> StayEvent:
            return StayEvent(
                self._place,
                kind,
                institution_id,
                visit_id,
                person_id,
                at,
                recorded_at,
                approved_by=doctor,
                **told,
            )

        ward, bed = _location(resource)
        snapshot = event(
            StayEventKind.SNAPSHOT,
            admitted_at,
            admitted_at=admitted_at,
            discharged_at=_time("Encounter.period.end", period.get("end"), zone),
            department=_words(resource.get("serviceType")) or None,
            ward=ward,
            bed=bed,
        )
        events: list[Item] = [snapshot]
        for stretch in _list(resource.get("statusHistory")):
            if stretch.get("status") != "onleave":
                continue
            away = _dict(stretch.get("period"))
            left = _time("Encounter.statusHistory.period.start", away.get("start"), zone)
            back = _time("Encounter.statusHistory.period.end", away.get("end"), zone)
            if left is None:
                raise _FieldProblem(Problem("Encounter.statusHistory.period.start", Reason.MISSING))
            events.append(event(StayEventKind.LEAVE, left))
            if back is not None:
                events.append(event(StayEventKind.RETURN, back))
        return events

    def _id(self, field: str, raw: Any) -> str:
        try:
            return read_id("" if raw is None else raw)
        except ValueProblem as problem:
            raise _FieldProblem(Problem(field, problem.reason, shown(raw or ""))) from None

    def _claim(self, resource: Resource) -> Iterator[Item]:
        items = _list(resource.get("item"))
        if not items:
            yield Ignored("Claim without items")
        for item in items:
            yield self._line(resource, item)

    def _line(self, claim: Resource, item: Resource) -> Draft:
        encounter = self._encounter_of(claim, item)
        institution = self._institution_of(claim, encounter)
        sequence = item.get("sequence")
        quantity = _dict(item.get("quantity")).get("value", 1)
        values = {
            "line_id": join_id(institution, str(claim.get("id") or ""), str(sequence))
            if institution and claim.get("id") and sequence is not None
            else None,
            "institution_id": institution,
            "visit_id": _id_of(_first(item.get("encounter")))
            or _id_of(self._claims_encounter(claim))
            or claim.get("id"),
            "person_id": _id_of(claim.get("patient")),
            "visit_type": _visit_type(claim, encounter),
            "item_code": _code(item.get("productOrService")),
            "item_name": _words(item.get("productOrService")),
            "service_time": self._serviced(claim, item),
            "quantity": quantity,
            "amount": _amount(item, quantity),
            "doctor_id": _id_of(_dict(_first(claim.get("careTeam")).get("provider"))) or None,
        }
        return Draft("claim_lines", self._place, values, _line_sources(sequence))

    def _claims_encounter(self, claim: Resource) -> Any:
        """Give the reference to the encounter that any item of the claim names."""
        named = (_first(item.get("encounter")) for item in _list(claim.get("item")))
        return next((one for one in named if one), {})

    def _encounter_of(self, claim: Resource, item: Resource) -> Resource:
        reference = _first(item.get("encounter")) or self._claims_encounter(claim)
        return self._resolve(reference)

    def _resolve(self, reference: Any) -> Resource:
        return self._known.get(str(_dict(reference).get("reference") or ""), {})

    def _institution_of(self, claim: Resource, encounter: Resource) -> str | None:
        for reference in (claim.get("facility"), claim.get("provider")):
            if "Practitioner" not in str(_dict(reference).get("reference") or "") and _id_of(reference):
                return _id_of(reference)
        return _id_of(encounter.get("serviceProvider")) or self._institution

    def _serviced(self, claim: Resource, item: Resource) -> Any:
        procedures = {
            one.get("sequence"): self._resolve(one.get("procedureReference"))
            for one in _list(claim.get("procedure"))
        }
        named = item.get("procedureSequence")
        linked = [procedures.get(number, {}) for number in named] if isinstance(named, list) else []
        candidates = [
            _dict(item.get("servicedPeriod")).get("start"),
            item.get("servicedDate"),
            *(
                _dict(one.get("performedPeriod")).get("start") or one.get("performedDateTime")
                for one in linked
            ),
            _dict(claim.get("billablePeriod")).get("start"),
            claim.get("created"),
        ]
        return next((one for one in candidates if one), None)


class _FieldProblem(Exception):  # noqa: N818 - a finding about one field of one resource
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.field)
        self.problem = problem


def _time(field: str, raw: Any, zone: tzinfo) -> datetime | None:
    if raw is None:
        return None
    try:
        return read_time(str(raw), zone)
    except ValueProblem as problem:
        raise _FieldProblem(Problem(field, problem.reason, shown(raw))) from None


def _location(resource: Resource) -> tuple[str | None, str | None]:
    """Give ward and bed: the last location of each kind that is not over before the others begin."""
    ward = bed = None
    for entry in sorted(
        _list(resource.get("location")), key=lambda one: str(_dict(one.get("period")).get("start") or "")
    ):
        location = _dict(entry.get("location"))
        name = str(location.get("display") or _id_of(location)) or None
        if _code(entry.get("physicalType")) in {"wa", "wi"}:
            ward = name
        else:
            bed = name
    return ward, bed


def _visit_type(claim: Resource, encounter: Resource) -> str:
    kind = _code(claim.get("type"))
    if kind == "pharmacy":
        return "pharmacy"
    if encounter:
        return "inpatient" if _dict(encounter.get("class")).get("code") in _INPATIENT else "outpatient"
    return "inpatient" if kind == "institutional" else "outpatient"


def _amount(item: Resource, quantity: Any) -> Any:
    net = _dict(item.get("net")).get("value")
    unit = _dict(item.get("unitPrice")).get("value")
    if net is None and unit is not None:
        return Decimal(str(unit)) * Decimal(str(quantity))
    return net


def _line_sources(sequence: Any) -> Mapping[str, str]:
    item = f"Claim.item[{sequence}]"
    return {
        "line_id": f"{item}.sequence",
        "institution_id": "Claim.provider",
        "visit_id": f"{item}.encounter",
        "person_id": "Claim.patient",
        "item_code": f"{item}.productOrService",
        "item_name": f"{item}.productOrService",
        "service_time": f"{item}.servicedPeriod",
        "quantity": f"{item}.quantity",
        "amount": f"{item}.net",
    }
