"""The counter's routes: for pages of this machine that came by the start address, with a clerk signed in."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, JSONResponse

from renzheng.common.limits import BodyLimits, RequestLimits
from renzheng.contracts.errors import RenzhengError
from renzheng.contracts.ids import WitnessId
from renzheng.edge.counter.calls import (
    LookCall,
    PersonCall,
    PersonShown,
    PinCall,
    PurchaseCall,
    PurchaseShown,
)
from renzheng.edge.counter.clerks import Clerks
from renzheng.edge.counter.errors import NotSignedInError, PurchaseRefusedError, UnreadableNumberError
from renzheng.edge.counter.purchases import Purchases
from renzheng.edge.device.pages import answer_errors, serve_page
from renzheng.edge.device.pins import TriedTooOftenError
from renzheng.edge.device.starting import StartAddress, only_own_pages
from renzheng.edge.errors import CallError, UnknownLookError, UnknownWitnessError
from renzheng.edge.look.looking import Looks
from renzheng.edge.look.routes import add_look_routes
from renzheng.edge.look.showing import LookShown, look_shown
from renzheng.models.images import LARGEST_FRAME_BYTES

PAGE = Path(str(resources.files("renzheng.edge.counter") / "page"))
CLERK_COOKIE = "renzheng_clerk"
LIMITS = BodyLimits(routes={"/api/looks/": LARGEST_FRAME_BYTES})
_NOT_STARTED = (
    "此页面只能由本机柜台程序打开。请重新启动柜台屏幕。\n"
    "This page opens only as the counter was started. Start the counter's screen again.\n"
)
_PROBLEMS: dict[type[RenzhengError], tuple[int, str]] = {
    NotSignedInError: (401, "not_signed_in"),
    UnknownWitnessError: (403, "unknown_witness"),
    TriedTooOftenError: (429, "too_many_tries"),
    PurchaseRefusedError: (409, "incomplete"),
    UnreadableNumberError: (422, "unreadable_number"),
    UnknownLookError: (409, "unknown_look"),
    CallError: (409, "wrong_moment"),
}


@dataclass(frozen=True, slots=True)
class CounterParts:
    """The parts that the page's calls are answered by."""

    clerks: Clerks
    purchases: Purchases
    looks: Looks


def build_app(
    parts: CounterParts, start: StartAddress, *, health: Callable[[], Mapping[str, Any]]
) -> FastAPI:
    """Put the routes together; `health` is asked in a worker thread."""
    app = FastAPI(title="renzheng counter", docs_url=None, redoc_url=None, openapi_url=None)
    app.middleware("http")(only_own_pages(start, _NOT_STARTED))
    app.add_middleware(RequestLimits, limits=LIMITS)
    answer_errors(app, _PROBLEMS)
    serve_page(app, PAGE)
    _add_signing_in(app, parts.clerks)
    _add_purchases(app, parts)
    _add_looks(app, parts)

    async def index() -> FileResponse:
        return FileResponse(PAGE / "index.html")

    async def healthy() -> JSONResponse:
        found = await asyncio.to_thread(health)
        return JSONResponse(found, status_code=200 if found.get("moving", True) else 503)

    app.get("/")(index)
    app.get("/health")(healthy)
    return app


def _clerk(parts: CounterParts, request: Request) -> WitnessId:
    return parts.clerks.clerk(request.cookies.get(CLERK_COOKIE))


def _add_signing_in(app: FastAPI, clerks: Clerks) -> None:
    async def sign_in(call: PinCall, response: Response) -> dict[str, str]:
        token = await asyncio.to_thread(clerks.sign_in, call.number, call.pin.get_secret_value())
        response.set_cookie(CLERK_COOKIE, token, httponly=True, samesite="strict", path="/api")
        return {"clerk": call.number}

    async def sign_out(request: Request, response: Response) -> dict[str, bool]:
        clerks.sign_out(request.cookies.get(CLERK_COOKIE, ""))
        response.delete_cookie(CLERK_COOKIE, path="/api")
        return {"signed_out": True}

    app.post("/api/sign-in")(sign_in)
    app.post("/api/sign-out")(sign_out)


def _add_purchases(app: FastAPI, parts: CounterParts) -> None:
    async def person(call: PersonCall, request: Request) -> PersonShown:
        _clerk(parts, request)
        return await asyncio.to_thread(parts.purchases.person, call.number)

    async def record(call: PurchaseCall, request: Request) -> PurchaseShown:
        clerk = _clerk(parts, request)
        return await asyncio.to_thread(parts.purchases.record, call, clerk)

    app.post("/api/people")(person)
    app.post("/api/purchases")(record)


def _add_looks(app: FastAPI, parts: CounterParts) -> None:
    async def begin(call: LookCall, request: Request) -> LookShown:
        _clerk(parts, request)
        return look_shown(await asyncio.to_thread(parts.purchases.look, call))

    app.post("/api/looks")(begin)
    add_look_routes(app, parts.looks, partial(_clerk, parts))
