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
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    intervals: tuple[Interval, ...] = ()
    note: str = ""
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


PURPOSES = ("dialysis", "inpatient", "outpatient", "pharmacy")
HAEMODIALYSIS_CLASSES = ("haemodialysis", "haemodiafiltration", "haemofiltration", "haemoperfusion")
ITEM_CLASSES = (*HAEMODIALYSIS_CLASSES, "peritoneal_dialysis", "bed_day", "other")
OUTCOMES = ("match", "non_match", "attack_suspected", "not_acquired", "manual", "declined")
VERDICTS = ("supported", "contradicted", "insufficient")

INSTITUTIONS = Table(
    "institutions",
    (
        _text("institution_id"),
        _text("name"),
        _text("region_code"),
        _maybe("timezone", note="IANA name; Asia/Shanghai when empty"),
        _maybe("dialysis_machines", ColumnType.INTEGER),
        _maybe("beds", ColumnType.INTEGER),
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
        _text("line_id", note="unique over all institutions"),
        _text("institution_id"),
        _text("visit_id"),
        _maybe("settlement_id"),
        _text("person_id"),
        _choice("visit_type", "outpatient", "inpatient", "pharmacy"),
        _text("item_code"),
        _text("item_name"),
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
    ),
    key=("line_id",),
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
    ),
    key=("item_code",),
    note="one item code; a code that is not here is of class other",
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
    ),
    intervals=(Interval("started_at", "ended_at"),),
    note="one run of a dialysis machine, from its own log",
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
        SPOT_CHECKS,
        COVERAGE,
        MACHINE_SESSIONS,
    )
}
"""Every table the audit reads, by name, in the order of the documentation."""

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
    ),
    key=("line_id",),
    note="the one verdict of one line in scope",
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

OUTPUT_TABLES: Mapping[str, Table] = {table.name: table for table in (LINE_VERDICTS, FINDINGS)}
"""Every table the audit writes, by name."""


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
