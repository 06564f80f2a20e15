"""NHSA cancellations of fee uploads: 2205 (outpatient, by charging batch) and 2302 (inpatient, by line).

Both carry `mdtrt_id` and `psn_no`; 2205 names a `chrg_bchno`, 2302 a `feedetl_sn`, and `0000` in that field
means every line of the visit that is not settled yet. A log of calls also holds those that the bureau refused
(`infcode` other than 0): they cancelled nothing.
"""

from collections.abc import Iterator, Mapping

from renzheng.central.claims.nhsa_lines import INSTITUTION, join_id
from renzheng.central.claims.rejects import Place, Problem, Reason, Remark, shown
from renzheng.central.claims.source import Item
from renzheng.central.claims.stay_events import LineCancellation
from renzheng.central.claims.values import ValueProblem, read_id

LINE_CANCELLATIONS: Mapping[str, str] = {"2205": "chrg_bchno", "2302": "feedetl_sn"}
"""Transaction to the field that says what is cancelled."""
ALL = "0000"


def is_refused(fields: Mapping[str, object]) -> bool:
    """Tell whether the bureau answered that the call failed; a message without an answer is taken as done."""
    return str(fields.get("infcode") or "0").strip() != "0"


def read_cancellation(
    transaction: str, fields: Mapping[str, object], place: Place, institution: str | None
) -> Iterator[Item]:
    """Read one 2205 or 2302; `fields` by lower-case NHSA names."""
    named = LINE_CANCELLATIONS[transaction]
    needed = {
        INSTITUTION: fields.get(INSTITUTION) or institution,
        "mdtrt_id": fields.get("mdtrt_id"),
        "psn_no": fields.get("psn_no"),
        named: fields.get(named),
    }
    read: dict[str, str] = {}
    for name, raw in needed.items():
        try:
            read[name] = read_id("" if raw is None else raw)
        except ValueProblem as problem:
            yield Remark(
                "claim_lines", place, Problem(name, problem.reason, shown("" if raw is None else raw))
            )
    if len(read) < len(needed):
        return
    if is_refused(fields):
        refused = Problem("infcode", Reason.REFUSED_BY_BUREAU, shown(fields.get("infcode")))
        yield Remark("claim_lines", place, refused)
        return
    visit = (read[INSTITUTION], read["mdtrt_id"])
    what = None if read[named] == ALL else read[named]
    if named == "feedetl_sn":
        yield LineCancellation(place, *visit, line_id=None if what is None else join_id(*visit, what))
    else:
        yield LineCancellation(place, *visit, batch=what)
