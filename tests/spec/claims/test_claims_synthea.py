"""Synthea's CSV export: which file becomes which table, and how they refer to each other."""

import csv
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow.parquet as pq
import pytest

from renzheng.central.claims.importer import Format, import_claims
from renzheng.central.claims.source import ColumnsError

FILES = {
    "patients.csv": [
        "Id,BIRTHDATE,DEATHDATE,SSN,FIRST,LAST,GENDER,ZIP",
        "P1,1950-05-06,,999-1,José,Doe,M,1",
        "P2,1960-02-03,2026-03-05,999-2,Ann,Roe,F,1",
    ],
    "organizations.csv": [
        "Id,NAME,ADDRESS,CITY,STATE,ZIP,LAT,LON",
        "H1,GENERAL HOSPITAL,1 Road,Town,MA,01234,1,1",
    ],
    "encounters.csv": [
        "Id,START,STOP,PATIENT,ORGANIZATION,PROVIDER,PAYER,ENCOUNTERCLASS,CODE,DESCRIPTION",
        "V1,2026-03-02T01:00:00Z,2026-03-06T06:30:00Z,P1,H1,D1,X,inpatient,1,Stay",
        "V2,2026-03-03T01:00:00Z,2026-03-03T02:00:00Z,P2,H1,D1,X,ambulatory,1,Visit",
        "V3,soon,,P2,H1,D1,X,inpatient,1,Stay",
    ],
    "procedures.csv": [
        "START,STOP,PATIENT,ENCOUNTER,CODE,DESCRIPTION,BASE_COST,REASONCODE,REASONDESCRIPTION",
        "2026-03-03T01:10:00Z,2026-03-03T05:10:00Z,P1,V1,265764009,Renal dialysis (procedure),1097.64,1,x",
        "2026-03-03T01:10:00Z,2026-03-03T05:10:00Z,P1,V9,265764009,Renal dialysis (procedure),1097.64,1,x",
    ],
    "allergies.csv": ["START,STOP,PATIENT,ENCOUNTER,CODE,DESCRIPTION", "2026-03-03,,P1,V1,1,x"],
}
CHARGES = [
    "ID,CLAIMID,PATIENTID,TYPE,AMOUNT,METHOD,FROMDATE,PLACEOFSERVICE,PROCEDURECODE,UNITS,NOTES,APPOINTMENTID",
    "T1,C1,P1,CHARGE,1097.64,,2026-03-03T01:10:00Z,H1,265764009,1,Renal dialysis,V1",
    "T2,C1,P1,PAYMENT,,CASH,2026-03-03T01:10:00Z,H1,,,,V1",
    "T3,C2,P2,CHARGE,12.5,,2026-03-03T01:10:00Z,H1,1,2,Visit,V2",
]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    for name, lines in FILES.items():
        (tmp_path / "in" / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path / "in"


def _import(folder):
    return import_claims(folder, folder.parent / "out", file_format=Format.SYNTHEA)


def _table(folder, name):
    return pq.read_table(folder.parent / "out" / f"{name}.parquet").to_pylist()


def _rejected(folder, name):
    with (folder.parent / "out" / "rejected" / f"{name}.csv").open(encoding="utf-8", newline="") as stream:
        return [
            (row["file"], int(row["line"]), row["field"], row["reason"]) for row in csv.DictReader(stream)
        ]


def test_patients_organizations_and_inpatient_encounters(folder):
    summary = _import(folder)
    assert [(row["person_id"], row["sex"]) for row in _table(folder, "persons")] == [("P1", "M"), ("P2", "F")]
    assert [row["death_date"] is None for row in _table(folder, "persons")] == [True, False]
    (hospital,) = _table(folder, "institutions")
    assert (hospital["institution_id"], hospital["region_code"]) == ("H1", "01234")
    (stay,) = _table(folder, "stays")
    assert (stay["visit_id"], stay["admitted_at"], stay["discharged_at"]) == (
        "V1",
        datetime(2026, 3, 2, 1, tzinfo=UTC),
        datetime(2026, 3, 6, 6, 30, tzinfo=UTC),
    )
    assert _rejected(folder, "stays") == [("encounters.csv", 4, "START", "bad_time")]
    assert summary.ignored == {"encounter ambulatory": 1, "file allergies.csv": 1}


def test_procedures_are_lines_where_there_are_no_charges(folder):
    _import(folder)
    (line,) = _table(folder, "claim_lines")
    assert (line["line_id"], line["visit_type"], line["amount"]) == (
        "H1:V1:2",
        "inpatient",
        Decimal("1097.64"),
    )
    assert ("procedures.csv", 3, "ENCOUNTER", "missing") in _rejected(folder, "claim_lines")


def test_charges_are_lines_with_the_visit_type_of_their_encounter(folder):
    (folder / "claims_transactions.csv").write_text("\n".join(CHARGES) + "\n", encoding="utf-8")
    summary = _import(folder)
    lines = {row["line_id"]: row for row in _table(folder, "claim_lines")}
    assert {one: row["visit_type"] for one, row in lines.items()} == {
        "H1:T1": "inpatient",
        "H1:T3": "outpatient",
    }
    assert (lines["H1:T3"]["quantity"], lines["H1:T3"]["amount"]) == (2, Decimal("12.50"))
    assert lines["H1:T1"]["settlement_id"] == "C1"
    assert summary.ignored["file procedures.csv"] == 1
    assert summary.ignored["transaction PAYMENT"] == 1


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(ColumnsError, match="None of the files"):
        import_claims(tmp_path / "a.csv", tmp_path / "out", file_format="synthea")
