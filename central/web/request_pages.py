"""The page of requests that persons make about their own data, and the certificate of a withdrawal.

Copies and explanations hold verdicts, which data protection does not see: they are written from central's
shell, which answers the request by its number.
"""

from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse

from renzheng.central.access import spelling
from renzheng.central.access.roles import Permission
from renzheng.central.privacy import answering, requests, withdrawals
from renzheng.central.privacy.errors import RequestRefusedError
from renzheng.central.privacy.requests import KINDS, Kind
from renzheng.central.settings import Settings
from renzheng.central.store import viewer
from renzheng.central.store.database import Database
from renzheng.central.store.times import to_us
from renzheng.central.texts import texts
from renzheng.central.web.access import read_form
from renzheng.central.web.console.pages import (
    ROWS_A_PAGE,
    PageNumber,
    Times,
    choose_language,
    page_addresses,
    render,
)
from renzheng.central.web.guard import needs
from renzheng.central.web.privacy_pages import account_of, said_of
from renzheng.contracts import keys
from renzheng.contracts.errors import RenzhengError

PATH = "/privacy/requests"
Clock = Callable[[], datetime]
Write = Callable[[sa.Connection], str]


def build_router(database: Database, settings: Settings, clock: Clock) -> APIRouter:
    """Build the page over a store."""
    router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
    zone = ZoneInfo(settings.timezone)

    def show(request: Request, page: int = 1, *, status: int = 200, problem: str = "") -> Response:
        now = clock()
        with database.reading() as connection:
            total, rows = requests.listed(connection, ROWS_A_PAGE, (page - 1) * ROWS_A_PAGE)
            counted = requests.counted(connection, now)
        viewer.note(rows)
        return render(
            request, "requests.html", status=status, problem=problem, rows=rows, counted=counted, kinds=KINDS,
            pages=page_addresses(request, page, total), total=total, now=to_us(now), when=Times(zone),
        )  # fmt: skip

    def take(request: Request, write: Write) -> Response:
        """Carry out a change, whose person is written down, and show the list."""
        try:
            with database.writing() as connection:
                viewer.note_persons([write(connection)])
        except RenzhengError as error:
            return show(request, status=400, problem=said_of(request, error))
        return RedirectResponse(PATH, status_code=303)

    @router.get(PATH)
    @needs(Permission.PRIVACY)
    def show_requests(request: Request, page: PageNumber = 1) -> Response:
        return show(request, page)

    @router.post(PATH)
    @needs(Permission.PRIVACY_CHANGE)
    async def record(request: Request) -> Response:
        form, by, now = await read_form(request), account_of(request), clock()

        def write(connection: sa.Connection) -> str:
            person = spelling.find(connection, form.get("person", ""))
            told = (_kind(form.get("kind", "")), person, by)
            requests.record(connection, settings, told, now, form.get("note", ""))
            return person

        return await run_in_threadpool(take, request, write)

    _add_answers(router, settings, clock, take)
    _add_certificate(router, database, settings, clock)
    return router


def _add_answers(
    router: APIRouter, settings: Settings, clock: Clock, take: Callable[[Request, Write], Response]
) -> None:
    @router.post(PATH + "/{request_id}/delete")
    @needs(Permission.PRIVACY_CHANGE)
    async def delete(request: Request, request_id: str) -> Response:
        account, words = account_of(request), texts(choose_language(request))

        def write(connection: sa.Connection) -> str:
            person = str(requests.must_be_open(connection, request_id, "delete")["person_id"])
            answering.delete(connection, settings, request_id, ("console", account, words), clock())
            return person

        return await run_in_threadpool(take, request, write)

    @router.post(PATH + "/{request_id}/answer")
    @needs(Permission.PRIVACY_CHANGE)
    async def answer(request: Request, request_id: str) -> Response:
        form, now = await read_form(request), clock()

        def write(connection: sa.Connection) -> str:
            row, why = requests.must_be_open(connection, request_id), form.get("reason", "").strip()
            if not why:
                raise RequestRefusedError("An answer says what was done, or why not.", do="Write it down.")
            outcome: requests.Outcome = "refused" if form.get("outcome") == "refused" else "answered"
            if row["kind"] == "delete" and outcome == "answered":
                raise RequestRefusedError("A deletion is answered by deleting.", do="Use its own button.")
            requests.close(connection, request_id, outcome, why[: requests.LONGEST_NOTE], now)
            return str(row["person_id"])

        return await run_in_threadpool(take, request, write)


def _add_certificate(router: APIRouter, database: Database, settings: Settings, clock: Clock) -> None:
    @router.get("/privacy/withdrawals/{withdrawal_id}/certificate")
    @needs(Permission.PRIVACY)
    def read_certificate(withdrawal_id: str) -> Response:
        with database.reading() as connection:
            row = withdrawals.find(connection, withdrawal_id)
            if row is None:
                raise HTTPException(404)
            key = keys.load_private_key(settings.key_file.read_bytes())
            signed = answering.certificate(connection, row, key, clock())
        viewer.note([row])
        headers = {"Content-Disposition": 'attachment; filename="renzheng-withdrawal.jws"'}
        return Response(signed, media_type="application/jose", headers=headers)


def _kind(text: str) -> Kind:
    if text not in KINDS:
        raise RequestRefusedError("There is no request of this kind.", do="Choose one of the list.")
    return text
