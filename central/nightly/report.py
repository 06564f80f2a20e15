"""A run's result as one HTML file, Chinese and then English, that needs nothing else to be read."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from renzheng.central.audit.request import AuditResult
from renzheng.central.nightly import month_facts, run_tables
from renzheng.central.nightly.month_facts import Frame, MonthFacts
from renzheng.central.pictures import drawing, matrices
from renzheng.central.texts import LANGUAGES, Language, Texts, texts
from renzheng.common.files import write_whole
from renzheng.contracts.money import in_wan, in_yuan
from renzheng.contracts.tables import BOXES
from renzheng.rules.pack import Pack

HERE = Path(__file__).parent / "templates"
REPORT = "report.html"
"""Its name in the folder of a run."""
NAMED = "report.persons.json"
"""Beside it: the ids of the persons of whom it tells."""
MOST_ROWS = 200
"""Findings and lines that are listed; the workbook has them all."""
MOST_IDS = 6
"""Ids of evidence that are listed of one finding."""
MOST_DRAWN = 3
"""Institutions of which machines, devices and witnesses are drawn: those with the most contradicted yuan."""
LONGEST_DRAWN_DAYS = 31
Row = Mapping[str, Any]

_SOURCES = """
CREATE TEMP VIEW verdicts AS
    SELECT v.*, c.person_id, c.item_name, c.service_time, c.visit_id,
        c.amount + coalesce(g.amount, 0) AS amount, coalesce(k.item_class, 'other') AS item_class,
        coalesce(i.name, v.institution_id) AS institution
    FROM read_parquet('{verdicts}') v
    JOIN claim_lines c USING (institution_id, line_id)
    LEFT JOIN (
        SELECT institution_id, person_id, reverses_line_id AS line_id, sum(amount) AS amount
        FROM claim_lines WHERE reverses_line_id IS NOT NULL
        GROUP BY institution_id, person_id, reverses_line_id
    ) g USING (institution_id, person_id, line_id)
    LEFT JOIN (SELECT item_code, min(item_class) AS item_class FROM item_catalogue GROUP BY item_code) k
        ON k.item_code = c.item_code
    LEFT JOIN institutions i ON i.institution_id = v.institution_id;
CREATE TEMP VIEW found AS
    SELECT f.*, coalesce(i.name, f.institution_id) AS institution
    FROM read_parquet('{findings}') f LEFT JOIN institutions i USING (institution_id);
