"""What pages show of a list beside its rows: sums by verdict, the period with its neighbours, a month."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, Literal
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from fastapi import Request

from renzheng.central.lists import asked as asking
from renzheng.central.lists.asked import Asked
from renzheng.central.lists.lists import Lists, Row
from renzheng.central.lists.months import Kind
from renzheng.central.pictures import drawing
from renzheng.central.store import reading, viewer
from renzheng.central.store.times import day_bounds_us, from_us
from renzheng.central.texts import Texts

Subject = Literal["person", "institution", "device"]


def cards_of(kind: Kind, totals: Sequence[Row]) -> Sequence[Mapping[str, Any]]:
    """Add a list up by verdict, with each one's share of the money."""
    order = (
        ("contradicted", "insufficient", "supported") if kind == "lines" else ("contradicted", "suspicious")
    )
    money_of_all = sum(row["amount_fen"] for row in totals) or 1
    cards = []
    for verdict in order:
        rows = [row for row in totals if row["verdict"] == verdict]
        fen = sum(row["amount_fen"] for row in rows)
        share = max(min(fen / money_of_all, 1.0), 0.0)
        lines = sum(row["rows"] for row in rows)
        cards.append({"verdict": verdict, "lines": lines, "amount_fen": fen, "share": share})
    return cards


def by_day(rows: Sequence[Row]) -> Mapping[str, drawing.Day]:
    """Give what each day came to, for the picture of a month."""
    return {row["day"]: drawing.Day(row["contradicted"], row["rows"], row["coverage"]) for row in rows}


def strip_of(  # noqa: PLR0917 - whose month, and how it is written
    connection: sa.Connection, person: str, month: str, lines: Sequence[Row], t: Texts, zone: ZoneInfo
) -> drawing.Figure:
    """Draw a person's month: stays, billed lines and bedside checks."""
    first, last = (date.fromisoformat(day) for day in asking.month_bounds(month))
    start, end = day_bounds_us(first, last, zone)

    def day(us: int | None) -> int:
        moment = from_us(min(max(us if us is not None else end - 1, start), end - 1))
        return moment.astimezone(zone).day

    stays = [
        drawing.Span(
            day(row["admitted_at"]),
            day(row["discharged_at"]),
            "stay",
            f"{row['institution_id']} {row['ward'] or ''}",
        )
        for row in reading.stays_of(connection, person, start, end)
    ]
    checks = [
        drawing.Span(
            day(row["answered_at"]), day(row["answered_at"]), row["result"], t.code("check", row["result"])
        )
        for row in reading.checks_of(connection, person, start, end)
    ]
    billed = [
        drawing.Span(
            int(row["service_day"][8:]),
            int(row["service_day"][8:]),
            row["verdict"],
            f"{row['line_id']} {t.code('verdict', row['verdict'])} {t.code('reason', row['reason'])}",
        )
        for row in sorted(lines, key=lambda row: (row["service_day"], row["verdict"] == "contradicted"))
    ]
    return drawing.strip(t, month, {"stay": stays, "billed": billed, "check": checks})


def period_of(asked: Asked) -> Mapping[str, str]:
    """Name the period, and the addresses of the ones before and after that are as long."""
    if not (asked.first and asked.last):
        return {"name": f"{asked.first or '…'} – {asked.last or '…'}", "before": "", "after": "", "month": ""}
    first, last = date.fromisoformat(asked.first), date.fromisoformat(asked.last)
    whole_month = asking.month_bounds(asked.first[:7]) == (asked.first, asked.last)

    def moved(way: int) -> str:
        try:
            if whole_month:
                other = (first - timedelta(days=1) if way < 0 else last + timedelta(days=1)).isoformat()
                begin, end = asking.month_bounds(other[:7])
            else:
                length = (last - first + timedelta(days=1)) * way
                begin, end = (first + length).isoformat(), (last + length).isoformat()
        except (OverflowError, ValueError):
            return ""
        return replace(asked, first=begin, last=end, cursor=None).address()

    name = (
        asked.first[:7] if whole_month else asked.first if first == last else f"{asked.first} – {asked.last}"
    )
    month = "" if whole_month or first != last else _whole_month(asked).address()
    return {"name": name, "before": moved(-1), "after": moved(1), "month": month}


def _whole_month(asked: Asked) -> Asked:
    first, last = asking.month_bounds(asked.first[:7])
    return replace(asked, first=first, last=last, cursor=None)


def month_of(
    connection: sa.Connection, lists: Lists, subject: Subject, own_id: str, request: Request
) -> Mapping[str, Any]:
    """Read a month of one person, institution or device: sums, the first lines and findings, other months."""
    days: Sequence[str] = reading.audited_days(connection, limit=1)
    wanted = request.query_params.get("month", "")
    pairs = [("month", wanted)] if wanted else []
    shown = viewer.shown(own_id) or "" if subject == "person" else own_id
    lines, wrong = asking.read("lines", [*pairs, (subject, shown)], days[0] if days else None)
    if wrong:
        lines, _ = asking.read("lines", [(subject, shown)], days[0] if days else None)
    findings = Asked("findings", lines.first, lines.last, lines.filters)
    page, found = lists.page(connection, lines), lists.page(connection, findings)
    ever = page.total or found.total or lists.totals(connection, Asked("lines", filters=lines.filters))
    period = period_of(lines)

    def month(address: str) -> str:
        return address.partition("from=")[2][:7]

    return {
        "known": bool(ever),
        "wrong": {one.field: one.value for one in wrong},
        "month": lines.first[:7],
        "month_before": month(period["before"]),
        "month_after": month(period["after"]),
        "lines": lines,
        "page": page,
        "found": found,
        "findings": findings,
        "cards": cards_of("lines", page.totals),
        "by_verdict": lambda verdict: lines.with_filter("verdict", verdict).address(),
        "list_query": quote(urlencode(lines.query())),
        "findings_query": quote(urlencode(findings.query())),
    }
