"""FHIR R4: encounters to stays and leaves, claims to lines, references within a bundle, broken resources."""

import csv
import json
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow.parquet as pq
import pytest

from renzheng.central.claims.importer import Format, import_claims
from renzheng.central.claims.source import Options

ENCOUNTER = {
    "resourceType": "Encounter",
    "id": "V1",
    "status": "finished",
    "class": {"code": "IMP"},
    "subject": {"reference": "Patient/P1"},
    "serviceProvider": {"reference": "Organization/H1"},
    "serviceType": {"text": "肾内科"},
    "participant": [{"individual": {"reference": "Practitioner/D7"}}],
    "period": {"start": "2026-03-02T09:00:00+08:00", "end": "2026-03-06T14:30:00+08:00"},
    "location": [
        {"location": {"display": "W2"}, "physicalType": {"coding": [{"code": "wa"}]}},
        {"location": {"display": "B2"}, "period": {"start": "2026-03-03"}},
        {"location": {"display": "B1"}, "period": {"start": "2026-03-02"}},
    ],
    "statusHistory": [
        {
            "status": "onleave",
            "period": {"start": "2026-03-04T08:00:00+08:00", "end": "2026-03-04T17:00:00+08:00"},
        },
        {"status": "in-progress", "period": {"start": "2026-03-04T17:00:00+08:00"}},
    ],
}
PROCEDURE = {
    "resourceType": "Procedure",
    "id": "PR1",
    "status": "completed",
    "subject": {"reference": "Patient/P1"},
    "performedPeriod": {"start": "2026-03-03T08:10:00+08:00", "end": "2026-03-03T11:10:00+08:00"},
}
ITEM = {
    "sequence": 1,
    "productOrService": {"coding": [{"code": "HD", "display": "Haemodialysis"}]},
    "procedureSequence": [1],
    "quantity": {"value": 1},
    "net": {"value": 400.1, "currency": "CNY"},
    "encounter": [{"reference": "Encounter/V1"}],
}
CLAIM = {
    "resourceType": "Claim",
    "id": "C1",
    "status": "active",
    "type": {"coding": [{"code": "institutional"}]},
    "patient": {"reference": "urn:uuid:P1"},
    "provider": {"reference": "Organization/H1"},
    "created": "2026-03-07",
    "billablePeriod": {"start": "2026-03-02T09:00:00+08:00"},
    "procedure": [{"sequence": 1, "procedureReference": {"reference": "Procedure/PR1"}}],
    "item": [ITEM],
}
PATIENT = {"resourceType": "Patient", "id": "P1", "gender": "female", "birthDate": "1950-05-06"}


def at(day, hour, minute=0):
    return datetime(2026, 3, day, hour - 8, minute, tzinfo=UTC)


def bundle(*resources):
    return {
        "resourceType": "Bundle",
        "entry": [{"fullUrl": f"urn:uuid:{one.get('id')}", "resource": one} for one in resources],
    }


def _import(tmp_path, *values, name="a.json", **options):
    (tmp_path / name).write_text(
        "\n".join(json.dumps(one, ensure_ascii=False) for one in values), encoding="utf-8"
    )
    return import_claims(
        tmp_path / name, tmp_path / "out", file_format=Format.FHIR, options=Options(**options)
    )


def _table(tmp_path, name):
    path = tmp_path / "out" / f"{name}.parquet"
    return pq.read_table(path).to_pylist() if path.exists() else []


def _rejected(tmp_path, name):
    path = tmp_path / "out" / "rejected" / f"{name}.csv"
    with path.open(encoding="utf-8", newline="") as stream:
        return [(int(row["line"]), row["field"], row["reason"]) for row in csv.DictReader(stream)]


@pytest.mark.parametrize(
    "values",
    [[bundle(CLAIM, PROCEDURE, ENCOUNTER, PATIENT)], [ENCOUNTER, PROCEDURE, PATIENT, CLAIM]],
    ids=["bundle", "a resource a line"],
)
def test_resources_become_rows(tmp_path, values):
    _import(tmp_path, *values)
    (stay,), (leave,), (line,), (person,) = (
        _table(tmp_path, name) for name in ("stays", "leaves", "claim_lines", "persons")
    )
    assert stay == {
        "visit_id": "V1",
        "institution_id": "H1",
        "person_id": "P1",
        "admitted_at": at(2, 9),
        "discharged_at": at(6, 14, 30),
        "department": "肾内科",
        "ward": "W2",
        "bed": "B2",
        "discharge_recorded_at": None,
    }
    assert (leave["left_at"], leave["returned_at"], leave["approved_by"]) == (at(4, 8), at(4, 17), "D7")
    assert (line["line_id"], line["visit_id"], line["person_id"], line["visit_type"]) == (
        "H1:C1:1",
        "V1",
        "P1",
        "inpatient",
    )
    assert (line["service_time"], line["amount"], line["item_name"]) == (
        at(3, 8, 10),
        Decimal("400.10"),
        "Haemodialysis",
    )
    assert (person["sex"], person["birth_date"].year) == ("F", 1950)