CREATE TEMP VIEW ledger AS FROM read_parquet('{ledger}');
CREATE TEMP VIEW rejects AS FROM read_parquet('{rejects}');
"""
_QUERIES = {
    "totals": """
        SELECT verdict, reason, count(*) AS lines, sum(amount) AS amount
        FROM verdicts GROUP BY verdict, reason
        ORDER BY
            CASE verdict WHEN 'contradicted' THEN 0 WHEN 'insufficient' THEN 1 ELSE 2 END, amount DESC, reason
    """,
    "institutions": """
        SELECT institution, institution_id, count(*) AS lines, sum(amount) AS amount,
            count(*) FILTER (verdict = 'contradicted') AS contradicted,
            coalesce(sum(amount) FILTER (verdict = 'contradicted'), 0) AS contradicted_amount,
            count(*) FILTER (verdict = 'insufficient') AS insufficient,
            coalesce(sum(amount) FILTER (verdict = 'insufficient'), 0) AS insufficient_amount,
            count(*) FILTER (verdict = 'supported') AS supported
        FROM verdicts GROUP BY institution, institution_id
        ORDER BY contradicted_amount DESC, insufficient_amount DESC, institution_id
    """,
    "days": """
        SELECT strftime(timezone('{zone}', service_time), '%Y-%m-%d') AS day, count(*) AS lines,
            coalesce(sum(amount) FILTER (verdict = 'contradicted'), 0) AS contradicted,
            avg(coverage_ratio) AS coverage
        FROM verdicts GROUP BY 1 ORDER BY 1
    """,
    "cells": """
        SELECT institution_id, min(institution) AS institution, reason, sum(amount) AS amount
        FROM verdicts WHERE verdict = 'contradicted' GROUP BY institution_id, reason
    """,
    "coverage": """
        SELECT institution, institution_id, avg(coverage_ratio) AS mean, min(coverage_ratio) AS least,
            count(*) FILTER (reason = 'no_session') AS nobody_came,
            count(*) FILTER (reason = 'coverage_gap') AS could_not_see
        FROM verdicts WHERE item_class <> 'bed_day' GROUP BY institution, institution_id
        ORDER BY mean, institution_id
    """,
    "findings": """
        SELECT *, count(*) OVER () AS all_rows FROM found ORDER BY
            CASE verdict WHEN 'contradicted' THEN 0 ELSE 1 END, amount DESC,
            CASE severity WHEN 'high' THEN 0 WHEN 'medium' THEN 1 ELSE 2 END, finding_id
    """,
    "boxes": """
        SELECT l.institution_id, coalesce(i.name, l.institution_id) AS institution, l.box, l.lines, l.amount
        FROM ledger l LEFT JOIN institutions i USING (institution_id) ORDER BY l.institution_id, l.box
    """,
    "rejected": """
        SELECT r.institution_id AS institution_id, coalesce(i.name, r.institution_id) AS institution,
            r."table", count(*) AS rows, sum(r.amount) AS amount
        FROM rejects r LEFT JOIN institutions i USING (institution_id)
        GROUP BY ALL ORDER BY sum(r.amount) DESC NULLS LAST, rows DESC, r.institution_id, r."table" LIMIT 200
    """,
    "lines": """
        SELECT *, count(*) OVER () AS all_rows FROM verdicts WHERE verdict = 'contradicted'
        ORDER BY amount DESC, reason, line_id
    """,
}


def write_report(  # noqa: PLR0917 - what is reported, from where, and by which rules
    path: Path, result: AuditResult, tables: Path, run_id: str, made_at: datetime, pack: Pack
) -> None:
    """Write a run's report, under its name only when it is whole.

    Args:
        path: the file to write.
        result: what the audit wrote.
        tables: the folder of tables that it read.
        run_id: the run's id.
        made_at: now, in the time zone of the site.
        pack: the rules that ran, for their titles.
    """
    zone = made_at.tzinfo if isinstance(made_at.tzinfo, ZoneInfo) else ZoneInfo("UTC")
    read = _read(result, tables, str(zone))
    region = result.summary.get("region")
    whole = pack.for_region(region) if region in pack.regions else pack
    values = {
        **read,
        "facts": _facts(read, result.summary, tables, zone),
        "rules": {name: rule.header.title.model_dump() for name, rule in whole.rules.items()},
        "run_id": run_id,
        "made_at": made_at,
        "summary": result.summary,
    }
    write_whole(path, render(values).encode())


def _facts(read: Row, summary: Row, tables: Path, zone: ZoneInfo) -> Sequence[tuple[str, MonthFacts]]:
    """Read what machines, devices and witnesses did at the institutions with the most contradicted yuan."""
    first, last = date.fromisoformat(summary["from"]), date.fromisoformat(summary["to"])
    first = max(first, last - timedelta(days=LONGEST_DRAWN_DAYS - 1))
    days = [(first + timedelta(days=number)).isoformat() for number in range((last - first).days + 1)]
    chosen = [row for row in read["institutions"] if row["contradicted_amount"]][:MOST_DRAWN]
    with month_facts.opened([Frame(tables, days)], zone) as reader:
        return [(row["institution"], reader.facts(row["institution_id"])) for row in chosen]


def render(values: Row) -> str:
    """Fill the report; every value is escaped, and nothing in it comes from elsewhere."""
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    languages = [(language, _own_texts(language), texts(language)) for language in LANGUAGES]
    template = environment.get_template("report.html")
    style = (HERE / "report.css").read_text(encoding="utf-8")
    return template.render(
        **values,
        boxes_named=BOXES,
        ledger=_by_institution(values["boxes"]),
        languages=languages,
        style=style,
        money=_money,
        total=_total,
        rule_name=lambda rule_id, language: values["rules"].get(rule_id, {}).get(language, ""),
        most_ids=MOST_IDS,
        told=_told,
        figures={language: _figures(values, t) for language, _, t in languages},
        drawn={
            language: [
                (name, month_facts.figures(t, values["summary"]["from"][:7], facts))
                for name, facts in values["facts"]
            ]
            for language, _, t in languages
        },
    )


def _figures(values: Row, t: Texts) -> Sequence[drawing.Figure]:
    """Draw the months of a run by day, and its institutions by reason."""
    months: dict[str, dict[str, drawing.Day]] = {}
    for row in values["days"]:
        own = drawing.Day(int(row["contradicted"] * 100), row["lines"], row["coverage"])
        months.setdefault(row["day"][:7], {})[row["day"]] = own

    def money(fen: int) -> str:
        return in_wan(fen, t.language)

    figures = [drawing.month(t, month, days, money) for month, days in months.items()]
    cells = {(row["institution_id"], row["reason"]): int(row["amount"] * 100) for row in values["cells"]}
    names = {row["institution_id"]: row["institution"] for row in values["cells"]}
    return [*figures, matrices.reasons(t, cells, names, money)] if cells else figures


def keep_named(folder: Path, judged: Iterable[str]) -> None:
    """Keep of whom the report in a folder tells, so that opening it need not look for them again.

    Args:
        folder: of a run, with its report.
        judged: of whom the run has verdicts or findings.
    """
    text = (folder / REPORT).read_text(encoding="utf-8")
    write_whole(folder / NAMED, orjson.dumps(sorted(named_in(text, judged))))


def read_named(folder: Path) -> Sequence[str] | None:
    """Read of whom a run's report tells; None when the run did not keep it."""
    try:
        kept: list[str] = orjson.loads((folder / NAMED).read_bytes())
    except FileNotFoundError:
        return None
    return kept


