"""The canonical tables of the audit, as data: names, columns, types, constraints.

Schemas for Arrow, DuckDB and Spark, the validation of what is read, empty tables and the table reference in
the documentation are all derived from here, so that they cannot drift apart. Times are UTC instants; ids are
text.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


class ColumnType(enum.Enum):
    """The types a canonical column can have; the value is the SQL type, the same in DuckDB and Spark."""

    TEXT = "STRING"
    INTEGER = "BIGINT"
    DOUBLE = "DOUBLE"
    BOOLEAN = "BOOLEAN"
    DATE = "DATE"
    TIMESTAMP = "TIMESTAMP"
    """A UTC instant with microseconds (Arrow `timestamp[us, UTC]`; RFC 3339 with an offset in CSV)."""
    QUANTITY = "DECIMAL(16,4)"
    AMOUNT = "DECIMAL(16,2)"
    TEXT_LIST = "ARRAY<STRING>"


@dataclass(frozen=True)
class Column:
    """One column of a canonical table.

    Args:
        name: the column's name.
        type: its type.
        nullable: whether a row may leave it empty; such columns must still be there.
        choices: the closed list of values; empty when any value will do.
        may_be_absent: an extension beyond the standard tables; a file may leave the whole column out.
        note: what the name does not say.
    """

    name: str
    type: ColumnType = ColumnType.TEXT
    nullable: bool = False
    choices: tuple[str, ...] = ()
    may_be_absent: bool = False
    note: str = ""


@dataclass(frozen=True)
class Interval:
    """Two time columns of a row, of which the second, where it is there, must not lie before the first."""

    start: str
    end: str


@dataclass(frozen=True)
class Table:
    """One canonical table.

    Args:
        name: its name, which is also the name of its file or folder.
        columns: in order.
        key: columns that tell rows apart; a second row with the same key is rejected.
        intervals: pairs of columns that must not run backwards.
        note: what a row is.
        optional: most sites have no such table, so that its absence is not worth a word.
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    intervals: tuple[Interval, ...] = ()
    note: str = ""
    optional: bool = False
    by_name: Mapping[str, Column] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {column.name: column for column in self.columns})


def _text(name: str, *, note: str = "") -> Column:
    return Column(name, note=note)


def _maybe(name: str, kind: ColumnType = ColumnType.TEXT, *, note: str = "") -> Column:
    return Column(name, kind, nullable=True, note=note)


def _time(name: str) -> Column:
    return Column(name, ColumnType.TIMESTAMP)


def _choice(name: str, *choices: str, nullable: bool = False) -> Column:
    return Column(name, nullable=nullable, choices=choices)


def _extra(
    name: str, kind: ColumnType = ColumnType.TEXT, *, choices: tuple[str, ...] = (), note: str = ""
) -> Column:
    """Name a column that a file may leave out altogether."""
    return Column(name, kind, nullable=True, choices=choices, may_be_absent=True, note=note)


SERVICE_KINDS = ("rehabilitation", "stimulation", "hyperbaric", "imaging", "outpatient", "pharmacy")
"""Kinds of service point beside the dialysis room; its events have the kind as purpose."""
PURPOSES = ("dialysis", "inpatient", *SERVICE_KINDS)
RELATIONS = (
    *("self", "spouse", "parent", "child", "sibling", "grandparent", "grandchild", "guardian", "other"),
)
"""What a buyer at a counter is to the patient."""
PROXY_BASES = ("self", "relative", "family_account", "guardian", "not_shown")
HAEMODIALYSIS_CLASSES = ("haemodialysis", "haemodiafiltration", "haemofiltration", "haemoperfusion")
SERVICE_CLASSES = ("rehabilitation", "stimulation", "hyperbaric", "imaging")
"""Classes of items that are in scope where a service point covers them."""
ITEM_CLASSES = (*HAEMODIALYSIS_CLASSES, "peritoneal_dialysis", "bed_day", *SERVICE_CLASSES, "other")
STAFF_ROLES = ("doctor", "nurse", "technician")
OUTCOMES = ("match", "non_match", "attack_suspected", "not_acquired", "manual", "declined")
VERDICTS = ("supported", "contradicted", "insufficient")
ITEM_UNITS = ("session", "hour", "day", "part")
"""What a quantity of 1 of an item is; without a value a session, for a bed a day.

A part is of the body: several are treated in one session.
"""
WITNESS_SOURCES = ("device", "hospital")
"""Who wrote a machine's log; without a value the hospital."""
BOXES = (
    "supported",
    "contradicted",
    "insufficient",
    "out_of_scope",
    "unknown_code",
    "reversed",
    "orphan_reversal",
    "outside_period",
    "rejected_by_import",
    "rejected_by_audit",
)
"""The boxes of the ledger: every billed row that came in is in exactly one of them."""