@pytest.mark.parametrize(
    ("change", "column", "value"),
    [
        (
            {"servicedPeriod": {"start": "2026-03-03T06:00:00+08:00"}},
            "service_time",
            datetime(2026, 3, 2, 22, tzinfo=UTC),
        ),
        ({"servicedDate": "2026-03-03"}, "service_time", datetime(2026, 3, 2, 16, tzinfo=UTC)),
        ({"procedureSequence": []}, "service_time", at(2, 9)),
        (
            {"net": None, "unitPrice": {"value": 200.05}, "quantity": {"value": 2}},
            "amount",
            Decimal("400.10"),
        ),
        ({"quantity": None}, "quantity", 1),
        ({"productOrService": {"text": "HD"}}, "item_code", "HD"),
    ],
)
def test_an_item_takes_what_it_lacks_from_its_claim(tmp_path, change, column, value):
    item = {name: one for name, one in (ITEM | change).items() if one is not None}
    _import(tmp_path, bundle(CLAIM | {"item": [item]}, PROCEDURE, ENCOUNTER))
    assert _table(tmp_path, "claim_lines")[0][column] == value


@pytest.mark.parametrize(
    ("change", "visit_type"),
    [
        ({"type": {"coding": [{"code": "pharmacy"}]}}, "pharmacy"),
        ({"type": {"coding": [{"code": "professional"}]}, "item": [{**ITEM, "encounter": []}]}, "outpatient"),
        ({"item": [{**ITEM, "encounter": []}]}, "inpatient"),
    ],
)
def test_the_kind_of_visit_is_the_encounters_else_the_claims(tmp_path, change, visit_type):
    _import(tmp_path, bundle(CLAIM | change, PROCEDURE, ENCOUNTER))
    assert _table(tmp_path, "claim_lines")[0]["visit_type"] == visit_type


def test_a_later_version_of_an_encounter_replaces_the_earlier(tmp_path):
    def version(day, **change):
        return ENCOUNTER | {"meta": {"lastUpdated": f"2026-03-{day:02d}T20:00:00+08:00"}} | change

    _import(tmp_path, version(6), name="late.json")
    _import(
        tmp_path,
        version(3, period={"start": "2026-03-02T09:00:00+08:00"}, statusHistory=[]),
        name="early.json",
    )
    (stay,) = _table(tmp_path, "stays")
    assert stay["discharged_at"] == at(6, 14, 30)
    assert len(_table(tmp_path, "leaves")) == 1


def test_what_is_not_used_is_counted(tmp_path):
    summary = _import(
        tmp_path,
        bundle(
            ENCOUNTER,
            {"resourceType": "Observation"},
            {"resourceType": "Observation"},
            ENCOUNTER | {"id": "V2", "class": {"code": "AMB"}},
            CLAIM | {"status": "cancelled"},
        ),
    )
    assert summary.ignored == {"Claim cancelled": 1, "Encounter AMB": 1, "Observation": 2}


@pytest.mark.parametrize(
    ("bad", "table", "field", "reason"),
    [
        (ENCOUNTER | {"period": {}}, "stays", "Encounter.period.start", "missing"),
        (ENCOUNTER | {"period": {"start": "soon"}}, "stays", "Encounter.period.start", "bad_time"),
        (ENCOUNTER | {"subject": {}}, "stays", "Encounter.subject", "missing"),
        (ENCOUNTER | {"serviceProvider": {}}, "stays", "Encounter.serviceProvider", "missing"),
        (
            CLAIM | {"item": [{**ITEM, "net": {"value": "x"}}]},
            "claim_lines",
            "Claim.item[1].net",
            "bad_decimal",
        ),
        (CLAIM | {"item": [{**ITEM, "net": {}}]}, "claim_lines", "Claim.item[1].net", "missing"),
        (CLAIM | {"patient": {}}, "claim_lines", "Claim.patient", "missing"),
        (CLAIM | {"id": None}, "claim_lines", "Claim.item[1].sequence", "missing"),
        ({"id": "x"}, "claim_lines", "resourceType", "unknown_message"),
        ([ENCOUNTER], "claim_lines", "", "not_parsable"),
    ],
)
def test_a_bad_resource_is_listed_and_its_neighbours_go_in(tmp_path, bad, table, field, reason):
    _import(tmp_path, ENCOUNTER | {"id": "V8"}, bad, ENCOUNTER | {"id": "V9"})
    assert _rejected(tmp_path, table) == [(2, field, reason)]
    assert {row["visit_id"] for row in _table(tmp_path, "stays")} == {"V8", "V9"}


def test_nodes_of_the_wrong_shape_do_not_crash(tmp_path):
    odd = [
        {"resourceType": "Claim", "item": "x", "id": "1"},
        {
            "resourceType": "Claim",
            "id": "C2",
            "item": [{"sequence": 1, "encounter": "V", "quantity": 3, "net": []}],
        },
        {"resourceType": "Encounter", "class": "IMP", "location": {}, "period": 5},
        {"resourceType": "Bundle", "entry": {"resource": {}}},
        {"resourceType": "Patient"},
    ]
    _import(tmp_path, ENCOUNTER, *odd)
    assert len(_table(tmp_path, "stays")) == 1