_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]*[A-Za-z0-9]|[A-Za-z0-9]")


def named_in(text: str, persons: Iterable[str]) -> set[str]:
    """Return which persons a text names by their ids."""
    words = set(_WORD.findall(text))
    return {one for one in persons if one in words or (not _WORD.fullmatch(one) and one in text)}


def _by_institution(boxes: Sequence[Row]) -> list[dict[str, Any]]:
    """Lay the ledger out: one row an institution, with its boxes and their sum, dearest first."""
    table: dict[str, dict[str, Any]] = {}
    for row in boxes:
        named = {name: row[name] for name in ("institution", "institution_id")}
        own = table.setdefault(row["institution_id"], {**named, "sum": Decimal(0)})
        own[row["box"]] = row["amount"]
        own["sum"] += row["amount"]
    return sorted(table.values(), key=lambda own: (-own["sum"], own["institution"]))


@cache
def _own_texts(language: str) -> Texts:
    told = json.loads((HERE / f"report.{language}.json").read_text(encoding="utf-8"))
    return Texts("zh" if language == "zh" else "en", told)


def _read(result: AuditResult, tables: Path, zone: str) -> dict[str, Any]:
    with run_tables.opened(tables) as connection:
        files = {
            "verdicts": result.line_verdicts,
            "findings": result.findings,
            "ledger": result.ledger,
            "rejects": tables / "rejects.parquet",
        }
        connection.execute(_SOURCES.format_map({k: str(v).replace("'", "''") for k, v in files.items()}))
        read = {}
        for name, query in _QUERIES.items():
            limit = f" LIMIT {MOST_ROWS}" if name in {"findings", "lines"} else ""
            rows: Sequence[Row] = (
                connection.sql(query.replace("{zone}", zone) + limit).to_arrow_table().to_pylist()
            )
            read[name] = rows
    return read


def _money(amount: Decimal | int | None) -> str:
    return in_yuan(int(Decimal(amount or 0) * 100))


def _total(amount: Decimal | int | None, language: Language) -> str:
    return in_wan(int(Decimal(amount or 0) * 100), language)


def _told(row: Row, language: str) -> str:
    return str(row[f"explanation_{language}"])
