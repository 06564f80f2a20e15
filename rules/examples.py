"""A rule's worked examples as rows of the canonical tables, all examples of all rules in one set of tables.

An example writes only what it is about; everything else gets a usual value. Its ids are prefixed with its
place, and so are its regions: institutions of one example are each other's only peers, as long as a rule
compares an institution with those of its own region. So no example sees another one, and one run of the audit
answers them all, on any engine.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from renzheng.contracts.ids import normalised_id
from renzheng.contracts.tables import INPUT_TABLES, REJECTS, ColumnType, Table
from renzheng.rules.header import Example, Expectation, Rows
from renzheng.rules.pack import Rule

CHINA = dt.timezone(dt.timedelta(hours=8))
SEPARATOR = "~"

EXAMPLE_TABLES: Mapping[str, Table] = {**INPUT_TABLES, REJECTS.name: REJECTS}
"""The tables an example may have rows of: what the audit reads, and what an importer did not take."""

USUAL: Mapping[str, Mapping[str, Any]] = {
    "institutions": {"region_code": "000000"},
    "persons": {"person_id": "P1", "sex": "U"},
    "claim_lines": {
        "institution_id": "H1",
        "person_id": "P1",
        "visit_type": "outpatient",
        "quantity": 1,
        "amount": 400,
    },
    "item_catalogue": {"item_class": "other"},
    "prescriptions": {
        "person_id": "P1",
        "institution_id": "H1",
        "valid_from": dt.date(2026, 1, 1),
        "modality": "haemodialysis",
        "sessions_per_week": 3,
        "session_minutes": 240,
    },
    "stays": {"institution_id": "H1", "person_id": "P1"},
    "leaves": {"institution_id": "H1", "person_id": "P1", "kind": "leave", "approved_by": "D1"},
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
    "counter_identifications": {
        "institution_id": "H1",
        "device_id": "K1",
        "purpose": "pharmacy",
        "person_id": "P1",
        "outcome": "manual",
        "pad": "not_shown",
        "method": "document",
        "source": "clerk",
        "relation": "child",
        "basis": "relative",
        "both_papers": True,
        "buyer_id": "B1",
        "clerk_id": "C1",
        "clock_trusted": True,
    },
    "spot_checks": {"round_id": "R1", "institution_id": "H1", "person_id": "P1", "result": "present"},
    "coverage": {"institution_id": "H1", "device_id": "K1", "purpose": "dialysis", "state": "up"},
    "machine_sessions": {"institution_id": "H1", "machine_id": "M1"},
    "person_aliases": {"alias_of": "P1"},
    "staff_suspensions": {"from_day": dt.date(2026, 1, 1)},
    "diagnoses": {"institution_id": "H1", "visit_id": "V1", "person_id": "P1"},
    "operations": {"institution_id": "H1", "visit_id": "V1", "person_id": "P1"},
    "drug_sales": {
        "institution_id": "H1",
        "kind": "sale",
        "code": "C1",
        "item_code": "DRUG",
        "split": False,
        "paid_by": "fund",
    },
    "drug_stock": {"institution_id": "H1", "kind": "purchase", "code": "C1", "item_code": "DRUG"},
    "service_points": {"point_id": "S1", "institution_id": "H1", "kind": "stimulation", "room": "1"},
    "staff_presence": {
        "institution_id": "H1",
        "staff_id": "D1",
        "role": "doctor",
        "state": "present",
        "shown_by": "face",
        "clock_trusted": True,
    },
    "rejects": {"table": "claim_lines", "institution_id": "H1", "file": "example.csv", "line": 2},
}
COPIED: Mapping[str, Mapping[str, str]] = {
    "institutions": {"name": "institution_id"},
    "claim_lines": {"item_name": "item_code", "visit_id": "line_id"},
    "leaves": {"recorded_at": "left_at"},
    "attendance": {"received_at": "occurred_at"},
    "counter_identifications": {
        "received_at": "occurred_at",
        "holder_id": "person_id",
        "purchase_id": "event_id",
    },
    "spot_checks": {"due_at": "drawn_at", "answered_at": "drawn_at"},
}
"""Columns that repeat another one where an example leaves them out."""

LISTS_OF_IDS = ("item_codes", "device_ids", "machine_ids", "log_source")
"""Columns of service_points that name ids of other tables."""
HERBAL = "T001700010"
"""A herbal piece: the national codes of these begin with T, so its name is left as it is."""
CATALOGUE: Mapping[str, str] = {
    "HD": "haemodialysis",
    "HDF": "haemodiafiltration",
    "HF": "haemofiltration",
    "HP": "haemoperfusion",
    "PD": "peritoneal_dialysis",
    "BED": "bed_day",
}
"""Item codes every example knows."""


@dataclass(frozen=True)
class Case:
    """One set of small tables and what a rule must make of it.

    Args:
        prefix: names the case; in capitals, as ids are written, it is before every id of the case.
        rule_id: the rule it belongs to.
        title: of the example, in English.
        rows: canonical rows by table, ids prefixed.
        flags: findings expected, ids as written in the rule file.
        verdicts: verdicts expected, line id to `verdict/reason`.
    """

    prefix: str
    rule_id: str
    title: str
    rows: Mapping[str, Sequence[Mapping[str, Any]]]
    flags: tuple[Expectation, ...]
    verdicts: Mapping[str, str]


def cases(rules: Sequence[Rule], known_codes: Sequence[str] = ()) -> Iterator[Case]:
    """Lay out every example of the rules and its neighbour as a case of its own.

    `known_codes` are item codes of the knowledge tables: they keep their names.
    """
    for rule in rules:
        for number, example in enumerate(rule.header.examples):
            prefix = f"{rule.id}.{number}"
            yield _case(f"{prefix}a", rule, example, known_codes)
            if example.neighbour is not None:
                beside = example.neighbour
                twin = Example(
                    title=beside.title, tables={**example.tables, **beside.tables}, verdicts=beside.verdicts
                )
                yield _case(f"{prefix}b", rule, twin, known_codes)


def _case(prefix: str, rule: Rule, example: Example, known_codes: Sequence[str]) -> Case:
    tables = {name: list(expand(name, rows)) for name, rows in example.tables.items()}
    tables.setdefault("item_catalogue", []).extend(
        row
        for code, kind in CATALOGUE.items()
        for row in expand("item_catalogue", ({"item_code": code, "item_class": kind},))
    )
    rows = {
        name: [_prefixed(EXAMPLE_TABLES[name], row, key_of(prefix) + SEPARATOR, known_codes) for row in found]
        for name, found in tables.items()
    }
    return Case(prefix, rule.id, example.title.en, rows, example.flags, example.verdicts)


def key_of(prefix: str) -> str:
    """Write a case's name as it is before ids, which are in capitals wherever they enter."""
    return normalised_id(prefix)