# --- what the world really sends (FHIR R4 4.0.1 and R5 5.0.0; the page of each resource) ---


def _line(**change):
    return {name: one for name, one in (ITEM | change).items() if one is not None}


def _claim(*items, **change):
    return CLAIM | {"use": "claim", "item": list(items)} | change


def _billed(tmp_path):
    """Each line as (line, code, quantity, amount)."""
    rows = _table(tmp_path, "claim_lines")
    return sorted((row["line_id"], row["item_code"], row["quantity"], row["amount"]) for row in rows)


def _coded(code, **more):
    return {"productOrService": {"coding": [{"code": code}]}, **more}


def _yuan(value, currency="CNY"):
    return {"value": value, "currency": currency}


def _mapped(tmp_path, mapping, *values):
    (tmp_path / "m.toml").write_text(mapping, encoding="utf-8")
    return _import(tmp_path, *values, mapping=tmp_path / "m.toml")


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"use": "preauthorization"}, "Claim for preauthorization"),
        ({"use": "predetermination"}, "Claim for predetermination"),
        ({"status": "draft"}, "Claim draft"),
        ({"status": "cancelled"}, "Claim cancelled"),
        ({"status": "entered-in-error"}, "Claim entered-in-error"),
    ],
)
def test_only_what_asks_for_payment_is_billed(tmp_path, change, kind):
    """Claim.use and Claim.status are required codes; a pre-authorization may never be carried out."""
    summary = _import(tmp_path, bundle(_claim(_line()), _claim(_line(), id="C9", **change)))
    assert [row["line_id"] for row in _table(tmp_path, "claim_lines")] == ["H1:C1:1"]
    assert summary.ignored == {kind: 1}


def test_details_and_subdetails_are_lines_and_their_item_is_not_billed_twice(tmp_path):
    """Claim.item.detail.subDetail; net of an item with details is their sum."""
    package = _line(
        **_coded("PACK"),
        net=_yuan(400),
        detail=[
            {"sequence": 1, **_coded("HD"), "net": _yuan(300)},
            {
                "sequence": 2,
                **_coded("SET"),
                "net": _yuan(100),
                "subDetail": [
                    {"sequence": 1, **_coded("A"), "unitPrice": _yuan(30), "quantity": {"value": 2}},
                    {"sequence": 2, **_coded("B"), "net": _yuan(40)},
                ],
            },
        ],
    )
    _import(tmp_path, bundle(_claim(package), PROCEDURE, ENCOUNTER))
    assert _billed(tmp_path) == [
        ("H1:C1:1.1", "HD", 1, 300),
        ("H1:C1:1.2.1", "A", 2, 60),
        ("H1:C1:1.2.2", "B", 1, 40),
    ]
    assert {row["service_time"] for row in _table(tmp_path, "claim_lines")} == {at(3, 8, 10)}
    assert {row["visit_id"] for row in _table(tmp_path, "claim_lines")} == {"V1"}


@pytest.mark.parametrize(
    ("net", "details", "billed"),
    [
        (500, [300, 100], [("1", 100), ("1.1", 300), ("1.2", 100)]),
        (None, [300, 100], [("1.1", 300), ("1.2", 100)]),
        (400, [None, None], [("1", 400), ("1.1", 0), ("1.2", 0)]),
        (400, [300, None], [("1", 100), ("1.1", 300)]),
    ],
    ids=["something left", "no price of its own", "one price for all", "one without a price"],
)
def test_every_yuan_of_a_package_is_billed_once(tmp_path, net, details, billed):
    told = [
        {"sequence": number, **_coded(f"D{number}")} | ({} if price is None else {"net": _yuan(price)})
        for number, price in enumerate(details, 1)
    ]
    _import(tmp_path, bundle(_claim(_line(net=None if net is None else _yuan(net), detail=told))))
    assert [(row[0].removeprefix("H1:C1:"), row[3]) for row in _billed(tmp_path)] == billed


@pytest.mark.parametrize(
    ("quantity", "taken"),
    [
        ({"value": 240, "unit": "min", "system": "http://unitsofmeasure.org", "code": "min"}, None),
        ({"value": 4, "code": "h"}, None),
        ({"value": 4, "unit": "小时"}, None),
        ({"value": 1, "code": "wk"}, None),
        ({"value": 2, "unit": "次"}, 2),
        ({"value": 2, "unit": "sessions", "code": "{session}"}, 2),
        ({"value": 3, "unit": "天", "code": "d"}, 3),
        ({"value": 2}, 2),
    ],
)
def test_a_duration_is_no_number_of_sessions(tmp_path, quantity, taken):
    """Quantity: the value is in the unit (UCUM)."""
    _import(tmp_path, ENCOUNTER, _claim(_line(quantity=quantity)))
    assert [row["quantity"] for row in _table(tmp_path, "claim_lines")] == ([] if taken is None else [taken])
    if taken is None:
        assert _rejected(tmp_path, "claim_lines") == [(2, "Claim.item[1].quantity", "unit_not_held")]
        (reject,) = _table(tmp_path, "rejects")
        assert (reject["institution_id"], reject["amount"]) == ("H1", Decimal("400.10"))


