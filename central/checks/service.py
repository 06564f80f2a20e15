"""A check from what was asked to what is told; it fails open, and says what was not checked."""

import copy
import datetime as dt
import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self
from zoneinfo import ZoneInfo

from renzheng.central.checks.asked import CheckAsked, as_read
from renzheng.central.checks.evaluator import Evaluator
from renzheng.central.checks.history import History
from renzheng.central.checks.in_force import InForce
from renzheng.central.checks.keeping import Answer, Check, Keeper, Keeping
from renzheng.central.checks.lost_power import Lost, lowered
from renzheng.central.checks.reminders import reason_of
from renzheng.central.store.times import to_us
from renzheng.contracts.ids import new_id, normalised_id
from renzheng.rules.knowledge.kinds import Hit
from renzheng.rules.knowledge.points import Kind, Power
from renzheng.rules.knowledge.wording import OVERRIDES, reasons, worded

logger = logging.getLogger(__name__)
MOST_SHOWN = 3
AGAIN_AFTER = dt.timedelta(days=30)
"""The same advice is shown once for one order and doctor within this time."""
CLEAR = frozenset({Kind.SEX, Kind.AGE, Kind.INSURANCE, Kind.VISIT, Kind.LEVEL, Kind.PAIR, Kind.FREQUENCY})
"""Kinds that need no medical judgement; only these block, where a region has turned it on."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a site has decided about checks.

    Args:
        timezone: of institutions that name none.
        blocks: the region lets clear points block once their announced day has come.
    """

    timezone: str = "Asia/Shanghai"
    blocks: bool = False


def nothing(code: str, what: str = "all", check_id: str | None = None) -> dict[str, Any]:
    """Return the answer "no advice", with a code that says why."""
    return {"check_id": check_id, "advices": [], "not_checked": [{"what": what, "code": code}], "code": code}