def expand(table: str, rows: Rows) -> Iterator[dict[str, Any]]:
    """Fill in what the rows of an example leave out, and repeat those that ask for it.

    Raises:
        ValueError: an unknown table or column.
    """
    if table not in EXAMPLE_TABLES:
        raise ValueError(f"there is no table {table}")
    for row in rows:
        plain = {name: value for name, value in row.items() if name not in _REPEATING}
        every = dt.timedelta(minutes=row.get("every_minutes", 0), seconds=row.get("every_seconds", 0))
        for number in range(row.get("repeat", 1)):
            yield _filled(EXAMPLE_TABLES[table], plain, number, every * number)


_REPEATING = ("repeat", "every_minutes", "every_seconds")


def _filled(table: Table, row: Mapping[str, Any], number: int, later: dt.timedelta) -> dict[str, Any]:
    unknown = [name for name in row if name not in table.by_name]
    if unknown:
        raise ValueError(f"{table.name} has no column {', '.join(unknown)}")
    values = {**USUAL[table.name], **row}
    for name, other in COPIED.get(table.name, {}).items():
        values.setdefault(name, values.get(other))
    return {
        column.name: _value(column.type, values.get(column.name), number, later) for column in table.columns
    }


def _value(kind: ColumnType, value: Any, number: int, later: dt.timedelta) -> Any:
    if value is None:
        return None
    match kind:
        case ColumnType.TIMESTAMP:
            at = value if isinstance(value, dt.datetime) else dt.datetime.fromisoformat(value)
            return (at if at.tzinfo else at.replace(tzinfo=CHINA)).astimezone(dt.UTC) + later
        case ColumnType.QUANTITY | ColumnType.AMOUNT:
            return Decimal(str(value))
        case ColumnType.DOUBLE:
            return float(value)
        case ColumnType.TEXT:
            return str(value).replace("{n}", str(number))
        case _:
            return value


def _prefixed(
    table: Table, row: Mapping[str, Any], prefix: str, known_codes: Sequence[str]
) -> dict[str, Any]:
    def renamed(name: str, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if name in LISTS_OF_IDS:
            return ";".join(one if one in known_codes else prefix + one for one in value.split(";"))
        kept = not _is_id(table, name) or value in known_codes or value == HERBAL
        return value if kept else prefix + value

    return {name: renamed(name, value) for name, value in row.items()}


def _is_id(table: Table, column: str) -> bool:
    return table.by_name[column].type is ColumnType.TEXT and (
        column in {"code", "batch"}
        or column.endswith(
            ("_id", "item_code", "traceability_code", "product_code", "region_code", "alias_of")
        )
    )