@pytest.mark.parametrize("by", ["mapping", "catalogue"])
@pytest.mark.parametrize(
    ("quantity", "hours"),
    [
        ({"value": 240, "code": "min"}, 4),
        ({"value": 4, "unit": "hours"}, 4),
        ({"value": 250, "unit": "分钟"}, Decimal("4.1667")),
    ],
)
def test_a_duration_of_an_item_billed_by_the_hour_is_in_hours(tmp_path, by, quantity, hours):
    (tmp_path / "out").mkdir()
    if by == "catalogue":
        catalogue = (
            "item_code,item_class,sex_limit,min_age_years,max_age_years,unit\nHD,haemodialysis,,,,hour\n"
        )
        (tmp_path / "out" / "item_catalogue.csv").write_text(catalogue, encoding="utf-8")
    mapping = '[fhir.units]\nHD = "hour"\n' if by == "mapping" else ""
    _mapped(tmp_path, mapping, ENCOUNTER, _claim(_line(quantity=quantity)))
    assert [row["quantity"] for row in _table(tmp_path, "claim_lines")] == [hours]


@pytest.mark.parametrize(
    ("change", "amount"),
    [
        ({"unitPrice": _yuan(100), "quantity": {"value": 3}, "factor": 0.8}, "240.00"),
        ({"unitPrice": _yuan(100), "quantity": {"value": 3}, "factor": 0.8, "tax": _yuan(5)}, "245.00"),
        ({"unitPrice": _yuan(100), "quantity": {"value": 3}, "net": _yuan(250)}, "250.00"),
    ],
)
def test_without_a_net_amount_price_quantity_and_factor_make_it(tmp_path, change, amount):
    """Claim.item.factor multiplies; Claim.item.tax (R5) is part of net."""
    _import(tmp_path, _claim(_line(net=None) | change))
    assert _table(tmp_path, "claim_lines")[0]["amount"] == Decimal(amount)


@pytest.mark.parametrize(
    ("change", "total"),
    [({"net": _yuan(57, "USD")}, {}), ({"net": {"value": 57}}, {"total": _yuan(57, "USD")})],
)
def test_another_currency_is_refused_and_never_counted_as_yuan(tmp_path, change, total):
    claim = _claim(_line(**change), **total)
    _import(tmp_path, ENCOUNTER, claim)
    assert _rejected(tmp_path, "claim_lines") == [(2, "Claim.item[1].net", "other_currency")]
    assert _table(tmp_path, "rejects")[0]["amount"] is None
    _mapped(tmp_path, '[fhir]\ncurrencies = ["CNY", "USD"]\n', ENCOUNTER, claim)
    assert _table(tmp_path, "claim_lines")[0]["amount"] == 57


@pytest.mark.parametrize("order", ["first", "last", "earlier import", "later import"])
def test_a_claim_that_replaces_another_takes_its_place_whatever_comes_first(tmp_path, order):
    """Claim.related: the relationship names how this claim relates to a prior one."""
    old = _claim(_line(), _line(sequence=2))
    relation = {"claim": {"reference": "Claim/C1"}, "relationship": {"coding": [{"code": "replaces"}]}}
    new = _claim(_line(net=_yuan(350)), id="C2", related=[relation])
    if order in {"first", "last"}:
        _import(tmp_path, *([new, old] if order == "first" else [old, new]))
    else:
        pair = [(old, "1.json"), (new, "2.json")]
        for claim, name in pair if order == "earlier import" else reversed(pair):
            _import(tmp_path, claim, _claim(_line(), id=f"other{name}"), name=name)
    found = [row for row in _billed(tmp_path) if "other" not in row[0]]
    assert found == [("H1:C2:1", "HD", 1, 350)]


def test_lines_of_a_replaced_claim_stay_in_the_history(tmp_path):
    relation = {"claim": {"reference": "Claim/C1"}, "relationship": {"coding": [{"code": "replaces"}]}}
    _import(tmp_path, _claim(_line()), name="1.json")
    summary = _import(tmp_path, _claim(_line(), id="C2", related=[relation]), name="2.json")
    history = pq.read_table(tmp_path / "out" / "history" / "claim_lines.parquet").to_pylist()
    assert [(row["line_id"], row["replaced_by_file"]) for row in history] == [("H1:C1:1", "2.json")]
    assert summary.counted == {"lines of claims that are billed no more": 1}
    _import(tmp_path, _claim(_line()), _claim(_line(), id="C3"), name="1.json")
    assert [row[0] for row in _billed(tmp_path)] == ["H1:C2:1", "H1:C3:1"]