INSTITUTIONS = Table(
    "institutions",
    (
        _text("institution_id"),
        _text("name"),
        _text("region_code"),
        _maybe("timezone", note="IANA name; Asia/Shanghai when empty"),
        _maybe("dialysis_machines", ColumnType.INTEGER),
        _maybe("beds", ColumnType.INTEGER),
        _extra("level", note="grade of the institution as the platform codes it (hosp_lv)"),
    ),
    key=("institution_id",),
    note="one designated institution",
)

PERSONS = Table(
    "persons",
    (
        _text("person_id"),
        _choice("sex", "M", "F", "U"),
        _maybe("birth_date", ColumnType.DATE),
        _maybe("death_date", ColumnType.DATE),
    ),
    key=("person_id",),
    note="one insured person",
)

CLAIM_LINES = Table(
    "claim_lines",
    (
        _text("line_id", note="unique within the institution"),
        _text("institution_id"),
        _text("visit_id"),
        _maybe("settlement_id"),
        _text("person_id"),
        _choice("visit_type", "outpatient", "inpatient", "pharmacy"),
        _text("item_code"),
        _maybe("item_name", note="describes; a blank one is a remark, never a reject"),
        _time("service_time"),
        Column("quantity", ColumnType.QUANTITY, note="negative only in a reversal"),
        Column("amount", ColumnType.AMOUNT, note="yuan; negative only in a reversal"),
        _maybe("reverses_line_id", note="the line that this one takes back, wholly or in part"),
        _maybe("doctor_id"),
        _maybe("department"),
        Column(
            "traceability_code",
            nullable=True,
            may_be_absent=True,
            note="the code of one package of a medicine or device, where the region collects it",
        ),
        _extra(
            "fund_amount",
            ColumnType.AMOUNT,
            note="yuan of the amount that the fund paid: the settlement's share of fund",
        ),
    ),
    key=("institution_id", "line_id"),
    note="one billed line",
)

ITEM_CATALOGUE = Table(
    "item_catalogue",
    (
        _text("item_code"),
        _choice("item_class", *ITEM_CLASSES),
        _choice("sex_limit", "M", "F", "U", nullable=True),
        _maybe("min_age_years", ColumnType.INTEGER),
        _maybe("max_age_years", ColumnType.INTEGER),
        _extra("unit", choices=ITEM_UNITS, note="what a quantity of 1 is; else a session, for a bed a day"),
        _extra("valid_from", ColumnType.DATE, note="first service day; empty: always"),
        _extra("valid_to", ColumnType.DATE, note="last service day; empty: still"),
        _extra("region_code", note="the region whose code it is; empty: everywhere"),
        _extra("source", note="where the row comes from"),
    ),
    key=("item_code", "region_code", "valid_from"),
    intervals=(Interval("valid_from", "valid_to"),),
    note="one item code; a line whose code is not here on its day is of unknown code",
)

