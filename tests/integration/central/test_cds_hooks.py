"""CDS Hooks 2: discovery, cards, feedback; shapes by a schema written from the specification's tables."""

import asyncio
import importlib
import itertools
import json
from dataclasses import replace

import pytest
from parts.asking import Asking
from parts.check_site import HD, HP, PAIR, Site

from renzheng.central.checks.keeping import Keeper

WORDS = {"type": "string", "minLength": 1}
CODING = {
    "type": "object",
    "required": ["code"],
    "properties": {"code": WORDS, "system": WORDS, "display": WORDS},
}
SOURCE = {"type": "object", "required": ["label"], "properties": {"label": WORDS, "topic": CODING}}
SERVICES = {
    "type": "object",
    "required": ["services"],
    "properties": {
        "services": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["hook", "description", "id"],
                "properties": {
                    **dict.fromkeys(("hook", "title", "description", "id", "usageRequirements"), WORDS),
                    "prefetch": {"type": "object", "minProperties": 1, "additionalProperties": WORDS},
                },
                "additionalProperties": False,
            },
        }
    },
}
CARD = {
    "type": "object",
    "required": ["summary", "indicator", "source"],
    "properties": {
        "uuid": {"type": "string", "format": "uuid"},
        "summary": {"type": "string", "minLength": 1, "maxLength": 139},
        "detail": WORDS,
        "indicator": {"enum": ["info", "warning", "critical"]},
        "source": SOURCE,
        "overrideReasons": {
            "type": "array",
            "minItems": 1,
            "items": {**CODING, "required": ["code", "display"]},
        },
    },
    "additionalProperties": False,
}
CARDS = {
    "type": "object",
    "required": ["cards"],
    "properties": {"cards": {"type": "array", "items": CARD}, "extension": {"type": "object"}},
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def jsonschema():
    """Loaded where it is used: it takes seconds to build its grammars of addresses."""
    return importlib.import_module("jsonschema")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return Site(tmp_path_factory.mktemp("site"))


def order(name, code, kind="ServiceRequest", **more):
    concept = {"coding": [{"system": "http://snomed.info/sct", "code": "1"}, {"system": "x", "code": code}]}
    field = "medicationCodeableConcept" if kind == "MedicationRequest" else "code"
    return {
        "resourceType": kind, "id": name, "status": "draft", field: concept,
        "authoredOn": "2026-03-04T10:00:00+08:00", **more,
    }  # fmt: skip


def bundle(*resources):
    return {"resourceType": "Bundle", "entry": [{"resource": one} for one in resources]}


def hook(name, *orders, encounter="E1", selections=None, **more):
    context = {"userId": "Practitioner/D1", "patientId": "1288992", "encounterId": encounter}
    prefetch = {
        "patient": {
            "resourceType": "Patient", "id": "1288992", "gender": "male", "birthDate": "1960-05-01",
            "identifier": [{"value": "P50"}],
        },
        "encounter": {"resourceType": "Encounter", "id": encounter, "class": {"code": "AMB"}},
        "coverage": None,
    }  # fmt: skip
    if name == "encounter-discharge":
        prefetch["services"] = bundle(*orders)
    else:
        context["draftOrders"] = bundle(*orders)
    if selections is not None:
        context["selections"] = selections
    return {
        "hook": name, "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea", "context": context,
        "prefetch": prefetch, "fhirServer": "http://169.254.169.254/", **more,
    }  # fmt: skip


def test_services_are_found(site, jsonschema):
    answer = asyncio.run(Asking(site.app, site.tokens["his-1"]).ask("GET", "/cds-services", b"", {}))
    told = json.loads(answer.body)
    jsonschema.validate(told, SERVICES)
    assert [one["id"] for one in told["services"]] == ["order-select", "order-sign", "encounter-discharge"]
    assert Asking(site.app, "wrong").get("/cds-services").status == 401


@pytest.mark.parametrize("name", ["order-select", "order-sign", "encounter-discharge"])
def test_haemoperfusion_beside_haemodialysis_is_a_card_and_what_was_done_is_kept(site, jsonschema, name):
    chosen = ["ServiceRequest/a"] if name == "order-select" else None
    body = hook(name, order("a", HP), order("b", HD), encounter=f"E-{name}", selections=chosen)
    told = site.check(body, path=f"/cds-services/{name}")
    jsonschema.validate(told, CARDS, format_checker=jsonschema.FormatChecker())
    (card,) = told["cards"]
    assert (card["indicator"], card["source"]["topic"]["code"]) == ("warning", PAIR.id)
    assert told["extension"]["renzheng.checks"]["code"] == "ok"
    done = {
        "card": card["uuid"], "outcome": "overridden", "outcomeTimestamp": "2026-03-04T02:01:00Z",
        "overrideReason": {"reason": card["overrideReasons"][0], "userComment": "急"},
    }  # fmt: skip
    path = f"/cds-services/{name}/feedback"
    assert site.ask({"feedback": [done]}, path=path).status == 200
    kept = Keeper(site.settings.checks_dir / "checks.sqlite")
    assert kept.answers(card["uuid"]) == [("overridden", "two_treatments: 急")]
    kept.close()
    assert site.ask({"feedback": [done]}, path=path, who="his-2").status == 404
    assert site.ask({"feedback": [{**done, "card": "x"}]}, path=path).status == 404


def test_what_was_not_chosen_is_only_what_stands_beside(site):
    body = hook(
        "order-select", order("a", HP), order("b", HD), encounter="E9", selections=["ServiceRequest/c"]
    )
    told = site.check(body, path="/cds-services/order-select")
    assert (told["cards"], told["extension"]["renzheng.checks"]["code"]) == ([], "nothing_to_check")


NUMBERS = itertools.count()
UNREAD = {"resourceType": "ServiceRequest", "id": "z", "code": {"coding": [{"display": "x"}]}}
MEDICINE = {"resourceType": "Medication", "id": "m", "code": {"coding": [{"code": HD}]}}
REFERS = {"resourceType": "MedicationRequest", "id": "b", "status": "draft"}


@pytest.mark.parametrize(
    ("orders", "left_out"),
    [
        ([order("b", HD), UNREAD], [("ServiceRequest/z", "not_valid")]),
        (
            [order("b", HD), order("c", HD, quantityQuantity={"value": 1e30})],
            [("ServiceRequest/c", "not_valid")],
        ),
        ([order("b", HD), {"resourceType": "NutritionOrder", "id": "n"}], [("NutritionOrder/n", "not_read")]),
        ([{**REFERS, "medicationReference": {"reference": "#m"}, "contained": [MEDICINE]}], []),
        ([{**REFERS, "medicationReference": {"reference": "http://x/Medication/m"}}, MEDICINE], []),
        ([order("b", HD) | {"code": {"text": HD}}], []),
        ([order("b", HD) | {"code": {"coding": [{"code": HD}], "text": "x" * 5_000}}], []),
    ],
)
def test_an_order_that_cannot_be_read_does_not_keep_the_others_from_being_checked(site, orders, left_out):
    encounter = f"U{next(NUMBERS)}"
    body = hook("order-sign", order("a", HP), *orders, encounter=encounter)
    told = site.check(body, path="/cds-services/order-sign")
    assert len(told["cards"]) == 1
    what = [(one["what"], one["code"]) for one in told["extension"]["renzheng.checks"]["notChecked"]]
    assert what == [*left_out, ("history", "person_unknown")]


@pytest.mark.parametrize(
    ("sent", "cards", "code"),
    [
        ({"patient": {"resourceType": "OperationOutcome", "id": "oo"}}, 0, "unknown_patient"),
        ({"patient": None, "encounter": None, "conditions": None}, 0, "unknown_patient"),
        ({"encounter": {"resourceType": "OperationOutcome", "id": "oo"}}, 1, "ok"),
        ({"patient": {"resourceType": "Patient", "id": "1", "birthDate": "1960-02-31"}}, 1, "ok"),
        ({"patient": bundle({"resourceType": "Patient", "id": "1"})}, 1, "ok"),
    ],
)
def test_what_a_client_could_not_fetch_is_not_known(site, sent, cards, code):
    body = hook("order-sign", order("a", HP), order("b", HD), encounter=f"F{next(NUMBERS)}")
    body |= {
        "fhirAuthorization": {"access_token": "x", "token_type": "Bearer"},
        "extension": {"com.x": [None]},
    }
    body["prefetch"] |= sent
    told = site.check(body, path="/cds-services/order-sign")
    assert (len(told["cards"]), told["extension"]["renzheng.checks"]["code"]) == (cards, code)


def test_an_order_not_to_do_something_is_none_and_ids_of_cards_have_no_case(site):
    orders = [order("a", HP), order("b", HD, doNotPerform=True)]
    path = "/cds-services/order-sign"
    assert site.check(hook("order-sign", *orders, encounter="N1"), path=path)["cards"] == []
    body = hook("order-sign", order("a", HP), order("b", HD), encounter="N2")
    (card,) = site.check(body, path=path)["cards"]
    for name in (card["uuid"].upper(), f"urn:uuid:{card['uuid']}"):
        done = {"card": name, "outcome": "accepted", "acceptedSuggestions": []}
        assert site.ask({"feedback": [done]}, path=f"{path}/feedback").status == 200


def test_words_of_a_point_are_no_markup(site):
    point = replace(
        PAIR, id="evil", items=("003399990010000", "003399990020000"), words="[x](javascript:1) <img>"
    )
    site.put([point], name="evil.knowledge")
    orders = [order("a", "003399990010000"), order("b", "003399990020000")]
    body = hook("order-sign", *orders, encounter="E10")
    (card,) = site.check(body, path="/cds-services/order-sign")["cards"]
    assert "\\[x\\](javascript:1) \\<img\\>" in card["detail"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "not_json"),
        (b" " * 5_000_000, "too_large"),
        ({"hook": "order-sign"}, "not_valid"),
        (hook("order-select"), "not_valid"),
        (hook("order-sign", *[order("a", HP)] * 2_001), "too_many_items"),
        (hook("order-sign", prefetch={}), "unknown_patient"),
        (hook("order-sign", context=[], prefetch=7), "not_valid"),
        (
            hook("order-sign", order("a", HP, authoredOn="1970-01-01T00:00:00Z"), encounter="E11"),
            "nothing_to_check",
        ),
    ],
)
def test_whatever_comes_in_is_answered_without_a_card_and_says_why(site, jsonschema, body, code):
    told = site.check(body, path="/cds-services/order-sign")
    jsonschema.validate(told, CARDS)
    assert (told["cards"], told["extension"]["renzheng.checks"]["code"]) == ([], code)


def test_feedback_that_cannot_be_kept_is_refused_and_other_services_are_not_there(site):
    path = "/cds-services/order-sign/feedback"
    for body, status in ((b"{", 400), ({"feedback": []}, 400), ({"feedback": [{"card": "x"}]}, 400)):
        assert site.ask(body, path=path).status == status
    assert site.ask(b" " * 5_000_000, path=path).status == 413
    assert site.ask(hook("patient-view"), path="/cds-services/patient-view").status == 404
    foreign = hook("order-sign", order("a", HP))
    foreign["prefetch"]["encounter"]["serviceProvider"] = {"reference": "Organization/H2"}
    told = site.check(foreign, path="/cds-services/order-sign")
    assert told["extension"]["renzheng.checks"]["code"] == "institution_not_yours"
