"""The explanation of a finding: a rule's template filled in, in the words of one language."""

import datetime as dt
import re
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import Any

from renzheng.central.audit.engine import Engine
from renzheng.central.texts import Language, texts

CODES = {
    "reason": "reason",
    "verdict": "verdict",
    "item_class": "item_class",
    "kind": "leave_kind",
    "sex": "sex",
    "sex_limit": "sex",
}
"""Columns that hold a code of a closed list, each with the list's name in the catalogues."""
TEN_THOUSAND = 10_000
DEFAULT_ZONE = zoneinfo.ZoneInfo("Asia/Shanghai")
_BLANK = re.compile(r"\{(\w+)\}( ?(?:元|yuan))?")
_SENTENCE = re.compile(r"[^。.]*(?:\.(?! )[^。.]*)*(?:。|\.(?= |$)|$)\s*")
_RUN = re.compile(r"^(?P<machine>.+)@(?P<seconds>\d{1,11})$")
_HAN = r"[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]"
_BETWEEN_HAN = re.compile(f"(?<={_HAN}) +(?={_HAN})")
_COUNTED = re.compile(r"(?<![\d.,])(?P<n>[\d,]+)(?P<between> (?:[a-z-]+ ){0,2})(?P<noun>[a-z]+)\(s\)")


@dataclass(frozen=True)
class Institution:
    """An institution as people name it."""

    name: str
    zone: zoneinfo.ZoneInfo = DEFAULT_ZONE


def institutions(engine: Engine) -> dict[str, Institution]:
    """Read the institutions that an audit knows."""
    rows = engine.rows("SELECT institution_id, name, timezone FROM institutions").to_pylist()
    return {
        row["institution_id"]: Institution(
            row["name"] or "", zoneinfo.ZoneInfo(row["timezone"]) if row["timezone"] else DEFAULT_ZONE
        )
        for row in rows
    }


def explain(
    template: str, language: Language, row: Mapping[str, Any], known: Mapping[str, Institution]
) -> str:
    """Put the values of a row in the place of `{name}`, and understand nothing else.

    A sentence after the first one whose value is missing is left out: it would say nothing. Institutions are
    written by name and id, codes in words, moments by the institution's own clock, large sums in the
    language's way.

    Args:
        template: a rule's text; a stranger may have written it.
        language: its language.
        row: the columns of the rule's query; moments are microseconds in columns that end in `_at`.
        known: institutions by id.
    """
    kept = [
        sentence
        for place, (sentence, names) in enumerate(_sentences(template))
        if place == 0 or all(row.get(name) is not None for name in names)
    ]
    words = _Words(language, row, known)
    told = "".join(
        part if isinstance(part, str) else words.fill(*part) for part in _parts("".join(kept).strip())
    )
    return _BETWEEN_HAN.sub("", told) if language == "zh" else _COUNTED.sub(_plural, told)


@lru_cache(maxsize=512)
def _sentences(template: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the sentences of a template, each with the names of its blanks."""
    found = (one.group() for one in _SENTENCE.finditer(template) if one.group())
    return tuple((one, tuple(name for name, _ in _BLANK.findall(one))) for one in found)


@lru_cache(maxsize=2048)
def _parts(text: str) -> tuple[str | tuple[str, str | None], ...]:
    """Take a text apart into words and blanks; a blank is its name, and the unit behind it or None."""
    parts: list[str | tuple[str, str | None]] = []
    end = 0
    for blank in _BLANK.finditer(text):
        parts += [text[end : blank.start()], (blank[1], blank[2])]
        end = blank.end()
    return (*parts, text[end:])


def _plural(found: re.Match[str]) -> str:
    one = found["n"] == "1"
    return f"{found['n']}{found['between']}{found['noun']}{'' if one else 's'}"


class _Words:
    """Writes the values of one row in one language."""

    def __init__(self, language: Language, row: Mapping[str, Any], known: Mapping[str, Institution]) -> None:
        self._language = language
        self._row = row
        self._known = known
        here = known.get(str(row.get("institution_id")))
        self._zone = here.zone if here else DEFAULT_ZONE

    def fill(self, name: str, unit: str | None) -> str:
        value = self._row.get(name)
        if unit and isinstance(value, int | float | Decimal):
            return yuan(Decimal(str(value)), self._language)
        return f"{self._write(name, value)}{unit or ''}"

    def _write(self, name: str, value: Any) -> str:
        if value is None:
            return "—"
        if name.endswith("institution_id"):
            return self._institution(str(value))
        if name in CODES:
            return texts(self._language).code(CODES[name], str(value))
        if name.endswith("_at") and isinstance(value, int):
            return self._moment(value // 1_000_000)
        if isinstance(value, str):
            return self._run(value) or value
        return number(value)

    def _institution(self, institution_id: str) -> str:
        place = self._known.get(institution_id)
        if place is None or place.name in {"", institution_id}:
            return institution_id
        return self._beside(place.name, institution_id)

    def _run(self, text: str) -> str:
        """Write the name of a machine's run, which holds its start in seconds of Unix time."""
        found = _RUN.match(text) if "@" in text else None
        return self._beside(found["machine"], self._moment(int(found["seconds"]))) if found else ""

    def _moment(self, seconds: int) -> str:
        at = dt.datetime.fromtimestamp(seconds, self._zone)
        if self._language == "zh":
            return f"{at.year} 年 {at.month} 月 {at.day} 日 {at:%H:%M}"
        return f"{at.day} {at:%B %Y, %H:%M}"

    def _beside(self, name: str, addition: str) -> str:
        return f"{name}（{addition}）" if self._language == "zh" else f"{name} ({addition})"


def number(value: Any) -> str:
    """Write a number as people do: thousands apart, a tenth is enough, no trailing zeros."""
    if not isinstance(value, int | float | Decimal):
        return str(value)
    rounded = Decimal(str(value)).quantize(Decimal("0.1"), ROUND_HALF_UP)
    whole = rounded == rounded.to_integral_value()
    shown = rounded.to_integral_value() + 0 if whole else rounded  # `+ 0` makes of -0 a 0
    return f"{shown:,}" if abs(shown) >= TEN_THOUSAND else f"{shown}"


def yuan(amount: Decimal, language: Language) -> str:
    """Write an amount with its unit: in Chinese from ten thousand yuan on in 万元."""
    cents = amount.quantize(Decimal("0.01"), ROUND_HALF_UP) + 0
    if language == "zh" and abs(cents) >= TEN_THOUSAND:
        return f"{(cents / TEN_THOUSAND).quantize(Decimal('0.01'), ROUND_HALF_UP):,} 万元"
    text = f"{cents:,.2f}".removesuffix(".00")
    return f"{text} 元" if language == "zh" else f"{text} yuan"