PRESCRIPTIONS = Table(
    "prescriptions",
    (
        _text("person_id"),
        _text("institution_id"),
        Column("valid_from", ColumnType.DATE),
        _maybe("valid_to", ColumnType.DATE),
        _text("modality"),
        Column("sessions_per_week", ColumnType.DOUBLE),
        Column("session_minutes", ColumnType.INTEGER),
    ),
    intervals=(Interval("valid_from", "valid_to"),),
    note="what a doctor ordered for one person at one institution",
)

STAYS = Table(
    "stays",
    (
        _text("visit_id"),
        _text("institution_id"),
        _text("person_id"),
        _time("admitted_at"),
        _maybe("discharged_at", ColumnType.TIMESTAMP),
        _maybe("department"),
        _maybe("ward"),
        _maybe("bed"),
        _extra("discharge_recorded_at", ColumnType.TIMESTAMP, note="when the discharge was told"),
    ),
    intervals=(Interval("admitted_at", "discharged_at"),),
    note="one inpatient stay, or one stretch of it in one bed",
)

LEAVES = Table(
    "leaves",
    (
        _text("visit_id"),
        _text("institution_id"),
        _text("person_id"),
        _choice("kind", "leave", "examination", "transfer"),
        _time("left_at"),
        _maybe("due_back_at", ColumnType.TIMESTAMP),
        _maybe("returned_at", ColumnType.TIMESTAMP),
        _text("approved_by"),
        _time("recorded_at"),
    ),
    intervals=(Interval("left_at", "due_back_at"), Interval("left_at", "returned_at")),
    note="one approved absence during a stay",
)

ATTENDANCE = Table(
    "attendance",
    (
        _text("event_id"),
        _text("institution_id"),
        _text("device_id"),
        _text("person_id"),
        _choice("event_type", "sign_in", "sign_out", "presence", "identity_check"),
        _choice("purpose", *PURPOSES),
        _time("occurred_at"),
        _time("received_at"),
        _choice("outcome", *OUTCOMES),
        _maybe("comparison_score", ColumnType.DOUBLE),
        _maybe("threshold", ColumnType.DOUBLE),
        _choice("pad", "bona_fide", "attack", "not_shown"),
        _maybe("witness_id"),
        _maybe("session_id"),
        Column("clock_trusted", ColumnType.BOOLEAN),
    ),
    key=("event_id",),
    note="one event of a device",
)

COUNTER_IDENTIFICATIONS = Table(
    "counter_identifications",
    (
        _text("event_id"),
        _text("institution_id"),
        _text("device_id"),
        _choice("purpose", *PURPOSES),
        _text("person_id", note="the patient, who need not be there"),
        _time("occurred_at"),
        _time("received_at"),
        _choice("outcome", *OUTCOMES),
        _choice("pad", "bona_fide", "attack", "not_shown"),
        _choice("method", "face", "document", "card_pin", "witness", "none"),
        _choice("source", "counter", "clerk", "nhsa_terminal"),
        _choice("relation", *RELATIONS),
        _choice("basis", *PROXY_BASES),
        Column("both_papers", ColumnType.BOOLEAN, note="the papers of patient and buyer were seen"),
        _text("holder_id", note="whose account is to pay"),
        _maybe("buyer_id", note="who was there; empty: not told"),
        _text("clerk_id"),
        _maybe("witness_id"),
        _maybe("terminal_reference"),
        _text("purchase_id", note="of a purchase handed over twice it is the same"),
        Column("clock_trusted", ColumnType.BOOLEAN),
    ),
    key=("event_id",),
    note="one purchase at a counter: who bought, for whom, and how that was established",
    optional=True,
)

SPOT_CHECKS = Table(
    "spot_checks",
    (
        _text("check_id"),
        _text("round_id"),
        _text("institution_id"),
        _text("visit_id"),
        _text("person_id"),
        _time("drawn_at"),
        _time("due_at"),
        _maybe("answered_at", ColumnType.TIMESTAMP),
        _choice("result", "present", "absent", "away_approved", "identity_mismatch", "refused", "unanswered"),
        _maybe("inspector_id"),
        _extra("sent_to_device_id", note="the device to which the check's sheet was addressed"),
        _extra("answered_by_device_id", note="the device whose log holds the answer"),
    ),
    key=("check_id",),
    intervals=(Interval("drawn_at", "answered_at"), Interval("drawn_at", "due_at")),
    note="one drawn bed and what was found there",
)

