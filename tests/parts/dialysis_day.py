"""A small dialysis day: two institutions, their kiosks' logs, and a bill with true and false lines.

`EXPECTED` says what each line must be answered with.
"""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from parts.devices import MORNING, LogWriter

from renzheng.contracts import tables
from renzheng.contracts.events import CoverageState, Outcome, Pad

DAY = dt.date(2026, 3, 2)
HOUR = dt.timedelta(hours=1)
EXPECTED = {
    "L-genuine": ("supported", "verified_session"),
    "L-genuine/2": ("supported", "verified_session"),
    "L-manual": ("insufficient", "manual_uncorroborated"),
    "L-phantom": ("contradicted", "no_session"),
    "L-no-sign-out": ("insufficient", "no_sign_out"),
    "L-elsewhere": ("contradicted", "elsewhere"),
    "L-short": ("contradicted", "too_short"),
    "L-outage": ("insufficient", "coverage_gap"),
}


def write_logs() -> Sequence[LogWriter]:
    """Write the day's log of each kiosk."""
    first, second = LogWriter("kiosk-1", "H1"), LogWriter("kiosk-2", "H2")
    for person, minutes in (("P1", 0), ("P2", 7)):
        at = MORNING + dt.timedelta(minutes=minutes)
        first.sign_in(person, at)
        first.sign_out(person, at + 4 * HOUR)
    first.sign_in("P3", MORNING + HOUR, **_manual())
    first.sign_in("P5", MORNING + HOUR)
    second.sign_in("P6", MORNING + 2 * HOUR)
    second.sign_out("P6", MORNING + 6 * HOUR)
    first.sign_in("P7", MORNING + HOUR)
    first.sign_out("P7", MORNING + 1.5 * HOUR)
    midnight = MORNING - 8 * HOUR
    first.covered(midnight, midnight + 24 * HOUR)
    second.covered(midnight + 6 * HOUR, midnight + 12 * HOUR)
    second.covered(midnight + 12 * HOUR, midnight + 14 * HOUR, CoverageState.DOWN)
    return first, second


def _manual() -> dict[str, Any]:
    return {
        "outcome": Outcome.MANUAL,
        "pad": Pad.NOT_SHOWN,
        "comparison_score": None,
        "threshold": None,
        "false_match_rate": None,
        "witness_id": "N007",
    }


def write_tables(folder: Path) -> None:
    """Write what a bureau imports: lines, catalogue, machine log, prescriptions."""
    folder.mkdir(parents=True, exist_ok=True)
    people = {line: f"P{number}" for number, line in enumerate(EXPECTED, start=1)}
    lines = [
        {
            "line_id": line,
            "institution_id": "H2" if line == "L-outage" else "H1",
            "visit_id": f"V-{person}",
            "person_id": person,
            "visit_type": "outpatient",
            "item_code": "HD01",
            "item_name": "血液透析",
            "service_time": MORNING + 2 * HOUR,
            "quantity": Decimal(1),
            "amount": Decimal("420.50"),
        }
        for line, person in people.items()
    ]
    machine = {"institution_id": "H1", "machine_id": "M07", "person_id": "P1"}
    machine |= {"started_at": MORNING + 0.2 * HOUR, "ended_at": MORNING + 4 * HOUR}
    ordered = {"person_id": "P1", "institution_id": "H1", "valid_from": dt.date(2026, 1, 1), "modality": "HD"}
    ordered |= {"sessions_per_week": 3.0, "session_minutes": 240}
    _put(folder, "claim_lines", lines)
    _put(folder, "item_catalogue", [{"item_code": "HD01", "item_class": "haemodialysis"}])
    _put(folder, "machine_sessions", [machine])
    _put(folder, "prescriptions", [ordered])


def _put(folder: Path, name: str, rows: list[dict[str, Any]]) -> None:
    schema = tables.arrow_schema(tables.INPUT_TABLES[name])
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / f"{name}.parquet")
