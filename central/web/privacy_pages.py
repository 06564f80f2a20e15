"""The pages of data protection: consents and withdrawals."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse

from renzheng.central.access.roles import Permission
from renzheng.central.access.visitors import Visitor
from renzheng.central.privacy import consents, filing, holds, orders, requests, retention, withdrawals
from renzheng.central.privacy.shares import PersonShares
from renzheng.central.settings import Settings
from renzheng.central.store import viewer
from renzheng.central.store.database import Database
from renzheng.central.web.access import read_form
from renzheng.central.web.console.pages import (
    ROWS_A_PAGE,
    PageNumber,
    Times,
    choose_language,
    page_addresses,
    render,
)
from renzheng.central.web.guard import needs, visitor_of
from renzheng.common.words import message
from renzheng.contracts.errors import RenzhengError

Clock = Callable[[], datetime]


def build_router(database: Database, settings: Settings, clock: Clock) -> APIRouter:
    """Build the pages over a store."""
    router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
    zone = ZoneInfo(settings.timezone)
    _add_consents(router, database, clock, zone)
    _add_withdrawals(router, database, clock, zone)
    _add_retention(router, database, settings, clock, zone)
    _add_filing(router, database, settings)
    return router


def _add_consents(router: APIRouter, database: Database, clock: Clock, zone: ZoneInfo) -> None:
    @router.get("/privacy")
    @needs(Permission.PRIVACY)
    def show_consents(request: Request, page: PageNumber = 1) -> Response:
        return _show(request, database, (clock(), zone), page)


def _show(
    request: Request,
    database: Database,
    when: tuple[datetime, ZoneInfo],
    page: int = 1,
    *,
    status: int = 200,
    problem: str = "",
) -> Response:
    now, zone = when
    with database.reading() as connection:
        total, rows = withdrawals.listed(connection, ROWS_A_PAGE, (page - 1) * ROWS_A_PAGE)
        said = consents.counted(connection)
        asked = requests.counted(connection, now)
    viewer.note(rows)
    return render(
        request,
        "privacy.html",
        status=status,
        rows=rows,
        consents=said,
        requests=asked,
        total=total,
        problem=problem,
        pages=page_addresses(request, page, total),
        when=Times(zone),
    )


def _add_withdrawals(router: APIRouter, database: Database, clock: Clock, zone: ZoneInfo) -> None:
    @router.post("/privacy/withdrawals")
    @needs(Permission.PRIVACY_CHANGE)
    async def begin(request: Request) -> Response:
        person = (await read_form(request)).get("person", "")
        by, now = account_of(request), clock()

        def write(connection: sa.Connection) -> str:
            withdrawal = withdrawals.asked_here(connection, person, "console", by, now)
            withdrawals.begin(connection, withdrawal, now)
            viewer.note_persons([withdrawal.person_id])
            return f"/privacy/withdrawals/{withdrawal.withdrawal_id}"

        return await run_in_threadpool(take, request, write)

    def take(request: Request, write: Callable[[sa.Connection], str]) -> Response:
        try:
            with database.writing() as connection:
                onward = write(connection)
        except RenzhengError as error:
            return _show(request, database, (clock(), zone), status=400, problem=said_of(request, error))
        return RedirectResponse(onward, status_code=303)

    @router.get("/privacy/withdrawals/{withdrawal_id}")
    @needs(Permission.PRIVACY)
    def show_withdrawal(request: Request, withdrawal_id: str) -> Response:
        with database.reading() as connection:
            row = withdrawals.find(connection, withdrawal_id)
            told = orders.of_subject(connection, withdrawal_id)
        if row is None:
            raise HTTPException(404)
        viewer.note([row])
        return render(request, "withdrawal.html", row=row, orders=told, when=Times(zone))

    @router.post("/privacy/orders/{order_id}/settle")
    @needs(Permission.PRIVACY_CHANGE)
    async def settle(request: Request, order_id: str) -> Response:
        form, by, now = await read_form(request), account_of(request), clock()

        def write(connection: sa.Connection) -> str:
            viewer.note_persons([orders.settle(connection, order_id, by, form.get("reason", ""), now)])
            return "/privacy"

        return await run_in_threadpool(take, request, write)


def _add_retention(
    router: APIRouter, database: Database, settings: Settings, clock: Clock, zone: ZoneInfo
) -> None:
    @router.get("/privacy/retention")
    @needs(Permission.PRIVACY)
    def show_retention(request: Request) -> Response:
        with database.reading() as connection:
            values: dict[str, Any] = {
                "rows": retention.overview(connection, settings),
                "certificates": retention.certificates(connection),
                "held": len(holds.held_people(connection)),
                "backups": retention.overdue_backups(connection, settings, clock()),
            }
        return render(request, "retention.html", when=Times(zone), **values)


def _add_filing(router: APIRouter, database: Database, settings: Settings) -> None:
    @router.get("/privacy/filing")
    @needs(Permission.PRIVACY)
    def show_filing(request: Request) -> Response:
        with database.reading() as connection:
            found = filing.stored(connection, PersonShares(settings.shares_dir))
        return render(request, "filing.html", found=found)


def said_of(request: Request, error: RenzhengError) -> str:
    """Say an error in the visitor's language."""
    return " ".join(
        message(one, choose_language(request)) for one in (error.what, error.why, error.do) if one
    )


def account_of(request: Request) -> str:
    """Name the account of a request."""
    visitor: Visitor | None = visitor_of(request)
    assert visitor is not None, "the guard lets nobody through without one"
    return visitor.account_id
