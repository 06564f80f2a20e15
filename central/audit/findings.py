"""Run the rules and turn their rows into findings: ids, explanations, parameters."""

import datetime as dt
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from renzheng.central.audit.engine import Engine
from renzheng.central.audit.errors import EngineError, OutOfRoomError, RuleFailedError
from renzheng.central.audit.explaining import Institution, explain
from renzheng.central.audit.request import DAY_US, day_number
from renzheng.contracts.tables import FINDINGS, arrow_schema
from renzheng.rules.dialect import bound
from renzheng.rules.pack import Pack, Rule
from renzheng.rules.parameters import NO_CHOICE, Segment, segments

REQUIRED = ("institution_id", "person_id", "line_ids", "amount", "from_at", "to_at", "evidence")
"""What every rule's query yields; further columns can stand in its explanation."""
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_PARAMETERS = json.JSONEncoder(sort_keys=True)
_FACTS = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
MOST_FINDINGS = 500_000
MOST_MEGABYTES = 500
"""Most that all findings of a rule may hold: it is enough to name every line of a nation's night once."""


def find(
    engine: Engine,
    rule: Rule,
    pack: Pack,
    *,
    region: str | None,
    from_day: dt.date,
    to_day: dt.date,
    seconds: float,
    known: Mapping[str, Institution],
) -> list[dict[str, Any]]:
    """Run one rule over the period, once for each stretch in which its parameters keep their values.

    Args:
        engine: what runs it.
        rule: the rule.
        pack: the pack that it belongs to.
        region: whose parameters hold.
        from_day: first service day.
        to_day: last service day, included.
        seconds: how long it may run.
        known: institutions by id, as the explanations name them.

    Raises:
        RuleFailedError: it ran longer than `seconds`, needed too much memory, failed, or gave rows that are
            no findings.
    """
    found: list[dict[str, Any]] = []
    held = 0
    hashes = hashes_of(rule, pack, region)
    try:
        with engine.limited(seconds):
            for segment in running(rule, pack, region=region, from_day=from_day, to_day=to_day):
                for batch in engine.batches(bound(rule.sql, placeholders_of(segment))):
                    held += batch.nbytes
                    _not_too_large(held)
                    found += [as_finding(rule, segment, row, hashes, known) for row in batch.to_pylist()]
                    _not_too_many(found)
    except EngineError as error:
        raise RuleFailedError(
            f"The rule {rule.id} could not be run to its end: {error.what}",
            why="What it would have found is missing; the findings of the other rules are complete.",
            do=f"Look at {rule.path}; `renzheng rules test --rule {rule.id}` runs it on its examples.",
            rule_id=rule.id,
        ) from error
    return found


def running(
    rule: Rule, pack: Pack | None, *, region: str | None, from_day: dt.date, to_day: dt.date
) -> Iterator[Segment]:
    """Yield the stretches of a period in which the rule runs, without those of a region's switch."""
    overrides = pack.overrides(region, rule.id) if pack else {}
    choice = pack.choice(region, rule.id) if pack else NO_CHOICE
    for segment in segments(rule.header, overrides, from_day, to_day, choice):
        if segment.off is None:
            yield segment


def switched_off(
    pack: Pack, *, region: str | None, from_day: dt.date, to_day: dt.date
) -> list[dict[str, str]]:
    """List the rules that a region does not run on some days of a period, with its reason."""
    return [
        {
            "rule_id": rule.id,
            "from": segment.first.isoformat(),
            "to": segment.last.isoformat(),
            "reason_zh": segment.off.reason.zh,
            "reason_en": segment.off.reason.en,
        }
        for rule in pack.active
        for segment in segments(
            rule.header, pack.overrides(region, rule.id), from_day, to_day, pack.choice(region, rule.id)
        )
        if segment.off is not None
    ]


