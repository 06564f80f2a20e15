"""Transactions 3101, 3102 and 3103 of the national interface: envelope and nodes in, checks and answers out.

Fields as published with hospital systems that send them (openhis, `FsiViolation3101Result` and kin); the
words of `sev_deg` are those that a region's platform answers, where its dictionary is not known.
"""

import datetime as dt
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from renzheng.central.checks.asked import (
    LONGEST_NAME,
    MOST_ITEMS,
    CheckAsked,
    ItemAsked,
    NotReadableError,
    read_asked,
)
from renzheng.central.checks.keeping import Answer
from renzheng.contracts.ids import new_id

STAGES: Mapping[str, str] = {"3101": "before", "3102": "during"}
FEEDBACK = "3103"
MOST_PATIENTS = 20
MOST_WARNINGS = 2_000
"""Advices that one message 3103 may answer."""
_LONGEST, _DIGITS = 500, 15
_VISITS: Mapping[str, str] = {"1": "outpatient", "2": "inpatient", "3": "pharmacy"}
"""`med_mdtrt_type`: 1 outpatient, 2 inpatient, 3 purchase, 4 other."""
_GONE_ON, _CHANGED = "1", "2"
_RULES: Mapping[str, str] = {
    "sex": "限定性别",
    "age": "限定年龄",
    "insurance": "限定保险类型",
    "visit": "限定就医方式",
    "level": "限定机构等级",
    "diagnosis": "限定诊断",
    "pair": "重复收费",
    "frequency": "限定频次",
    "period": "限定疗程",
    "companion": "缺少关联项目",
}


@dataclass(frozen=True, slots=True)
class PatientCheck:
    """One patient's check, and by which ids the caller knows it.

    Args:
        asked: the check.
        patient, visit: the caller's ids.
        orders: the caller's id of each item; it may be empty, or that of several.
        left_out: orders that cannot be read, each with a code.
    """

    asked: CheckAsked
    patient: str
    visit: str
    orders: Mapping[str, str]
    left_out: tuple[tuple[str, str], ...]


def as_utf8(content: bytes) -> bytes:
    """Return a message in UTF-8; hospital systems also send GB18030."""
    try:
        content.decode()
    except UnicodeDecodeError:
        return content.decode("gb18030", "replace").encode()
    return content


