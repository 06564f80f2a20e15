"""The page of released crops: ask for one, allow it, look at it once; the hospital sees each release."""

from collections.abc import Callable, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse

from renzheng.central.access.roles import Permission
from renzheng.central.privacy import crops
from renzheng.central.privacy.crops import CropStore
from renzheng.central.settings import Settings
from renzheng.central.store import viewer
from renzheng.central.store.database import Database
from renzheng.central.web.access import read_form
from renzheng.central.web.console.pages import Times, render
from renzheng.central.web.guard import needs
from renzheng.central.web.privacy_pages import account_of, said_of
from renzheng.contracts.errors import RenzhengError

MOST_ROWS = 200
CROP_POLICY = "default-src 'none'; img-src data:; frame-ancestors 'none'; sandbox"
"""A crop is one picture that loads nothing and runs nothing."""
Clock = Callable[[], datetime]


def build_router(database: Database, settings: Settings, clock: Clock) -> APIRouter:
    """Build the page over a store."""
    router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
    zone = ZoneInfo(settings.timezone)

    def change(request: Request, act: Callable[[sa.Connection], str]) -> Response:
        try:
            with database.writing() as connection:
                viewer.note_persons([act(connection)])
        except RenzhengError as error:
            return _show(request, database, zone, status=400, problem=said_of(request, error))
        return RedirectResponse("/crops", status_code=303)

    @router.get("/crops")
    @needs(Permission.CROPS)
    def show_crops(request: Request) -> Response:
        return _show(request, database, zone)

    @router.post("/crops")
    @needs(Permission.CROPS_ASK)
    async def ask(request: Request) -> Response:
        form, by, now = await read_form(request), account_of(request), clock()

        def act(connection: sa.Connection) -> str:
            request_id = crops.ask(connection, settings, form, by, now)
            made: Mapping[str, str] = crops.find(connection, request_id) or {}
            return made["person_id"]

        return await run_in_threadpool(change, request, act)

    @router.post("/crops/{request_id}/allow")
    @needs(Permission.CROPS_ALLOW)
    async def allow(request: Request, request_id: str) -> Response:
        by, now = account_of(request), clock()
        return await run_in_threadpool(
            change, request, lambda one: crops.allow(one, settings, request_id, by, now)
        )

    @router.post("/crops/{request_id}/refuse")
    @needs(Permission.CROPS_ALLOW)
    async def refuse(request: Request, request_id: str) -> Response:
        by, now = account_of(request), clock()
        return await run_in_threadpool(change, request, lambda one: crops.refuse(one, request_id, by, now))

    _add_showing(router, database, settings, clock, zone)
    return router


def _add_showing(
    router: APIRouter, database: Database, settings: Settings, clock: Clock, zone: ZoneInfo
) -> None:
    @router.post("/crops/{request_id}/show")
    @needs(Permission.CROPS_ASK)
    def show_once(request: Request, request_id: str) -> Response:
        by, now = account_of(request), clock()
        try:
            with database.writing() as connection:
                row = crops.begin_showing(connection, settings, request_id, by, now)
            viewer.note([row])
            crop = CropStore(settings).open(row)
        except RenzhengError as error:
            return _show(request, database, zone, status=400, problem=said_of(request, error))
        at = f"{now.astimezone(zone):%Y-%m-%d %H:%M:%S}"
        picture = crops.watermarked(crop, row, by, at)
        return Response(picture, media_type="image/svg+xml", headers={"Content-Security-Policy": CROP_POLICY})


def _show(
    request: Request, database: Database, zone: ZoneInfo, *, status: int = 200, problem: str = ""
) -> Response:
    with database.reading() as connection:
        rows = crops.listed(connection, MOST_ROWS)
    viewer.note(rows)
    visitor = request.state.visitor
    return render(
        request,
        "crops.html",
        status=status,
        rows=rows,
        problem=problem,
        by=visitor.account_id,
        asks=Permission.CROPS_ASK in visitor.permissions,
        allows=Permission.CROPS_ALLOW in visitor.permissions,
        when=Times(zone),
    )
