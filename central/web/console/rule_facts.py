"""What a rule says about itself, for the page of what it found: title, basis, parameters, known errors."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from pathlib import Path
from typing import Any

from renzheng.central.texts import Language, Texts
from renzheng.rules.pack import Pack, load_pack

HASHES = frozenset({"content_hash", "pack_hash", "region_pack_hash"})
MOST_CAPS = 20
_HAN = re.compile(r"[\u4e00-\u9fff]")


@dataclass(frozen=True, slots=True)
class Fact:
    """A parameter with the value that a finding was made with, or a limit of the knowledge tables."""

    meaning: str
    value: str
    unit: str
    reference: str


@dataclass(frozen=True, slots=True)
class RuleFacts:
    """A rule in one language.

    Args:
        title: its title.
        basis: articles of law or policy.
        known: when it is wrong, as far as that is known.
        parameters: with the values of the finding.
        caps: limits of the knowledge tables that concern it.
        version: of the rule as it stands now.
        changed: whether the rule has changed since the finding was made.
    """

    title: str
    basis: Sequence[str]
    known: Sequence[str]
    parameters: Sequence[Fact]
    caps: Sequence[Fact]
    version: str
    changed: bool


@lru_cache(maxsize=4)
def _load(path: Path | None, _changed_ns: int) -> Pack:
    return load_pack(path)


def pack_in_force(path: Path | None) -> Pack:
    """Return the pack that nights run; it is read again once its folder has changed."""
    folder = path / "national" if path and (path / "national").is_dir() else path
    changed = max((one.stat().st_mtime_ns for one in folder.glob("*.sql")), default=0) if folder else 0
    return _load(path, changed)


def titles_of(pack: Pack, region: str | None, language: Language) -> Mapping[str, str]:
    """Return the titles of the rules that hold in a region, by id."""
    whole = pack.for_region(region) if region and region in pack.regions else pack
    return {
        name: rule.header.title.zh if language == "zh" else rule.header.title.en
        for name, rule in whole.rules.items()
    }


def in_language(text: str, language: Language) -> str:
    """Return the part of a text `中文 / English` that is in a language; of a plain text all of it."""
    parts = text.split(" / ", 1)
    if len(parts) == 1 or bool(_HAN.search(parts[0])) == bool(_HAN.search(parts[1])):
        return text
    chinese, english = parts if _HAN.search(parts[0]) else reversed(parts)
    return chinese if language == "zh" else english


def facts_of(
    pack: Pack, region: str | None, named: tuple[str, Mapping[str, Any]], items: Sequence[str], t: Texts
) -> RuleFacts | None:
    """Describe a rule as it stands, with the parameter values that a finding was made with.

    Args:
        pack: the rules in force.
        region: the region whose own rules and limits hold too.
        named: the rule's id, and the finding's parameters with the hash of the rule's text.
        items: item classes and item codes of the finding's lines.
        t: the language.

    Returns:
        None when the pack has no such rule any more.
    """
    rule_id, made_with = named
    whole = pack.for_region(region) if region and region in pack.regions else pack
    rule = whole.rules.get(rule_id)
    if rule is None:
        return None
    head, zh = rule.header, t.language == "zh"
    parameters = []
    for name, parameter in head.parameters.items():
        value = str(made_with.get(name, ""))
        stated = [one for one in parameter.values if value and one.value == _number(value)]
        reference = in_language(stated[-1].reference, t.language) if stated else t("rule.by_region")
        meaning = parameter.meaning.zh if zh else parameter.meaning.en
        parameters.append(
            Fact(meaning, _shown(value, parameter.unit), t.code("unit", parameter.unit), reference)
        )
    made_of = made_with.get("content_hash")
    return RuleFacts(
        head.title.zh if zh else head.title.en,
        [in_language(one, t.language) for one in head.basis],
        [one.zh if zh else one.en for one in head.known_false_positives],
        parameters,
        _caps(whole, rule.sql, items, t),
        head.version,
        made_of is not None and made_of != rule.content_hash,
    )


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def _shown(value: str, unit: str) -> str:
    """Write a value without trailing zeros, a share in per cent."""
    found = _number(value)
    if found is None:
        return "—"
    if unit.startswith("share"):
        return f"{(found * 100).normalize():f}%"
    return f"{found.normalize():f}"


def _caps(pack: Pack, sql: str, items: Sequence[str], t: Texts) -> list[Fact]:
    """List the limits of the knowledge tables that a rule's query reads and that are of these items."""
    found = []
    for table, rows in pack.knowledge.items():
        if f"known_{table}" not in sql:
            continue
        for row in rows:
            named = [row.get(name) for name in ("item_class", "item_code", "main_code") if row.get(name)]
            if not set(named) & set(items):
                continue
            meaning = " ".join(t.code("item_class", one) for one in named if one)
            most = row.get("most") or row.get("sub_code") or t.code("sex", row.get("sex_limit") or None)
            ages = "–".join(row.get(name) or "" for name in ("min_age_years", "max_age_years")).strip("–")
            unit = t.code("period", row.get("period") or row.get("within") or "item")
            reference = in_language(row.get("reference") or "", t.language)
            found.append(Fact(meaning, ages or most, unit, reference))
    return found[:MOST_CAPS]
