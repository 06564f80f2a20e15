"""The pages on which somebody becomes known: sign in, second factor, first sign-in by a code, once more."""

import contextlib
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse

from renzheng.central.access.errors import PasswordError, ProviderError
from renzheng.central.access.one_time_codes import Shown
from renzheng.central.access.provider import Provider
from renzheng.central.access.roles import Permission
from renzheng.central.access.signing_in import Asked, Given, Halfway, Signed, SigningIn
from renzheng.central.access.visitors import Visitor
from renzheng.central.web.access import (
    SESSION_COOKIE,
    STEP_COOKIE,
    Gate,
    came_from,
    own_address,
    read_form,
    too_many,
    with_session,
    with_step,
)
from renzheng.central.web.console.pages import render
from renzheng.central.web.guard import address_of, needs, open_to_all, visitor_of
from renzheng.central.web.guesses import Guesses
from renzheng.common.relying_party import RelyingParty, relying_party

LONGEST_NAME = 64
Party = Callable[[Request], RelyingParty | None]


def party_of(public_url: str) -> Party:
    """Return what names the relying party of passkeys for a request."""

    def party(request: Request) -> RelyingParty | None:
        return relying_party(public_url or f"{request.url.scheme}://{request.url.netloc}")

    return party


def build_router(
    gate: Gate, signing: SigningIn, guesses: Guesses, party: Party, provider: Provider | None = None
) -> APIRouter:
    """Build the pages.

    Args:
        gate: takes the shared token.
        signing: takes what people show.
        guesses: slows down whoever shows what does not hold.
        party: for whom passkeys are made.
        provider: at which people may sign in too.
    """
    router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
    _add_sign_in(router, gate, signing, guesses, party, provider)
    _add_sign_out(router, signing, provider)
    _add_second(router, signing, guesses, party)
    _add_passkey(router, signing, guesses, party)
    _add_first(router, signing, guesses)
    _add_confirm(router, signing, guesses, party, provider)
    return router


def _go_on(done: Signed | Halfway) -> Response:
    if isinstance(done, Halfway):
        return with_step(RedirectResponse("/sign-in/second", status_code=303), done.step)
    return with_session(RedirectResponse(own_address(done.target), status_code=303), done.shown)


def _add_sign_in(  # noqa: PLR0917 - what it shows and whom it asks
    router: APIRouter,
    gate: Gate,
    signing: SigningIn,
    guesses: Guesses,
    party: Party,
    provider: Provider | None,
) -> None:
    def show(request: Request, *, status: int = 200, target: str = "/", refused: bool = False) -> Response:
        told = {
            "by_token": gate.has_token and not request.state.claimed,
            "by_passkey": bool(party(request)),
            "by_provider": provider.settings.name if provider else "",
        }
        return render(request, "sign_in.html", status=status, target=target, refused=refused, **told)

    @router.get("/sign-in")
    @open_to_all
    def show_sign_in(request: Request) -> Response:
        return show(request, target=request.query_params.get("next", "/"))

    @router.post("/sign-in")
    @open_to_all
    async def sign_in(request: Request) -> Response:
        form = await read_form(request)
        target = form.get("next", "/")
        if form.get("account"):
            answer = await _take_password(request, form["account"].strip()[:LONGEST_NAME], target)
        else:
            answer = await gate.sign_in_by_token(request)
        return answer or show(request, status=403, target=target, refused=True)

    async def _take_password(request: Request, account_id: str, target: str) -> Response | None:
        password, came = (await read_form(request)).get("password", ""), came_from(request)
        done = await run_in_threadpool(signing.by_password, account_id, password, came, target)
        if done is None:
            return None if await guesses.fail(address_of(request), account_id) else too_many()
        guesses.forget(address_of(request), account_id)
        return _go_on(done)


def _add_sign_out(router: APIRouter, signing: SigningIn, provider: Provider | None) -> None:
    def there(request: Request, visitor: Visitor | None) -> Response:
        """Go on to where the identity provider ends its session too; a form may not be redirected there."""
        address = ""
        if provider is not None and visitor is not None and visitor.id_token:
            with contextlib.suppress(ProviderError):
                address = provider.signing_out(visitor.id_token)
        if not address:
            return RedirectResponse("/sign-in", status_code=303)
        return render(request, "signed_out.html", address=address)

    @router.post("/sign-out")
    @needs(Permission.OWN)
    async def sign_out(request: Request) -> Response:
        visitor = visitor_of(request)
        if visitor is not None and visitor.session_id is not None:
            await run_in_threadpool(signing.end, visitor, visitor.session_id)
        answer = await run_in_threadpool(there, request, visitor)
        answer.delete_cookie(SESSION_COOKIE, secure=True, httponly=True, samesite="strict")
        return answer


