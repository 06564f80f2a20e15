"""The console's first page: what is new since yesterday, what late evidence changed, what is blind or due."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from renzheng.central.access.roles import Permission
from renzheng.central.lists.asked import Asked
from renzheng.central.lists.lists import Lists
from renzheng.central.settings import Settings
from renzheng.central.store import reading, schema, viewer
from renzheng.central.store.database import Database
from renzheng.central.store.times import day_bounds_us, to_us
from renzheng.central.web.console.pages import HOMES, Times, ago_from, render
from renzheng.central.web.console.summaries import cards_of
from renzheng.central.web.guard import needs, visitor_of

A_DAY_US = 86_400_000_000
SOON_DAYS = 3
"""Doubts whose next step is due by then are shown."""
LONGEST_STRETCH_US = 2 * A_DAY_US
"""Of a device's report of coverage: those of a day began no longer than this before it."""
POOR_COVERAGE = 0.8
"""A device that could see for less than this share of the last day is called blind."""
DAYS_SHOWN = 7
CHANGES_SHOWN = 20
ROUNDS_SHOWN = 10


def build_router(
    database: Database, settings: Settings, clock: Callable[[], datetime], lists: Lists
) -> APIRouter:
    """Build the page over a store."""
    router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
    zone = ZoneInfo(settings.timezone)

    @router.get("/")
    @needs(Permission.OWN)
    def show_morning(request: Request) -> Response:
        visitor = visitor_of(request)
        if visitor is not None and Permission.VERDICTS not in visitor.permissions:
            home = next((at for needed, at in HOMES.items() if needed in visitor.permissions), "/access/me")
            return RedirectResponse(home, status_code=303)
        if not viewer.sees_all():  # devices, rounds and changes of all institutions are the bureau's
            return RedirectResponse("/lines", status_code=303)
        now = clock()
        since_us = to_us(now) - A_DAY_US
        with database.reading() as connection:
            days = reading.audited_days(connection, limit=1)
            if not days:
                return render(request, "empty.html")
            newest = Asked("lines", days[0], days[0])
            values: dict[str, Any] = {
                "cards": cards_of("lines", lists.totals(connection, newest)),
                "fresh": _fresh(connection, lists, since_us),
                "changes": _changes(connection, since_us),
                "changed": _changed(connection, since_us),
                "blind": _blind(connection, now, zone),
                "rounds": _rounds(connection),
                "doubts": _doubts(connection, to_us(now)) if _sees_cases(request) else (),
            }
        return render(
            request,
            "morning.html",
            day=days[0],
            by_verdict=lambda verdict: newest.with_filter("verdict", verdict).address(),
            when=Times(zone),
            ago=ago_from(to_us(now)),
            now_us=to_us(now),
            soon_days=SOON_DAYS,
            **values,
        )

    return router


def _fresh(connection: sa.Connection, lists: Lists, since_us: int) -> Sequence[Mapping[str, Any]]:
    """Read the days that got an answer since a moment, with what is contradicted in each; newest first."""
    days, runs = schema.audit_days, schema.audit_runs
    query = (
        sa.select(days.c.service_day, runs.c.finished_at)
        .join(runs, runs.c.run_id == days.c.run_id)
        .where(runs.c.finished_at >= since_us)
    )
    found = connection.execute(query.order_by(days.c.service_day.desc()).limit(DAYS_SHOWN)).mappings().all()
    if not found:
        return ()
    span = Asked("lines", found[-1]["service_day"], found[0]["service_day"])
    sums = {row["day"]: row for row in lists.sums(connection, span, "day")}
    findings = {
        row["day"]: row["rows"] for row in lists.sums(connection, replace(span, kind="findings"), "day")
    }
    nothing = {"rows": 0, "contradicted": 0}
    return [
        {**row, **sums.get(row["service_day"], nothing), "findings": findings.get(row["service_day"], 0)}
        for row in found
    ]


def _changes(connection: sa.Connection, since_us: int) -> Sequence[Mapping[str, Any]]:
    """Count the lines whose answer a later run changed since a moment, by what it was and became."""
    table = schema.verdict_changes
    by = (table.c.verdict_before, table.c.verdict)
    query = (
        sa.select(*by, sa.func.count().label("rows"), sa.func.sum(table.c.amount_fen).label("amount_fen"))
        .where(table.c.changed_at >= since_us)
        .group_by(*by)
    )
    return [dict(row) for row in connection.execute(query.order_by(sa.desc("amount_fen"))).mappings()]