def envelope(value: Any) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return head and data of a message: `input.data`, or `input` where it has no `data`.

    Raises:
        NotReadableError: it has none.
    """
    if not isinstance(value, dict):
        raise NotReadableError("not_valid")
    inner = value.get("input", value)
    data = inner.get("data", inner) if isinstance(inner, dict) else inner
    if isinstance(data, list) and len(data) == 1:
        data = data[0]
    if not isinstance(data, dict):
        raise NotReadableError("not_valid")
    return value, data


def scenario(data: Mapping[str, Any], number: str, stages: Mapping[str, str]) -> str:
    """Return the stage of a message: as the region says for its `trig_scen`, else by its transaction."""
    return stages.get(_code(data.get("trig_scen")), STAGES[number])


def checks_in(head: Mapping[str, Any], data: Mapping[str, Any], stage: str) -> list[PatientCheck]:
    """Read the checks of a message, one for each patient.

    Orders that are not the present one (`curr_drord_flag`), and those of other visits, are what came before.

    Raises:
        NotReadableError: it cannot be read, as a code.
    """
    patients = _list(data.get("patient_dtos"))
    if not patients:
        raise NotReadableError("not_valid")
    if len(patients) > MOST_PATIENTS:
        raise NotReadableError("too_many_patients")
    encounters = [one for patient in patients for one in _list(patient.get("fsi_encounter_dtos"))]
    if sum(len(_list(one.get("fsi_order_dtos"))) for one in encounters) > MOST_ITEMS:
        raise NotReadableError("too_many_items")
    return [_check(head, patient, stage) for patient in patients]


def _check(head: Mapping[str, Any], patient: Mapping[str, Any], stage: str) -> PatientCheck:
    encounters = _list(patient.get("fsi_encounter_dtos"))
    wanted = _text(patient.get("curr_mdtrt_id"))
    present = next((one for one in encounters if _text(one.get("mdtrt_id")) == wanted), None)
    if present is None:
        if not encounters:
            raise NotReadableError("not_valid")
        present = encounters[-1]
    orders = _list(present.get("fsi_order_dtos"))
    flagged = [one for one in orders if _code(one.get("curr_drord_flag")) == "1"]
    taken = _Orders(_text(present.get("medins_id")) or _text(head.get("fixmedins_code")))
    at_hand = taken.items((one, present) for one in flagged or orders)
    others = [(one, present) for one in orders if flagged and _code(one.get("curr_drord_flag")) != "1"]
    for other in encounters:
        others += [(one, other) for one in _list(other.get("fsi_order_dtos")) if other is not present]
    earlier = taken.items(others)
    visit = _text(present.get("mdtrt_id"))
    value = {
        "stage": stage,
        "institution_id": taken.institution,
        "patient": {
            "person_id": _text(patient.get("patn_id")),
            "sex": _text(patient.get("gend")),
            "birth_date": _day(_text(patient.get("brdy"))),
        },
        "encounter": {
            "visit_id": visit or "-",  # there is none before a registration
            "visit_type": _VISITS.get(_code(present.get("med_mdtrt_type"))),
            "insurance": _text(present.get("insutype")) or None,
            "diagnoses": [_text(one.get("dise_codg")) for one in _list(present.get("fsi_diagnose_dtos"))],
            "institution_level": _text(present.get("medins_lv")) or None,
        },
        "items": at_hand,
        "earlier": earlier,
    }
    patient_id = _text(patient.get("patn_id"))
    return PatientCheck(read_asked(value), patient_id, visit, taken.ids, tuple(taken.left_out))


class _Orders:
    """Reads the orders of one patient.

    Args:
        institution: where the present visit is.
    """

    def __init__(self, institution: str) -> None:
        self.institution = institution
        self.ids: dict[str, str] = {}
        self.left_out: list[tuple[str, str]] = []

    def items(self, orders: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> list[ItemAsked]:
        """Read orders, each with its visit; what is sent twice counts once, what cannot be read is left out.

        Several orders of one id, or without one, are told apart.
        """
        made: dict[str, ItemAsked] = {}
        seen: set[str] = set()
        for order, encounter in orders:
            said = repr(sorted((name, _text(value)) for name, value in order.items()))
            if said in seen:
                continue
            seen.add(said)
            own = _text(order.get("rx_id"))
            name = own if own and own not in made else f"{own}#{len(self.ids) + 1}"
            try:
                made[name] = ItemAsked.model_validate(self._item(name, order, encounter))
                self.ids[name] = own
            except ValidationError:
                self.left_out.append((own or name, "not_valid"))
        return list(made.values())

    def _item(self, name: str, order: Mapping[str, Any], encounter: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "id": name,
            "code": _item_code(order.get("hilist_code")) or _text(order.get("hosplist_code")),
            "name": (_text(order.get("hilist_name")) or _text(order.get("hosplist_name")))[:LONGEST_NAME]
            or None,
            "quantity": _number(order.get("cnt"), "1"),
            "amount": _number(order.get("sumamt"), "0"),
            "at": _time(_text(order.get("drord_begn_date"))),
            "doctor_id": _text(order.get("drord_dr_codg")) or None,
            "department": _text(order.get("drord_dept_codg")) or None,
            "visit_id": _text(encounter.get("mdtrt_id")) or None,
            "institution_id": _text(encounter.get("medins_id")) or None,
        }


def results(one: PatientCheck, answer: Mapping[str, Any], task_id: str) -> Iterator[dict[str, Any]]:
    """Write the advices of a check as the interface's `result`."""
    for advice in answer["advices"]:
        details = [
            {
                "jrd_id": new_id(),
                "patn_id": one.patient,
                "mdtrt_id": one.visit,
                "rx_id": one.orders.get(item, item),
                "vola_item_type": "1" if at < advice["limited"] else "2",
                "vola_amt": advice["amount"] if at == 0 else 0,
            }
            for at, item in enumerate(advice["items"])
        ]
        yield {
            "jr_id": advice["id"],
            "rule_id": advice["point"],
            "rule_name": _RULES.get(advice["kind"], advice["kind"]),
            "vola_cont": advice["text_zh"][:_LONGEST],
            "patn_id": one.patient,
            "mdtrt_id": one.visit,
            "judge_result_detail_dtos": details,
            "vola_amt": advice["amount"],
            "vola_amt_stas": "1",
            "sev_deg": "明确违规" if advice["power"] == "block" else "高度可疑",
            "vola_evid": advice["basis"][:_LONGEST],
            "vola_bhvr_type": "1",
            "task_id": task_id,
            "is_feedback": 1,
        }


def answered(
    head: Mapping[str, Any], output: Mapping[str, Any], now: str, *, warning: str = ""
) -> dict[str, Any]:
    """Write an answer that took the message; `warning` is a code, where not all was checked."""
    return _answer(head, 0, "", warning, output, now)