COVERAGE = Table(
    "coverage",
    (
        _text("institution_id"),
        _text("device_id"),
        _choice("purpose", *PURPOSES),
        _time("from_at"),
        _time("to_at"),
        _choice("state", "up", "degraded", "down"),
    ),
    intervals=(Interval("from_at", "to_at"),),
    note="a stretch in which a device could, or could not, have seen someone",
)

MACHINE_SESSIONS = Table(
    "machine_sessions",
    (
        _text("institution_id"),
        _text("machine_id"),
        _maybe("person_id"),
        _time("started_at"),
        _time("ended_at"),
        _extra("source", choices=WITNESS_SOURCES, note="who wrote the log; empty: the hospital"),
        _extra("serial_number", note="the maker's number of the machine, where its log tells it"),
        _extra("accession_number", note="the request that the run answers, where its log tells it"),
    ),
    intervals=(Interval("started_at", "ended_at"),),
    note="one run of a treatment machine or an imaging station, from its own log",
)

SERVICE_POINTS = Table(
    "service_points",
    (
        _text("point_id"),
        _text("institution_id"),
        _choice("kind", *SERVICE_KINDS),
        _maybe("room", note="empty: the treatment comes to the patient's bed"),
        _maybe("item_codes", note="what is billed for it: codes, parted by `;`"),
        _maybe("item_classes", note="the same by class: rehabilitation, stimulation, hyperbaric, imaging"),
        _maybe("device_ids", note="the devices at its door, parted by `;`; each alone sees who comes"),
        _maybe("machine_ids", note="as in machine_sessions, parted by `;`"),
        _maybe("log_source", note="the device_id under which coverage tells when the machines' log was read"),
        _maybe(
            "minimum_minutes",
            ColumnType.INTEGER,
            note="what must be shown of a session; empty or 0: one visit, without an end",
        ),
        _maybe("staff_needed", note="doctor, nurse, technician, parted by `;`; each must be shown"),
        _maybe("valid_from", ColumnType.DATE),
        _maybe("valid_to", ColumnType.DATE),
    ),
    key=("point_id",),
    intervals=(Interval("valid_from", "valid_to"),),
    note="one room, counter or bedside service, and what is billed for it",
    optional=True,
)

STAFF_PRESENCE = Table(
    "staff_presence",
    (
        _text("presence_id"),
        _text("institution_id"),
        _text("staff_id", note="as in claim_lines.doctor_id"),
        _choice("role", *STAFF_ROLES),
        _choice("state", "present", "leave"),
        _time("from_at"),
        _maybe("to_at", ColumnType.TIMESTAMP, note="empty: not told"),
        _maybe("point_id", note="the service point; empty: somewhere in the house"),
        _maybe("person_id", note="the same human being as an insured person"),
        _choice("shown_by", "face", "passkey", "manual", nullable=True),
        Column("clock_trusted", ColumnType.BOOLEAN),
    ),
    key=("presence_id",),
    intervals=(Interval("from_at", "to_at"),),
    note="a stretch in which one of the staff was at work, or on leave",
    optional=True,
)

PERSON_ALIASES = Table(
    "person_aliases",
    (
        _text("person_id", note="a number that is used no more"),
        _text("alias_of", note="the number that the same person has now"),
        _extra("since", ColumnType.TIMESTAMP),
    ),
    key=("person_id", "alias_of"),
    note="two numbers of one person, from a merge message or by hand",
    optional=True,
)

