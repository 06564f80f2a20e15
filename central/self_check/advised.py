"""What a checked month is advised: findings with their lines, without the persons, the dearest first."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from renzheng.central.audit.readback import Finding, read_findings
from renzheng.rules.dialect import parsed
from renzheng.rules.pack import Pack

MOST_LINES = 5_000
"""Lines that one result holds; the rest is counted."""
OF_BILLS = frozenset(
    {
        "billed_lines", "capped_lines", "claim_lines", "drug_stock", "institutions", "item_catalogue",
        "medicine_pairs", "medicine_repeats", "medicine_sales", "net_lines", "persons", "reversals",
        "stays", "visit_calls", "visit_diagnoses",
    }
)  # fmt: skip
"""What an institution's own bills fill; rules that read anything else need the devices' evidence."""
COMPLETES = "unknown-code"
"""Reads the catalogue, which a self-check completes itself."""
_LINES = """
SELECT institution_id, line_id, visit_id, item_code, item_name, amount,
  (service_time AT TIME ZONE ?)::DATE::VARCHAR AS day,
  count(*) FILTER (WHERE reverses_line_id IS NULL) OVER (PARTITION BY institution_id, visit_id,
  item_code, (service_time AT TIME ZONE ?)::DATE) AS alike
FROM read_parquet(?) QUALIFY list_contains(?, line_id)
"""
Advice = dict[str, Any]


def rules_of_bills(pack: Pack) -> list[str]:
    """Name the rules of findings that read bills and knowledge and nothing else."""
    return sorted(
        rule.id
        for rule in pack.rules.values()
        if rule.header.produces == "findings"
        and rule.id != COMPLETES
        and all(name in OF_BILLS or name.startswith("known_") for name in parsed(rule.sql).tables)
    )


def read_advices(out: Path, tables: Path, pack: Pack, zone: ZoneInfo) -> tuple[list[Advice], int]:
    """Read what an audit of bills has found, as an institution is shown it.

    Args:
        out: the audit's output.
        tables: folder of the imported tables.
        pack: the rules, for their titles.
        zone: of service days.

    Returns:
        Advices with `rule_id`, `kind`, `title_zh`, `title_en`, `zh`, `en`, `amount_fen` and `lines`, the
        dearest first; and how many lines more there are than one result holds.
    """
    found = sorted(read_findings(out), key=lambda one: (-one.amount, one.finding_id))
    wanted = sorted({line for one in found for line in one.line_ids})
    with duckdb.connect() as connection:
        path = str(tables / "claim_lines.parquet")
        rows = connection.execute(_LINES, [zone.key, zone.key, path, wanted]).fetchall()
        names = [column[0] for column in connection.description or ()]
    lines: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        named = dict(zip(names, row, strict=True))
        named["amount_fen"] = int(named.pop("amount") * 100)
        lines[named["institution_id"], named["line_id"]] = named
    advices = [advice for one in found if (advice := _advice(one, lines, pack))["lines"]]
    return _first(advices)


def _first(advices: list[Advice]) -> tuple[list[Advice], int]:
    kept, held = list[Advice](), 0
    for advice in advices:
        if held + len(advice["lines"]) > MOST_LINES:
            break
        held += len(advice["lines"])
        kept.append(advice)
    return kept, sum(len(one["lines"]) for one in advices) - held


def _advice(found: Finding, lines: Mapping[tuple[str, str], Any], pack: Pack) -> Advice:
    rule = pack.rules[found.rule_id]

    def without_person(text: str) -> str:
        return text.replace(found.person_id, "***") if found.person_id else text

    return {
        "rule_id": found.rule_id,
        "point": str(found.parameters.get("point") or ""),
        "title_zh": rule.header.title.zh,
        "title_en": rule.header.title.en,
        "zh": without_person(found.explanation_zh),
        "en": without_person(found.explanation_en),
        "amount_fen": int(found.amount * 100),
        "lines": list(_own(found, lines)),
    }


def _own(found: Finding, lines: Mapping[tuple[str, str], Any]) -> Iterator[Any]:
    for line in found.line_ids:
        row = lines.get((found.institution_id, line))
        if row is not None:
            yield row