class Checks:
    """Makes checks.

    Args:
        in_force: the site's knowledge.
        history: what was billed before.
        keeper: keeps what was asked and told.
        terms: what the site has decided.
        clock: when it is.
        lost: points that have lost power.
        count: adds to a counter, by its name and labels.
    """

    def __init__(  # noqa: PLR0917 - what a check stands on
        self,
        in_force: InForce,
        history: History,
        keeper: Keeper,
        terms: Terms,
        clock: Callable[[], dt.datetime],
        lost: Callable[[], Lost] = dict,
        count: Callable[..., None] = lambda *_, **__: None,
    ) -> None:
        self._lost, self._count = lost, count
        self._in_force, self._evaluator, self.keeper = in_force, Evaluator(history), keeper
        self._keeping: Keeping = keeper
        self._known = in_force.now
        self._terms, self._clock = terms, clock

    def together(self) -> Self:
        """Return the same, with the knowledge of now, for checks that are made together."""
        other = copy.copy(self)
        known = self._in_force.now()
        vars(other)["_known"] = lambda: known
        return other

    def kept_by(self, keeping: Keeping) -> Self:
        """Return the same, whose checks another one keeps."""
        other = copy.copy(self)
        vars(other)["_keeping"] = keeping
        return other

    def check(self, asked: CheckAsked, account_id: str) -> dict[str, Any]:
        """Make a check and keep it; whatever fails ends in "no advice" with a code."""
        try:
            return self._check(asked, account_id)
        except Exception as error:  # noqa: BLE001 - a fault of ours holds up nobody's care
            logger.error("a check failed: %s", type(error).__name__)  # noqa: TRY400 - values may name people
            self._count("renzheng_checks_total", stage=asked.stage, code="error")
            return nothing("error")

    def answer(self, answers: Sequence[Answer], account_id: str, at_us: int) -> None:
        """Keep what was done about advices, durably."""
        self.keeper.answer(answers, account_id, at_us)
        for one in answers:
            reason = reason_of(one.reason) if one.action == "overridden" else ""
            self._count("renzheng_check_answers_total", action=one.action, reason=reason)

    def _check(self, asked: CheckAsked, account_id: str) -> dict[str, Any]:
        now = self._clock()
        known = self._known()
        place = self._evaluator.history.place(normalised_id(asked.institution_id))
        zone = ZoneInfo(place.timezone or self._terms.timezone)
        today = now.astimezone(zone).date()
        read = as_read(asked, known.knowledge.codes, zone, place.level, today)
        not_checked = [*read.not_checked, *((name, code) for name, code in known.problems)]
        if not read.patient.person_id:
            return self._told(asked, account_id, now, (), [("history", "unknown_patient")], "unknown_patient")
        read, gaps = self._evaluator.completed(read)
        found = self._evaluator.evaluated(known.knowledge, read, asked.stage)
        not_checked += [*gaps, *found.not_known]
        advices = list(self._advices(found.hits, asked, today))
        return self._told(
            asked, account_id, now, advices, not_checked, "ok" if read.lines else "nothing_to_check"
        )

    def _advices(self, hits: Iterable[Hit], asked: CheckAsked, today: dt.date) -> Iterable[dict[str, Any]]:
        """Put hits into words; those of one point at one check are one advice."""
        lost = self._lost()
        names = {item.id: item for item in asked.items}
        by_point: dict[tuple[str, str], Hit] = {}
        for hit in hits:
            key = (hit.point.id, hit.point.version)
            first = by_point.get(key)
            by_point[key] = hit if first is None else _joined(first, hit)
        for hit in sorted(by_point.values(), key=lambda one: (-one.amount_fen, one.point.id)):
            words = worded(hit)
            items = [one.id for one in (*hit.lines, *hit.beside) if one.at_hand and one.id in names]
            power = lowered(lost, hit.point.id, hit.point.version, self._power(hit, today))
            yield {
                "id": new_id(),
                "point": hit.point.id,
                "version": hit.point.version,
                "kind": hit.point.kind.value,
                "power": power.value,
                "items": list(dict.fromkeys(items)),
                "department": next((names[one].department or "" for one in items), ""),
                "limited": len({one.id for one in hit.lines if one.at_hand and one.id in names}),
                "amount": _yuan(hit.amount_fen),
                "text_zh": words.text[0],
                "text_en": words.text[1],
                "basis": hit.point.basis or hit.point.words,
                "source": hit.point.source,
                "clears": {"zh": words.clears[0], "en": words.clears[1]},
                "override_reasons": [
                    {"code": code, "zh": OVERRIDES[code][0], "en": OVERRIDES[code][1]}
                    for code in reasons(hit.point)
                ],
            }

    def _power(self, hit: Hit, today: dt.date) -> Power:
        power = hit.point.power_on(today)
        may_block = self._terms.blocks and hit.point.kind in CLEAR and hit.point.power_from is not None
        return Power.WARN if power is Power.BLOCK and not may_block else power

    def _told(  # noqa: PLR0917 - each is a part of what is kept
        self,
        asked: CheckAsked,
        account_id: str,
        now: dt.datetime,
        advices: Sequence[dict[str, Any]],
        not_checked: Sequence[tuple[str, str]],
        code: str,
    ) -> dict[str, Any]:
        """Choose what is shown, keep everything, and return the answer."""
        at_us = to_us(now)
        keys = {one["id"]: _key(asked, one) for one in advices if one["power"] != Power.WATCH.value}
        before = self._keeping.advised(
            set(keys.values()), at_us - AGAIN_AFTER // dt.timedelta(microseconds=1)
        )
        fresh = [one for one in advices if keys.get(one["id"], "") not in {"", *before}]
        shown = fresh[:MOST_SHOWN]
        told = [(one, one in shown) for one in advices]
        check = Check(
            new_id(), at_us, normalised_id(asked.institution_id), account_id, asked.stage, code,
            asked.model_dump_json().encode(), told, [keys[one["id"]] for one in shown],
        )  # fmt: skip
        self._keeping.keep(check)
        self._count("renzheng_checks_total", stage=asked.stage, code=code)
        for one in shown:
            self._count("renzheng_advices_total", kind=one["kind"], power=one["power"])
        listed = [{"what": what, "code": why} for what, why in dict.fromkeys(not_checked)]
        return {"check_id": check.check_id, "advices": shown, "not_checked": listed, "code": code}


def _joined(first: Hit, second: Hit) -> Hit:
    """Make one hit of two of the same point: each line, and each yuan, once."""
    lines = {(one.institution_id, one.id): one for one in (*first.lines, *second.lines)}
    same = len(lines) < len(first.lines) + len(second.lines)
    amount = max(first.amount_fen, second.amount_fen) if same else first.amount_fen + second.amount_fen
    beside = {(one.institution_id, one.id): one for one in (*first.beside, *second.beside)}
    billed = max(first.billed, second.billed)
    return replace(
        first, lines=tuple(lines.values()), beside=tuple(beside.values()), amount_fen=amount, billed=billed
    )


def _key(asked: CheckAsked, advice: Mapping[str, Any]) -> str:
    """Return by what an advice is the same: order and doctor, point and version."""
    doctors = sorted({item.doctor_id or "" for item in asked.items if item.id in advice["items"]})
    said = [asked.institution_id, asked.encounter.visit_id, *sorted(advice["items"]), *doctors]
    return hashlib.sha256("\x1f".join([*said, advice["point"], advice["version"]]).encode()).hexdigest()


def _yuan(fen: int) -> float:
    return fen / 100