def hashes_of(rule: Rule, pack: Pack, region: str | None) -> dict[str, str]:
    """Name what made a finding: the rule's text, the pack's, and the region's where there is one."""
    hashes = {"content_hash": rule.content_hash, "pack_hash": pack.content_hash}
    if region is not None and region in pack.regions:
        hashes["region_pack_hash"] = pack.regions[region].content_hash
    return hashes


def _not_too_many(found: Sequence[Any]) -> None:
    if len(found) > MOST_FINDINGS:
        raise EngineError(
            f"It finds more than {MOST_FINDINGS:,} cases: a rule that names everybody says nothing."
        )


def _not_too_large(held: int) -> None:
    if held > MOST_MEGABYTES * 1_000_000:
        raise OutOfRoomError(f"What it finds takes more than {MOST_MEGABYTES} MB.")


def write_findings(path: Path, findings: list[dict[str, Any]]) -> None:
    """Write findings in the order of their ids."""
    findings.sort(key=lambda finding: str(finding["finding_id"]))
    pq.write_table(pa.Table.from_pylist(findings, schema=arrow_schema(FINDINGS)), path, compression="zstd")


def as_finding(
    rule: Rule,
    segment: Segment,
    row: Mapping[str, Any],
    hashes: Mapping[str, str],
    known: Mapping[str, Institution],
) -> dict[str, Any]:
    """Make a finding of one row of a rule's query.

    Raises:
        EngineError: the row lacks what every finding has.
    """
    _complete(row)
    lines, evidence = sorted(set(row["line_ids"])), sorted(set(row["evidence"]))
    shown = {name: value for name, value in row.items() if name not in {"line_ids", "evidence"}}
    parameters = {name: str(value) for name, value in segment.values.items()}
    parameters |= {name: str(row[name]) for name in ("point", "point_version") if row.get(name)}
    return {
        "finding_id": finding_id(rule.id, row, lines, evidence),
        "rule_id": rule.id,
        "rule_version": rule.header.version,
        "severity": segment.level,
        "verdict": rule.header.verdict,
        "institution_id": row["institution_id"],
        "person_id": row["person_id"],
        "line_ids": lines,
        "amount": Decimal(str(row["amount"])).quantize(Decimal("0.01")),
        "from_at": _instant(row["from_at"]),
        "to_at": _instant(row["to_at"]),
        "evidence": evidence,
        "explanation_zh": explain(rule.header.explanation.zh, "zh", shown, known),
        "explanation_en": explain(rule.header.explanation.en, "en", shown, known),
        "parameters": _PARAMETERS.encode({**parameters, **hashes}),
    }


def _complete(row: Mapping[str, Any]) -> None:
    missing = [name for name in REQUIRED if name != "person_id" and row.get(name) is None]
    if missing:
        raise EngineError(f"A row of it has no {', '.join(missing)}.")
    if None in row["line_ids"] or None in row["evidence"]:
        raise EngineError(
            "A row of it has an empty id in line_ids or evidence; leave those out by list_filter."
        )


def finding_id(rule_id: str, row: Mapping[str, Any], lines: list[str], evidence: list[str]) -> str:
    """Hash the facts of a finding; neither version nor wording nor engine changes it."""
    facts = [
        rule_id,
        row["institution_id"],
        row["person_id"],
        lines,
        evidence,
        int(row["from_at"]),
        int(row["to_at"]),
    ]
    return hashlib.sha256(_FACTS.encode(facts).encode()).hexdigest()


def placeholders_of(segment: Segment) -> dict[str, Decimal]:
    """Return the numbers that stand for a rule's parameters and for the period."""
    first, last = day_number(segment.first), day_number(segment.last)
    return {
        **segment.values,
        "from_day": Decimal(first),
        "to_day": Decimal(last),
        # a day of slack on both sides: rules that compare instants want every zone's day
        "from_us": Decimal((first - 1) * DAY_US),
        "until_us": Decimal((last + 2) * DAY_US),
    }


def _instant(us: int) -> dt.datetime:
    return _EPOCH + dt.timedelta(microseconds=int(us))