STAFF_SUSPENSIONS = Table(
    "staff_suspensions",
    (
        _text("staff_id", note="as in claim_lines.doctor_id"),
        Column("from_day", ColumnType.DATE),
        _maybe("to_day", ColumnType.DATE),
        _extra("reference", note="the decision"),
    ),
    intervals=(Interval("from_day", "to_day"),),
    note="a stretch in which the fund pays nothing for this person's services",
    optional=True,
)

DIAGNOSES = Table(
    "diagnoses",
    (
        _text("institution_id"),
        _text("visit_id"),
        _maybe("settlement_id"),
        _text("person_id"),
        _text("diagnosis_code"),
        _maybe("diagnosis_name"),
        _maybe("kind", note="as the platform codes it (diag_type)"),
        _maybe("main", ColumnType.BOOLEAN),
    ),
    note="one diagnosis of a visit",
    optional=True,
)

OPERATIONS = Table(
    "operations",
    (
        _text("institution_id"),
        _text("visit_id"),
        _maybe("settlement_id"),
        _text("person_id"),
        _text("operation_code"),
        _maybe("operation_name"),
        _maybe("operated_at", ColumnType.TIMESTAMP),
        _maybe("ended_at", ColumnType.TIMESTAMP),
        _maybe("main", ColumnType.BOOLEAN),
        _maybe("doctor_id"),
    ),
    note="one operation of a visit",
    optional=True,
)

DRUG_SALES = Table(
    "drug_sales",
    (
        _text("sale_id", note="the sale's number at the institution; one sale has a row for each code"),
        _text("institution_id"),
        _choice("kind", "sale", "return"),
        _maybe("line_id", note="the claim line that bills it"),
        _maybe("settlement_id", note="a return without a code takes back all that was settled with it"),
        _maybe("person_id"),
        _maybe("code", note="traceability code of one box; empty: not scanned"),
        _maybe("product_code", note="what the code says of the product (contracts/traceability.py)"),
        _maybe("item_code", note="the drug as billed"),
        _maybe("batch"),
        _maybe("expires_on", ColumnType.DATE),
        _maybe("split", ColumnType.BOOLEAN, note="sold in parts of a pack; empty: not known"),
        _maybe("units", ColumnType.QUANTITY, note="of the smallest that is sold"),
        _choice("paid_by", "fund", "self", nullable=True),
        _time("sold_at"),
        _maybe("returned_of", note="the sale that a return takes back"),
    ),
    note="one box, or part of one, sold or returned",
    optional=True,
)

DRUG_STOCK = Table(
    "drug_stock",
    (
        _text("institution_id"),
        _choice("kind", "purchase", "purchase_return", "count", "change"),
        _maybe("code", note="traceability code of one box"),
        _maybe("product_code"),
        _maybe("item_code"),
        _maybe("batch"),
        _maybe("expires_on", ColumnType.DATE),
        _maybe("quantity", ColumnType.QUANTITY),
        _maybe("pack_units", ColumnType.QUANTITY, note="of the smallest that is sold, in one pack"),
        _time("recorded_at"),
    ),
    note="one box that came in, went back or was counted",
    optional=True,
)

REJECTS = Table(
    "rejects",
    (
        _text("table", note="the canonical table that the row was meant for"),
        _maybe("institution_id"),
        _maybe("person_id"),
        _maybe("visit_id"),
        _maybe("day", ColumnType.DATE, note="the local day of the row, if it could be read"),
        _maybe("amount", ColumnType.AMOUNT),
        _text("reason"),
        _text("file"),
        Column("line", ColumnType.INTEGER),
        _maybe("field"),
    ),
    note="one row that an importer did not take",
    optional=True,
)

INPUT_TABLES: Mapping[str, Table] = {
    table.name: table
    for table in (
        INSTITUTIONS,
        PERSONS,
        CLAIM_LINES,
        ITEM_CATALOGUE,
        PRESCRIPTIONS,
        STAYS,
        LEAVES,
        ATTENDANCE,
        COUNTER_IDENTIFICATIONS,
        SPOT_CHECKS,
        COVERAGE,
        MACHINE_SESSIONS,
        PERSON_ALIASES,
        STAFF_SUSPENSIONS,
        DIAGNOSES,
        OPERATIONS,
        DRUG_SALES,
        DRUG_STOCK,
        SERVICE_POINTS,
        STAFF_PRESENCE,
    )
}
"""Every table the audit reads, by name, in the order of the documentation; `REJECTS` apart, which is evidence
of what could not be read and so is never judged row by row itself."""

