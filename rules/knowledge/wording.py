"""What an advice says in Chinese and English: what does not fit, and what would make it right."""

from collections.abc import Mapping
from dataclasses import dataclass

from renzheng.rules.knowledge.kinds import Hit, bounds
from renzheng.rules.knowledge.points import Kind, Point

Texts = tuple[str, str]
"""Chinese and English."""


@dataclass(frozen=True, slots=True)
class Wording:
    """The words of one hit."""

    text: Texts
    clears: Texts


OVERRIDES: Mapping[str, Texts] = {
    "registered_wrongly": ("登记信息有误，已核实", "what is registered is wrong, and was checked"),
    "emergency": ("急诊或抢救需要", "emergency"),
    "medically_needed": ("病情需要，已在病历中说明", "needed, with the reason in the record"),
    "two_treatments": ("两次独立治疗", "two separate treatments"),
    "to_be_corrected": ("将在结算前更正", "will be corrected before settlement"),
}
"""Reasons with which somebody may go on, by their codes."""
_BY_KIND: Mapping[Kind, tuple[str, ...]] = {
    Kind.SEX: ("registered_wrongly", "to_be_corrected"),
    Kind.AGE: ("registered_wrongly", "medically_needed", "to_be_corrected"),
    Kind.PAIR: ("two_treatments", "emergency", "to_be_corrected"),
    Kind.FREQUENCY: ("two_treatments", "emergency", "medically_needed"),
    Kind.PERIOD: ("medically_needed", "to_be_corrected"),
}
_USUAL = ("registered_wrongly", "emergency", "medically_needed")
_VISITS: Mapping[str, Texts] = {"inpatient": ("住院", "inpatients"), "outpatient": ("门诊", "outpatients")}
_INSURANCES: Mapping[str, Texts] = {
    "work_injury": ("工伤保险", "work injury insurance"),
    "maternity": ("生育保险", "maternity insurance"),
}
_UNITS: Mapping[str, Texts] = {
    "hour": ("同一小时", "within the same hour"),
    "24 hours": ("24 小时内", "within 24 hours"),
    "day": ("同一天", "on one day"),
    "week": ("一周内", "in one week"),
    "month": ("一个月内", "in one month"),
    "year": ("一年内", "in one year"),
    "visit": ("同一次就诊", "within one visit"),
}


def reasons(point: Point) -> tuple[str, ...]:
    """Return the codes of the reasons with which somebody may go on."""
    return _BY_KIND.get(point.kind, _USUAL)


def worded(hit: Hit) -> Wording:
    """Put a hit into words."""
    point, name = hit.point, _name(hit)
    if point.kind is Kind.PAIR:
        main, within = _beside(hit), _window(point)
        return Wording(
            (
                f"{main}的内涵已包含{name}，{within[0]}不应另行收费。",
                f"{main} already includes {name}; it is not billed again {within[1]}.",
            ),
            (f"取消{name}或{main}中的一项，或更正时间。", f"Take {name} or {main} off, or correct the time."),
        )
    if point.kind in {Kind.FREQUENCY, Kind.PERIOD}:
        return _counted(hit, name)
    if point.kind is Kind.COMPANION:
        return Wording(
            (
                f"{name}当日没有应与其同时开展的项目。",
                f"Nothing that {name} belongs to is billed on its day.",
            ),
            ("补录同时开展的项目，或取消该项。", "Add what it belongs to, or take it off."),
        )
    limit = _limit(point)
    return Wording(
        (f"{name}限{limit[0]}，与本次不符。", f"{name} is for {limit[1]}, which this is not."),
        (
            f"核对登记信息；确不属于{limit[0]}的，取消该项或改为自费。",
            f"Check what is registered; if it is not {limit[1]}, take the item off or let the patient pay.",
        ),
    )


def _counted(hit: Hit, name: str) -> Wording:
    point, billed = hit.point, _plain(hit.billed)
    within = _UNITS.get(point.unit, ("", ""))
    times: Texts = ("次", "")
    if point.kind is Kind.PERIOD:
        days = point.within_days
        within = (f"{days} 天内", f"in {days} days") if days else _UNITS["visit"]
        times = ("天", " days") if point.unit == "day" else times
    return Wording(
        (
            f"{name}{within[0]}最多 {point.value} {times[0]}，含本次为 {billed} {times[0]}。",
            f"{name}: at most {point.value}{times[1]} {within[1]}; with this it is {billed}.",
        ),
        ("减少数量、改期，或取消该项。", "Lower the quantity, choose another time, or take it off."),
    )


def _limit(point: Point) -> Texts:
    if point.kind is Kind.SEX:
        return ("男性", "men") if point.value == "M" else ("女性", "women")
    if point.kind is Kind.AGE:
        return _ages(point)
    if point.kind is Kind.LEVEL:
        return f"{point.value} 级及以上医疗机构", f"institutions of level {point.value} and above"
    if point.kind is Kind.DIAGNOSIS:
        assert isinstance(point.value, tuple)
        codes = "、".join(point.value)
        return f"诊断 {codes}", f"the diagnoses {codes}"
    assert isinstance(point.value, tuple)
    known = [{**_VISITS, **_INSURANCES}[one] for one in point.value]
    return "、".join(one[0] for one in known), ", ".join(one[1] for one in known)


def _ages(point: Point) -> Texts:
    low, below = bounds(str(point.value))
    zh, en = {"year": ("岁", "years"), "month": ("个月", "months"), "day": ("天", "days")}[point.unit]
    if below is None:
        return f"满 {low} {zh}", f"people of at least {low} {en}"
    if not low:
        return f"未满 {below} {zh}", f"people under {below} {en}"
    return f"满 {low} {zh}、未满 {below} {zh}", f"people from {low} to under {below} {en}"


def _window(point: Point) -> Texts:
    if point.unit == "hours":
        return f"{point.value} 小时内", f"within {point.value} hours"
    return _UNITS[point.unit]


def _name(hit: Hit) -> str:
    line = hit.lines[0]
    own = hit.point.name.split(" / ")[-1] if hit.point.kind is Kind.PAIR else hit.point.name
    return line.name or own or line.code


def _beside(hit: Hit) -> str:
    named = next((one.name for one in hit.beside if one.name), "")
    return named or hit.point.name.split(" / ")[0] or hit.point.items[0]


def _plain(quantity_e4: int) -> str:
    whole, rest = divmod(quantity_e4, 10_000)
    return f"{whole}.{rest:04d}".rstrip("0") if rest else str(whole)
