"""CDS Hooks 2: what services there are, requests as checks, answers as cards, feedback as answers.

Source: the specification at cds-hooks.hl7.org (2.0) and the hooks order-select, order-sign and
encounter-discharge of its library; resources are FHIR R4. Only what the caller sends along (`prefetch`) is
read: nothing is fetched from an address that a request names.
"""

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from renzheng.central.checks.asked import (
    LONGEST_NAME,
    MOST_ITEMS,
    CheckAsked,
    ItemAsked,
    NotReadableError,
    read_asked,
)
from renzheng.central.checks.keeping import Answer
from renzheng.central.claims.fhir_nodes import node, nodes, text

PREFIX = "/cds-services"
EXTENSION = "renzheng.checks"
OVERRIDE_SYSTEM = "urn:renzheng:override-reason"
MOST_FEEDBACK = 2_000
LONGEST_SUMMARY, LONGEST_ID = 139, 200
_PATIENT: Mapping[str, str] = {
    "patient": "Patient/{{context.patientId}}",
    "encounter": "Encounter/{{context.encounterId}}",
    "coverage": "Coverage?beneficiary={{context.patientId}}&status=active",
    "conditions": "Condition?encounter={{context.encounterId}}",
}
_ORDERS: Mapping[str, str] = {
    "medications": "MedicationRequest?encounter={{context.encounterId}}",
    "services": "ServiceRequest?encounter={{context.encounterId}}",
    "devices": "DeviceRequest?encounter={{context.encounterId}}",
}
SERVICES: Mapping[str, tuple[str, str, str]] = {
    "order-select": (
        "before",
        "选择医嘱时核对 / Check while choosing",
        "Checks orders that were just chosen.",
    ),
    "order-sign": ("before", "签署医嘱时核对 / Check before signing", "Checks orders that are to be signed."),
    "encounter-discharge": (
        "during",
        "出院时核对 / Check at discharge",
        "Checks the orders of a stay that ends.",
    ),
}
"""Services by id, which is also their hook: stage, title, description."""
_VISITS: Mapping[str, str] = {
    "AMB": "outpatient", "EMER": "outpatient", "VR": "outpatient", "HH": "outpatient", "SS": "outpatient",
    "IMP": "inpatient", "ACUTE": "inpatient", "NONAC": "inpatient", "OBSENC": "outpatient",
}  # fmt: skip
"""Kinds of visit by v3-ActCode."""
_REQUESTS = frozenset({"MedicationRequest", "ServiceRequest", "DeviceRequest"})
_NO_ORDERS = frozenset({"", "Medication", "OperationOutcome", "Bundle"})
"""What stands in a bundle beside orders."""
_GONE = frozenset({"revoked", "cancelled", "entered-in-error", "stopped"})
_SEXES: Mapping[str, str] = {"male": "M", "female": "F"}
_INDICATORS: Mapping[str, str] = {"warn": "warning", "block": "critical"}
_DAYED = re.compile(r"\d{4}-\d{2}-\d{2}")
_NATIONAL = re.compile(r"[XZTC][A-Z0-9]{8,29}|\d{15}")


def discovery() -> dict[str, Any]:
    """Return what services there are, and what each wants sent along."""
    return {
        "services": [
            {
                "hook": name,
                "id": name,
                "title": title,
                "description": description,
                "prefetch": {**_PATIENT, **(_ORDERS if name == "encounter-discharge" else {})},
                "usageRequirements": "Orders carry national item codes; only what is sent along is read.",
            }
            for name, (_, title, description) in SERVICES.items()
        ]
    }


