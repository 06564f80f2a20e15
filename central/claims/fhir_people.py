"""Patients as persons, and their links as two numbers of one person."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any

from renzheng.central.claims.fhir_nodes import FieldProblem, Resource, node, nodes, text
from renzheng.central.claims.fhir_references import Ids
from renzheng.central.claims.fhir_times import is_partial, read
from renzheng.central.claims.hl7_persons import DescribedPerson, People
from renzheng.central.claims.rejects import Problem, Reason, RowPlace, RowProblem, shown
from renzheng.central.claims.rows import Draft
from renzheng.central.claims.source import Item

DEATH = "Patient.deceasedDateTime"
SOURCES: Mapping[str, str] = {
    "person_id": "Patient.id",
    "birth_date": "Patient.birthDate",
    "death_date": DEATH,
}
_SEXES = {"male": "M", "female": "F"}
_LINKS = {"replaced-by", "replaces"}
_LONG_AGO = datetime(1900, 1, 1, tzinfo=UTC)


def read_patient(  # noqa: PLR0917 - what it is read with
    patient: Resource, url: str, ids: Ids, people: People, zone: tzinfo, place: RowPlace
) -> Iterator[Item]:
    """Keep what a Patient tells of a person; yield what is to be said, and numbers that gave way."""
    person_id = ids.of_person(patient, url)
    if not person_id:
        yield RowProblem("persons", place, Problem("Patient.id", Reason.MISSING))
        return
    problems: list[Problem] = []
    described = DescribedPerson(
        _SEXES.get(text(patient.get("gender")), "U"),
        _day("Patient.birthDate", patient.get("birthDate"), zone, Reason.PARTIAL_DATE, problems),
        _day(
            "Patient.deceasedDateTime",
            patient.get("deceasedDateTime"),
            zone,
            Reason.DEATH_NOT_DATED,
            problems,
        ),
    )
    if patient.get("deceasedBoolean") is True and not patient.get("deceasedDateTime"):
        problems.append(Problem("Patient.deceasedBoolean", Reason.DEATH_NOT_DATED))
    people.note(person_id, described, _updated(patient, zone), place)
    yield from (RowProblem("persons", place, problem) for problem in problems)
    yield from _links(patient, person_id, ids, place)


def _day(field: str, raw: Any, zone: tzinfo, partial: Reason, problems: list[Problem]) -> str | None:
    """Return a day, in the zone; one that is not told whole is left out and named."""
    try:
        moment = read(field, raw, zone)
    except FieldProblem as problem:
        reason = partial if is_partial(raw) else Reason.DESCRIPTION_NOT_READ
        problems.append(Problem(field, reason, problem.problem.value or shown(raw)))
        return None
    return moment.at.astimezone(zone).date().isoformat() if moment else None


def _updated(patient: Resource, zone: tzinfo) -> datetime:
    try:
        moment = read("meta.lastUpdated", node(patient.get("meta")).get("lastUpdated"), zone)
    except FieldProblem:
        return _LONG_AGO
    return moment.at if moment else _LONG_AGO


def _links(patient: Resource, person_id: str, ids: Ids, place: RowPlace) -> Iterator[Item]:
    """Yield numbers that gave way: `replaced-by` names the one that holds, `replaces` one that does not."""
    for link in nodes(patient.get("link")):
        other = ids.person(link.get("other"), patient)
        if link.get("type") in _LINKS and other and other != person_id:
            pair = (person_id, other) if link["type"] == "replaced-by" else (other, person_id)
            values = dict(zip(("person_id", "alias_of"), pair, strict=True))
            yield Draft(
                "person_aliases", place, values, {"person_id": "Patient.id", "alias_of": "Patient.link"}
            )
