"""The bedside page's routes: the page itself for anybody, everything else for a signed-in inspector.

Only pages of this very address may call: over plain HTTP the host must be loopback, over HTTPS the site's
certificate speaks for it, and a call that names another origin is refused. The session lies in a cookie that
scripts cannot read and other sites cannot send.
"""

import asyncio
import hashlib
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, JSONResponse

from renzheng.common.limits import BodyLimits, RequestLimits
from renzheng.common.relying_party import RelyingParty
from renzheng.contracts.errors import RenzhengError
from renzheng.contracts.rounds import RoundError
from renzheng.edge.bedside import icons
from renzheng.edge.bedside.calls import (
    LARGEST_BODY_BYTES,
    AnswerCall,
    AnswerShown,
    LookCall,
    NewPasskeyCall,
    OpenCall,
    PasskeyAsked,
    PasskeyCall,
    PasskeyCodeCall,
    PinCall,
    RoundShown,
    SheetShown,
    SignedIn,
)
from renzheng.edge.bedside.errors import (
    NoPasskeysHereError,
    NotDueError,
    NotSignedInError,
    PasskeyNeededError,
    PasskeyRefusedError,
    RoundClosedError,
    TooManyTriesError,
    UnknownCheckError,
)
from renzheng.edge.bedside.inspection import Inspection
from renzheng.edge.bedside.passkeys import party_of
from renzheng.edge.bedside.signing_in import SignedInInspector
from renzheng.edge.device.pages import POLICY, SHARED, answer_errors, is_own, serve_page
from renzheng.edge.errors import (
    BulkRefusedError,
    BulkUnreachableError,
    CallError,
    UnknownLookError,
    UnknownWitnessError,
)
from renzheng.edge.look.routes import add_look_routes
from renzheng.edge.look.showing import LookShown, look_shown
from renzheng.edge.settings import LOOPBACK
from renzheng.models.images import LARGEST_FRAME_BYTES

LOGGER = logging.getLogger(__name__)
PAGE = Path(str(resources.files("renzheng.edge.bedside") / "page"))
COOKIE = "renzheng_bedside"
TABLET_COOKIE = "renzheng_tablet"
"""By it a tablet on which an inspector has signed in is known: strangers' PINs do not close its lane."""
TABLET_SECONDS = 180 * 86_400
LIMITS = BodyLimits(routes={"/api/answers": LARGEST_BODY_BYTES, "/api/looks/": LARGEST_FRAME_BYTES})
_PROBLEMS: dict[type[RenzhengError], tuple[int, str]] = {
    NotSignedInError: (401, "not_signed_in"),
    UnknownWitnessError: (403, "unknown_witness"),
    TooManyTriesError: (429, "too_many_tries"),
    PasskeyRefusedError: (403, "passkey_refused"),
    PasskeyNeededError: (403, "passkey_needed"),
    NoPasskeysHereError: (409, "no_passkeys_here"),
    RoundError: (403, "wrong_code"),
    NotDueError: (409, "not_due"),
    RoundClosedError: (410, "closed"),
    UnknownCheckError: (404, "unknown_check"),
    UnknownLookError: (409, "unknown_look"),
    CallError: (409, "wrong_moment"),
    BulkUnreachableError: (503, "central_away"),
    BulkRefusedError: (503, "central_refused"),
}
_PERMISSIONS = "camera=(self), geolocation=(self), microphone=()"


def build_app(inspection: Inspection, *, secure: bool, health: Callable[[], Mapping[str, Any]]) -> FastAPI:
    """Put the routes together.

    Args:
        inspection: does what the calls ask.
        secure: the page is served over HTTPS.
        health: asked in a worker thread; told to this machine only.
    """
    app = FastAPI(title="renzheng bedside", docs_url=None, redoc_url=None, openapi_url=None)
    app.middleware("http")(_guard(secure=secure))
    app.add_middleware(RequestLimits, limits=LIMITS)
    answer_errors(app, _PROBLEMS)
    serve_page(app, PAGE)
    _add_page(app)
    _add_signing_in(app, inspection, secure=secure)
    _add_passkeys(app, inspection, secure=secure)
    _add_rounds(app, inspection)
    _add_looks(app, inspection)

    async def healthy(request: Request) -> Response:
        if request.client is None or request.client.host not in LOOPBACK:
            return Response(status_code=404)
        found = await asyncio.to_thread(health)
        return JSONResponse(found, status_code=200 if found.get("moving", True) else 503)

    app.get("/health")(healthy)
    return app


