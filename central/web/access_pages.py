"""The pages of accounts: one's own sessions, the roles, who may sign in, emergencies, the access log."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import unquote
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse

from renzheng.central.access import access_log, accounts, emergency, sessions, spelling
from renzheng.central.access.access_log import MANY_PERSONS, Access, Wanted
from renzheng.central.access.accounts import New
from renzheng.central.access.command import first_address
from renzheng.central.access.roles import BY_INSTITUTION, MATRIX, Permission, Role
from renzheng.central.access.visitors import Visitor
from renzheng.central.settings import Settings
from renzheng.central.store import viewer
from renzheng.central.store.database import Database
from renzheng.central.store.times import from_us
from renzheng.central.web.access import read_form
from renzheng.central.web.console.pages import (
    ROWS_A_PAGE,
    PageNumber,
    Text,
    Times,
    choose_language,
    page_addresses,
    render,
)
from renzheng.central.web.guard import address_of, needs, visitor_of
from renzheng.common.words import message
from renzheng.contracts.errors import RenzhengError

NIGHT = (22, 6)
"""From and to which hour, by the site's clock, reading is shown as at night."""
_ASKED_FOR = re.compile(r"(?:/persons/|[?&]text=|[?&]person=)([^?&\s]+)")
"""Where the address of a page names a person."""
Clock = Callable[[], datetime]
Form = Mapping[str, str]


def build_router(database: Database, settings: Settings, clock: Clock) -> APIRouter:
    """Build the pages over a store."""
    router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
    zone = ZoneInfo(settings.timezone)
    _add_own(router, database, clock, zone)
    _add_roles(router)
    _add_accounts(router, database, settings, clock)
    _add_emergencies(router, database, clock, zone)
    _add_log(router, database, zone)
    return router


def _who(request: Request) -> Visitor:
    visitor = visitor_of(request)
    assert visitor is not None, "the guard lets nobody through without one"
    return visitor


def _add_own(router: APIRouter, database: Database, clock: Clock, zone: ZoneInfo) -> None:
    @router.get("/access/me")
    @needs(Permission.OWN)
    def show_own(request: Request) -> Response:
        visitor = _who(request)
        with database.reading() as connection:
            held = sessions.of_account(connection, visitor.account_id, clock())
        return render(request, "me.html", visitor=visitor, sessions=held, when=Times(zone))

    @router.post("/access/me/end")
    @needs(Permission.OWN)
    async def end_session(request: Request) -> Response:
        form, visitor = await read_form(request), _who(request)

        def end() -> bool:
            with database.writing() as connection:
                return sessions.end(connection, form.get("session", ""), visitor.account_id, clock())

        if not await run_in_threadpool(end):
            raise HTTPException(404)
        return RedirectResponse("/access/me", status_code=303)


def _add_roles(router: APIRouter) -> None:
    @router.get("/access/roles")
    @needs(Permission.ROLES)
    def show_roles(request: Request) -> Response:
        return render(request, "roles.html", matrix=MATRIX, permissions=list(Permission))


def _add_accounts(router: APIRouter, database: Database, settings: Settings, clock: Clock) -> None:
    def show(request: Request, *, status: int = 200, **told: Any) -> Response:
        with database.reading() as connection:
            found = accounts.listed(connection)
        values = {"problem": "", "address": "", **told}
        return render(request, "accounts.html", status=status, accounts=found, roles=list(Role), **values)

    @router.get("/access/accounts")
    @needs(Permission.ACCOUNTS)
    def show_accounts(request: Request) -> Response:
        return show(request)

    @router.post("/access/accounts")
    @needs(Permission.ACCOUNTS)
    async def change_accounts(request: Request) -> Response:
        form = await read_form(request)
        return await run_in_threadpool(take, request, form)

    def take(request: Request, form: Form) -> Response:
        act = ACTS.get(form.get("act", ""))
        if act is None:
            return show(request, status=400)
        by, now = _who(request), clock()
        try:
            with database.writing() as connection:
                code = act(connection, form, by.account_id, now)
                what = " ".join(filter(None, (form.get("account", ""), form.get("role", ""))))[:200]
                told = Access(
                    by.account_id, by.roles, address_of(request), f"account_{form['act']}", what, "accounts",
                    "changed",
                )  # fmt: skip
                access_log.append(connection, told, now)
        except RenzhengError as error:
            said = " ".join(message(one, choose_language(request)) for one in (error.what, error.why) if one)
            return show(request, status=400, problem=said)
        base = settings.public_url or f"{request.url.scheme}://{request.url.netloc}"
        return show(request, address=first_address(base, code) if code else "")


def _add_account(connection: sa.Connection, form: Form, by: str, now: datetime) -> str | None:
    named = {name: frozenset(form.get(name, "").split()) for name in ("institutions", "ties")}
    until = _day(form.get("until", ""))
    new = New(
        form.get("account", "").strip(),
        frozenset({_role(form)}),
        named["institutions"],
        named["ties"],
        valid_until=until + timedelta(days=1) if until else None,
    )
    accounts.add(connection, new, by, now)
    return accounts.give_code(connection, new.account_id, now)


def _day(text: str) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.combine(date.fromisoformat(text), time(), UTC)
    except ValueError:
        raise HTTPException(400) from None