LINE_VERDICTS = Table(
    "line_verdicts",
    (
        _text("line_id"),
        _text("institution_id"),
        _choice("verdict", *VERDICTS),
        _text("reason"),
        Column("coverage_ratio", ColumnType.DOUBLE, note="0 to 1: share of the relevant window"),
        Column("evidence", ColumnType.TEXT_LIST, note="ids of events, checks and sessions, sorted"),
        _text("rule_id"),
        _text("rule_version"),
        _extra(
            "amount_at_stake",
            ColumnType.AMOUNT,
            note="yuan: the contradicted days' share of a bed line; for other lines the amount",
        ),
    ),
    key=("institution_id", "line_id"),
    note="the one verdict of one line in scope",
)

DAY_VERDICTS = Table(
    "day_verdicts",
    (
        _text("line_id"),
        _text("institution_id"),
        Column("day", ColumnType.DATE, note="a local day"),
        _choice("verdict", *VERDICTS),
        _text("reason"),
        Column("evidence", ColumnType.TEXT_LIST, note="ids of events and checks, sorted"),
    ),
    key=("institution_id", "line_id", "day"),
    note="one day of one bed line",
)

LEDGER = Table(
    "ledger",
    (
        _text("institution_id"),
        _choice("box", *BOXES),
        Column("lines", ColumnType.INTEGER),
        Column("amount", ColumnType.AMOUNT),
        _maybe("fund_amount", ColumnType.AMOUNT),
    ),
    key=("institution_id", "box"),
    note="what one institution sent, by what became of it",
)

FINDINGS = Table(
    "findings",
    (
        _text("finding_id", note="a SHA-256 of the facts: the same on any engine and in any run"),
        _text("rule_id"),
        _text("rule_version"),
        _choice("severity", "low", "medium", "high"),
        _choice("verdict", "contradicted", "suspicious"),
        _text("institution_id"),
        _maybe("person_id"),
        Column("line_ids", ColumnType.TEXT_LIST),
        Column("amount", ColumnType.AMOUNT),
        _time("from_at"),
        _time("to_at"),
        Column("evidence", ColumnType.TEXT_LIST),
        _text("explanation_zh"),
        _text("explanation_en"),
        _text("parameters", note="JSON: parameter values, the rule's content hash"),
    ),
    key=("finding_id",),
    note="what a rule found beyond single lines",
)


def arrow_schema(table: Table) -> "pa.Schema":
    """Build the Arrow schema of a canonical table (needs the `central` extra).

    Times are `timestamp[us, UTC]`, ids and lists text, amounts `decimal128`.
    """
    import pyarrow as pa  # noqa: PLC0415 - an edge device imports this module and has no pyarrow

    types: Mapping[ColumnType, Any] = {
        ColumnType.TEXT: pa.string(),
        ColumnType.INTEGER: pa.int64(),
        ColumnType.DOUBLE: pa.float64(),
        ColumnType.BOOLEAN: pa.bool_(),
        ColumnType.DATE: pa.date32(),
        ColumnType.TIMESTAMP: pa.timestamp("us", tz="UTC"),
        ColumnType.QUANTITY: pa.decimal128(16, 4),
        ColumnType.AMOUNT: pa.decimal128(16, 2),
        ColumnType.TEXT_LIST: pa.list_(pa.string()),
    }
    return pa.schema([pa.field(column.name, types[column.type], nullable=True) for column in table.columns])


def empty_table(table: Table) -> "pa.Table":
    """Build a canonical table without rows (needs the `central` extra)."""
    return arrow_schema(table).empty_table()
