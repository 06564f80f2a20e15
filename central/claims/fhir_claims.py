"""Claims and ExplanationOfBenefits as claim lines (R4 and R5).

Only what asks for payment is billed: `use` claim, status active. An item with details is billed through them,
and details through their subdetails; what they leave of the item's own amount stays with the item, so that
every yuan is billed once.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any

from renzheng.central.claims.fhir_nodes import Resource, classes, code, first, node, nodes, text, words
from renzheng.central.claims.fhir_quantities import NotHeld, read_quantity
from renzheng.central.claims.fhir_references import Ids, tail
from renzheng.central.claims.fhir_stays import INPATIENT
from renzheng.central.claims.fhir_times import billed_at
from renzheng.central.claims.mapping_file import FhirSettings
from renzheng.central.claims.nhsa_lines import join_id
from renzheng.central.claims.rejects import Problem, Reason, RowPlace, shown
from renzheng.central.claims.rows import Draft, ZoneOf
from renzheng.central.claims.source import Ignored, Item
from renzheng.central.claims.withdrawn import ClaimName, ClaimWithdrawal
from renzheng.contracts.ids import normalised_id, tidy_id

BILLS = frozenset({"Claim", "ExplanationOfBenefit"})
_TAKEN_BACK = frozenset({"cancelled", "entered-in-error"})
_BILLED_USES = frozenset({"claim", "complete", ""})  # R4 and R5; STU3; not told
_FUND = frozenset({"benefit"})
"""Adjudication category of what the payer pays (R4 code system adjudication)."""


@dataclass(frozen=True, slots=True)
class _Part:
    """An item, detail or subdetail, with its number in its parents."""

    numbers: tuple[Any, ...]
    content: Resource
    amount: Decimal | None = None
    """What is left for it once its details are billed; None: its own."""


class Claims:
    """Reads claims.

    Args:
        ids: of what they point at.
        settings: of the format.
        hourly: codes of items that are billed by the hour.
        zone_of: the zone of an institution.
    """

    def __init__(self, ids: Ids, settings: FhirSettings, hourly: frozenset[str], zone_of: ZoneOf) -> None:
        self._ids, self._settings, self._hourly, self._zone_of = ids, settings, hourly, zone_of

    def items(self, claim: Resource, place: RowPlace) -> Iterator[Item]:
        """Yield what a claim brings."""
        reader = _Claim(claim, self._ids, self._settings, self._hourly, self._zone_of, place)
        kind, status, use = text(claim.get("resourceType")), text(claim.get("status")), text(claim.get("use"))
        if use not in _BILLED_USES:
            yield Ignored(f"{kind} for {use}")
            return
        if status in _TAKEN_BACK and reader.is_own:
            yield reader.withdrawal(reader.claim_id)
        if status not in {"active", ""}:
            yield Ignored(f"{kind} {status}")
            return
        if kind == "ExplanationOfBenefit" and claim.get("outcome") == "error":
            yield Ignored("ExplanationOfBenefit of a refused claim")
            return
        yield from reader.names()
        yield from (reader.withdrawal(prior, by_claim=reader.claim_id) for prior in reader.replaced())
        parts = list(reader.parts())
        yield from map(reader.draft, parts)
        if not parts:
            yield Ignored(f"{kind} without items")


class _Claim:
    """One claim."""

    def __init__(  # noqa: PLR0917 - what a claim is read with
        self,
        claim: Resource,
        ids: Ids,
        settings: FhirSettings,
        hourly: frozenset[str],
        zone_of: ZoneOf,
        place: RowPlace,
    ) -> None:
        self._claim, self._ids, self._settings, self._hourly, self._place = (
            claim,
            ids,
            settings,
            hourly,
            place,
        )
        self.claim_id = claim_id_of(claim)
        self.is_own = self.claim_id == tidy_id(text(claim.get("id")))
        self._encounter_reference = self._of_any_item()
        self._encounter = ids.resolve(self._encounter_reference, "Encounter", claim)
        self._institution = self._institution_id()
        self._zone = zone_of(self._institution or "")
        self._kind = text(claim.get("resourceType")) or "Claim"

    def withdrawal(self, claim_id: str, by_claim: str | None = None) -> ClaimWithdrawal:
        """Return that a claim is billed no more: replaced by another, or cancelled."""
        place = self._institution or ""
        by = None if by_claim is None else join_id(place, by_claim)
        return ClaimWithdrawal(self._place, place, join_id(place, claim_id), by)

    def names(self) -> Iterator[ClaimName]:
        """Yield the identifiers by which other claims may name this one."""
        place = self._institution or ""
        for value in {tidy_id(text(one.get("value"))) for one in nodes(self._claim.get("identifier"))}:
            if value and value != self.claim_id:
                yield ClaimName(place, join_id(place, value), join_id(place, self.claim_id))

    def replaced(self) -> Iterator[str]:
        """Yield the ids of the claims whose place this one takes."""
        for related in nodes(self._claim.get("related")):
            relation = code(related.get("relationship")).lower()
            named = node(related.get("claim"))
            prior = tail(text(named.get("reference"))) or text(node(named.get("identifier")).get("value"))
            if relation in self._settings.replacing and prior:
                yield tidy_id(prior)

    def parts(self) -> Iterator[_Part]:
        """Yield what is billed: items, details and subdetails, each yuan once."""
        for item in nodes(self._claim.get("item")):
            yield from self._split((item.get("sequence"),), item)

    def _split(self, numbers: tuple[Any, ...], content: Resource) -> Iterator[_Part]:
        details = nodes(content.get("detail")) or nodes(content.get("subDetail"))
        if not details:
            yield _Part(numbers, content)
            return
        inner = [
            part
            for one in details
            for part in self._split((*numbers, one.get("sequence")), _within(content, one))
        ]
        priced = [amount for part in inner if (amount := self._amount(part)) is not None]
        own = self._amount(_Part(numbers, content))
        left = None if own is None else own - sum(priced, Decimal(0))
        if left:
            yield _Part(numbers, content, left)
        if own is not None and not priced:  # a package at one price: what is in it costs nothing more
            inner = [_Part(part.numbers, part.content, Decimal(0)) for part in inner]
        yield from inner

    def draft(self, part: _Part) -> Draft:
        """Return the line of one part."""
        item, numbers = part.content, part.numbers
        problems: list[Problem] = []
        sources = _sources(self._kind, numbers)
        item_code = code(item.get("productOrService"), self._settings.item_systems)
        quantity = self._quantity(item, item_code, sources["quantity"], problems)
        named = self._institution and self.claim_id and all(number is not None for number in numbers)
        values = {
            "line_id": join_id(self._institution or "", self.claim_id, ".".join(map(str, numbers)))
            if named
            else None,
            "institution_id": self._institution,
            "visit_id": self._visit_id(item),
            "person_id": self._ids.person(self._claim.get("patient"), self._claim) or None,
            "visit_type": self._visit_type(item),
            "item_code": item_code,
            "item_name": words(item.get("productOrService")),
            "service_time": self._serviced(item),
            "quantity": quantity,
            "amount": self._yuan(part, sources["amount"], problems),
            "doctor_id": self._doctor(item),
            "fund_amount": _fund(item),
        }
        return Draft("claim_lines", self._place, values, sources, tuple(problems))

    def _quantity(self, item: Resource, item_code: str, field: str, problems: list[Problem]) -> Any:
        told = read_quantity(item.get("quantity"), is_hourly=normalised_id(item_code) in self._hourly)
        if isinstance(told, NotHeld):
            problems.append(Problem(field, Reason.UNIT_NOT_HELD, shown(told.told)))
            return None
        return told.quantity

    def _amount(self, part: _Part) -> Decimal | None:
        return part.amount if part.amount is not None else _decimal(_money(part.content))

    def _yuan(self, part: _Part, field: str, problems: list[Problem]) -> Any:
        """Return the amount; None with a problem where it is in another currency."""
        item = part.content
        money = [node(item.get(name)) for name in ("net", "unitPrice")]
        currencies = [text(one.get("currency")) for one in [*money, node(self._claim.get("total"))]]
        currency = next((one.upper() for one in currencies if one), "")
        if currency and currency not in self._settings.currencies:
            problems.append(Problem(field, Reason.OTHER_CURRENCY, shown(currency)))
            return None
        return part.amount if part.amount is not None else _money(item)

    def _of_any_item(self) -> Any:
        """Return the reference to the encounter of the claim (R5), or that any of its items names."""
        items = (first(item.get("encounter")) for item in nodes(self._claim.get("item")))
        return first(self._claim.get("encounter")) or next((one for one in items if one), {})

    def _encounter_of(self, item: Resource) -> tuple[Any, Resource]:
        reference = first(item.get("encounter")) or self._encounter_reference
        return reference, self._ids.resolve(reference, "Encounter", self._claim)

    def _visit_id(self, item: Resource) -> str:
        reference, encounter = self._encounter_of(item)
        root = self._ids.root(encounter)[0] if encounter else ""
        return root or self._ids.plain(reference, "Encounter", self._claim) or self.claim_id

    def _institution_id(self) -> str | None:
        """Return who bills: the organization of provider, facility or encounter, else the usual one."""
        references = [self._organization(self._claim.get(name)) for name in ("provider", "facility")]
        told = (self._ids.institution(reference, self._claim) for reference in references)
        of_encounter = self._ids.institution(self._encounter.get("serviceProvider"), self._encounter)
        found = next(filter(None, told), "") or of_encounter or self._ids.usual_institution
        return normalised_id(found) if found else None

    def _organization(self, reference: Any) -> Any:
        """Return the organization of a place or a person; nothing of a person without one."""
        found = self._ids.resolve(reference, "Organization", self._claim)
        behind = node(found.get("managingOrganization")) or node(found.get("organization"))
        kind = text(found.get("resourceType")) or text(node(reference).get("reference"))
        return behind or ({} if "Practitioner" in kind else reference)

    def _visit_type(self, item: Resource) -> str:
        kind = code(self._claim.get("type"))
        if kind == "pharmacy":
            return "pharmacy"
        encounter = self._encounter_of(item)[1]
        if encounter:
            root = self._ids.root(encounter)[1]
            is_inpatient = (classes(encounter) | classes(root)) & INPATIENT
            return "inpatient" if is_inpatient else "outpatient"
        return "inpatient" if kind == "institutional" else "outpatient"

    def _doctor(self, item: Resource) -> str | None:
        team = nodes(self._claim.get("careTeam"))
        named = item.get("careTeamSequence")
        own = [one for one in team if isinstance(named, list) and one.get("sequence") in named]
        provider = first(own or team).get("provider")
        return self._ids.plain(provider, "Practitioner", self._claim) or None

    def _serviced(self, item: Resource) -> Any:
        zone = self._zone
        named = item.get("procedureSequence")
        linked = [
            self._ids.resolve(one.get("procedureReference"), "Procedure", self._claim)
            for one in nodes(self._claim.get("procedure"))
            if isinstance(named, list) and one.get("sequence") in named
        ]
        candidates = [
            billed_at(item.get("servicedPeriod"), zone),
            item.get("servicedDate"),
            *(_performed(one, zone) for one in linked),
            billed_at(self._claim.get("billablePeriod"), zone),
            self._claim.get("created"),
        ]
        return next((one for one in candidates if one), None)


def claim_id_of(claim: Resource) -> str:
    """Return a Claim's id; of an ExplanationOfBenefit that of the Claim which it answers, else its own."""
    return tidy_id(tail(text(node(claim.get("claim")).get("reference"))) or text(claim.get("id")))


