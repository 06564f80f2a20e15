"""The pages on which somebody becomes known: sign in, first sign-in by a code, the password once more."""

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse

from renzheng.central.access.errors import PasswordError
from renzheng.central.access.roles import Permission
from renzheng.central.web.access import SESSION_COOKIE, Gate, read_form
from renzheng.central.web.console.pages import render
from renzheng.central.web.guard import needs, open_to_all, visitor_of


def build_router(gate: Gate) -> APIRouter:
    """Build the pages over the gate that takes what is typed into them."""
    router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
    _add_sign_in(router, gate)
    _add_first(router, gate)
    _add_confirm(router, gate)
    return router


def _add_sign_in(router: APIRouter, gate: Gate) -> None:
    def show(request: Request, *, status: int = 200, target: str = "/", refused: bool = False) -> Response:
        by_token = gate.has_token and not request.state.claimed
        return render(
            request, "sign_in.html", status=status, target=target, refused=refused, by_token=by_token
        )

    @router.get("/sign-in")
    @open_to_all
    def show_sign_in(request: Request) -> Response:
        return show(request, target=request.query_params.get("next", "/"))

    @router.post("/sign-in")
    @open_to_all
    async def sign_in(request: Request) -> Response:
        target = (await read_form(request)).get("next", "/")
        return await gate.sign_in(request) or show(request, status=403, target=target, refused=True)

    @router.post("/sign-out")
    @needs(Permission.OWN)
    async def sign_out(request: Request) -> Response:
        visitor = visitor_of(request)
        if visitor is not None and visitor.session_id is not None:
            await gate.end_session(visitor, visitor.session_id)
        answer = RedirectResponse("/sign-in", status_code=303)
        answer.delete_cookie(SESSION_COOKIE, secure=True, httponly=True, samesite="strict")
        return answer


def _add_first(router: APIRouter, gate: Gate) -> None:
    async def show(request: Request, code: str, **more: Any) -> Response:
        account = await gate.account_of_code(request, code)
        status = more.pop("status", 200 if account else 403)
        told = {"problem": "", **more}
        return await run_in_threadpool(
            lambda: render(request, "first.html", status=status, code=code, named=account, **told)
        )

    @router.get("/first")
    @open_to_all
    async def show_first(request: Request) -> Response:
        return await show(request, request.query_params.get("code", "")[:64])

    @router.post("/first")
    @open_to_all
    async def take_first(request: Request) -> Response:
        form = await read_form(request)
        code = form.get("code", "")[:64]
        if form.get("password") != form.get("again"):
            return await show(request, code, status=400, problem="again")
        try:
            return await gate.first(request, form) or await show(request, code, status=403)
        except PasswordError:
            return await show(request, code, status=400, problem="password")


def _add_confirm(router: APIRouter, gate: Gate) -> None:
    @router.get("/confirm")
    @needs(Permission.OWN)
    def show_confirm(request: Request) -> Response:
        target = request.query_params.get("next", "/")
        return render(request, "confirm.html", target=target, refused=False)

    @router.post("/confirm")
    @needs(Permission.OWN)
    async def confirm(request: Request) -> Response:
        target = (await read_form(request)).get("next", "/")
        answer = await gate.confirm(request)
        return answer or render(request, "confirm.html", status=400, target=target, refused=True)