def _changed(connection: sa.Connection, since_us: int) -> Sequence[Mapping[str, Any]]:
    table = schema.verdict_changes
    query = sa.select(table).where(table.c.changed_at >= since_us)
    rows = connection.execute(query.order_by(table.c.amount_fen.desc(), table.c.line_id).limit(CHANGES_SHOWN))
    changed = [dict(row) for row in rows.mappings()]
    viewer.note(changed)
    return changed


def _blind(connection: sa.Connection, now: datetime, zone: ZoneInfo) -> Sequence[Mapping[str, Any]]:
    """Name the devices that are silent, hold events from before today, or saw little over the last day."""
    today: date = now.astimezone(zone).date()
    silent = reading.devices_with(connection, "device_silent")
    waiting = {
        row["device_id"]: row["waiting"]
        for row in reading.incomplete_devices(connection, day_bounds_us(today, today, zone)[0])
    }
    seen = _seen(connection, to_us(now) - A_DAY_US, to_us(now))
    poor = {device for device, share in seen.items() if share < POOR_COVERAGE}
    return [
        {
            **row,
            "silent": row["device_id"] in silent,
            "waiting": waiting.get(row["device_id"], 0),
            "seen": seen[row["device_id"]] if row["device_id"] in poor else None,
        }
        for row in reading.devices(connection)
        if row["revoked_at"] is None and row["device_id"] in {*silent, *waiting, *poor}
    ]


def _seen(connection: sa.Connection, from_us: int, to_us_: int) -> Mapping[str, float]:
    """Return the share in which each device was up of what it reported; the best of its purposes."""
    table = schema.coverage
    begin = sa.case((table.c.from_at < from_us, from_us), else_=table.c.from_at)
    end = sa.case((table.c.to_at > to_us_, to_us_), else_=table.c.to_at)
    length = end - begin
    up = sa.func.sum(sa.case((table.c.state == "up", length), else_=0))
    query = (
        sa.select(table.c.device_id, up.label("up"), sa.func.sum(length).label("told"))
        .where(
            table.c.from_at < to_us_, table.c.from_at >= from_us - LONGEST_STRETCH_US, table.c.to_at > from_us
        )
        .group_by(table.c.device_id, table.c.purpose)
    )
    found: dict[str, float] = {}
    for row in connection.execute(query):
        share = float(row.up) / float(row.told)
        found[row.device_id] = max(found.get(row.device_id, 0.0), share)
    return found


def _sees_cases(request: Request) -> bool:
    visitor = visitor_of(request)
    return visitor is None or Permission.CASES in visitor.permissions


def _doubts(connection: sa.Connection, now_us: int) -> Sequence[Mapping[str, Any]]:
    """Count the doubts whose next step is due soon, by state: those that are late, and the yuan at stake."""
    table = schema.doubts
    late = sa.func.sum(sa.case((table.c.due_at <= now_us, 1), else_=0))
    query = (
        sa.select(
            table.c.state,
            sa.func.count().label("rows"),
            late.label("late"),
            sa.func.sum(table.c.at_stake_fen).label("at_stake_fen"),
            sa.func.min(table.c.due_at).label("due_at"),
        )
        .where(table.c.due_at < now_us + SOON_DAYS * A_DAY_US)
        .group_by(table.c.state)
    )
    return [dict(row) for row in connection.execute(query.order_by(sa.desc("late"), "due_at")).mappings()]


def _rounds(connection: sa.Connection) -> Sequence[Mapping[str, Any]]:
    """Read the rounds that are neither published nor lapsed, by when they are due."""
    table = schema.rounds
    query = sa.select(
        table.c.round_id, table.c.number, table.c.state, table.c.due_at, table.c.closes_at
    ).where(table.c.state.in_(("committed", "drawn", "open")))
    rows = connection.execute(query.order_by(table.c.due_at).limit(ROUNDS_SHOWN))
    return [dict(row) for row in rows.mappings()]
