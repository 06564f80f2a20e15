"""The agent's own web pages on loopback: kiosk, enrolment, health.

The page sends frames and hears screens over one WebSocket; what a person does goes through small JSON calls.
Only pages of this very address may call (host and origin are checked), so that another page open on the same
machine cannot sign anybody in.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from importlib import resources
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import (
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    StreamingResponse,
)

from renzheng.common.limits import BodyLimits, RequestLimits
from renzheng.common.metrics import CONTENT_TYPE
from renzheng.contracts.errors import RenzhengError
from renzheng.edge.device.pages import answer_errors, is_own, serve_page
from renzheng.edge.device.pins import TriedTooOftenError
from renzheng.edge.device.starting import StartAddress, only_own_pages
from renzheng.edge.errors import (
    CallError,
    GuardianNeededError,
    NetworkIdentityRefusedError,
    NetworkIdentityUnreachedError,
    PhotographRefusedError,
    UnknownPersonError,
    UnknownWitnessError,
)
from renzheng.edge.kiosk import session
from renzheng.edge.kiosk.camera import OwnCamera
from renzheng.edge.kiosk.display import Display
from renzheng.edge.kiosk.enrolling import Enrolling
from renzheng.edge.kiosk.frames import Frames
from renzheng.edge.kiosk.kiosk import Kiosk
from renzheng.edge.kiosk.screen import (
    AbilitiesCall,
    CameraCall,
    ConsentCall,
    EnrolCall,
    IdentifyCall,
    LatencyCall,
    NetworkIdentityCall,
    OtherWayCall,
    PaintedCall,
    Screen,
    WitnessCall,
)
from renzheng.edge.kiosk.voices import MEDIA_TYPES, Voices
from renzheng.edge.look.watcher import now_ms
from renzheng.models.images import LARGEST_FRAME_BYTES

LOGGER = logging.getLogger(__name__)
PAGE = Path(str(resources.files("renzheng.edge.kiosk") / "page"))
_PREVIEW_EVERY_S = 0.04
_NOT_STARTED = (
    "此页面只能由本机签到程序打开。请重新启动签到屏幕。\n"
    "This page opens only as the kiosk was started. Start the kiosk's screen again.\n"
)
LIMITS = BodyLimits(routes={"/enrol/frame": LARGEST_FRAME_BYTES})
_PROBLEMS: dict[type[RenzhengError], tuple[int, str]] = {
    UnknownPersonError: (404, "unknown_person"),
    UnknownWitnessError: (403, "unknown_witness"),
    TriedTooOftenError: (403, "unknown_witness"),
    PhotographRefusedError: (422, "photograph_refused"),
    CallError: (409, "wrong_moment"),
    NetworkIdentityRefusedError: (403, "network_identity_not_shown"),
    NetworkIdentityUnreachedError: (503, "network_identity_unreached"),
    GuardianNeededError: (409, "guardian_needed"),
}


def build_app(
    kiosk: Kiosk,
    enrolling: Enrolling,
    voices: Voices,
    own_camera: OwnCamera | None,
    start: StartAddress,
    *,
    health: Callable[[], Mapping[str, Any]],
    metrics: Callable[[], str],
) -> FastAPI:
    """Put the routes together; `health` and `metrics` are asked in a worker thread."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        running = asyncio.ensure_future(kiosk.run())
        yield
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    app = FastAPI(title="renzheng kiosk", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.middleware("http")(only_own_pages(start, _NOT_STARTED))
    app.add_middleware(RequestLimits, limits=LIMITS)
    answer_errors(app, _PROBLEMS)
    serve_page(app, PAGE)
    _add_pages(app)
    _add_calls(app, kiosk)
    _add_liveness(app, kiosk)
    _add_reports(app, kiosk, voices)
    if own_camera is not None:
        _add_preview(app, lambda: kiosk.frames.wanted or enrolling.under_way, own_camera)
    _add_voices(app, voices)
    _add_health(app, health, metrics)
    _add_enrolment(app, enrolling, own_camera)
    app.add_api_websocket_route("/kiosk/socket", _socket_of(kiosk, start))
    return app


def _add_pages(app: FastAPI) -> None:
    async def kiosk() -> FileResponse:
        return FileResponse(PAGE / "index.html")

    async def enrol() -> FileResponse:
        return FileResponse(PAGE / "enrol.html")

    app.get("/")(kiosk)
    app.get("/enrol")(enrol)


def _add_calls(app: FastAPI, kiosk: Kiosk) -> None:
    controller, screen = kiosk.controller, kiosk.display.screen

    async def identify(call: IdentifyCall) -> Screen:
        await controller.must_take(await asyncio.to_thread(kiosk.visitors.named, call))
        return screen()

    async def consent(call: ConsentCall) -> Screen:
        await controller.must_take(session.ConsentAnswered(call.given))
        return screen()

    async def witness(call: WitnessCall) -> Screen:
        await controller.must_take(await kiosk.witnesses.vouch(call))
        return screen()

    async def network_identity(call: NetworkIdentityCall) -> Screen:
        code = call.code.get_secret_value()
        await controller.must_take(await asyncio.to_thread(kiosk.visitors.by_network_identity, code))
        return screen()

    async def other_way(call: OtherWayCall) -> Screen:
        await controller.must_take(session.OtherWayAsked(session.Cause(call.cause)))
        return screen()

    def simple(happened: session.Input) -> Callable[[], Awaitable[Screen]]:
        async def endpoint() -> Screen:
            await controller.must_take(happened)
            return screen()

        return endpoint

    async def camera(call: CameraCall) -> Screen:
        kiosk.lens.report(call)
        return screen()

    async def awake() -> Screen:
        controller.stir()
        return screen()

    app.post("/kiosk/identify")(identify)
    app.post("/kiosk/scan")(simple(session.ScanAsked()))
    app.post("/kiosk/awake")(awake)
    app.post("/kiosk/consent")(consent)
    app.post("/kiosk/witness")(witness)
    app.post("/kiosk/network-identity")(network_identity)
    app.post("/kiosk/go-on")(simple(session.GoOn()))
    app.post("/kiosk/other-way")(other_way)
    app.post("/kiosk/more-time")(simple(session.MoreTime()))
    app.post("/kiosk/cancel")(simple(session.Cancelled()))
    app.post("/kiosk/camera")(camera)


def _add_liveness(app: FastAPI, kiosk: Kiosk) -> None:
    async def painted(call: PaintedCall) -> dict[str, bool]:
        kiosk.looks.painted(call)
        return {"kept": True}

    async def abilities(call: AbilitiesCall) -> dict[str, bool]:
        await kiosk.witnesses.keep_abilities(call)
        return {"kept": True}

    app.post("/kiosk/painted")(painted)
    app.post("/kiosk/abilities")(abilities)


def _add_reports(app: FastAPI, kiosk: Kiosk, voices: Voices) -> None:
    async def roster() -> list[dict[str, str]]:
        listed = await asyncio.to_thread(kiosk.visitors.roster)
        return [
            {
                "person_id": one.patient.person_id,
                "surname": one.patient.surname,
                "masked_number": one.patient.masked_number,
                "group": one.group.value,
            }
            for one in listed
        ]

    async def state() -> Screen:
        return kiosk.display.screen()

    async def settings() -> dict[str, Any]:
        set_ = kiosk.settings.kiosk
        return {
            "frames_per_second": set_.frames_per_second,
            "notice_version": set_.notice_version,
            "identifiers": [identifier.value for identifier in session.WITNESSED_IDENTIFIERS],
            "causes": [cause.value for cause in session.WITNESSED_CAUSES],
            "network_identity": kiosk.visitors.network_identity is not None,
            "languages": voices.languages,
            "voices": voices.keys(),
            "sound": set_.sound,
            "comfort": set_.comfort,
            "switch_seconds": set_.switch_seconds,
            "camera": "browser" if kiosk.settings.camera.source == "browser" else "agent",
            "wake_on_motion": set_.wake_on_motion,
        }

    async def latencies() -> list[dict[str, Any]]:
        return [
            {
                "event_id": kept.event_id,
                "person_id": kept.person_id,
                "intent": kept.intent,
                "milliseconds": kept.milliseconds,
            }
            for kept in kiosk.latencies.reports
        ]

    async def keep_latency(call: LatencyCall) -> dict[str, bool]:
        kiosk.latencies.keep(call)
        return {"kept": True}

    app.get("/kiosk/roster")(roster)
    app.get("/kiosk/state")(state)
    app.get("/kiosk/settings")(settings)
    app.get("/kiosk/latencies")(latencies)
    app.post("/kiosk/latencies")(keep_latency)


def _add_voices(app: FastAPI, voices: Voices) -> None:
    async def clip(language: str, key: str) -> Response:
        path = voices.find(language, key)
        if path is None:
            return JSONResponse({"problem": "no_clip"}, status_code=404)
        return FileResponse(str(path), media_type=MEDIA_TYPES[path.suffix.lower()])

    app.get("/voices/{language}/{key}", response_model=None)(clip)


def _add_preview(app: FastAPI, wanted: Callable[[], bool], camera: OwnCamera) -> None:
    """The agent's own camera as a moving picture (multipart JPEG), while somebody is to see themselves."""

    async def frames() -> AsyncIterator[bytes]:
        last: bytes | None = None
        while wanted():
            newest = camera.newest
            if newest is not None and newest is not last:
                last = newest
                yield b"--frame\r\nContent-Type: image/jpeg\r\n\r\n" + newest + b"\r\n"
            await asyncio.sleep(_PREVIEW_EVERY_S)

    async def preview() -> StreamingResponse:
        return StreamingResponse(frames(), media_type="multipart/x-mixed-replace; boundary=frame")

    app.get("/kiosk/preview")(preview)


def _add_health(app: FastAPI, health: Callable[[], Mapping[str, Any]], metrics: Callable[[], str]) -> None:
    async def healthy() -> JSONResponse:
        found = await asyncio.to_thread(health)
        return JSONResponse(found, status_code=200 if found.get("moving", True) else 503)

    async def measured() -> PlainTextResponse:
        return PlainTextResponse(await asyncio.to_thread(metrics), media_type=CONTENT_TYPE)

    app.get("/health")(healthy)
    app.get("/metrics")(measured)


def _add_enrolment(app: FastAPI, enrolling: Enrolling, own_camera: OwnCamera | None) -> None:
    async def begin(call: EnrolCall) -> dict[str, Any]:
        return await enrolling.begin(call)

    async def frame(request: Request) -> dict[str, Any]:
        body = await request.body()
        if not body and own_camera is not None:
            body = own_camera.newest or b""
        return await enrolling.take(body)

    app.post("/enrol/begin")(begin)
    app.post("/enrol/frame")(frame)


def _socket_of(kiosk: Kiosk, start: StartAddress) -> Callable[[WebSocket], Awaitable[None]]:
    async def socket(websocket: WebSocket) -> None:
        host, origin = websocket.headers.get("host"), websocket.headers.get("origin")
        known = start.knows(websocket.cookies.get(start.cookie))
        if origin is None or not is_own(host, origin) or not known:  # every browser names the page's origin
            await websocket.close(code=1008)
            return
        await websocket.accept()
        changed = kiosk.pages.add(websocket, now_ms())
        kiosk.controller.stir()
        telling = asyncio.ensure_future(_tell(websocket, kiosk.display, changed))
        try:
            await _hear(websocket, kiosk.frames)
        except WebSocketDisconnect:
            pass
        finally:
            kiosk.pages.remove(websocket)
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)

    return socket


async def _hear(websocket: WebSocket, frames: Frames) -> None:
    """Count the binary messages: a frame's number is its place among them, from 1."""
    number = 0
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            return
        if message.get("bytes") is not None:
            number += 1
            frames.show(number, message["bytes"])


async def _tell(websocket: WebSocket, display: Display, changed: asyncio.Event) -> None:
    """Send the newest screen; what changed while one was being sent is sent once."""
    while True:
        changed.clear()
        await websocket.send_text(display.screen().model_dump_json())
        await changed.wait()