def _add_second(router: APIRouter, signing: SigningIn, guesses: Guesses, party: Party) -> None:
    def show(request: Request, *, status: int = 200, problem: str = "") -> Response:
        step = request.cookies.get(STEP_COOKIE, "")
        halfway = signing.halfway(step)
        if halfway is None:
            return RedirectResponse("/sign-in", status_code=303)
        asked = signing.ask(step, halfway.account_id, party(request))
        return render(
            request, "second.html", status=status, asked=asked, named=halfway.account_id, problem=problem
        )

    @router.get("/sign-in/second")
    @open_to_all
    def show_second(request: Request) -> Response:
        return show(request)

    @router.post("/sign-in/second")
    @open_to_all
    async def take_second(request: Request) -> Response:
        form, step, came = await read_form(request), request.cookies.get(STEP_COOKIE, ""), came_from(request)
        halfway = signing.halfway(step)
        if form.get("credential"):
            done = await run_in_threadpool(
                signing.second_by_passkey, step, form["credential"], party(request), came
            )
        else:
            done = await run_in_threadpool(signing.second_by_code, step, form.get("code", ""), came)
        if isinstance(done, Signed):
            return _go_on(done)
        whose = halfway.account_id if halfway else ""
        if not await guesses.fail(address_of(request), whose):
            return too_many()
        return await run_in_threadpool(lambda: show(request, status=403, problem=done.value))


def _add_passkey(router: APIRouter, signing: SigningIn, guesses: Guesses, party: Party) -> None:
    def show(request: Request, target: str, *, status: int = 200, refused: bool = False) -> Response:
        where = party(request)
        if where is None:
            return RedirectResponse("/sign-in", status_code=303)
        step, options = signing.ask_alone(came_from(request), target, where)
        page = render(request, "passkey.html", status=status, options=options, target=target, refused=refused)
        return with_step(page, step)

    @router.get("/sign-in/passkey")
    @open_to_all
    def show_passkey(request: Request) -> Response:
        return show(request, request.query_params.get("next", "/"))

    @router.post("/sign-in/passkey")
    @open_to_all
    async def take_passkey(request: Request) -> Response:
        form, step = await read_form(request), request.cookies.get(STEP_COOKIE, "")
        done = await run_in_threadpool(
            signing.by_passkey, step, form.get("credential", ""), party(request), came_from(request)
        )
        if done is not None:
            guesses.forget(address_of(request))
            return _go_on(done)
        if not await guesses.fail(address_of(request)):
            return too_many()
        target = form.get("next", "/")
        return await run_in_threadpool(lambda: show(request, target, status=403, refused=True))


def _add_first(router: APIRouter, signing: SigningIn, guesses: Guesses) -> None:
    async def show(request: Request, code: str, **more: Any) -> Response:
        account = await run_in_threadpool(signing.account_of_code, code)
        if account is None and code:
            await guesses.fail(address_of(request))
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
            done = await run_in_threadpool(
                signing.by_first_code, code, form.get("password", ""), came_from(request)
            )
        except PasswordError:
            return await show(request, code, status=400, problem="password")
        if done is not None:
            return _go_on(done)
        held = await guesses.fail(address_of(request))
        return await show(request, "", status=403) if held else too_many()


def _add_confirm(
    router: APIRouter, signing: SigningIn, guesses: Guesses, party: Party, provider: Provider | None
) -> None:
    def who(request: Request) -> Visitor:
        visitor = visitor_of(request)
        assert visitor is not None, "the guard lets nobody through without one"
        return visitor

    def show(request: Request, target: str, *, status: int = 200, problem: str = "") -> Response:
        asked: Asked = signing.ask_again(who(request), address_of(request), party(request))
        told = {"by_provider": provider.settings.name if provider and who(request).id_token else ""}
        values = {"target": target, "problem": problem, "asked": asked, **told}
        return render(request, "confirm.html", status=status, **values)

    @router.get("/confirm")
    @needs(Permission.OWN)
    def show_confirm(request: Request) -> Response:
        return show(request, request.query_params.get("next", "/"))

    @router.post("/confirm")
    @needs(Permission.OWN)
    async def confirm(request: Request) -> Response:
        form, visitor, where = await read_form(request), who(request), party(request)
        given = Given(form.get("password", ""), form.get("code", ""), form.get("credential", ""))
        target, address = form.get("next", "/"), address_of(request)
        shown = await run_in_threadpool(signing.confirm, visitor, given, where, address)
        if shown is Shown.RIGHT:
            return RedirectResponse(own_address(target), status_code=303)
        if not await guesses.fail(address, visitor.account_id):
            return too_many()
        return await run_in_threadpool(lambda: show(request, target, status=400, problem=shown.value))
