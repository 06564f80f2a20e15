"""Limits in words, read in full or not at all: what is left over makes the whole limit unread.

`以上`, `以下` and `以内` include their number, `不满`, `未满` and `超过` do not (Civil Code, art. 1259).
A child is under 18 (Law on the Protection of Minors, art. 2), a newborn at most 28 days old.
"""

import re
import unicodedata

from renzheng.rules.knowledge.points import Kind, Limit, Value

CHILD = ("[0,18)", "year")
NEWBORN = ("[0,29)", "day")
_NUMBERS = {"零": 0, "一": 1, "二": 2, "两": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9}
_NUMBER = r"(?:\d+|[零一二两三四五六七八九十]+)"
_WHO = r"(?:的)?(?:患者|病人|人员|参保人|参保人员|人群|者)?(?:使用|用药|支付|可用|专用)?"
_ONLY = r"(?:限制?|仅限?|只限|适用于|用于|支付范围[:为]?)*"


def plain(text: str) -> str:
    """Return words without spaces, widths and final stops, as the patterns here expect them."""
    kept = "".join(
        one for one in unicodedata.normalize("NFKC", text) if unicodedata.category(one)[0] not in "ZC"
    )
    return kept.replace("～", "~").strip("。;；,，.、")


def number(text: str) -> int | None:
    """Read a whole number in digits or Chinese numerals up to 99; None when it is not one."""
    if re.fullmatch(r"\d+(\.0+)?", text):
        return int(text.partition(".")[0])
    tens = re.fullmatch(r"([一二两三四五六七八九])?十([一二三四五六七八九])?", text)
    if tens:
        return _NUMBERS[tens[1] or "一"] * 10 + (_NUMBERS[tens[2]] if tens[2] else 0)
    return _NUMBERS.get(text)


_COUNTING = frozenset({Kind.FREQUENCY, Kind.PERIOD})


def read(words: str, hint: Kind | None = None) -> Limit:
    """Read what a limit's words say.

    Args:
        words: the cell as it stands.
        hint: the kind that headings or the file's name give; words of another kind are not read then, except
            that courses may be worded as frequencies and the other way round.
    """
    text = plain(words)
    if not text:
        return Limit(hint or Kind.UNREAD, None, problem="no_words")
    readers = {
        Kind.SEX: _sex, Kind.AGE: _age, Kind.INSURANCE: _insurance, Kind.VISIT: _visit, Kind.LEVEL: _level,
        Kind.FREQUENCY: _frequency, Kind.PERIOD: _course, Kind.DIAGNOSIS: _diagnosis,
    }  # fmt: skip
    for kind, reader in readers.items():
        allowed = hint in {None, kind} or {hint, kind} == _COUNTING
        found = reader(text) if allowed else None
        if found is not None and (hint is not None or _is_clear(kind, found[1], text)):
            return Limit(kind, *found)
    return Limit(hint or Kind.UNREAD, None, problem="words_not_read")


def _is_clear(kind: Kind, unit: str, text: str) -> bool:
    """Return whether words say by themselves what they limit: days may be an age or a course."""
    return kind is not Kind.AGE or unit != "day" or any(word in text for word in ("龄", "新生儿", "出生"))


Read = tuple[Value, str] | None


def _sex(text: str) -> Read:
    found = re.fullmatch(rf"{_ONLY}(男|女)(?:性|士|子)?{_WHO}", text)
    return ("M" if found[1] == "男" else "F", "") if found else None


_UNIT = r"(?:周?岁|岁龄|个?月龄?|天|日龄?)"
_BOUND = re.compile(
    rf"(?P<sign>>=|≥|<=|≤|>|<|大于等于|小于等于|不小于|不低于|不大于|不超过|不高于|大于|小于|不满|未满|不足|超过|满)?"
    rf"(?P<number>{_NUMBER})(?P<unit>{_UNIT})(?P<edge>\(含\)|\(不含\)|含)?(?P<side>\(?及?其?(?:以上|以下|以内)\)?)?"
    r"(?P<after>\(含\)|\(不含\))?"
)
_RANGE = re.compile(
    rf"(?P<low>{_NUMBER})(?P<low_unit>{_UNIT})?(?P<low_edge>\(含\)|\(不含\))?[-~至到—–]+(?P<less>不满|未满|<)?"
    rf"(?P<high>{_NUMBER})(?P<unit>{_UNIT})(?P<edge>\(含\)|\(不含\))?(?:及?以下|之间|\(含\))?"
)


def _age(text: str) -> Read:
    if re.fullmatch(rf"{_ONLY}(?:儿童|小儿|未成年人){_WHO}", text):
        return CHILD
    if re.fullmatch(rf"{_ONLY}新生儿{_WHO}", text):
        return NEWBORN
    bare = re.sub(rf"^{_ONLY}(?:年龄)?(?:为|在)?(?:出生(?:后)?)?|(?:的)?(?:儿童|小儿)?{_WHO}$", "", text)
    return _range(bare) or _bounds(bare)


def _range(text: str) -> Read:
    found = _RANGE.fullmatch(text)
    if found is None:
        return None
    low, high = number(found["low"]), number(found["high"])
    unit = _unit(found["unit"])
    if low is None or high is None or (found["low_unit"] and _unit(found["low_unit"]) != unit):
        return None
    below = high if found["less"] or found["edge"] == "(不含)" else high + 1
    if found["low_edge"] == "(不含)" or low >= below:
        return None
    return f"[{low},{below})", unit