def check_in(
    value: Any, service: str, institution: str | None, now: dt.datetime
) -> tuple[CheckAsked, tuple[tuple[str, str], ...]]:
    """Read the check of a request, and which orders are left out of it, each with a code.

    An order that cannot be read, or is of a kind that bills nothing here, does not keep the others from being
    checked. What the client could not fetch (null, an OperationOutcome) is not known.

    Args:
        value: its JSON.
        service: which was called.
        institution: of the caller, where the encounter names none.
        now: when; the time of orders without one.

    Raises:
        NotReadableError: it cannot be read, as a code.
    """
    if (
        not isinstance(value, dict)
        or text(value.get("hook")) != service
        or not text(value.get("hookInstance"))
    ):
        raise NotReadableError("not_valid")
    context, sent = node(value.get("context")), node(value.get("prefetch"))
    if not text(context.get("patientId")) or not text(context.get("userId")):
        raise NotReadableError("not_valid")
    orders = list(_orders(context, sent, service))
    if len(orders) > MOST_ITEMS:
        raise NotReadableError("too_many_items")
    chosen = set(_texts(context.get("selections")))
    doctor = _tail(text(context.get("userId")))
    at_hand: list[ItemAsked] = []
    earlier: list[ItemAsked] = []
    left_out: list[tuple[str, str]] = []
    medicines = _medicines(context, sent)
    for at, order in enumerate(orders):
        item = _item(order, at, doctor, now, medicines)
        if text(order.get("resourceType")) not in _REQUESTS:
            left_out.append((item["id"][:LONGEST_ID], "not_read"))
            continue
        is_chosen = item["id"] in chosen or _tail(item["id"]) in chosen
        try:
            read = ItemAsked.model_validate(item)
        except ValidationError:
            left_out.append((item["id"][:LONGEST_ID], "not_valid"))
            continue
        (at_hand if service != "order-select" or is_chosen else earlier).append(read)
    patient, encounter = _first(sent.get("patient"), "Patient"), _first(sent.get("encounter"), "Encounter")
    asked = read_asked(
        {
            "stage": SERVICES[service][0],
            "institution_id": _institution(encounter) or institution or "",
            "patient": {
                "person_id": _identifier(patient),
                "sex": _SEXES.get(text(patient.get("gender"))),
                "birth_date": _whole_date(text(patient.get("birthDate"))),
            },
            "encounter": {
                "visit_id": _identifier(encounter) or text(context.get("encounterId")) or "-",
                "visit_type": _VISITS.get(text(node(encounter.get("class")).get("code"))),
                "insurance": next(_codes(sent.get("coverage"), "Coverage", "type"), None),
                "diagnoses": list(_codes(sent.get("conditions"), "Condition", "code")),
            },
            "items": at_hand,
            "earlier": earlier,
        }
    )
    return asked, tuple(left_out)


def _orders(context: Mapping[str, Any], sent: Mapping[str, Any], service: str) -> Iterator[Mapping[str, Any]]:
    bundles = [context.get("draftOrders")]
    if service == "encounter-discharge":
        bundles = [sent.get(name) for name in _ORDERS]
    for bundle in bundles:
        for one in _resources(bundle):
            is_gone = text(one.get("status")) in _GONE or one.get("doNotPerform") is True
            if text(one.get("resourceType")) not in _NO_ORDERS and not is_gone:
                yield one


