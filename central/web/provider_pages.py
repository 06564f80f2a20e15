"""Signing in, and showing once more who one is, at the bureau's own identity provider."""

import html
import logging
from collections.abc import Callable
from datetime import datetime

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse

from renzheng.central.access import sessions
from renzheng.central.access.ceremonies import LASTS, Ceremony
from renzheng.central.access.errors import AccountError, ProviderError
from renzheng.central.access.provider import Person, Provider, Sent
from renzheng.central.access.provider_accounts import account_of
from renzheng.central.access.roles import Permission
from renzheng.central.access.sessions import Came
from renzheng.central.access.shown_once import new_session
from renzheng.central.access.signing_in import Halfway, SigningIn
from renzheng.central.store.database import Database
from renzheng.central.web.access import came_from, own_address, too_many, with_session, with_step
from renzheng.central.web.console.pages import render
from renzheng.central.web.guard import address_of, needs, open_to_all, visitor_of
from renzheng.central.web.guesses import Guesses

logger = logging.getLogger(__name__)
COOKIE = "__Host-renzheng-provider"
"""Known again when the provider sends somebody back, which is from another site: so it is `Lax`."""
WAY = "provider"


class Returning:
    """Takes those who come back from the provider; its methods wait for the store and the provider.

    Args:
        database: the store.
        clock: when it is.
        signing: begins sessions.
        provider: whom it asks.
    """

    def __init__(
        self, database: Database, clock: Callable[[], datetime], signing: SigningIn, provider: Provider
    ) -> None:
        self._database, self._clock = database, clock
        self._signing, self._provider = signing, provider

    def send(self, came: Came, target: str, again: tuple[str, ...] = ()) -> tuple[str, str]:
        """Return where somebody is sent, and what their browser keeps until they are back.

        Args:
            came: from where they come.
            target: where to go on afterwards.
            again: the account and session of somebody who is to show once more who they are.
        """
        address, sent = self._provider.send(again=bool(again))
        secret = new_session()
        notes = (sent.state, sent.nonce, sent.verifier, *again)
        made = Ceremony(came.address, target=target, notes=notes)
        self._signing.ceremonies.put(secret, made, self._clock())
        return address, secret

    def take(self, secret: str, query: dict[str, str], came: Came) -> Response | None:
        """Take somebody back; None when what they bring does not hold.

        Raises:
            AccountError: it holds, and they have no account here that may be used.
        """
        held = self._signing.ceremonies.take(secret, self._clock())
        if held is None or len(held.notes) < _OF_SENT:
            return None
        again = held.notes[_OF_SENT:]
        try:
            person = self._provider.take(Sent(*held.notes[:_OF_SENT]), query, again=bool(again))
        except ProviderError as error:
            logger.warning("the identity provider's answer was refused: %s", error.attributes.get("part"))
            return None
        return self._confirm(person, again, held.target) if again else self._sign_in(person, held, came)

    def _sign_in(self, person: Person, held: Ceremony, came: Came) -> Response:
        try:
            with self._database.writing() as connection:
                settings = self._provider.settings
                account_id = account_of(connection, person.claims, settings, self._clock())
        except AccountError:
            self._signing.write(str(person.claims["sub"])[:200], came.address, "sign_in_refused", WAY)
            raise
        done = self._signing.go_on(
            account_id,
            came,
            held.target,
            WAY,
            id_token=person.id_token,
            second=not self._provider.settings.asks_for_second_factor,
        )
        if isinstance(done, Halfway):
            return with_step(_onward("/sign-in/second"), done.step)
        return with_session(_onward(done.target), done.shown)

    def _confirm(self, person: Person, again: tuple[str, ...], target: str) -> Response | None:
        account_id, session_id = again
        with self._database.writing() as connection:
            named = account_of(connection, person.claims, self._provider.settings, self._clock())
            if named != account_id:
                return None
            sessions.confirm(connection, session_id, self._clock())
        return _onward(target)


_OF_SENT = 3


def _onward(target: str) -> Response:
    """Go on by a page of ours: a redirect from another site would not carry a strict cookie."""
    page = f'<!doctype html><meta http-equiv="refresh" content="0; url={_quoted(target)}">'
    return HTMLResponse(f'{page}<title>renzheng</title><a href="{_quoted(target)}">renzheng</a>')


def _quoted(target: str) -> str:
    return html.escape(own_address(target))


def build_router(returning: Returning, guesses: Guesses) -> APIRouter:
    """Build the addresses at which people go to the provider and come back."""
    router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

    def go(request: Request, again: tuple[str, ...] = ()) -> Response:
        target = request.query_params.get("next", "/")[:2000]
        address, secret = returning.send(came_from(request), target, again)
        answer = RedirectResponse(address, status_code=303)
        answer.set_cookie(
            COOKIE, secret, httponly=True, samesite="lax", secure=True, path="/", max_age=LASTS.seconds
        )
        return answer

    def refused(request: Request) -> Response:
        told = {"target": "/", "refused": False, "by_token": False, "by_passkey": False}
        return render(request, "sign_in.html", status=403, by_provider="refused", **told)

    @router.get("/sign-in/provider")
    @open_to_all
    def send_there(request: Request) -> Response:
        try:
            return go(request)
        except ProviderError as error:
            logger.warning("the identity provider cannot be asked: %s", error.attributes.get("part"))
            return refused(request)

    @router.get("/confirm/provider")
    @needs(Permission.OWN)
    def send_again(request: Request) -> Response:
        visitor = visitor_of(request)
        if visitor is None or visitor.session_id is None:
            return RedirectResponse("/sign-in", status_code=303)
        return go(request, (visitor.account_id, visitor.session_id))

    @router.get("/sign-in/provider/back")
    @open_to_all
    async def take_back(request: Request) -> Response:
        secret, query = request.cookies.get(COOKIE, ""), dict(request.query_params)
        try:
            answer = await run_in_threadpool(returning.take, secret, query, came_from(request))
        except AccountError:
            answer = None
        if answer is None:
            held = await guesses.fail(address_of(request))
            answer = await run_in_threadpool(refused, request) if held else too_many()
        answer.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="lax")
        return answer

    return router
