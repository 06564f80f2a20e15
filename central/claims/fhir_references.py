"""What a FHIR reference points at: within a resource, a bundle, or what was read before in any file.

A reference is absolute, relative, a URN, contained (``#id``), or names an identifier (R4 and R5, references).
Resources that were read are kept on disk, so that memory does not grow with the files.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from renzheng.central.claims.fhir_nodes import Resource, node, nodes, text
from renzheng.central.claims.mapping_file import FhirSettings

_KEPT: Mapping[str, Sequence[str]] = {
    "Patient": ("identifier",),
    "Organization": ("identifier",),
    "Location": ("identifier", "physicalType", "form", "name", "managingOrganization"),
    "Encounter": ("class", "serviceProvider", "partOf", "identifier", "subject"),
    "Practitioner": ("identifier",),
    "PractitionerRole": ("identifier", "organization"),
    "Procedure": ("performedPeriod", "performedDateTime", "occurrencePeriod", "occurrenceDateTime"),
}
"""Of which resources what is kept for those that point at them."""


class Known:
    """The resources that were read, by their URLs, names and identifiers."""

    def __init__(self) -> None:
        self._bundle: dict[str, Resource] = {}
        self._database = sqlite3.connect("")  # a temporary file of SQLite's
        self._database.execute(
            "CREATE TABLE known (name TEXT PRIMARY KEY, content TEXT) STRICT, WITHOUT ROWID"
        )

    def begin(self) -> None:
        """Begin a bundle: its own resources go before all others of the same name."""
        self._bundle = {}

    def add(self, url: str, resource: Resource) -> None:
        """Keep a resource."""
        kind = text(resource.get("resourceType"))
        if kind not in _KEPT:
            return
        kept = {name: resource[name] for name in ("resourceType", "id", *_KEPT[kind]) if name in resource}
        kept["id"] = text(resource.get("id")) or tail(url)
        for name in {url, f"{kind}/{kept['id']}", *_identified(kind, resource)} - {""}:
            self._bundle[name] = kept
            row = (name, json.dumps(kept, default=str))
            self._database.execute("INSERT OR REPLACE INTO known VALUES (?, ?)", row)

    def resolve(self, reference: Any, kind: str, within: Resource) -> Resource:
        """Return what a reference points at; empty where that was not read."""
        pointer = text(node(reference).get("reference"))
        if pointer.startswith("#"):
            contained = nodes(within.get("contained"))
            return next((one for one in contained if one.get("id") == pointer[1:]), {})
        pointer = pointer.split("/_history", maxsplit=1)[0]
        identifier = node(node(reference).get("identifier"))
        names = [pointer, *(_named(kind, identifier) if identifier else ())]
        if "/" in pointer:
            names.insert(1, "/".join(pointer.rsplit("/", 2)[-2:]))
        return next((found for name in names if name and (found := self._find(name))), {})

    def bill(self, claim_id: str, kind: str) -> str:
        """Keep that a claim is billed as `kind`; return as what it was billed first."""
        row = (f"bill {claim_id}", json.dumps(kind))
        self._database.execute("INSERT OR IGNORE INTO known VALUES (?, ?)", row)
        found = self._database.execute("SELECT content FROM known WHERE name = ?", row[:1]).fetchone()
        return str(json.loads(found[0]))

    def _find(self, name: str) -> Resource:
        if name in self._bundle:
            return self._bundle[name]
        row = self._database.execute("SELECT content FROM known WHERE name = ?", [name]).fetchone()
        return json.loads(row[0]) if row else {}


def _identified(kind: str, resource: Resource) -> set[str]:
    return {name for one in nodes(resource.get("identifier")) for name in _named(kind, one)}


def _named(kind: str, identifier: Mapping[str, Any]) -> Sequence[str]:
    value = text(identifier.get("value"))
    return (f"{kind}?{text(identifier.get('system'))}|{value}",) if value else ()


def tail(reference: str) -> str:
    """Return the bare id of a reference: behind the last slash, or that of a URN."""
    plain = reference.split("/_history", maxsplit=1)[0].rsplit("/", 1)[-1].rsplit("|", 1)[-1]
    return plain.removeprefix("urn:uuid:").removeprefix("urn:oid:")


class Ids:
    """The audit's ids of persons, institutions and visits, from references to them."""

    def __init__(self, known: Known, settings: FhirSettings, institution: str | None) -> None:
        self._known = known
        self._settings = settings
        self._usual = institution

    def person(self, reference: Any, within: Resource) -> str:
        """Return a person's id; empty where it cannot be told."""
        return self._id(reference, "Patient", within, self._settings.person_systems)

    def of_person(self, patient: Resource, url: str = "") -> str:
        """Return the id of a Patient itself."""
        return self._own(patient, self._settings.person_systems, tail(url))

    def institution(self, reference: Any, within: Resource) -> str:
        """Return an institution's id; empty where there is none."""
        found = self._id(reference, "Organization", within, self._settings.institution_systems)
        return self._settings.institutions.get(found, found)

    @property
    def usual_institution(self) -> str | None:
        """The institution of resources that name none."""
        return self._usual

    def plain(self, reference: Any, kind: str, within: Resource) -> str:
        """Return the id of anything else."""
        return self._id(reference, kind, within, ())

    def root(self, encounter: Resource) -> tuple[str, Resource]:
        """Follow `partOf` to the encounter of which all are parts: its id, and it itself if it was read."""
        current, seen = encounter, {text(encounter.get("id"))}
        while node(current.get("partOf")):
            reference = current["partOf"]
            above = self._known.resolve(reference, "Encounter", current)
            name = text(above.get("id")) or self.plain(reference, "Encounter", current)
            if not name or name in seen:
                break
            seen.add(name)
            if not above:
                return name, {}
            current = above
        return text(current.get("id")), current

    def resolve(self, reference: Any, kind: str, within: Resource) -> Resource:
        """Return what a reference points at; empty where that was not read."""
        return self._known.resolve(reference, kind, within)

    def _id(self, reference: Any, kind: str, within: Resource, systems: Sequence[str]) -> str:
        found = self._known.resolve(reference, kind, within)
        if found:
            return self._own(found, systems, "", is_contained=_is_contained(reference))
        named = node(node(reference).get("identifier"))
        if systems and text(named.get("system")) not in systems:
            return ""
        pointer = text(node(reference).get("reference"))
        if systems or not pointer:
            return text(named.get("value"))
        return "" if pointer.startswith("#") else tail(pointer)

    def _own(
        self, resource: Resource, systems: Sequence[str], otherwise: str, *, is_contained: bool = False
    ) -> str:
        identifiers = [one for one in nodes(resource.get("identifier")) if text(one.get("value"))]
        wanted = (one for system in systems for one in identifiers if text(one.get("system")) == system)
        found = text(next(wanted, {}).get("value"))
        if found or systems:
            return found
        if is_contained:  # its own id means nothing outside the resource
            return text(next(iter(identifiers), {}).get("value"))
        return text(resource.get("id")) or otherwise


def _is_contained(reference: Any) -> bool:
    return text(node(reference).get("reference")).startswith("#")