def refused(head: Mapping[str, Any], code: str, now: str) -> dict[str, Any]:
    """Write an answer that did not take a message 3103, so that it is sent again."""
    return _answer(head, -1, code, "", {}, now)


def _answer(  # noqa: PLR0917 - the parts of an answer
    head: Mapping[str, Any], code: int, error: str, warning: str, output: Mapping[str, Any], now: str
) -> dict[str, Any]:
    return {
        "infcode": code,
        "inf_refmsgid": _text(head.get("msgid")),
        "refmsg_time": _text(head.get("inf_time")),
        "respond_time": now,
        "err_msg": error,
        "warn_msg": warning,
        "output": output,
    }


def feedback_in(data: Mapping[str, Any]) -> list[Answer]:
    """Read what was done about advices.

    Raises:
        NotReadableError: it cannot be read, or goes on without a reason, as a code.
    """
    answers = []
    if len(_list(data.get("warns"))) > MOST_WARNINGS:
        raise NotReadableError("too_many_warns")
    for one in _list(data.get("warns")):
        advice, reason = _text(one.get("warn_rslt_id")).lower(), _text(one.get("dspo_way_rea"))
        way = _code(one.get("dspo_way"))
        if not advice or way not in {_GONE_ON, _CHANGED}:
            raise NotReadableError("not_valid")
        if way == _GONE_ON and not reason:
            raise NotReadableError("reason_missing")
        answers.append(Answer(advice, "overridden" if way == _GONE_ON else "followed", reason[:2000]))
    if not answers:
        raise NotReadableError("not_valid")
    return answers


def warning_of(checks: Iterable[PatientCheck], answers: Iterable[Mapping[str, Any]]) -> str:
    """Return, as codes, what was not checked."""
    codes = [code for one in checks for _, code in one.left_out]
    codes += [one["code"] for answer in answers for one in answer["not_checked"]]
    codes += [answer["code"] for answer in answers if answer["code"] != "ok"]
    return ",".join(dict.fromkeys(codes))[:_LONGEST]


def _list(value: Any) -> Sequence[Mapping[str, Any]]:
    if isinstance(value, dict):
        return [value]
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _text(value: Any) -> str:
    return "" if value is None or isinstance(value, dict | list | bool) else str(value).strip()


def _code(value: Any) -> str:
    """Return a code of one or two digits, whether it was sent as text, number or truth."""
    text = str(int(value)) if isinstance(value, bool) else _text(value)
    found = re.fullmatch(r"0*(\d{1,2})(?:\.0+)?", text)
    return found[1] if found else text


def _item_code(value: Any) -> str:
    """Return an item's code; one of digits that was sent as a number gets its leading zeros back."""
    text = _text(value)
    return text.zfill(_DIGITS) if type(value) is int and len(text) < _DIGITS else text


def _number(value: Any, default: str) -> str:
    """Return a number as it is written, without thousands marks."""
    return unicodedata.normalize("NFKC", _text(value)).replace(",", "") or default


_EPOCH = dt.datetime(1970, 1, 1, 8, tzinfo=dt.timezone(dt.timedelta(hours=8)))
"""In China's time, in which such a day begins."""
_DAY = re.compile(r"(\d{4})(?:([-/.])(\d{1,2})\2(\d{1,2})|(\d{2})(\d{2}))")
_TIME = re.compile(
    _DAY.pattern + r"(?:[ T]*(\d{1,2}):?(\d{2})(?::?(\d{2})(?:\.\d+)?)?)?(Z|[+-]\d{2}:?\d{2})?"
)


def _day(text: str) -> str | None:
    """Read a date in any of the usual ways of writing, as ISO; None where it is none."""
    read = _time(text)
    return read[:10] if read else None


def _time(text: str) -> str | None:
    """Read a time in any of the usual ways of writing, as ISO; None where it is none."""
    text = unicodedata.normalize("NFKC", text)
    found = _TIME.fullmatch(text)
    return (_calendar(found) if found else None) or _epoch(text)


def _epoch(text: str) -> str | None:
    """Read milliseconds since 1970, as programs in Java write a date that nobody gave a form."""
    if not re.fullmatch(r"-?\d{9,13}", text):
        return None
    return (_EPOCH + dt.timedelta(milliseconds=int(text))).isoformat()


def _calendar(found: re.Match[str]) -> str | None:
    year, _, month, day, compact_month, compact_day, hour, minute, second, offset = found.groups()
    parts = (year, month or compact_month, day or compact_day, hour or 0, minute or 0, second or 0)
    try:
        return dt.datetime(*map(int, parts)).isoformat() + (offset or "")  # type: ignore[arg-type]  # noqa: DTZ001
    except ValueError:
        return None
