"""The letters of a case: Chinese, each figure from the case itself; the same case gives the same bytes.

They are pages for print (A4). The institution reads them in the system, and prints or keeps them.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from renzheng.central.cases.doubts import Case, Doubt, State
from renzheng.central.cases.lists import clears
from renzheng.central.cases.money import Overturn
from renzheng.central.texts import texts
from renzheng.contracts.money import yuan

TITLES: Mapping[str, str] = {
    "notice": "医疗保障费用疑点告知书",
    "receipt": "送达回证",
    "opinion": "审核意见书",
    "decision": "审核决定书",
    "deductions": "扣款清单",
    "return": "扣款退回通知书",
}
LATER = ("opinion", "decision", "deductions", "return")
"""Sent when a doubt has come so far, in this order."""
STAGES = {"first_review": "初审", "re_review": "复审", "panel": "合议", "final": "终审"}
DECISIONS = {"uphold": "成立", "partly": "部分成立", "clear": "不成立"}
Cells = Callable[[Doubt], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter as it is read and printed.

    Args:
        kind: notice, receipt, opinion, decision, deductions or return.
        title: in Chinese.
        html: the whole page.
    """

    kind: str
    title: str
    html: bytes

    @property
    def sha256(self) -> str:
        """The hash of its bytes."""
        return hashlib.sha256(self.html).hexdigest()


@dataclass(frozen=True, slots=True)
class _Form:
    """What a kind of letter lists: which doubts, with which columns."""

    holds: Callable[[Doubt], bool]
    columns: tuple[str, ...]
    cells: Cells
    money: tuple[Callable[[Doubt], int] | None, ...]


def _opinions(one: Doubt) -> str:
    """Write what was decided at each stage; a panel's votes without names."""
    return "；".join(
        f"{STAGES[each.stage]}{DECISIONS[each.decision]}，{yuan(each.amount_fen)} 元：{each.reason}"
        for each in one.opinions
        if each.stage != "final"
    )


def _is_paid(one: Doubt) -> bool:
    return one.state in {State.DEDUCTED, State.RETURNED}


_FORMS: Mapping[str, _Form] = {
    "notice": _Form(
        lambda one: one.issued,
        ("涉及金额/元",),
        lambda one: (yuan(one.at_stake_fen),),
        (lambda one: one.at_stake_fen,),
    ),
    "opinion": _Form(
        lambda one: bool(_opinions(one)),
        ("涉及金额/元", "意见"),
        lambda one: (yuan(one.at_stake_fen), _opinions(one)),
        (lambda one: one.at_stake_fen, None),
    ),
    "decision": _Form(
        lambda one: one.decided_at is not None,
        ("涉及金额/元", "决定金额/元"),
        lambda one: (yuan(one.at_stake_fen), yuan(one.amount_fen)),
        (lambda one: one.at_stake_fen, lambda one: one.amount_fen),
    ),
    "deductions": _Form(
        _is_paid,
        ("扣减月份", "扣减金额/元"),
        lambda one: (one.period or "", yuan(one.deducted_fen)),
        (None, lambda one: one.deducted_fen),
    ),
    "return": _Form(
        lambda one: one.state is State.RETURNED,
        ("退回金额/元", "事由"),
        lambda one: (yuan(one.returned_fen), one.ended_reason or ""),
        (lambda one: one.returned_fen, None),
    ),
}


@cache
def _template() -> Template:
    loader = FileSystemLoader(Path(__file__).parent / "templates")
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return made.get_template("letter.html")


def letters_of(
    case: Case, doubts: Sequence[Doubt], institution: str, zone: ZoneInfo, overturns: Sequence[Overturn] = ()
) -> list[Letter]:
    """Write the letters that a case has come to, in the order in which they are sent.

    Args:
        case: the case.
        doubts: those of it that the reader sees.
        institution: its name and id.
        zone: in which moments are written.
        overturns: how the rules had fared; only those of this case are told.
    """
    if case.issued_at is None:
        return []
    written = [_write("notice", case, doubts, institution, zone, overturns)]
    if case.received_at is not None:
        written.append(_write("receipt", case, doubts, institution, zone))
    further = [kind for kind in LATER if any(_FORMS[kind].holds(one) for one in doubts)]
    return [*written, *(_write(kind, case, doubts, institution, zone) for kind in further)]


def _write(  # noqa: PLR0917 - what a letter is about, and for whom
    kind: str,
    case: Case,
    doubts: Sequence[Doubt],
    institution: str,
    zone: ZoneInfo,
    overturns: Sequence[Overturn] = (),
) -> Letter:
    form = _FORMS.get(kind, _FORMS["notice"])
    held = sorted(filter(form.holds, doubts), key=lambda one: one.doubt_id)
    said: dict[str, Any] = {
        "kind": kind,
        "title": TITLES[kind],
        "case": case,
        "institution": institution,
        "columns": form.columns,
        "rows": [(one, form.cells(one)) for one in held],
        "sums": ["" if sum_of is None else yuan(sum(map(sum_of, held))) for sum_of in form.money],
        "reason": _reason,
        "clearing": [(_named(reason), clears(reason)) for reason in sorted({one.reason for one in held})],
        "overturns": [one for one in overturns if one.decided and _is_of(one, held)],
        "day": lambda moment: _day(moment, zone),
        "moment": lambda moment: moment.astimezone(zone).strftime("%Y年%m月%d日%H:%M"),
    }
    return Letter(kind, TITLES[kind], _template().render(said).encode())


def _is_of(one: Overturn, held: Sequence[Doubt]) -> bool:
    return any((one.rule_id, one.reason) == (doubt.rule_id, doubt.reason) for doubt in held)


def _named(reason: str) -> str:
    return texts("zh").code("reason", reason)


def _reason(one: Doubt) -> str:
    return f"{_named(one.reason)}（{one.rule_id} {one.rule_version}）"


def _day(moment: datetime, zone: ZoneInfo) -> str:
    """Name the last day of a term whose end is the midnight after it."""
    return (moment.astimezone(zone) - timedelta(microseconds=1)).strftime("%Y年%m月%d日")
