"""NHSA fee lines (transactions 2204 and 2301) to canonical claim lines.

`feedetl_sn` is unique within a visit only, and so is what a reversal points at; the canonical `line_id` is
therefore institution, `mdtrt_id` and `feedetl_sn`, joined by colons (a colon or percent sign within a part is
percent-encoded).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from renzheng.central.claims.rejects import Place, Problem, Reason, shown
from renzheng.central.claims.rows import Draft
from renzheng.central.claims.values import ValueProblem, read_id

OUTPATIENT, INPATIENT = "2204", "2301"
INSTITUTION = "fixmedins_code"
REQUIRED = (
    "feedetl_sn",
    "mdtrt_id",
    "psn_no",
    "fee_ocur_time",
    "med_list_codg",
    "det_item_fee_sumamt",
    "cnt",
)
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
_NAMES = ("medins_list_name", "med_list_name", "item_name")

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


def draft_line(fields: Mapping[str, object], place: Place, defaults: LineDefaults) -> Draft:
    """Turn one fee line, by lower-case NHSA field names, into a draft of a claim line."""
    problems: list[Problem] = []

    def part(name: str, raw: object) -> str:
        try:
            return read_id("" if raw is None else raw)
        except ValueProblem as problem:
            problems.append(Problem(name, problem.reason, shown("" if raw is None else raw)))
            return ""

    institution = part(INSTITUTION, fields.get(INSTITUTION) or defaults.institution)
    visit = part("mdtrt_id", fields.get("mdtrt_id"))
    number = part("feedetl_sn", fields.get("feedetl_sn"))
    reversed_number = _filled(fields, "init_feedetl_sn")
    reverses = None if reversed_number is None else part("init_feedetl_sn", reversed_number)
    visit_type = _visit_type(fields, defaults)
    if visit_type is None:
        problems.append(Problem("med_type", Reason.UNKNOWN_VALUE, shown(fields.get("med_type"))))
    values = {
        "line_id": join_id(institution, visit, number),
        "institution_id": institution,
        "visit_id": visit,
        "settlement_id": fields.get("setl_id"),
        "person_id": fields.get("psn_no"),
        "visit_type": visit_type,
        "item_code": fields.get("med_list_codg"),
        "item_name": next(
            (fields[name] for name in _NAMES if _filled(fields, name)), fields.get("med_list_codg")
        ),
        "service_time": fields.get("fee_ocur_time"),
        "quantity": fields.get("cnt"),
        "amount": fields.get("det_item_fee_sumamt"),
        "reverses_line_id": None if reverses is None else join_id(institution, visit, reverses),
        "doctor_id": fields.get("bilg_dr_codg"),
        "department": fields.get("bilg_dept_codg"),
        "traceability_code": fields.get("drug_trac_codg"),
    }
    return Draft("claim_lines", place, values, SOURCES, tuple(problems))


def _filled(fields: Mapping[str, object], name: str) -> object | None:
    value = fields.get(name)
    return None if value is None or not str(value).strip() else value


def _visit_type(fields: Mapping[str, object], defaults: LineDefaults) -> str | None:
    """`med_type` where it stands, else the transaction; None for a `med_type` that nobody has configured.

    A file that names neither is of 2301 when it has that transaction's own field `drord_no`.
    """
    med_type = _filled(fields, "med_type")
    if med_type is not None:
        return defaults.med_types.get(str(med_type).strip())
    by_fields = INPATIENT if "drord_no" in fields else OUTPATIENT
    transaction = str(_filled(fields, "infno") or defaults.transaction or by_fields).strip()
    return "inpatient" if transaction == INPATIENT else "outpatient"
