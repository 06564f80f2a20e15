"""Small tables for the audit, written down case by case: a row leaves out what its case is not about.

Times are local, `04 10:00` is the 4th of March 2026, 10:00 in Shanghai.
"""

import datetime as dt
import shutil
from decimal import Decimal

from renzheng.contracts.tables import INPUT_TABLES, REJECTS, ColumnType
from renzheng.rules.pack import NATIONAL

CHINA = dt.timezone(dt.timedelta(hours=8))
TABLES = {**INPUT_TABLES, "rejects": REJECTS}
CATALOGUE = [
    {"item_code": "HD", "item_class": "haemodialysis"},
    {"item_code": "HDF", "item_class": "haemodiafiltration"},
    {"item_code": "HP", "item_class": "haemoperfusion"},
    {"item_code": "HFH", "item_class": "haemofiltration", "unit": "hour"},
    {"item_code": "PD", "item_class": "peritoneal_dialysis"},
    {"item_code": "OTH", "item_class": "other"},
    {"item_code": "BED", "item_class": "bed_day"},
]
USUAL = {
    "institutions": {"name": "n", "region_code": "371121"},
    "persons": {"person_id": "P1", "sex": "U"},
    "claim_lines": {
        "institution_id": "H1",
        "person_id": "P1",
        "visit_type": "outpatient",
        "visit_id": "V1",
        "quantity": 1,
        "amount": 400,
    },
    "prescriptions": {
        "person_id": "P1",
        "institution_id": "H1",
        "valid_from": dt.date(2026, 1, 1),
        "modality": "haemodialysis",
        "sessions_per_week": 3.0,
        "session_minutes": 240,
    },
    "stays": {"institution_id": "H1", "person_id": "P1", "visit_id": "V1"},
    "leaves": {"institution_id": "H1", "person_id": "P1", "visit_id": "V1", "approved_by": "D1"},
    "attendance": {
        "institution_id": "H1",
        "device_id": "K1",
        "person_id": "P1",
        "event_type": "sign_in",
        "purpose": "dialysis",
        "outcome": "match",
        "pad": "bona_fide",
        "clock_trusted": True,
    },
    "spot_checks": {"round_id": "R1", "institution_id": "H1", "person_id": "P1", "visit_id": "V1"},
    "coverage": {"institution_id": "H1", "device_id": "K1", "purpose": "dialysis", "state": "up"},
    "machine_sessions": {"institution_id": "H1", "machine_id": "M1", "person_id": "P1"},
    "rejects": {"institution_id": "H1", "person_id": "P1", "reason": "unreadable", "file": "f", "line": 1},
}
COPIED = {
    "leaves": {"recorded_at": "left_at"},
    "attendance": {"received_at": "occurred_at"},
    "spot_checks": {"due_at": "drawn_at", "answered_at": "drawn_at"},
}
OWN = {
    "institution_id",
    "person_id",
    "alias_of",
    "visit_id",
    "line_id",
    "reverses_line_id",
    "event_id",
    "check_id",
    "session_id",
}


def at(clock):
    return dt.datetime.strptime(f"2026 03 {clock}", "%Y %m %d %H:%M").replace(tzinfo=CHINA)


def line(line_id, clock, code="HD", **more):
    return {"line_id": line_id, "item_code": code, "service_time": at(clock), **more}


def bed(line_id, clock, **more):
    return line(line_id, clock, "BED", **{"amount": 60, "visit_type": "inpatient", **more})


def sign(clock, kind="sign_in", **more):
    return {"event_type": kind, "occurred_at": at(clock), **more}


def session(begin, end, **more):
    return [sign(begin, **more), sign(end, "sign_out", **more)]


def manual(clock, **more):
    return sign(clock, **{"outcome": "manual", "pad": "not_shown", "witness_id": "N1", **more})


def presence(clock, purpose="inpatient", **more):
    return sign(clock, "presence", purpose=purpose, **more)


def machine(begin, end, **more):
    return {"started_at": at(begin), "ended_at": at(end), **more}


def stay(begin, end=None, **more):
    return {"admitted_at": at(begin), "discharged_at": at(end) if end else None, **more}


def leave(begin, end=None, kind="leave", **more):
    return {"kind": kind, "left_at": at(begin), "returned_at": at(end) if end else None, **more}


def check(clock, result, **more):
    return {"drawn_at": at(clock), "result": result, **more}


def up(begin="01 00:00", end="31 23:59", **more):
    """Coverage of dialysis; usually of the whole month."""
    return {"from_at": at(begin), "to_at": at(end), **more}


def died(day):
    return {"death_date": dt.date(2026, 3, day)}


def filled(tables, prefix=""):
    """Return whole rows, the ids of a case told from those of the others by a prefix."""
    found = {name: [] for name in TABLES}
    for name, rows in {"item_catalogue": CATALOGUE, **tables}.items():
        for number, row in enumerate(rows):
            found[name].append(_filled(name, row, number, prefix))
    return found


def _filled(name, row, number, prefix):
    numbered = {"attendance": "event_id", "spot_checks": "check_id"}
    values = {**USUAL.get(name, {}), **row}
    if name in numbered:
        values.setdefault(numbered[name], f"{name[0].upper()}{number:02}")
    for column, other in COPIED.get(name, {}).items():
        values.setdefault(column, values.get(other))
    if name != "item_catalogue":
        values |= {c: prefix + v for c, v in values.items() if c in OWN and isinstance(v, str) and v}
    unknown = set(values) - set(TABLES[name].by_name)
    assert not unknown, f"{name} has no column {unknown}"
    return {column.name: _typed(column.type, values.get(column.name)) for column in TABLES[name].columns}


def _typed(kind, value):
    if value is not None and kind in {ColumnType.QUANTITY, ColumnType.AMOUNT}:
        return Decimal(str(value))
    return value


def few_rules(folder, *names):
    """A pack of the verdicts' rules and one rule of findings, for what is not about findings; or of these."""
    folder.mkdir(parents=True)
    for name in names or ("overlapping-stays",):
        shutil.copy(NATIONAL / f"{name}.sql", folder)
    return folder
