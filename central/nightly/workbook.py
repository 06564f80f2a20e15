"""A day's verdicts and findings as a workbook (XLSX), for those who work in spreadsheets."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
import xlsxwriter

from renzheng.central.store import reading, viewer
from renzheng.central.store.reading import Choice
from renzheng.central.store.times import from_us
from renzheng.central.texts import Texts

ROWS_AT_ONCE = 5_000
MOST_ROWS = 1_000_000
"""What one sheet holds, of the format's 1,048,576."""


def write_workbook(connection: sa.Connection, day: str, path: Path, t: Texts, zone: ZoneInfo) -> None:
    """Write the workbook of one audited day: summary, verdicts, findings; memory does not grow with it.

    Every text is written as text: a cell never becomes a formula, whatever a bill says.
    """
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(str(path), options) as workbook:
        sheet = _Sheets(workbook, t)
        sheet.add("summary", ("verdict", "reason", "lines.head", "amount"), _totals(connection, day, t))
        heads = ("verdict", "reason", "line", "institution", "person", "item", "service_time", "quantity")
        sheet.add(
            "nav.verdicts",
            (*heads, "amount", "coverage", "rule", "evidence"),
            _verdicts(connection, day, t, zone),
        )
        heads = (
            "severity",
            "finding",
            "institution",
            "person",
            "amount",
            "rule",
            "finding.lines",
            "evidence",
        )
        sheet.add("nav.findings", heads, _findings(connection, day, t))


class _Sheets:
    """Writes tables as sheets, with a head that stays in view and can filter."""

    def __init__(self, workbook: Any, t: Texts) -> None:
        self._workbook = workbook
        self._t = t
        self._head = workbook.add_format({"bold": True, "bg_color": "#17475F", "font_color": "#FFFFFF"})
        self._money = workbook.add_format({"num_format": "#,##0.00"})

    def add(self, title: str, heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        sheet = self._workbook.add_worksheet(self._t(title)[:31])
        sheet.freeze_panes(1, 0)
        sheet.set_column(0, len(heads) - 1, 18)
        for column, head in enumerate(heads):
            sheet.write_string(0, column, self._t(head), self._head)
        last = 0
        for last, row in enumerate(rows, start=1):
            if last > MOST_ROWS:
                break
            for column, value in enumerate(row):
                if isinstance(value, int | float):
                    sheet.write_number(
                        last, column, value, self._money if heads[column] == "amount" else None
                    )
                else:
                    sheet.write_string(last, column, value or "")
        sheet.autofilter(0, 0, max(last, 1), len(heads) - 1)


def _totals(connection: sa.Connection, day: str, t: Texts) -> Iterator[Sequence[Any]]:
    for row in reading.day_totals(connection, day):
        texts = (t.code("verdict", row["verdict"]), t.code("reason", row["reason"]))
        yield (*texts, row["lines"], int(row["amount_fen"]) / 100)


def _verdicts(connection: sa.Connection, day: str, t: Texts, zone: ZoneInfo) -> Iterator[Sequence[Any]]:
    offset = 0
    while True:
        choice = Choice(day=day, limit=ROWS_AT_ONCE, offset=offset)
        _, rows = reading.verdicts(connection, choice)
        for row in rows:
            yield (
                t.code("verdict", row["verdict"]),
                t.code("reason", row["reason"]),
                row["line_id"],
                row["institution_name"] or row["institution_id"],
                viewer.shown(row["person_id"]),
                row["item_name"],
                f"{from_us(row['service_at']).astimezone(zone):%Y-%m-%d %H:%M}",
                row["quantity"],
                row["amount_fen"] / 100,
                row["coverage_ratio"],
                f"{row['rule_id']} {row['rule_version']}",
                row["evidence"],
            )
        offset += len(rows)
        if len(rows) < ROWS_AT_ONCE:
            return


def _findings(connection: sa.Connection, day: str, t: Texts) -> Iterator[Sequence[Any]]:
    _, rows = reading.findings(connection, day=day, limit=MOST_ROWS)
    for row in rows:
        yield (
            t.code("severity", row["severity"]),
            row["explanation_zh"] if t.language == "zh" else row["explanation_en"],
            row["institution_name"] or row["institution_id"],
            viewer.shown(row["person_id"]),
            row["amount_fen"] / 100,
            f"{row['rule_id']} {row['rule_version']}",
            row["line_ids"],
            row["evidence"],
        )