def _bounds(text: str) -> Read:
    """Read one bound, or a lower and an upper one of the same unit."""
    low: int | None = None
    below: int | None = None
    units = set()
    for part in re.split(r"且|并且|和|并|,|，|、", text):
        found = _BOUND.fullmatch(part)
        side = _side(found) if found else None
        if found is None or side is None:
            return None
        units.add(_unit(found["unit"]))
        edge, at = side
        if edge == "low" and low is None:
            low = at
        elif edge == "below" and below is None:
            below = at
        else:
            return None
    if len(units) != 1 or (low is not None and below is not None and low >= below):
        return None
    return f"[{low or 0},{'' if below is None else below})", units.pop()


def _side(found: re.Match[str]) -> tuple[str, int] | None:
    """Return which end of the range a bound gives, and at which number.

    A lower bound without its number counts from the number itself: nobody is held for a day of doubt.
    """
    at, sign, side = number(found["number"]), found["sign"] or "", found["side"] or ""
    edge = found["edge"] or found["after"] or ""
    if at is None or bool(side) == (bool(sign) and sign != "满"):
        return None
    if sign in {">=", "≥", "大于等于", "不小于", "不低于", ">", "大于", "超过"} or "以上" in side:
        return "low", at
    if sign in {"<", "小于", "不满", "未满", "不足"}:
        return ("below", at) if not edge else None
    return "below", at if edge == "(不含)" else at + 1


def _unit(word: str) -> str:
    return "year" if "岁" in word else "month" if "月" in word else "day"


_INSURANCES = {"工伤": "work_injury", "生育": "maternity", "职工": "employee", "居民": "resident"}


def _insurance(text: str) -> Read:
    one = r"(?:工伤|生育)(?:保险)?(?:基金)?(?:参保人员)?"
    if not re.fullmatch(rf"{_ONLY}{one}(?:[、,/和或及]{one})*{_WHO}", text):
        return None
    return tuple(sorted({_INSURANCES[name] for name in re.findall("工伤|生育", text)})), ""


def _visit(text: str) -> Read:
    found = re.fullmatch(rf"{_ONLY}(住院|门诊)(?:就医|治疗|期间)?{_WHO}", text)
    return (("inpatient" if found[1] == "住院" else "outpatient",), "") if found else None


def _level(text: str) -> Read:
    found = re.fullmatch(
        rf"{_ONLY}([一二三123])级(?:\(?(?:及|或)?以上\)?)?(?:定点)?(?:医疗机构|医院|机构|医疗单位)?{_WHO}",
        text,
    )
    return (int(number(found[1]) or 0), "level") if found else None


_EACH = {
    r"(?:每|单|同?一|1)?(?:日|天)": "day",
    r"(?:每|单|同一|一|1)次(?:就诊|住院)": "visit",
    r"(?:每|同一|一|1)个?小时": "hour",
    r"(?:每|一)周": "week",
    r"(?:每|一)个?月": "month",
    r"每年": "year",
    r"(?:每)?24小时内?": "24 hours",
}
_MOST = (
    r"(?:不超过|不得超过|不多于|不大于|最多(?:支付)?|最高|限(?:支付|收|计)?|至多|只能|可"
    r"|支付|收取|计费|≤|<=)*"
)


def _frequency(text: str) -> Read:
    for each, unit in _EACH.items():
        found = re.fullmatch(
            rf"(?:{each})(?:内)?{_MOST}({_NUMBER})(?:次|个?小时|项|部位)?", text
        ) or re.fullmatch(rf"{_MOST}({_NUMBER})(?:次|个?小时)(?:/|每)(?:{each.replace('每', '每?')})", text)
        counted = number(found[1]) if found else None
        if counted:
            return counted, unit
    return None


def _course(text: str) -> Read:
    found = re.fullmatch(
        rf"(?:支付|疗程|使用|用药|总时间)*{_MOST}({_NUMBER})(?:天|日)(?:以内|内|及以内)?(?:的费用)?", text
    )
    days = number(found[1]) if found else None
    return (days, "day") if days else None


def _diagnosis(text: str) -> Read:
    codes = re.split(r"[、,，;/|]", text.upper())
    if not all(re.fullmatch(r"[A-Z]\d{2}(?:\.[\dA-Z]{1,6})?", one) for one in codes):
        return None
    return tuple(dict.fromkeys(codes)), ""


def window(words: str) -> tuple[int, str] | None:
    """Read over what a pair's items exclude each other: one day, visit or hour, or several hours."""
    text = plain(words)
    for pattern, unit in (
        (r"(?:单|同一?|每|一|1)(?:日|天)(?:内)?", "day"),
        (r"(?:单|同一?|每|一|1)次?(?:就诊|住院|就医)(?:期间)?(?:内)?", "visit"),
        (r"(?:同一|同|单|每)个?小时(?:内)?", "hour"),
    ):
        if re.fullmatch(pattern, text):
            return 1, unit
    found = re.fullmatch(rf"({_NUMBER})个?小时(?:内|以内)?", text)
    hours = number(found[1]) if found else None
    return (hours, "hours") if hours else None
