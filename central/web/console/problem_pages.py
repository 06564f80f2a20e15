"""One page: what is wrong, since when, and what to do."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from renzheng.central.access.roles import Permission
from renzheng.central.settings import Settings
from renzheng.central.store import reading
from renzheng.central.store.database import Database
from renzheng.central.store.faults import describe
from renzheng.central.store.times import to_us
from renzheng.central.watch.problems import KINDS
from renzheng.central.watch.service_status import ServiceStatus
from renzheng.central.web.console.pages import Times, ago_from, render
from renzheng.central.web.guard import needs

ORDER = ("critical", "warning")


def build_router(
    database: Database, settings: Settings, clock: Callable[[], datetime], standing: ServiceStatus
) -> APIRouter:
    """Build the page; it opens while the store does not."""
    router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
    zone = ZoneInfo(settings.timezone)

    @router.get("/problems")
    @needs(Permission.HEALTH)
    def show_problems(request: Request) -> Response:
        now_us = to_us(clock())
        rows = [
            {
                "kind": one.kind,
                "severity": one.severity,
                "subject": one.subject,
                "since": one.since_us,
                "detail": one.detail,
            }
            for one in standing.problems()
        ]
        trouble = ""
        try:
            with (standing.database or database).reading() as connection:
                rows += [_of_alarm(row) for row in reading.alarms(connection) if _apart(row)]
        except Exception as error:  # noqa: BLE001 - this page is for exactly that hour
            trouble = describe(error)
        rows.sort(key=lambda row: (ORDER.index(row["severity"]), row["since"]))
        return render(
            request, "problems.html", rows=rows, trouble=trouble, when=Times(zone), ago=ago_from(now_us)
        )

    return router


def _apart(row: Mapping[str, Any]) -> bool:
    """Whether an alarm is open and none of the watch's, which are told as of now."""
    return row["resolved_at"] is None and row["problem"] not in KINDS


def _of_alarm(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "kind": row["problem"],
        "severity": "warning",
        "subject": row["device_id"],
        "since": row["first_at"],
        "detail": row["detail"],
    }