def page_files() -> list[str]:
    """The addresses of everything that the page consists of: what its service worker keeps, and no more."""
    own = [f"/static/{name}" for name in _names_in(PAGE) if name not in ("index.html", "worker.js")]
    shared = [f"/shared/{name}" for name in _names_in(SHARED)]
    return ["/", "/manifest.webmanifest", "/icon.svg", "/icon-192.png", *own, *shared]


def _names_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def page_version() -> str:
    """Name the page's contents; another version makes every page fetch them anew."""
    digest = hashlib.sha256()
    for folder in (PAGE, SHARED):
        for name in _names_in(folder):
            digest.update(name.encode() + b"\0" + (folder / name).read_bytes())
    return digest.hexdigest()[:16]


def _add_page(app: FastAPI) -> None:
    worker = (
        (PAGE / "worker.js")
        .read_text(encoding="utf-8")
        .replace("__VERSION__", page_version())
        .replace('["__FILES__"]', json.dumps(page_files()))
    )
    pictures = {side: icons.png(side) for side in (192, 512)}

    async def index() -> FileResponse:
        return FileResponse(PAGE / "index.html")

    async def service_worker() -> Response:
        return Response(worker, media_type="text/javascript")

    async def manifest() -> Response:
        return Response(json.dumps(_MANIFEST, ensure_ascii=False), media_type="application/manifest+json")

    async def drawing() -> Response:
        return Response(icons.SVG, media_type="image/svg+xml")

    async def picture(side: int) -> Response:
        if side not in pictures:
            return Response(status_code=404)
        return Response(pictures[side], media_type="image/png")

    app.get("/")(index)
    app.get("/worker.js")(service_worker)
    app.get("/manifest.webmanifest")(manifest)
    app.get("/icon.svg")(drawing)
    app.get("/icon-{side}.png")(picture)


_MANIFEST = {
    "id": "/",
    "name": "床旁抽查 Bedside checks",
    "short_name": "床旁抽查",
    "lang": "zh-CN",
    "start_url": "/",
    "scope": "/",
    "display": "standalone",
    "orientation": "any",
    "background_color": "#f6f4ef",
    "theme_color": icons.INK,
    "icons": [
        {"src": "/icon.svg", "sizes": "any", "type": "image/svg+xml"},
        {"src": "/icon-192.png", "sizes": "192x192", "type": "image/png", "purpose": "any maskable"},
        {"src": "/icon-512.png", "sizes": "512x512", "type": "image/png", "purpose": "any maskable"},
    ],
}


def _inspector(inspection: Inspection, request: Request) -> SignedInInspector:
    inspector = inspection.sign_ins.inspector(request.cookies.get(COOKIE))
    if inspector is None:
        raise NotSignedInError("Nobody is signed in on this page.", do="Sign in with number and PIN.")
    return inspector


def _keep(response: Response, name: str, token: str, *, secure: bool, seconds: int | None = None) -> None:
    response.set_cookie(
        name, token, max_age=seconds, httponly=True, samesite="strict", secure=secure, path="/api"
    )


def _signed_in(inspection: Inspection, number: str, lists_secret: str | None = None) -> SignedIn:
    reading = inspection.clock.read()
    return SignedIn(
        inspector_id=number,
        lists_secret=lists_secret,
        idle_seconds=inspection.idle_seconds,
        device_ms=reading.wall.timestamp() * 1000,
        clock_trusted=reading.trusted,
    )


def _caller(request: Request) -> str:
    return request.client.host if request.client else ""


def _add_signing_in(app: FastAPI, inspection: Inspection, *, secure: bool) -> None:
    async def sign_in(call: PinCall, request: Request, response: Response) -> SignedIn:
        token, tablet = await asyncio.to_thread(
            inspection.sign_ins.sign_in,
            call.number,
            call.pin.get_secret_value(),
            caller=_caller(request),
            tablet=request.cookies.get(TABLET_COOKIE),
        )
        inspection.sign_ins.sign_out(request.cookies.get(COOKIE, ""))
        _keep(response, COOKIE, token, secure=secure)
        if tablet is not None:
            _keep(response, TABLET_COOKIE, tablet, secure=secure, seconds=TABLET_SECONDS)
        return _signed_in(inspection, call.number)

    async def sign_out(request: Request, response: Response) -> dict[str, bool]:
        inspection.sign_ins.sign_out(request.cookies.get(COOKIE, ""))
        response.delete_cookie(COOKIE, path="/api")
        return {"signed_out": True}

    async def witness(call: PinCall, request: Request) -> dict[str, bool]:
        beside = _inspector(inspection, request)
        await asyncio.to_thread(
            inspection.sign_ins.witness, call.number, call.pin.get_secret_value(), beside=beside.inspector_id
        )
        return {"known": True}

    app.post("/api/sign-in")(sign_in)
    app.post("/api/sign-out")(sign_out)
    app.post("/api/witness")(witness)