@pytest.mark.parametrize("status", ["cancelled", "entered-in-error"])
def test_a_claim_that_is_cancelled_later_is_billed_no_more(tmp_path, status):
    _import(tmp_path, _claim(_line()), name="1.json")
    _import(tmp_path, _claim(_line(), status=status), name="2.json")
    assert _billed(tmp_path) == []


@pytest.mark.parametrize("older", [{"net": _yuan(350)}, {"status": "cancelled"}])
def test_an_older_version_behind_a_newer_one_of_an_import_does_not_count(tmp_path, older):
    """A Bundle of type history is sorted with the newest version first (http.html#history)."""
    status = {"status": older["status"]} if "status" in older else {}
    lines = [_line(**{name: value for name, value in older.items() if name == "net"})]
    newer = _claim(_line(net=_yuan(99))) | {"meta": {"lastUpdated": "2026-03-09T00:00:00Z"}}
    before = _claim(*lines, **status) | {"meta": {"lastUpdated": "2026-03-01T08:00:00+08:00"}}
    summary = _import(tmp_path, bundle(newer, before))
    assert [row[3] for row in _billed(tmp_path)] == [99]
    assert summary.ignored == {"older version of Claim": 1}
    assert not summary.tables["claim_lines"].reasons


def test_a_related_claim_that_is_not_replaced_stays(tmp_path):
    relation = {"claim": {"reference": "Claim/C1"}, "relationship": {"coding": [{"code": "associated"}]}}
    _import(tmp_path, _claim(_line()), _claim(_line(), id="C2", related=[relation]))
    assert [row[0] for row in _billed(tmp_path)] == ["H1:C1:1", "H1:C2:1"]


def test_an_explanation_of_benefit_is_billed_where_its_claim_is_not_there(tmp_path):
    """ExplanationOfBenefit.claim is what it answers; `benefit` is what the payer pays."""

    def explained(number):
        paid = [{"category": {"coding": [{"code": "benefit"}]}, "amount": _yuan(320)}]
        answer = {"resourceType": "ExplanationOfBenefit", "id": f"E{number}", "outcome": "complete"}
        return _claim(_line(adjudication=paid), claim={"reference": f"Claim/C{number}"}) | answer

    refused = explained(3) | {"outcome": "error"}
    summary = _import(tmp_path, _claim(_line()), explained(1), explained(2), refused)
    assert [row[0] for row in _billed(tmp_path)] == ["H1:C1:1", "H1:C2:1"]
    funds = {row["line_id"]: row["fund_amount"] for row in _table(tmp_path, "claim_lines")}
    assert funds == {"H1:C1:1": None, "H1:C2:1": 320}
    assert summary.ignored == {
        "ExplanationOfBenefit of a refused claim": 1,
        "ExplanationOfBenefit of what a Claim bills": 1,
    }


