"""The console's pages of the in-bed rate: table, interval, chart over time, CSV and XLSX."""

import csv
import io
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import xlsxwriter
from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import HTMLResponse

from renzheng.central.access.roles import Permission
from renzheng.central.draw.answers import RateCategory
from renzheng.central.pictures import drawing
from renzheng.central.rate.charts import bar, over_time
from renzheng.central.rate.core import MOST_ASKED, Call
from renzheng.central.rate.service import Asked, InstitutionRate, rates
from renzheng.central.settings import Settings
from renzheng.central.store.database import Database
from renzheng.central.store.times import to_us
from renzheng.central.texts import Texts, texts
from renzheng.central.web.console.pages import XLSX, choose_language, render
from renzheng.central.web.guard import needs

DAYS_BACK = 90
APART = (
    RateCategory.COVERED,
    RateCategory.REFUSED,
    RateCategory.UNANSWERED,
    RateCategory.DISCHARGED,
    RateCategory.OPEN,
    RateCategory.VOID,
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_TEXT_COLUMNS = 4


def build_router(database: Database, settings: Settings, clock: Callable[[], datetime]) -> APIRouter:
    """Build the pages over a store."""
    router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

    def find(first: date | None, last: date | None) -> tuple[Asked, Sequence[InstitutionRate]]:
        zone = ZoneInfo(settings.timezone)
        today = clock().astimezone(zone).date()
        last = last or today
        first = first or date.fromordinal(max(last.toordinal() - DAYS_BACK, 1))
        asked = Asked(first, last, settings.audit.region, settings.audit.rules_dir, zone)
        with database.reading() as connection:
            return asked, rates(connection, asked, to_us(clock()))

    @router.get("/rate")
    @needs(Permission.STATISTICS)
    def show_rates(request: Request, first: date | None = None, last: date | None = None) -> Response:
        asked, found = find(first, last)
        calls = {call: sum(one.rate.call is call for one in found) for call in Call}
        return render(
            request,
            "rate.html",
            found=found,
            figure=_funnel(found, texts(choose_language(request))),
            calls=calls,
            asked=asked,
            bar=bar,
            apart=APART,
            standing=RateCategory,
            most_further=MOST_ASKED,
        )

    @router.get("/rate/rate.csv")
    @needs(Permission.STATISTICS)
    def send_csv(request: Request, first: date | None = None, last: date | None = None) -> Response:
        asked, found = find(first, last)
        t = texts(choose_language(request))
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(_heads(t))
        writer.writerows([_harmless(cell) for cell in row] for row in _rows(found, t))
        content = out.getvalue().encode("utf-8-sig")  # spreadsheets take it for UTF-8 only so
        return Response(content, media_type="text/csv; charset=utf-8", headers=_named(asked, "csv"))

    @router.get("/rate/rate.xlsx")
    @needs(Permission.STATISTICS)
    def send_workbook(request: Request, first: date | None = None, last: date | None = None) -> Response:
        asked, found = find(first, last)
        t = texts(choose_language(request))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "rate.xlsx"
            _write_workbook(path, t, found)
            return Response(path.read_bytes(), media_type=XLSX, headers=_named(asked, "xlsx"))

    @router.get("/rate/{institution_id}")
    @needs(Permission.STATISTICS)
    def show_institution(
        request: Request, institution_id: str, first: date | None = None, last: date | None = None
    ) -> Response:
        asked, found = find(first, last)
        for one in found:
            if one.institution_id == institution_id:
                months = [(part.month, part.rate.share, part.rate.answered) for part in one.months]
                chart = over_time(months, one.rate.threshold)
                return render(
                    request, "rate_one.html", one=one, chart=chart, asked=asked, bar=bar, apart=APART,
                    standing=RateCategory, most_further=MOST_ASKED,
                )  # fmt: skip
        raise HTTPException(404)

    return router


def _funnel(found: Sequence[InstitutionRate], t: Texts) -> drawing.Figure | None:
    """Draw every ward's rate against its number of checks; None when nobody was checked."""
    wards = [
        drawing.Rate(
            f"{one.name} {part.ward}", part.rate.counts.get(RateCategory.PRESENT, 0), part.rate.answered
        )
        for one in found
        for part in one.wards
        if part.rate.answered
    ]
    return drawing.funnel(t, wards, found[0].rate.threshold) if wards else None


def _named(asked: Asked, kind: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="renzheng-rate-{asked.first}-{asked.last}.{kind}"'}


def _heads(t: Texts) -> list[str]:
    keys = (
        "institution", "rate.name", "rate.ward", "rate.call", "rate.rate", "rate.low", "rate.high",
        "rate.threshold", "rate.counted", "rate.further",
    )  # fmt: skip
    return [*(t(key) for key in keys), *(t(f"standing.{one.value}") for one in RateCategory)]


def _rows(found: Sequence[InstitutionRate], t: Texts) -> Iterator[list[Any]]:
    for one in found:
        parts = [("", one.rate), *((part.ward, part.rate) for part in one.wards)]
        for ward, rate in parts:
            share = rate.share
            shares = [round(one, 4) if rate.answered else "" for one in (share.value, share.low, share.high)]
            yield [
                one.institution_id,
                one.name,
                ward,
                t(f"call.{rate.call.value}"),
                *shares,
                rate.threshold,
                rate.answered,
                further_text(rate.further, t),
                *(rate.counts.get(standing, 0) for standing in RateCategory),
            ]


def further_text(checks: int | None, t: Texts) -> int | str:
    """Write how many further checks would tell; beyond some number none would be asked for."""
    if checks is None:
        return ""
    return checks if checks <= MOST_ASKED else t("rate.hardly")


def _harmless(cell: Any) -> Any:
    """Keep a spreadsheet from taking a name for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def _write_workbook(path: Path, t: Texts, found: Sequence[InstitutionRate]) -> None:
    options = {"strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(str(path), options) as workbook:
        sheet = workbook.add_worksheet(t("nav.rate")[:31])
        head = workbook.add_format({"bold": True, "bg_color": "#17475F", "font_color": "#FFFFFF"})
        share = workbook.add_format({"num_format": "0.0%"})
        heads = _heads(t)
        sheet.freeze_panes(1, 0)
        sheet.set_column(0, len(heads) - 1, 14)
        for column, text in enumerate(heads):
            sheet.write_string(0, column, text, head)
        last = 0
        for last, row in enumerate(_rows(found, t), start=1):
            for column, cell in enumerate(row):
                if isinstance(cell, str):
                    sheet.write_string(last, column, cell)
                else:
                    is_share = _TEXT_COLUMNS <= column < _TEXT_COLUMNS + 4
                    sheet.write_number(last, column, cell, share if is_share else None)
        sheet.autofilter(0, 0, max(last, 1), len(heads) - 1)
