"""The day's bill in the NHSA line format, with a few broken rows, and the tables that go with it."""

import csv
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from renzheng.central.claims.nhsa_lines import join_id
from renzheng.contracts.tables import INPUT_TABLES, arrow_schema
from renzheng.deploy.demo import story

COLUMNS = (
    "fixmedins_code", "mdtrt_id", "setl_id", "feedetl_sn", "init_feedetl_sn", "psn_no", "med_type",
    "fee_ocur_time", "med_list_codg", "med_list_name", "cnt", "det_item_fee_sumamt", "bilg_dr_codg",
    "bilg_dept_codg",
)  # fmt: skip
BROKEN = (
    {"feedetl_sn": "0901", "fee_ocur_time": "2026-13-45 25:61:00"},
    {"feedetl_sn": "0902", "cnt": "-1"},
    {"feedetl_sn": "0001"},
)
"""What each broken row has instead: no such time, a negative quantity without a reversal, a used id."""


def visit_of(line: story.BilledLine) -> str:
    """Name the visit that a line belongs to."""
    return f"V-{line.clinic.institution_id[-3:]}-{line.patient.person_id}"


def line_id_of(line: story.BilledLine) -> str:
    """Name a line as the importer does: by institution, visit and serial number."""
    return join_id(line.clinic.institution_id, visit_of(line), line.serial)


def _row(line: story.BilledLine) -> dict[str, str]:
    local = line.when.astimezone(story.ZONE)
    return {
        "fixmedins_code": line.clinic.institution_id,
        "mdtrt_id": visit_of(line),
        "setl_id": f"S-{visit_of(line)}",
        "feedetl_sn": line.serial,
        "init_feedetl_sn": line.reverses or "",
        "psn_no": line.patient.person_id,
        "med_type": "14",
        "fee_ocur_time": local.strftime("%Y-%m-%d %H:%M:%S"),
        "med_list_codg": line.item_code,
        "med_list_name": line.item_name,
        "cnt": line.quantity,
        "det_item_fee_sumamt": line.amount,
        "bilg_dr_codg": "D-21",
        "bilg_dept_codg": "A03.08",
    }


def write_bill(path: Path) -> None:
    """Write the day's lines and the broken rows, in GB18030 as many hospitals send them."""
    good = [_row(line) for line in story.LINES]
    broken = [{**good[0], **changes} for changes in BROKEN]
    with path.open("w", encoding="gb18030", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows([*good, *broken])


def _tables() -> dict[str, list[dict[str, Any]]]:
    return {
        "institutions": [
            {
                "institution_id": clinic.institution_id,
                "name": clinic.name,
                "region_code": "371121",
                "timezone": story.ZONE.key,
                "dialysis_machines": clinic.machines,
            }
            for clinic in story.CLINICS
        ],
        "persons": [
            {"person_id": patient.person_id, "sex": "U", "birth_date": date(1955, 1, 1)}
            for patient in story.PATIENTS
        ],
        "item_catalogue": [
            {"item_code": code, "item_class": item_class} for code, (item_class, _) in story.ITEMS.items()
        ],
        "prescriptions": [
            {
                "person_id": patient.person_id,
                "institution_id": patient.clinic.institution_id,
                "valid_from": date(2026, 1, 1),
                "modality": "haemodialysis",
                "sessions_per_week": 3,
                "session_minutes": 240,
            }
            for patient in story.PATIENTS
        ],
        "machine_sessions": [
            {
                "institution_id": clinic.institution_id,
                "machine_id": machine,
                "person_id": patient.person_id,
                "started_at": start,
                "ended_at": end,
            }
            for clinic, machine, patient, start, end in story.MACHINE_SESSIONS
        ],
    }


def write_tables(folder: Path) -> None:
    """Write what the hospitals and the bureau know besides the bill, as canonical Parquet tables."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in _tables().items():
        schema = arrow_schema(INPUT_TABLES[name])
        whole = [{field.name: row.get(field.name) for field in schema} for row in rows]
        pq.write_table(pa.Table.from_pylist(whole, schema), folder / f"{name}.parquet")
