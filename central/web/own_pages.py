"""A doctor's own lines, as a page and over the API; no address here names anybody."""

from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse

from renzheng.central.access.roles import Permission
from renzheng.central.settings import Settings
from renzheng.central.store import own_lines
from renzheng.central.store.database import Database
from renzheng.central.web.api import models
from renzheng.central.web.console.pages import ROWS_A_PAGE, PageNumber, Times, page_addresses, render
from renzheng.central.web.guard import needs, visitor_of

Month = Annotated[str, Query(pattern=r"^(\d{4}-\d{2})?$")]


def build_router(database: Database, settings: Settings) -> APIRouter:
    """Build the page and the route over a store."""
    router = APIRouter()
    zone = ZoneInfo(settings.timezone)

    @router.get("/own/lines", include_in_schema=False, response_class=HTMLResponse)
    @needs(Permission.OWN_LINES)
    def show_own(request: Request, month: Month = "", page: PageNumber = 1) -> Response:
        own = _who(request)
        with database.reading() as connection:
            total, rows = own_lines.read(connection, own, month, ROWS_A_PAGE, (page - 1) * ROWS_A_PAGE)
            sums = own_lines.by_reason(connection, own, month)
        pages = page_addresses(request, page, total)
        told: dict[str, Any] = {"rows": rows, "sums": sums, "month": month, "total": total, "pages": pages}
        return render(request, "own_lines.html", when=Times(zone), **told)

    @router.get("/api/v1/own/lines", tags=["verdicts"])
    @needs(Permission.OWN_LINES)
    def read_own(
        request: Request,
        month: Month = "",
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
    ) -> models.OwnLines:
        """List the lines billed under the doctor's own number, the latest first."""
        with database.reading() as connection:
            total, rows = own_lines.read(connection, _who(request), month, limit, offset)
        return models.OwnLines(total=total, lines=[models.OwnLine(**models.plain(row)) for row in rows])

    return router


def _who(request: Request) -> str:
    visitor = visitor_of(request)
    assert visitor is not None, "the guard lets nobody through without one"
    return visitor.account_id
