"""NHSA fee lines (transactions 2204, 2301 and 4205) to canonical claim lines.

`feedetl_sn` is unique within a visit only, and so is what a reversal points at; the canonical `line_id` is
therefore institution, `mdtrt_id` and `feedetl_sn`, joined by colons (a colon or percent sign within a part is
percent-encoded). Lines of patients who pay themselves (4205) carry the hospital's own numbers,
`fixmedins_mdtrt_id` and `bkkp_sn`, and the fund's share of them is nothing.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from renzheng.central.claims.nhsa_fields import INSTITUTION, filled
from renzheng.central.claims.nhsa_table import SELF_PAID, plain_number
from renzheng.central.claims.rejects import Problem, Reason, RowPlace, shown
from renzheng.central.claims.rows import Draft
from renzheng.central.claims.values import ValueProblem, read_id
from renzheng.contracts.ids import normalised_id, tidy_id

OUTPATIENT, INPATIENT = "2204", "2301"
SOURCES: Mapping[str, str] = {
    "line_id": "feedetl_sn",
    "institution_id": INSTITUTION,
    "visit_id": "mdtrt_id",
    "settlement_id": "setl_id",
    "person_id": "psn_no",
    "visit_type": "med_type",
    "item_code": "med_list_codg",
    "item_name": "medins_list_name",
    "service_time": "fee_ocur_time",
    "quantity": "cnt",
    "amount": "det_item_fee_sumamt",
    "reverses_line_id": "init_feedetl_sn",
    "doctor_id": "bilg_dr_codg",
    "department": "bilg_dept_codg",
    "traceability_code": "drug_trac_codg",
}
_SELF_PAID_SOURCES: Mapping[str, str] = {
    **SOURCES,
    "line_id": "bkkp_sn",
    "visit_id": "fixmedins_mdtrt_id",
    "person_id": "certno",
}
_NAMES = ("medins_list_name", "med_list_name", "item_name")
_NO_LINE = re.compile("0+")
_PHARMACY = re.compile(r"P\d{11}", re.ASCII)
"""An institution's code: H for a hospital or P for a pharmacy, and eleven digits."""

MED_TYPES: Mapping[str, str] = {
    "11": "outpatient",
    "12": "outpatient",
    "13": "outpatient",
    "14": "outpatient",
    "15": "outpatient",
    "19": "outpatient",
    "51": "outpatient",
    "21": "inpatient",
    "22": "inpatient",
    "23": "inpatient",
    "24": "inpatient",
    "52": "inpatient",
    "41": "pharmacy",
}
"""`med_type` to visit type as most regions have it; a region's own come from its mapping file."""


@dataclass(frozen=True, slots=True)
class LineDefaults:
    """What a fee line does not say itself.

    Args:
        institution: code of the institution for rows without `fixmedins_code`.
        transaction: 2204 or 2301, for rows without `infno` and `med_type`.
        med_types: `med_type` to visit type.
    """

    institution: str | None = None
    transaction: str | None = None
    med_types: Mapping[str, str] = field(default_factory=lambda: MED_TYPES)


def join_id(*parts: str) -> str:
    """Join parts into one id, reversibly."""
    return ":".join(
        part.replace("%", "%25").replace(":", "%3A") if _special(part) else part for part in parts
    )


def _special(part: str) -> bool:
    return ":" in part or "%" in part


def line_id_of(institution: str, visit: str, number: str) -> str:
    """Return the canonical id of a fee line, the same in capitals and small letters but for its number."""
    return join_id(normalised_id(institution), normalised_id(visit), tidy_id(number))


def draft_line(
    fields: Mapping[str, object], place: RowPlace, defaults: LineDefaults, problems: tuple[Problem, ...] = ()
) -> Draft:
    """Turn one fee line, by lower-case NHSA field names, into a draft of a claim line."""
    found = list(problems)
    self_paid = plain_number(filled(fields, "infno") or defaults.transaction) == SELF_PAID
    sources = _SELF_PAID_SOURCES if self_paid else SOURCES

    def part(name: str, raw: object) -> str:
        try:
            return read_id("" if raw is None else raw)
        except ValueProblem as problem:
            found.append(Problem(name, problem.reason, shown("" if raw is None else raw)))
            return ""

    institution = part(INSTITUTION, filled(fields, INSTITUTION) or defaults.institution)
    visit = part(
        sources["visit_id"], filled(fields, "mdtrt_id", *((sources["visit_id"],) if self_paid else ()))
    )
    number = part(
        sources["line_id"], filled(fields, "feedetl_sn", *((sources["line_id"],) if self_paid else ()))
    )
    reverses = _reversed(fields, number, part, found)
    values = {
        "line_id": line_id_of(institution, visit, number) if number else None,
        "institution_id": institution,
        "visit_id": visit,
        "settlement_id": fields.get("setl_id"),
        "person_id": filled(fields, "psn_no", *(("certno",) if self_paid else ())),
        "visit_type": _visit_type(fields, institution, defaults, found),
        "item_code": fields.get("med_list_codg"),
        "item_name": _name(fields),
        "service_time": fields.get("fee_ocur_time"),
        "quantity": fields.get("cnt"),
        "amount": fields.get("det_item_fee_sumamt"),
        "reverses_line_id": None if reverses is None else line_id_of(institution, visit, reverses),
        "doctor_id": filled(fields, "bilg_dr_codg", "bilg_dr_code"),
        "department": filled(fields, "bilg_dept_codg", "bilg_dept_name"),
        "traceability_code": fields.get("drug_trac_codg"),
        "fund_amount": Decimal(0) if self_paid else None,
    }
    return Draft("claim_lines", place, values, sources, tuple(found))


def _name(fields: Mapping[str, object]) -> object | None:
    """Return the item's name: its code where the record has no field for one, nothing where that is blank."""
    named = filled(fields, *_NAMES)
    if named is None and fields.keys().isdisjoint(_NAMES):
        return fields.get("med_list_codg")
    return named


def _reversed(
    fields: Mapping[str, object], number: str, part: Callable[[str, object], str], problems: list[Problem]
) -> str | None:
    """Return the number of the line that this one takes back.

    Systems fill an empty number with noughts or with the line's own: such a line takes back nothing, and a
    remark says so.
    """
    raw = filled(fields, "init_feedetl_sn")
    if raw is None:
        return None
    named = part("init_feedetl_sn", raw)
    if not (_NO_LINE.fullmatch(named) or named == number):
        return named or None
    problems.append(Problem("init_feedetl_sn", Reason.REVERSAL_OF_ITSELF, shown(raw)))
    return None


def _visit_type(
    fields: Mapping[str, object], institution: str, defaults: LineDefaults, problems: list[Problem]
) -> str:
    """Return what `med_type` says, else the kind of institution, else the transaction.

    A file that names neither is of 2301 when it has that transaction's own field `drord_no`. A `med_type`
    that nobody has configured is a remark.
    """
    med_type = filled(fields, "med_type")
    known = None if med_type is None else defaults.med_types.get(str(med_type).strip())
    if known is not None:
        return known
    if med_type is not None:
        problems.append(Problem("med_type", Reason.UNKNOWN_MED_TYPE, shown(med_type)))
    if _PHARMACY.fullmatch(institution.upper()):
        return "pharmacy"
    by_fields = INPATIENT if "drord_no" in fields else OUTPATIENT
    transaction = plain_number(filled(fields, "infno") or defaults.transaction or by_fields)
    return "inpatient" if transaction == INPATIENT else "outpatient"
