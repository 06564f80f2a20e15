"""The page on which people set up their own second factors, and take them away."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import segno
import sqlalchemy as sa
from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse
from markupsafe import Markup

from renzheng.central.access import access_log, accounts, factors, one_time_codes, passkeys, sessions
from renzheng.central.access.access_log import Access
from renzheng.central.access.ceremonies import Ceremony, new_challenge
from renzheng.central.access.errors import PasskeyError
from renzheng.central.access.one_time_codes import Shown
from renzheng.central.access.passkeys import Answer
from renzheng.central.access.roles import Permission
from renzheng.central.access.signing_in import SigningIn
from renzheng.central.access.visitors import Visitor
from renzheng.central.store.database import Database
from renzheng.central.web.access import read_form, too_many
from renzheng.central.web.console.pages import Times, choose_language, render
from renzheng.central.web.guard import address_of, needs, visitor_of
from renzheng.central.web.guesses import Guesses
from renzheng.central.web.sign_in_pages import Party
from renzheng.common.words import message
from renzheng.contracts.errors import RenzhengError

Form = Mapping[str, str]
Told = Mapping[str, Any]
"""What a page says beside what it always says: `problem`, or `codes` that are shown once."""


class Keeping:
    """Changes the second factors of whoever asks.

    Args:
        database: the store.
        clock: when it is.
        signing: keeps challenges and the key of secrets.
        party: for whom passkeys are made.
    """

    def __init__(
        self, database: Database, clock: Callable[[], datetime], signing: SigningIn, party: Party
    ) -> None:
        self._database, self._clock, self._signing, self.party = database, clock, signing, party
        self._acts: Mapping[str, Callable[[sa.Connection, Request, Visitor, Form], Told]] = {
            "codes_set_up": self._set_up_codes,
            "codes_removed": self._remove_codes,
            "recovery_given": self._give_recovery,
            "passkey_registered": self._register,
            "passkey_removed": self._remove_passkey,
            "password_changed": self._change_password,
        }

    def values(self, request: Request, visitor: Visitor) -> Told:
        """Return what the page shows: what there is, and what can be set up."""
        account_id, now, party = visitor.account_id, self._clock(), self.party(request)
        told: dict[str, Any] = {"secret": "", "qr": "", "options": ""}
        with self._database.writing() as connection:
            held = factors.of_account(connection, account_id)
            keys = passkeys.of_account(connection, account_id)
            if not held.codes:
                secret = one_time_codes.begin(connection, account_id, self._signing.sealer, now)
                told |= {"secret": secret, "qr": _picture(one_time_codes.address_of(account_id, secret))}
            if party is not None:
                challenge = new_challenge()
                told["options"] = passkeys.ask_new(connection, account_id, party, challenge)
                made = Ceremony(address_of(request), account_id, challenge=challenge)
                self._signing.ceremonies.put(_new(visitor), made, now)
            has_password = accounts.kept_password(connection, account_id, now) is not None
        return {"held": held, "passkeys": keys, "visitor": visitor, "has_password": has_password, **told}

    def take(self, request: Request, visitor: Visitor, form: Form) -> Told:
        """Do what a form asks for, and write it down; other sessions of the account end.

        Raises:
            RenzhengError: it cannot be done.
        """
        act = form.get("act", "")
        if act not in self._acts or visitor.session_id is None:
            raise HTTPException(400)
        now = self._clock()
        with self._database.writing() as connection:
            told = self._acts[act](connection, request, visitor, form)
            if not told.get("problem"):
                sessions.end_others(connection, visitor.session_id, visitor.account_id, now)
                written = Access(
                    visitor.account_id, visitor.roles, address_of(request), act, "-", "own", "changed"
                )
                access_log.append(connection, written, now)
        return told

    def _set_up_codes(
        self, connection: sa.Connection, _request: Request, visitor: Visitor, form: Form
    ) -> Told:
        sealer, now = self._signing.sealer, self._clock()
        shown = one_time_codes.show(
            connection, visitor.account_id, form.get("code", ""), sealer, now, first=True
        )
        if shown is not Shown.RIGHT:
            return {"problem": shown.value}
        return {"codes": one_time_codes.give_recovery_codes(connection, visitor.account_id, now)}

    def _remove_codes(
        self, connection: sa.Connection, _request: Request, visitor: Visitor, _form: Form
    ) -> Told:
        one_time_codes.remove(connection, visitor.account_id)
        return {}

    def _give_recovery(
        self, connection: sa.Connection, _request: Request, visitor: Visitor, _form: Form
    ) -> Told:
        return {"codes": one_time_codes.give_recovery_codes(connection, visitor.account_id, self._clock())}

    def _register(self, connection: sa.Connection, request: Request, visitor: Visitor, form: Form) -> Told:
        now, party = self._clock(), self.party(request)
        challenge = self._signing.ceremonies.take_challenge(_new(visitor), now)
        if challenge is None or party is None:
            raise PasskeyError("The page was open too long.", do="Open it again and register the passkey.")
        before = factors.of_account(connection, visitor.account_id)
        answer = Answer(party, challenge, form.get("credential", ""))
        passkeys.register(connection, visitor.account_id, answer, form.get("label", ""), now)
        if before:
            return {}
        return {"codes": one_time_codes.give_recovery_codes(connection, visitor.account_id, now)}

    def _remove_passkey(
        self, connection: sa.Connection, _request: Request, visitor: Visitor, form: Form
    ) -> Told:
        if not passkeys.remove(connection, visitor.account_id, form.get("passkey", "")):
            raise HTTPException(404)
        if not factors.of_account(connection, visitor.account_id):
            one_time_codes.remove(connection, visitor.account_id)
        return {}

    def _change_password(
        self, connection: sa.Connection, _request: Request, visitor: Visitor, form: Form
    ) -> Told:
        now = self._clock()
        kept = accounts.kept_password(connection, visitor.account_id, now)
        if not accounts.knows_password(kept, form.get("present", "")):
            return {"problem": "present"}
        if form.get("password") != form.get("again"):
            return {"problem": "again"}
        accounts.choose_password(connection, visitor.account_id, form.get("password", ""), now)
        return {"done": True}


def build_router(  # noqa: PLR0917 - what the page stands on
    database: Database,
    clock: Callable[[], datetime],
    signing: SigningIn,
    party: Party,
    zone: ZoneInfo,
    guesses: Guesses,
) -> APIRouter:
    """Build the page over a store."""
    router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
    keeping = Keeping(database, clock, signing, party)

    def show(request: Request, *, status: int = 200, said: str = "", **told: Any) -> Response:
        visitor = visitor_of(request)
        if visitor is None or visitor.session_id is None:
            raise HTTPException(404)  # a program has none
        values = {
            "problem": "",
            "codes": (),
            "done": False,
            "said": said,
            **keeping.values(request, visitor),
            **told,
        }
        return render(request, "factors.html", status=status, when=Times(zone), **values)

    def take(request: Request, form: Form) -> Response:
        visitor = visitor_of(request)
        assert visitor is not None, "the guard lets nobody through without one"
        try:
            told = keeping.take(request, visitor, form)
        except RenzhengError as error:
            return show(request, status=400, said=message(error.what, choose_language(request)))
        return show(request, status=400 if told.get("problem") else 200, **told)

    @router.get("/access/factors")
    @needs(Permission.FACTORS)
    def show_factors(request: Request) -> Response:
        return show(request)

    @router.post("/access/factors")
    @needs(Permission.FACTORS)
    async def change_factors(request: Request) -> Response:
        form = await read_form(request)
        answer = await run_in_threadpool(take, request, form)
        visitor = visitor_of(request)
        if answer.status_code == _WRONG and visitor is not None:
            held = await guesses.fail(address_of(request), visitor.account_id)
            return answer if held else too_many()
        return answer

    return router


_WRONG = 400


def _picture(address: str) -> Markup:
    """Return a QR code as SVG."""
    made = segno.make(address, error="m", micro=False)
    drawn = made.svg_inline(
        scale=4, border=4, dark="#000", light="#fff", omitsize=True, svgclass="qr", lineclass=None
    )
    return Markup(drawn)  # noqa: S704 - drawn here from modules, no text in it


def _new(visitor: Visitor) -> str:
    return f"new {visitor.session_id}"
