"""FHIR R4 and R5 (Encounter, Claim, ExplanationOfBenefit, Procedure, Patient), as bundles, arrays or lines.

An inpatient Encounter is a stay (`fhir_stays`), a Claim's items are claim lines (`fhir_claims`), a Patient is
a person (`fhir_people`). A Procedure adds no row of its own: a hospital's record of a session is what is
audited, not a second witness of it; it only tells a line's time.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from renzheng.central.claims.fhir_claims import BILLS, Claims, claim_id_of
from renzheng.central.claims.fhir_nodes import FieldProblem, Resource, node, nodes, resources_of, text
from renzheng.central.claims.fhir_people import SOURCES, read_patient
from renzheng.central.claims.fhir_references import Ids, Known, tail
from renzheng.central.claims.fhir_stays import Stays
from renzheng.central.claims.fhir_times import read
from renzheng.central.claims.hl7_persons import People
from renzheng.central.claims.json_stream import read_values
from renzheng.central.claims.mapping_file import FhirSettings, read_settings
from renzheng.central.claims.rejects import Problem, Reason, RowPlace, RowProblem
from renzheng.central.claims.repeated_keys import RepeatedKeys, holds_twice
from renzheng.central.claims.rows import Draft, ZoneOf
from renzheng.central.claims.source import Advance, Ignored, InputFile, Item, Options
from renzheng.contracts.ids import normalised_id

_POINTED_AT = ("Organization", "Location", "Practitioner", "PractitionerRole", "Procedure")
_TOLD_FIRST = (*_POINTED_AT, "Patient", "Encounter")
_TABLES: Mapping[object, str] = {"Patient": "persons", "Encounter": "stays"}
_TWICE = Problem("", Reason.KEY_TWICE)


class FhirSource:
    """FHIR resources."""

    tables: Sequence[str] = ("claim_lines", "stays", "leaves", "persons", "person_aliases")
    sources: Mapping[str, str] = {"line_id": "Claim.item.sequence"}
    fills: Sequence[str] = ("persons",)

    def __init__(self, options: Options) -> None:
        self._options = options
        self._settings = read_settings(options.mapping, "fhir", FhirSettings)
        self._known = Known()
        self._ids = Ids(self._known, self._settings, options.institution)
        self._people = People(SOURCES)
        self._links: set[tuple[object, object]] = set()
        self._updated: dict[str, datetime] = {}
        self._hourly = {normalised_id(code) for code, unit in self._settings.units.items() if unit == "hour"}

    def know_hourly(self, codes: Sequence[str]) -> None:
        """Take the codes that the catalogue bills by the hour; the mapping file's word goes before."""
        named = {normalised_id(code) for code in self._settings.units}
        self._hourly |= {normalised_id(code) for code in codes} - named

    def check(self, files: Sequence[InputFile]) -> list[InputFile]:
        """Put the files first that others point at; every resource says itself what it is."""
        return sorted(files, key=self._turn)

    def _turn(self, file: InputFile) -> int:
        for _, value in read_values(file.path, encoding=self._options.encoding):
            kind = text(value.get("resourceType")) if isinstance(value, dict) else ""
            return _TOLD_FIRST.index(kind) if kind in _TOLD_FIRST else len(_TOLD_FIRST)
        return 0

    def read(self, file: InputFile, zone_of: ZoneOf, advance: Advance) -> Iterator[Item]:
        """Read one file; references are resolved within a bundle, or to what was read before."""
        for line, value in read_values(file.path, encoding=self._options.encoding, advance=advance):
            place = RowPlace(file.name, line)
            if not isinstance(value, dict):
                reason = value if isinstance(value, Reason) else Reason.NOT_PARSABLE
                yield RowProblem("claim_lines", place, Problem("", reason))
                continue
            resources = list(resources_of(value))
            self._known.begin()
            doubtful = [holds_twice(resource) for _, resource in resources]
            for (url, resource), is_doubtful in zip(resources, doubtful, strict=True):
                if not is_doubtful:
                    self._known.add(url, resource)
            for (url, resource), is_doubtful in zip(resources, doubtful, strict=True):
                read = self._doubted if is_doubtful else self._items
                yield from read(resource, url, place, zone_of)

    def rest(self, zone_of: ZoneOf) -> Iterator[Item]:
        """Yield the persons: the latest word on each."""
        del zone_of
        yield from self._people.drafts()

    def _items(self, resource: Resource, url: str, place: RowPlace, zone_of: ZoneOf) -> Iterator[Item]:
        kind = resource.get("resourceType")
        for contained in nodes(resource.get("contained")):
            named = _named(contained)
            if contained.get("resourceType") == "Patient" and named["id"]:
                yield from self._patient(named, "", place, zone_of)
        if kind == "Patient":
            yield from self._patient(resource, url, place, zone_of)
        elif kind == "Encounter":
            named = {**resource, "id": resource.get("id") or _bare(url)}
            yield from Stays(self._ids, zone_of).items(named, place)
        elif kind in BILLS:
            yield from self._claim({**resource, "id": resource.get("id") or _bare(url)}, place, zone_of)
        elif kind in _POINTED_AT:
            return
        elif isinstance(kind, str):
            yield Ignored(kind)
        else:
            yield RowProblem("claim_lines", place, Problem("resourceType", Reason.UNKNOWN_MESSAGE))

    def _doubted(self, resource: Resource, url: str, place: RowPlace, zone_of: ZoneOf) -> Iterator[Item]:
        """Refuse a resource in which a key stands twice; of a claim, only the items in which one does."""
        kind = resource.get("resourceType")
        if kind not in BILLS:
            yield RowProblem(_TABLES.get(kind, "claim_lines"), place, _TWICE)
            return
        items = nodes(resource.get("item"))
        is_whole = isinstance(resource, RepeatedKeys) or holds_twice({**resource, "item": []})
        sound = [] if is_whole else [one for one in items if not holds_twice(one)]
        if sound:
            yield from self._items({**resource, "item": sound}, url, place, zone_of)
        broken = [one for one in items if is_whole or holds_twice(one)]
        yield from self._refused(
            {**resource, "id": resource.get("id") or _bare(url), "item": broken}, place, zone_of
        )

    def _refused(self, claim: Resource, place: RowPlace, zone_of: ZoneOf) -> Iterator[Item]:
        """Yield a claim's lines as refused, with what they bill."""
        reader = Claims(self._ids, self._settings, frozenset(self._hourly), zone_of)
        drafts = [item for item in reader.items(claim, place) if isinstance(item, Draft)]
        yield from [replace(draft, problems=(*draft.problems, _TWICE)) for draft in drafts]
        if not drafts:
            yield RowProblem("claim_lines", place, _TWICE)

    def _patient(self, patient: Resource, url: str, place: RowPlace, zone_of: ZoneOf) -> Iterator[Item]:
        zone = zone_of(self._options.institution or "")
        for item in read_patient(patient, url, self._ids, self._people, zone, place):
            if not isinstance(item, Draft) or self._is_new(item):
                yield item

    def _is_new(self, link: Draft) -> bool:
        """Whether two numbers of one person were not told before."""
        pair = (link.values["person_id"], link.values["alias_of"])
        is_new = pair not in self._links
        self._links.add(pair)
        return is_new

    def _claim(self, claim: Resource, place: RowPlace, zone_of: ZoneOf) -> Iterator[Item]:
        """Yield a claim's lines; a Claim and its ExplanationOfBenefit are billed once, as what came first."""
        kind = text(claim.get("resourceType"))
        if self._is_older(claim, kind):
            yield Ignored(f"older version of {kind}")
            return
        reader = Claims(self._ids, self._settings, frozenset(self._hourly), zone_of)
        items = list(reader.items(claim, place))
        if any(isinstance(item, Draft) for item in items):
            first_kind = self._known.bill(claim_id_of(claim), kind)
            if first_kind != kind:
                yield Ignored(f"{kind} of what a {first_kind} bills")
                return
        yield from items

    def _is_older(self, claim: Resource, kind: str) -> bool:
        """Return whether a newer version of it was read in this import: a history lists the newest first."""
        try:
            moment = read("meta.lastUpdated", node(claim.get("meta")).get("lastUpdated"), UTC)
        except FieldProblem:
            return False
        name = f"{kind}/{claim.get('id')}"
        newest = self._updated.get(name)
        if moment is None or (newest is not None and moment.at < newest):
            return moment is not None
        self._updated[name] = moment.at
        return False


def _bare(url: str) -> str | None:
    return tail(url) or None


def _named(contained: Resource) -> Resource:
    """Return a contained Patient under an identifier, for its own id means nothing outside."""
    identifiers = (text(one.get("value")) for one in nodes(contained.get("identifier")))
    return {**contained, "id": next((value for value in identifiers if value), None)}
