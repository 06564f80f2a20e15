"""The one address that devices call: ``POST /join`` with a sealed request, everything else with a signed one.

What a device fetches is its own: the inpatients of its institution, the sealed sheets of rounds that are
addressed to it, and the codes that open them once they are due. Every answer names the door's clock.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, TypeAdapter

from renzheng.central.errors import RegistrationError, SiteError
from renzheng.central.site.calls import Call, Caller, Callers
from renzheng.central.site.joining import Joining
from renzheng.common.limits import BodyLimits, RequestLimits
from renzheng.contracts.privacy import (
    MOST_ANSWER_BYTES,
    PRIVACY_PATH,
    RESTORE_PATH,
    SHARES_PATH,
    PrivacyError,
    RestoreAnswer,
    Waiting,
)
from renzheng.contracts.provisioning import JOIN_PATH, ProvisioningError
from renzheng.contracts.requests import (
    CERTIFICATE_PATH,
    DATE_HEADER,
    INPATIENTS_PATH,
    OPENINGS_PATH,
    ROUNDS_PATH,
    RequestError,
)
from renzheng.contracts.rosters import InpatientRoster
from renzheng.contracts.rounds import Opening, SealedSheet

logger = logging.getLogger(__name__)
MOST_BYTES = 32_000
JOSE = "application/jose"
_SHEETS = TypeAdapter(list[SealedSheet])
_OPENINGS = TypeAdapter(list[Opening])


class PersonsData(Protocol):
    """What devices are told, and tell, about persons' data."""

    def waiting(self, device_id: str) -> Waiting:
        """Return what waits for a device."""

    def take_answer(self, device_id: str, body: bytes) -> None:
        """Take an answer to an order."""

    def take_shares(self, device_id: str, body: bytes) -> None:
        """Take halves of persons' keys."""

    def answer_restore(self, institution_id: str, body: bytes) -> RestoreAnswer:
        """Say what may come back from a backup."""


@dataclass(frozen=True, slots=True)
class Counter:
    """What is handed out over the door.

    Args:
        inpatients: the roster of an institution on a local day.
        sheets: the sealed sheets addressed to a device, of rounds that are not closed.
        openings: the codes of those that are due.
        persons: withdrawals and other orders about persons' data.
    """

    inpatients: Callable[[str, date], InpatientRoster]
    sheets: Callable[[str], Sequence[SealedSheet]]
    openings: Callable[[str], Sequence[Opening]]
    persons: PersonsData


