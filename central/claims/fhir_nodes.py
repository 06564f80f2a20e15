"""Nodes of FHIR resources, whatever shape they have: what is not there, or of another shape, is empty."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from renzheng.central.claims.rejects import Problem
from renzheng.central.claims.repeated_keys import RepeatedKeys, within

Resource = Mapping[str, Any]


class FieldProblem(Exception):  # noqa: N818 - a finding about one field of one resource
    """A field that is needed cannot be read."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.field)
        self.problem = problem


def nodes(value: Any) -> list[dict[str, Any]]:
    """Return the objects of a list; a single object is a list of one."""
    if isinstance(value, dict):
        return [value]
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def node(value: Any) -> dict[str, Any]:
    """Return an object."""
    return value if isinstance(value, dict) else {}


def first(value: Any) -> dict[str, Any]:
    """Return the first object of a list."""
    return next(iter(nodes(value)), {})


def text(value: Any) -> str:
    """Return a text; anything else is empty."""
    return value.strip() if isinstance(value, str) else ""


def code(concept: Any, systems: Sequence[str] = ()) -> str:
    """Return the code of a CodeableConcept: of the first system wanted, else the first, else its text."""
    codings = [coding for coding in nodes(node(concept).get("coding")) if text(coding.get("code"))]
    wanted = (one for system in systems for one in codings if text(one.get("system")) == system)
    return text(next(wanted, first(codings)).get("code")) or text(node(concept).get("text"))


def words(concept: Any) -> str:
    """Return what a CodeableConcept is called."""
    coding = first(node(concept).get("coding"))
    return text(node(concept).get("text")) or text(coding.get("display")) or text(coding.get("code"))


def classes(encounter: Resource) -> set[str]:
    """Return an encounter's classes: a Coding in R4, a list of CodeableConcept in R5."""
    told = nodes(encounter.get("class"))
    codings = [*told, *(coding for one in told for coding in nodes(one.get("coding")))]
    return {text(coding.get("code")) for coding in codings} - {""}


def resources_of(value: Resource, url: str = "") -> Iterator[tuple[str, Resource]]:
    """Yield the resources of a bundle and of bundles in it, each with its full URL; else the value itself.

    Of a bundle or an entry that names a key twice, resources are marked;
    an empty one stands for what is lost.
    """
    if value.get("resourceType") != "Bundle":
        yield url, value
        return
    entries = nodes(value.get("entry"))
    if isinstance(value, RepeatedKeys) and not entries:
        yield url, RepeatedKeys()
    for entry in entries:
        resource = entry.get("resource")
        if isinstance(resource, dict):
            yield from resources_of(within(resource, value, entry), text(entry.get("fullUrl")))
        elif isinstance(entry, RepeatedKeys):
            yield url, RepeatedKeys()