def _resources(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the resources of a bundle, or the one resource."""
    bundle = node(value)
    if text(bundle.get("resourceType")) == "Bundle":
        yield from (node(one.get("resource")) for one in nodes(bundle.get("entry")))
    elif bundle:
        yield bundle


def _first(value: Any, kind: str) -> Mapping[str, Any]:
    """Return the first resource of a kind: a client may send a bundle, or why it could not fetch one."""
    return next((one for one in _resources(value) if text(one.get("resourceType")) == kind), {})


def _medicines(context: Mapping[str, Any], sent: Mapping[str, Any]) -> Mapping[str, Any]:
    """Find medications that stand beside orders, by the reference to each."""
    bundles = [context.get("draftOrders"), *(sent.get(name) for name in _ORDERS)]
    return {
        f"Medication/{text(one.get('id'))}": one.get("code")
        for bundle in bundles
        for one in _resources(bundle)
        if text(one.get("resourceType")) == "Medication"
    }


def _concept(order: Mapping[str, Any], medicines: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what an order is for, of a medication that it refers to what that one says."""
    concept = order.get("medicationCodeableConcept") or order.get("codeCodeableConcept") or order.get("code")
    reference = text(node(order.get("medicationReference")).get("reference"))
    if not concept and reference.startswith("#"):
        own = (one for one in nodes(order.get("contained")) if f"#{text(one.get('id'))}" == reference)
        concept = next(own, {}).get("code")
    return node(concept or medicines.get("/".join(reference.split("/")[-2:])))


def _item(
    order: Mapping[str, Any], at: int, doctor: str, now: dt.datetime, medicines: Mapping[str, Any]
) -> dict[str, Any]:
    concept = _concept(order, medicines)
    quantity = node(node(order.get("dispenseRequest")).get("quantity")) or node(order.get("quantityQuantity"))
    times = (
        order.get("occurrenceDateTime"),
        node(order.get("occurrencePeriod")).get("start"),
        order.get("authoredOn"),
    )
    value = quantity.get("value")
    return {
        "id": f"{text(order.get('resourceType'))}/{text(order.get('id')) or f'#{at + 1}'}",
        "code": _code(concept),
        "name": (text(concept.get("text")) or next(_displays(concept), ""))[:LONGEST_NAME] or None,
        "quantity": str(value) if type(value) in {int, float} else "1",
        "at": next((text(one) for one in times if _DAYED.match(text(one))), now.isoformat()),
        "doctor_id": _tail(text(node(order.get("requester")).get("reference"))) or doctor,
    }


def _code(concept: Mapping[str, Any]) -> str:
    """Return the code that looks like a national one, else the first, else the text."""
    found = [text(one.get("code")) for one in nodes(concept.get("coding")) if text(one.get("code"))]
    national = next((one for one in found if _NATIONAL.fullmatch(one.upper())), None)
    return national or next(iter(found), text(concept.get("text")))


def _displays(concept: Mapping[str, Any]) -> Iterator[str]:
    return (text(one.get("display")) for one in nodes(concept.get("coding")) if text(one.get("display")))


def _identifier(resource: Mapping[str, Any]) -> str:
    told = (one for one in nodes(resource.get("identifier")) if text(one.get("use")) != "old")
    values = (text(one.get("value")) for one in told)
    return next((value for value in values if value), "") or text(resource.get("id"))


def _institution(encounter: Mapping[str, Any]) -> str:
    provider = node(encounter.get("serviceProvider"))
    return text(node(provider.get("identifier")).get("value")) or _tail(text(provider.get("reference")))


def _codes(value: Any, kind: str, name: str) -> Iterator[str]:
    found = (one for one in _resources(value) if text(one.get("resourceType")) == kind)
    return (code for one in found for code in _coded(one.get(name)))


def _coded(concept: Any) -> Iterator[str]:
    return (text(one.get("code")) for one in nodes(node(concept).get("coding")) if text(one.get("code")))


def _whole_date(value: str) -> str | None:
    """Return a date that names its day; FHIR also has years and months alone."""
    try:
        return dt.date.fromisoformat(value).isoformat() if _DAYED.fullmatch(value) else None
    except ValueError:
        return None


def _texts(value: Any) -> Sequence[str]:
    return [text(one) for one in value if text(one)] if isinstance(value, list) else []


def _tail(reference: str) -> str:
    return reference.rpartition("/")[2]


def cards(answer: Mapping[str, Any], left_out: Iterable[tuple[str, str]] = ()) -> dict[str, Any]:
    """Write the answer to a check as cards, with the orders that were left out of it."""
    not_checked = [{"what": what, "code": code} for what, code in left_out] + list(answer["not_checked"])
    return {"cards": [_card(one) for one in answer["advices"]], **_extension(answer["code"], not_checked)}


def no_cards(code: str) -> dict[str, Any]:
    """Return the answer without a card, with a code that says why."""
    return {"cards": [], "extension": {EXTENSION: {"code": code}}}


def _extension(code: str, not_checked: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    told: dict[str, Any] = {"code": code}
    if not_checked:
        told["notChecked"] = not_checked
    return {"extension": {EXTENSION: told}}


def _card(advice: Mapping[str, Any]) -> dict[str, Any]:
    clears = advice["clears"]
    parts = [advice["text_zh"], clears["zh"], advice["text_en"], clears["en"], advice["basis"]]
    return {
        "uuid": advice["id"],
        "summary": advice["text_zh"][:LONGEST_SUMMARY],
        "detail": "\n\n".join(_plain(part) for part in parts if part),
        "indicator": _INDICATORS[advice["power"]],
        "source": {
            "label": advice["source"] or advice["point"],
            "topic": {"system": "urn:renzheng:point", "code": advice["point"], "display": advice["kind"]},
        },
        "overrideReasons": [
            {"system": OVERRIDE_SYSTEM, "code": one["code"], "display": f"{one['zh']} / {one['en']}"}
            for one in advice["override_reasons"]
        ],
    }


def _plain(words: str) -> str:
    """Return words in which Markdown, as which a card's detail is shown, finds nothing to show otherwise."""
    return re.sub(r"([\\`*_{}\[\]<>#|!])", r"\\\1", words)


def feedback_in(value: Any) -> list[Answer]:
    """Read what was done about cards.

    Raises:
        NotReadableError: it cannot be read, as a code.
    """
    told = nodes(node(value).get("feedback"))
    if not told or len(told) > MOST_FEEDBACK:
        raise NotReadableError("too_much_feedback" if told else "not_valid")
    return list(_answers(told))


def _answers(told: Iterable[Mapping[str, Any]]) -> Iterator[Answer]:
    for one in told:
        card, outcome = text(one.get("card")).lower().removeprefix("urn:uuid:"), text(one.get("outcome"))
        why = node(one.get("overrideReason"))
        reason = [text(node(why.get("reason")).get("code")), text(why.get("userComment"))]
        if not card or outcome not in {"accepted", "overridden"}:
            raise NotReadableError("not_valid")
        action = "followed" if outcome == "accepted" else "overridden"
        yield Answer(card, action, ": ".join(part for part in reason if part)[:2000])