@pytest.mark.parametrize(
    "reference",
    [
        {"reference": "Patient/P1"},
        {"reference": "https://his.example.org/fhir/Patient/P1"},
        {"reference": "https://his.example.org/fhir/Patient/P1/_history/3"},
        {"reference": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"},
        {"reference": "#pat"},
        {"identifier": {"system": "urn:mrn", "value": "M1"}},
        {"identifier": {"system": "urn:psn", "value": "37112119500506123X"}},
    ],
    ids=["relative", "absolute", "versioned", "urn", "contained", "local identifier", "identifier"],
)
def test_a_person_is_one_number_however_it_is_pointed_at(tmp_path, reference):
    identifiers = [{"system": "urn:mrn", "value": "M1"}, {"system": "urn:psn", "value": "37112119500506123x"}]
    patient = PATIENT | {"identifier": identifiers}
    contained = {"contained": [{"resourceType": "Patient", "id": "pat", "identifier": identifiers}]}
    value = bundle(_claim(_line(), patient=reference, **contained), patient)
    value["entry"][1]["fullUrl"] = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
    _mapped(tmp_path, '[fhir]\nperson_systems = ["urn:psn", "urn:mrn"]\n', value)
    assert [row["person_id"] for row in _table(tmp_path, "claim_lines")] == ["37112119500506123X"]
    assert [row["person_id"] for row in _table(tmp_path, "persons")] == ["37112119500506123X"]


def test_a_contained_patient_is_known_by_its_identifier_and_never_by_its_place(tmp_path):
    with_number = {"resourceType": "Patient", "id": "p", "identifier": [{"value": "N7"}], "gender": "male"}
    without = {"resourceType": "Patient", "id": "p"}
    claims = [
        _claim(_line(), id=f"C{number}", patient={"reference": "#p"}, contained=[one])
        for number, one in enumerate([with_number, without])
    ]
    _import(tmp_path, *claims)
    assert [row["person_id"] for row in _table(tmp_path, "claim_lines")] == ["N7"]
    assert [(row["person_id"], row["sex"]) for row in _table(tmp_path, "persons")] == [("N7", "M")]
    assert _rejected(tmp_path, "claim_lines") == [(2, "Claim.patient", "missing")]


def test_a_person_without_the_number_that_is_wanted_is_refused(tmp_path):
    other = PATIENT | {"id": "P2", "identifier": [{"system": "urn:psn", "value": "N2"}]}
    _mapped(tmp_path, '[fhir]\nperson_systems = ["urn:psn"]\n', bundle(_claim(_line()), PATIENT), other)
    assert _rejected(tmp_path, "claim_lines") == [(1, "Claim.patient", "missing")]
    assert _rejected(tmp_path, "persons") == [(1, "Patient.id", "missing")]
    assert [row["person_id"] for row in _table(tmp_path, "persons")] == ["N2"]


def test_item_and_institution_are_taken_from_the_systems_that_are_wanted(tmp_path):
    codings = [{"system": "urn:his", "code": "77"}, {"system": "urn:nhsa", "code": "003110000010000"}]
    hospital = {
        "resourceType": "Organization",
        "id": "H1",
        "identifier": [
            {"system": "urn:his", "value": "1"},
            {"system": "urn:fixmedins", "value": "H37112100001"},
        ],
    }
    mapping = """
        [fhir]
        item_systems = ["urn:nhsa"]
        institution_systems = ["urn:fixmedins"]
        [fhir.institutions]
        H37112100001 = "H9"
    """
    _mapped(
        tmp_path, mapping, bundle(_claim(_line(productOrService={"coding": codings})), ENCOUNTER, hospital)
    )
    (line,), (stay,) = _table(tmp_path, "claim_lines"), _table(tmp_path, "stays")
    assert (line["item_code"], line["institution_id"], stay["institution_id"]) == (
        "003110000010000",
        "H9",
        "H9",
    )


def test_a_bulk_export_is_read_whatever_its_files_are_called(tmp_path):
    """Bulk Data: a file of lines for each type of resource."""
    claim = _claim(_line(), patient={"reference": "Patient/P1"})
    patient = PATIENT | {"identifier": [{"system": "urn:psn", "value": "N1"}]}
    (tmp_path / "all").mkdir()
    for name, value in (("a", claim), ("b", ENCOUNTER), ("c", PROCEDURE), ("d", patient)):
        (tmp_path / "all" / f"{name}.ndjson").write_text(json.dumps(value), encoding="utf-8")
    (tmp_path / "m.toml").write_text('[fhir]\nperson_systems = ["urn:psn"]\n', encoding="utf-8")
    options = Options(mapping=tmp_path / "m.toml")
    import_claims(tmp_path / "all", tmp_path / "out", file_format=Format.FHIR, options=options)
    (line,), (stay,) = _table(tmp_path, "claim_lines"), _table(tmp_path, "stays")
    assert (line["person_id"], line["service_time"], stay["person_id"]) == ("N1", at(3, 8, 10), "N1")


@pytest.mark.parametrize("kind", ["collection", "searchset", "transaction", "document", "batch"])
def test_bundles_of_every_type_and_bundles_in_bundles_are_read(tmp_path, kind):
    inner = bundle(_claim(_line()), PROCEDURE) | {"type": kind}
    _import(tmp_path, bundle(ENCOUNTER, inner) | {"type": "collection"})
    assert len(_table(tmp_path, "claim_lines")) == len(_table(tmp_path, "stays")) == 1


def test_resources_of_a_transaction_are_named_by_their_urns(tmp_path):
    """A resource that is being made has no id yet; its fullUrl is what others point at."""
    claim = {name: value for name, value in _claim(_line(encounter=None)).items() if name != "id"}
    value = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"fullUrl": "urn:uuid:77", "resource": claim}],
    }
    _import(tmp_path, value)
    assert [row["line_id"] for row in _table(tmp_path, "claim_lines")] == ["H1:77:1"]


@pytest.mark.parametrize(
    ("told", "day", "warned"),
    [
        ({"deceasedDateTime": "2026-03-03T20:00:00Z"}, "2026-03-04", False),
        ({"deceasedDateTime": "2026-03-04T00:30:00+09:00"}, "2026-03-03", False),
        ({"deceasedDateTime": "2026-03-03"}, "2026-03-03", False),
        ({"deceasedDateTime": "2026-03"}, "None", True),
        ({"deceasedDateTime": "2026"}, "None", True),
        ({"deceasedBoolean": True}, "None", True),
        ({"deceasedBoolean": False}, "None", False),
    ],
)
def test_a_death_is_on_its_local_day_and_never_guessed(tmp_path, told, day, warned):
    """dateTime: a year, a month, a day, or a moment with its offset."""
    _import(tmp_path, PATIENT | told)
    assert str(_table(tmp_path, "persons")[0]["death_date"]) == day
    remarks = tmp_path / "out" / "warnings" / "persons.csv"
    assert (remarks.exists() and "death_not_dated" in remarks.read_text("utf-8")) == warned


def test_a_birth_without_its_day_is_left_out_and_named(tmp_path):
    _import(tmp_path, PATIENT | {"birthDate": "1950-05"})
    assert _table(tmp_path, "persons")[0]["birth_date"] is None
    assert "partial_date" in (tmp_path / "out" / "warnings" / "persons.csv").read_text("utf-8")