def _within(item: Resource, detail: Resource) -> Resource:
    """Return a detail with what it has of its item: encounter, time, procedures, care team."""
    shared = ("encounter", "servicedPeriod", "servicedDate", "procedureSequence", "careTeamSequence")
    return {**{name: item[name] for name in shared if name in item}, **detail}


def _performed(procedure: Resource, zone: tzinfo) -> Any:
    """Return when a procedure was done: `performed` in R4, `occurrence` in R5."""
    for name in ("performed", "occurrence"):
        told = billed_at(procedure.get(f"{name}Period"), zone) or procedure.get(f"{name}DateTime")
        if told:
            return told
    return None


def _money(item: Resource) -> Any:
    """Return the net amount, or price times quantity times factor, plus tax (R5), where no net is told."""
    net = node(item.get("net")).get("value")
    price = _decimal(node(item.get("unitPrice")).get("value"))
    if net is not None or price is None:
        return net
    quantity = _decimal(node(item.get("quantity")).get("value", 1))
    factor = _decimal(item.get("factor", 1))
    tax = _decimal(node(item.get("tax")).get("value", 0))
    if quantity is None or factor is None or tax is None:
        return None
    return price * quantity * factor + tax


def _fund(item: Resource) -> Decimal | None:
    """Return what the payer pays of an item (ExplanationOfBenefit)."""
    paid = [
        amount
        for one in nodes(item.get("adjudication"))
        if code(one.get("category")) in _FUND
        and (amount := _decimal(node(one.get("amount")).get("value"))) is not None
    ]
    return sum(paid, Decimal(0)) if paid else None


def _decimal(raw: Any) -> Decimal | None:
    if raw is None or isinstance(raw, bool):
        return None
    try:
        value = Decimal(str(raw))
    except InvalidOperation:
        return None
    return value if value.is_finite() else None


def _sources(kind: str, numbers: Sequence[Any]) -> Mapping[str, str]:
    names = ("item", "detail", "subDetail")
    item = kind + "".join(f".{name}[{number}]" for name, number in zip(names, numbers, strict=False))
    return {
        "line_id": f"{item}.sequence",
        "institution_id": f"{kind}.provider",
        "visit_id": f"{item}.encounter",
        "person_id": f"{kind}.patient",
        "item_code": f"{item}.productOrService",
        "item_name": f"{item}.productOrService",
        "service_time": f"{item}.servicedPeriod",
        "quantity": f"{item}.quantity",
        "amount": f"{item}.net",
    }
