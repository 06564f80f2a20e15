"""Who may use a page of this machine: the browser that was started with the one-time secret in its address.

The agent writes the address where the page's own account reads it and nobody else. The first call with the
secret gets a cookie and uses it up; the next browser is started with the next one. Whoever looks at the
browser's arguments afterwards learns nothing; whoever was faster is found out, because the screen stays dark.
"""

import hmac
import os
import secrets
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from urllib.parse import urlencode

from fastapi import Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse

from renzheng.common.files import write_whole
from renzheng.edge.device.pages import POLICY, is_own

PARAMETER = "start"
FILE = "address"
BROWSERS = 4
"""Browsers that are let in at once: the kiosk's own, and one for enrolment; the oldest goes."""
OF_THE_MACHINE = ("/health", "/metrics")
"""What a probe of this machine may ask; they name nobody."""
Next = Callable[[Request], Awaitable[Response]]


class StartAddress:
    """Makes start addresses, and knows the browsers that came by one.

    Args:
        path: where the address is written; None lets in every page of this machine.
        cookie: by what name a browser keeps that it came by one.
    """

    def __init__(self, path: Path | None, cookie: str = "renzheng_kiosk") -> None:
        self._path = path
        self.cookie = cookie
        self._url = ""
        self._secret = ""
        self._browsers: deque[str] = deque(maxlen=BROWSERS)
        self._lock = threading.Lock()

    @property
    def required(self) -> bool:
        """Whether a browser must have come by the start address."""
        return self._path is not None

    def open(self, url: str) -> None:
        """Begin: write the first address of the page at `url`."""
        self._url = url
        with self._lock:
            self._renew()

    def redeem(self, shown: str) -> str | None:
        """Use the secret up; returns the browser's cookie, None when it is not the one."""
        with self._lock:
            if not self._secret or not hmac.compare_digest(shown.encode(), self._secret.encode()):
                return None
            cookie = secrets.token_urlsafe(32)
            self._browsers.append(cookie)
            self._renew()
            return cookie

    def knows(self, cookie: str | None) -> bool:
        """Whether this browser came by a start address."""
        if not self.required:
            return True
        with self._lock:
            known = list(self._browsers)
        return cookie is not None and any(hmac.compare_digest(cookie.encode(), one.encode()) for one in known)

    def _renew(self) -> None:
        if self._path is None:
            return
        self._secret = secrets.token_urlsafe(32)
        address = f"{self._url}?{urlencode({PARAMETER: self._secret})}\n"
        write_whole(self._path, address.encode(), mode=0o640)  # the kiosk's account reads it by its group


def default_file(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Return the file in the service's own folder under /run, as `renzheng-edge.service` has one."""
    folder = environment.get("RUNTIME_DIRECTORY", "").split(":")[0]
    return Path(folder) / FILE if folder else None


def only_own_pages(start: StartAddress, not_started: str) -> Callable[[Request, Next], Awaitable[Response]]:
    """Return the middleware that lets in pages of this machine that came by a start address.

    Args:
        start: knows the browsers.
        not_started: what any other browser is told at the page's address.
    """

    async def guard(request: Request, go_on: Next) -> Response:
        if not is_own(request.headers.get("host"), request.headers.get("origin")):
            return JSONResponse({"problem": "foreign_page"}, status_code=403)
        response = await _known(request, go_on)
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cache-Control"] = "no-store"
        return response

    async def _known(request: Request, go_on: Next) -> Response:
        shown = request.query_params.get(PARAMETER)
        cookie = start.redeem(shown) if shown is not None and request.url.path == "/" else None
        if cookie is not None:
            answer = RedirectResponse("/", status_code=303)
            answer.set_cookie(start.cookie, cookie, httponly=True, samesite="strict")
            return answer
        if start.knows(request.cookies.get(start.cookie)) or request.url.path in OF_THE_MACHINE:
            return await go_on(request)
        if request.url.path == "/":
            return PlainTextResponse(not_started, status_code=403)
        return JSONResponse({"problem": "not_started_here"}, status_code=403)

    return guard