def test_a_patient_in_many_bundles_is_one_person_with_the_latest_word(tmp_path):
    newer = PATIENT | {"meta": {"lastUpdated": "2026-03-05T00:00:00Z"}, "deceasedDateTime": "2026-03-04"}
    summary = _import(tmp_path, bundle(newer), bundle(PATIENT), bundle(PATIENT | {"gender": "male"}))
    (person,) = _table(tmp_path, "persons")
    assert (person["sex"], str(person["death_date"])) == ("F", "2026-03-04")
    assert summary.tables["persons"].rejected == 0


def test_linked_patients_are_two_numbers_of_one_person(tmp_path):
    """Patient.link: `replaced-by` points at the record that must be used."""
    old = PATIENT | {"id": "P0", "link": [{"other": {"reference": "Patient/P1"}, "type": "replaced-by"}]}
    new = PATIENT | {"link": [{"other": {"reference": "Patient/P0"}, "type": "replaces"}]}
    seen = PATIENT | {"id": "P7", "link": [{"other": {"reference": "Patient/P8"}, "type": "seealso"}]}
    _import(tmp_path, bundle(old, new, seen))
    aliases = [(row["person_id"], row["alias_of"]) for row in _table(tmp_path, "person_aliases")]
    assert aliases == [("P0", "P1")]


R5 = {
    "resourceType": "Encounter",
    "id": "V5",
    "status": "completed",
    "class": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"}]}],
    "subject": {"reference": "Patient/P1"},
    "serviceProvider": {"reference": "Organization/H1"},
    "serviceType": [{"concept": {"text": "肾内科"}}],
    "participant": [{"actor": {"reference": "Practitioner/D7"}}],
    "actualPeriod": {"start": "2026-03-02T09:00:00+08:00", "end": "2026-03-06"},
    "location": [{"location": {"display": "W2"}, "form": {"coding": [{"code": "wa"}]}}],
}


def test_an_encounter_of_r5_is_a_stay(tmp_path):
    """R5: class is a list, period is actualPeriod, serviceType has a concept, physicalType is form."""
    _import(tmp_path, R5)
    (stay,) = _table(tmp_path, "stays")
    assert (stay["admitted_at"], stay["department"], stay["ward"], stay["bed"]) == (
        at(2, 9),
        "肾内科",
        "W2",
        None,
    )
    assert stay["discharged_at"] == at(6, 23, 59).replace(second=59)  # a day's end includes the day


def test_a_claim_of_r5_names_its_encounter_and_when_things_were_done(tmp_path):
    done = {"resourceType": "Procedure", "id": "PR1", "occurrenceDateTime": "2026-03-03T08:30:00+08:00"}
    claim = _claim(_line(encounter=None), encounter=[{"reference": "Encounter/V5"}])
    _import(tmp_path, bundle(claim, done, R5))
    (line,) = _table(tmp_path, "claim_lines")
    assert (line["visit_id"], line["visit_type"], line["service_time"]) == ("V5", "inpatient", at(3, 8, 30))


def test_a_stay_begins_when_the_patient_became_an_inpatient(tmp_path):
    """R4 Encounter.classHistory: emergency first, then inpatient, in one encounter."""
    history = [
        {
            "class": {"code": "EMER"},
            "period": {"start": "2026-03-01T20:00:00+08:00", "end": "2026-03-02T10:00:00+08:00"},
        },
        {"class": {"code": "IMP"}, "period": {"start": "2026-03-02T10:00:00+08:00"}},
    ]
    _import(tmp_path, ENCOUNTER | {"period": {"start": "2026-03-01T20:00:00+08:00"}, "classHistory": history})
    assert _table(tmp_path, "stays")[0]["admitted_at"] == at(2, 10)


def test_a_part_of_an_encounter_is_no_second_stay_and_its_lines_are_of_the_whole(tmp_path):
    """Encounter.partOf: another encounter of which this one is administratively a part."""
    part = ENCOUNTER | {"id": "V1a", "partOf": {"reference": "Encounter/V1"}, "statusHistory": []}
    session = part | {"id": "V1b", "class": {"code": "AMB"}, "partOf": {"reference": "Encounter/V1a"}}
    claim = _claim(_line(encounter=[{"reference": "Encounter/V1b"}]))
    _import(tmp_path, bundle(part, session, ENCOUNTER, claim, PROCEDURE))
    assert [row["visit_id"] for row in _table(tmp_path, "stays")] == ["V1"]
    (line,) = _table(tmp_path, "claim_lines")
    assert (line["visit_id"], line["visit_type"]) == ("V1", "inpatient")