def build_door(
    joining: Joining, callers: Callers, counter: Counter, clock: Callable[[], datetime]
) -> FastAPI:
    """Build the application that devices call; it has no other route and no documentation pages."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

    @app.middleware("http")
    async def tell_the_time(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        answer = await call_next(request)
        answer.headers[DATE_HEADER] = clock().isoformat()
        answer.headers["Cache-Control"] = "no-store"
        return answer

    app.add_middleware(RequestLimits, limits=BodyLimits(MOST_BYTES, {PRIVACY_PATH: MOST_ANSWER_BYTES}))
    _add_joining(app, joining)
    _add_renewing(app, joining, callers)
    _add_fetching(app, callers, counter)
    _add_taking(app, callers, counter.persons)
    return app


def _add_joining(app: FastAPI, joining: Joining) -> None:
    @app.post(JOIN_PATH)
    async def join(request: Request) -> Response:
        body = await read_body(request, MOST_BYTES)
        if body is None:
            return Response("That is larger than any request to join.", status_code=413)
        try:
            answer = await run_in_threadpool(joining.answer, body)
        except (ProvisioningError, SiteError, RegistrationError) as error:
            return Response(f"{error.what} {error.do}", status_code=403, media_type="text/plain")
        return Response(answer, media_type=JOSE)


def _add_renewing(app: FastAPI, joining: Joining, callers: Callers) -> None:
    @app.post(CERTIFICATE_PATH)
    async def renew(request: Request) -> Response:
        body = await read_body(request, MOST_BYTES)
        if body is None:
            return Response("That is larger than any certificate request.", status_code=413)
        call = Call(request.headers.get("authorization"), request.method, target_of(request), body)
        try:
            caller = await run_in_threadpool(callers.admit, call)
            certificate = await run_in_threadpool(joining.renew, body, caller.device_id)
        except RequestError as error:
            return Response(f"{error.what} {error.do}", status_code=401, media_type="text/plain")
        except SiteError as error:
            return Response(f"{error.what} {error.do}", status_code=403, media_type="text/plain")
        return Response(certificate, media_type="application/x-pem-file")


def _add_fetching(app: FastAPI, callers: Callers, counter: Counter) -> None:
    def answer(request: Request, give: Callable[[Caller], bytes]) -> Response:
        call = Call(request.headers.get("authorization"), request.method, target_of(request), b"")
        try:
            caller = callers.admit(call)
        except RequestError as error:
            logger.info("a call to %s was refused: %s", request.url.path, error.what)
            headers = {"WWW-Authenticate": "Renzheng"}
            return Response(
                f"{error.what} {error.do}", status_code=401, media_type="text/plain", headers=headers
            )
        logger.info("device %s called %s", caller.device_id, request.url.path)
        return Response(give(caller), media_type="application/json")

    @app.get(INPATIENTS_PATH)
    def send_inpatients(request: Request) -> Response:
        try:
            day = date.fromisoformat(request.query_params.get("day", ""))
        except ValueError:
            return Response("Say which day: ?day=2026-03-02", status_code=400, media_type="text/plain")
        return answer(request, lambda caller: _json(counter.inpatients(caller.institution_id, day)))

    @app.get(ROUNDS_PATH)
    def send_rounds(request: Request) -> Response:
        return answer(request, lambda caller: _SHEETS.dump_json(list(counter.sheets(caller.device_id))))

    @app.get(PRIVACY_PATH)
    def send_orders(request: Request) -> Response:
        return answer(request, lambda caller: _json(counter.persons.waiting(caller.device_id)))

    @app.get(OPENINGS_PATH)
    def send_openings(request: Request) -> Response:
        return answer(request, lambda caller: _OPENINGS.dump_json(list(counter.openings(caller.device_id))))


def _add_taking(app: FastAPI, callers: Callers, persons: PersonsData) -> None:
    async def take(request: Request, done: Callable[[Caller, bytes], BaseModel | None]) -> Response:
        body = await read_body(request, MOST_ANSWER_BYTES)
        if body is None:
            return Response("That is larger than any answer.", status_code=413)
        call = Call(request.headers.get("authorization"), request.method, target_of(request), body)
        try:
            caller = await run_in_threadpool(callers.admit, call)
            said = await run_in_threadpool(done, caller, body)
        except RequestError as error:
            return Response(f"{error.what} {error.do}", status_code=401, media_type="text/plain")
        except PrivacyError as error:
            return Response(error.what, status_code=400, media_type="text/plain")
        return Response(b"{}" if said is None else _json(said), media_type="application/json")

    @app.post(PRIVACY_PATH)
    async def take_answer(request: Request) -> Response:
        return await take(request, lambda caller, body: persons.take_answer(caller.device_id, body))

    @app.post(SHARES_PATH)
    async def take_shares(request: Request) -> Response:
        return await take(request, lambda caller, body: persons.take_shares(caller.device_id, body))

    @app.post(RESTORE_PATH)
    async def answer_restore(request: Request) -> Response:
        return await take(request, lambda caller, body: persons.answer_restore(caller.institution_id, body))


def _json(model: BaseModel) -> bytes:
    return model.model_dump_json().encode()


def target_of(request: Request) -> str:
    """Give path and query of a request as they were sent, which is what its signature covers."""
    path: bytes = request.scope.get("raw_path") or b""
    query: bytes = request.scope.get("query_string") or b""
    return (path + b"?" + query if query else path).decode("latin-1")


async def read_body(request: Request, most_bytes: int) -> bytes | None:
    """Read a request's body; None when it is larger than that."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > most_bytes:
            return None
    return body
