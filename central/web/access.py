"""Who may see console and API.

On loopback without a token: whoever is on this machine. With a token: programs send it as a bearer token,
people type it once and get a cookie derived from it. Nothing here tells one person from another. Wrong tokens
and cookies are answered the later the more there are of them (`guesses`).
"""

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from urllib.parse import parse_qs, quote

from fastapi import Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from renzheng.central.errors import SettingsError
from renzheng.central.web.guesses import LONGEST_WAIT_OF_ALL_SECONDS, Guesses

COOKIE = "renzheng_access"
SHORTEST_TOKEN = 16
FEWEST_CHARACTERS = 8
"""Different ones; with fewer, or in a row of keys, a token of any length is soon guessed."""
OPEN_PATHS = ("/sign-in", "/static/", "/api/v1/health", "/health")
MOST_FORM_BYTES = 4096
Next = Callable[[Request], Awaitable[Response]]


def read_token(path: Path | None) -> str | None:
    """Read the access token.

    Raises:
        SettingsError: the file cannot be read, or the token is too short to be worth anything.
    """
    if path is None:
        return None
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"The access token in {path} cannot be read: {error}.") from error
    if len(token) < SHORTEST_TOKEN:
        raise SettingsError(
            f"The access token in {path} is shorter than {SHORTEST_TOKEN} characters.",
            do="Make one with: openssl rand -hex 24",
        )
    steps = {ord(after) - ord(before) for before, after in pairwise(token)}
    if len(set(token)) < FEWEST_CHARACTERS or len(steps) == 1:
        raise SettingsError(
            f"The access token in {path} is soon guessed: it has too few different characters, or is a row.",
            do="Make one with: openssl rand -hex 24",
        )
    return token


class Gate:
    """Lets in who shows the token; without a token it lets everybody in.

    Args:
        token: the right one.
        guesses: slows down whoever shows wrong ones.
    """

    def __init__(self, token: str | None, guesses: Guesses | None = None) -> None:
        self._token = token
        self._guesses = guesses or Guesses()
        self._cookie = hmac.new((token or "").encode(), b"console", hashlib.sha256).hexdigest()

    async def __call__(self, request: Request, call_next: Next) -> Response:
        """Answer a request, or ask for the token first."""
        if b"%00" in request.scope.get("raw_path", b"") or b"%00" in request.scope.get("query_string", b""):
            return JSONResponse({"error": {"what": "The address holds the character NUL."}}, status_code=400)
        path = request.url.path
        if self._token is None or path.startswith(OPEN_PATHS):
            return await call_next(request)
        if self._knows(request):
            self._guesses.forget(_caller(request))
            return await call_next(request)
        shown = request.headers.get("authorization") or request.cookies.get(COOKIE)
        if shown and not await self._guesses.fail(_caller(request)):
            return too_many()
        answer = self._ask(request)
        answer.delete_cookie(COOKIE)  # or a browser would go on to show that of last year's token
        return answer

    def _ask(self, request: Request) -> Response:
        path = request.url.path
        if path.startswith(("/api/", "/metrics")):
            what = "This API asks for a bearer token."
            return JSONResponse(
                {"error": {"what": what}}, status_code=401, headers={"WWW-Authenticate": "Bearer"}
            )
        wanted = f"{path}?{request.url.query}" if request.url.query else path  # a list is all in its address
        return RedirectResponse(f"/sign-in?next={quote(wanted)}", status_code=303)

    def _knows(self, request: Request) -> bool:
        shown = request.headers.get("authorization", "").removeprefix("Bearer ")
        cookie = request.cookies.get(COOKIE, "")
        return self.is_token(shown) or hmac.compare_digest(cookie.encode(), self._cookie.encode())

    def is_token(self, shown: str) -> bool:
        """Say whether this is the token; takes as long whatever it is."""
        return self._token is not None and hmac.compare_digest(shown.encode(), self._token.encode())

    async def sign_in(self, request: Request) -> Response | None:
        """Take the sign-in form; None when the token in it is not the right one."""
        form = parse_qs((await request.body()).decode("utf-8", "replace"))
        target = form.get("next", ["/"])[0]
        if not self.is_token(form.get("token", [""])[0]):
            return None if await self._guesses.fail(_caller(request)) else too_many()
        self._guesses.forget(_caller(request))
        safe = target if target.startswith("/") and not target.startswith(("//", "/\\")) else "/"
        answer = RedirectResponse(safe, status_code=303)
        answer.set_cookie(
            COOKIE, self._cookie, httponly=True, samesite="strict", secure=request.url.scheme == "https"
        )
        return answer


def too_many() -> Response:
    """Turn a caller away whose wrong token cannot even wait for its answer."""
    what = "Too many wrong tokens are being answered."
    return JSONResponse(
        {"error": {"what": what}},
        status_code=429,
        headers={"Retry-After": str(round(LONGEST_WAIT_OF_ALL_SECONDS))},
    )


def _caller(request: Request) -> str:
    return request.client.host if request.client else "-"