def _give_role(connection: sa.Connection, form: Form, by: str, now: datetime) -> str | None:
    accounts.grant(connection, form.get("account", ""), _role(form), by, now)
    return None


def _take_role(connection: sa.Connection, form: Form, _by: str, _now: datetime) -> str | None:
    accounts.take_away(connection, form.get("account", ""), _role(form))
    return None


def _disable(connection: sa.Connection, form: Form, _by: str, now: datetime) -> str | None:
    accounts.disable(connection, form.get("account", ""), now)
    return None


def _enable(connection: sa.Connection, form: Form, by: str, now: datetime) -> str | None:
    accounts.enable(connection, form.get("account", ""))
    return _give_code(connection, form, by, now)


def _sign_out(connection: sa.Connection, form: Form, _by: str, now: datetime) -> str | None:
    accounts.sign_out(connection, form.get("account", ""), now)
    return None


def _give_code(connection: sa.Connection, form: Form, _by: str, now: datetime) -> str | None:
    return accounts.give_code(connection, form.get("account", ""), now)


ACTS: Mapping[str, Callable[[sa.Connection, Form, str, datetime], str | None]] = {
    "added": _add_account,
    "role_given": _give_role,
    "role_taken": _take_role,
    "disabled": _disable,
    "enabled": _enable,
    "signed_out": _sign_out,
    "code_given": _give_code,
}
"""What the page of accounts can do, as the access log names it; some return a one-time code."""


def _role(form: Form) -> Role:
    try:
        return Role(form.get("role", ""))
    except ValueError:
        raise HTTPException(400) from None


def _add_emergencies(router: APIRouter, database: Database, clock: Clock, zone: ZoneInfo) -> None:
    def show(request: Request, *, status: int = 200, problem: str = "") -> Response:
        visitor = _who(request)
        decides = Permission.EMERGENCY_ALLOW in visitor.permissions
        with database.reading() as connection:
            rows, late = emergency.listed(connection), emergency.overdue(connection, clock())
        seen = [row for row in rows if decides or row["account_id"] == visitor.account_id]
        return render(
            request,
            "emergencies.html",
            status=status,
            rows=seen,
            decides=decides,
            late=late if decides else 0,
            roles=[role for role in Role if role not in BY_INSTITUTION],
            problem=problem,
            when=Times(zone),
        )

    def take(request: Request, act: Callable[[sa.Connection], object]) -> Response:
        try:
            with database.writing() as connection:
                act(connection)
        except RenzhengError as error:
            said = " ".join(message(one, choose_language(request)) for one in (error.what, error.why) if one)
            return show(request, status=400, problem=said)
        return RedirectResponse("/access/emergencies", status_code=303)

    @router.get("/access/emergencies")
    @needs(Permission.EMERGENCY_ASK)
    def show_emergencies(request: Request) -> Response:
        return show(request)

    @router.post("/access/emergencies")
    @needs(Permission.EMERGENCY_ASK)
    async def ask(request: Request) -> Response:
        form, by = await read_form(request), _who(request).account_id
        role = _role(form)
        return await run_in_threadpool(
            take, request, lambda one: emergency.ask(one, by, role, form.get("reason", ""), clock())
        )

    @router.post("/access/emergencies/allow")
    @needs(Permission.EMERGENCY_ALLOW)
    async def allow(request: Request) -> Response:
        form, by = await read_form(request), _who(request).account_id
        return await run_in_threadpool(
            take, request, lambda one: emergency.allow(one, form.get("emergency", ""), by, clock())
        )

    @router.post("/access/emergencies/review")
    @needs(Permission.EMERGENCY_ALLOW)
    async def review(request: Request) -> Response:
        form, by = await read_form(request), _who(request).account_id
        found = form.get("review", "")
        return await run_in_threadpool(
            take, request, lambda one: emergency.review(one, form.get("emergency", ""), by, found, clock())
        )


def _add_log(router: APIRouter, database: Database, zone: ZoneInfo) -> None:
    @router.get("/access/log")
    @needs(Permission.ACCESS_LOG)
    def show_log(request: Request, person: Text = "", account: Text = "", page: PageNumber = 1) -> Response:
        with database.reading() as connection:
            also = spelling.of(connection, person.strip()) if person.strip() else ()
            wanted = Wanted(account.strip(), person.strip(), also, ROWS_A_PAGE, (page - 1) * ROWS_A_PAGE)
            total, rows = access_log.read(connection, wanted)
        viewer.note_persons(row["persons"][0] for row in rows if len(row["persons"]) == 1)
        viewer.note_persons(unquote(one) for row in rows for one in _ASKED_FOR.findall(row["what"]))
        viewer.note_persons([wanted.person_id])
        return render(
            request,
            "access_log.html",
            rows=rows,
            total=total,
            person=wanted.person_id,
            account_name=wanted.account_id,
            many=MANY_PERSONS,
            at_night=lambda us: _at_night(us, zone),
            pages=page_addresses(request, page, total),
            when=Times(zone),
        )


def _at_night(us: int, zone: ZoneInfo) -> bool:
    hour = from_us(us).astimezone(zone).hour
    return hour >= NIGHT[0] or hour < NIGHT[1]
