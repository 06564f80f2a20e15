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