def test_parts_of_an_encounter_that_never_comes_tell_of_a_stay_from_the_first_on(tmp_path):
    def part(number, start, end):
        period = {"start": f"2026-03-{start:02d}T09:00:00+08:00", "end": f"2026-03-{end:02d}T09:00:00+08:00"}
        whole = {"partOf": {"reference": "Encounter/V1"}, "statusHistory": []}
        return ENCOUNTER | whole | {"id": f"V1{number}", "period": period}

    _import(tmp_path, part("b", 4, 6), part("a", 2, 4))
    (stay,) = _table(tmp_path, "stays")
    assert (stay["visit_id"], stay["admitted_at"], stay["discharged_at"]) == ("V1", at(2, 9), None)


@pytest.mark.parametrize("status", ["entered-in-error", "cancelled"])
def test_an_encounter_that_was_an_error_is_a_stay_no_more(tmp_path, status):
    later = {"meta": {"lastUpdated": "2026-03-07T00:00:00Z"}}
    _import(tmp_path, ENCOUNTER, ENCOUNTER | {"id": "V2"}, name="1.json")
    _import(tmp_path, ENCOUNTER | {"status": status} | later, name="2.json")
    assert [row["visit_id"] for row in _table(tmp_path, "stays")] == ["V2"]
    assert [row["visit_id"] for row in _table(tmp_path, "leaves")] == ["V2"]


def test_an_error_of_which_nothing_was_told_is_not_named(tmp_path):
    summary = _import(tmp_path, ENCOUNTER, ENCOUNTER | {"id": "V2", "status": "entered-in-error"})
    assert summary.tables["stays"].reasons == {}
    assert len(_table(tmp_path, "stays")) == 1


@pytest.mark.parametrize(
    ("period", "moment"),
    [
        ({"start": "2026-03-02T08:00:00+08:00", "end": "2026-03-02T12:00:00+08:00"}, at(2, 8)),
        ({"start": "2026-03-02", "end": "2026-03-06"}, at(5, 8).replace(hour=16)),
        ({"start": "2026-03-02T08:00:00+08:00"}, at(2, 8)),
    ],
)
def test_what_is_billed_for_several_days_is_billed_when_they_are_over(tmp_path, period, moment):
    """servicedPeriod; a bed line of n days is for the days up to its own (AUDIT, bed days)."""
    _import(tmp_path, _claim(_line(servicedPeriod=period, quantity={"value": 5, "code": "d"})))
    assert _table(tmp_path, "claim_lines")[0]["service_time"] == moment


@pytest.mark.parametrize("raw", ["2026", "2026-03"])
def test_a_service_without_its_day_is_refused(tmp_path, raw):
    _import(tmp_path, ENCOUNTER, _claim(_line(servicedDate=raw)))
    assert _rejected(tmp_path, "claim_lines") == [(2, "Claim.item[1].servicedPeriod", "bad_time")]


def test_the_biller_is_the_providers_organization_not_the_doctor_or_the_room(tmp_path):
    role = {"resourceType": "PractitionerRole", "id": "R1", "organization": {"reference": "Organization/H2"}}
    room = {"resourceType": "Location", "id": "L1", "managingOrganization": {"reference": "Organization/H3"}}
    by_role = _claim(_line(), id="C1", provider={"reference": "PractitionerRole/R1"})
    by_room = _claim(
        _line(), id="C2", provider={"reference": "Practitioner/D1"}, facility={"reference": "Location/L1"}
    )
    _import(tmp_path, bundle(by_role, by_room, role, room))
    assert [row["institution_id"] for row in _table(tmp_path, "claim_lines")] == ["H2", "H3"]


def _replacing(claim_id, *prior, **more):
    relation = {"coding": [{"code": "replaces"}]}
    related = [{"claim": claim, "relationship": relation} for claim in prior]
    return _claim(_line(), id=claim_id, related=related, **more)


@pytest.mark.parametrize(
    "claims",
    [
        [_replacing("C1", {"reference": "Claim/C1"})],
        [_replacing("C1", {"reference": "Claim/C2"}), _replacing("C2", {"reference": "Claim/C1"})],
        [
            _replacing("C1", {"reference": "Claim/C3"}),
            _replacing("C2", {"reference": "Claim/C1"}),
            _replacing("C3", {"reference": "Claim/C2"}),
        ],
    ],
)
def test_claims_that_replace_themselves_or_each_other_are_billed(tmp_path, claims):
    _import(tmp_path, *claims)
    assert [row[0] for row in _billed(tmp_path)] == [
        f"H1:C{number}:1" for number in range(1, len(claims) + 1)
    ]


@pytest.mark.parametrize("order", [1, -1])
def test_a_replaced_claim_may_be_named_by_its_identifier(tmp_path, order):
    """Reference.identifier names what a server's id does not."""
    old = _claim(_line(), identifier=[{"system": "urn:bills", "value": "2026-0001"}])
    new = _replacing("C2", {"identifier": {"system": "urn:bills", "value": "2026-0001"}})
    for number, claim in enumerate([old, new][::order]):
        _import(tmp_path, claim, _claim(_line(), id=f"x{number}"), name=f"{number}.json")
    assert [row[0] for row in _billed(tmp_path)] == ["H1:C2:1", "H1:x0:1", "H1:x1:1"]