def _add_passkeys(app: FastAPI, inspection: Inspection, *, secure: bool) -> None:
    sign_ins, passkeys = inspection.sign_ins, inspection.sign_ins.passkeys

    def party(request: Request) -> RelyingParty:
        return party_of(f"http{'s' * secure}://{request.headers['host']}")

    async def begin_new(call: PasskeyCodeCall, request: Request) -> PasskeyAsked:
        asked = await asyncio.to_thread(
            passkeys.ask_new, call.number, call.code, party(request), _caller(request)
        )
        return PasskeyAsked(ceremony=asked.ceremony, options=asked.options)

    async def register(call: NewPasskeyCall) -> dict[str, bool]:
        at = inspection.clock.read().wall
        await asyncio.to_thread(passkeys.register, call.ceremony, call.credential, at)
        return {"registered": True}

    async def ask(request: Request) -> PasskeyAsked:
        asked = await asyncio.to_thread(passkeys.ask, party(request), _caller(request))
        return PasskeyAsked(ceremony=asked.ceremony, options=asked.options)

    async def sign_in(call: PasskeyCall, request: Request, response: Response) -> SignedIn:
        token, secret = await asyncio.to_thread(
            sign_ins.sign_in_by_passkey, call.number, call.ceremony, call.credential
        )
        sign_ins.sign_out(request.cookies.get(COOKIE, ""))
        _keep(response, COOKIE, token, secure=secure)
        return _signed_in(inspection, call.number, secret)

    app.post("/api/passkeys/new")(begin_new)
    app.post("/api/passkeys")(register)
    app.post("/api/passkeys/ask")(ask)
    app.post("/api/sign-in/passkey")(sign_in)


def _add_rounds(app: FastAPI, inspection: Inspection) -> None:
    async def rounds(request: Request) -> list[RoundShown]:
        _inspector(inspection, request)
        return await asyncio.to_thread(inspection.rounds.listed)

    async def fetch(request: Request) -> list[RoundShown]:
        _inspector(inspection, request)
        return await asyncio.to_thread(inspection.rounds.fetched)

    async def open_sheet(sheet_id: str, call: OpenCall, request: Request) -> SheetShown:
        _inspector(inspection, request)
        return await asyncio.to_thread(inspection.rounds.open, sheet_id, call.code)

    async def answer(call: AnswerCall, request: Request) -> AnswerShown:
        inspector = _inspector(inspection, request)
        return await asyncio.to_thread(inspection.answers.take, call, inspector)

    app.get("/api/rounds")(rounds)
    app.post("/api/rounds/fetch")(fetch)
    app.post("/api/sheets/{sheet_id}/open")(open_sheet)
    app.post("/api/answers")(answer)


def _add_looks(app: FastAPI, inspection: Inspection) -> None:
    begin_look = inspection.patient_looks.begin

    async def begin(call: LookCall, request: Request) -> LookShown:
        _inspector(inspection, request)
        return look_shown(await asyncio.to_thread(begin_look, call.sheet_id, call.check_id))

    app.post("/api/looks")(begin)
    add_look_routes(app, inspection.looks, partial(_inspector, inspection))


Next = Callable[[Request], Awaitable[Response]]


def _guard(*, secure: bool) -> Callable[[Request, Next], Awaitable[Response]]:
    async def guard(request: Request, go_on: Next) -> Response:
        host, origin = request.headers.get("host"), request.headers.get("origin")
        if not is_own(host, origin, loopback_only=not secure):
            return JSONResponse({"problem": "foreign_page"}, status_code=403)
        length = request.headers.get("content-length")
        if request.method == "POST" and (length is None or not length.isdigit()):
            return JSONResponse({"problem": "malformed"}, status_code=411)
        response = await go_on(request)
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["Permissions-Policy"] = _PERMISSIONS
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cache-Control"] = "no-store"
        return response

    return guard
