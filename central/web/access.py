"""Who may see console and API: people by a session, programs by a bearer token.

Until somebody has an account, two older ways stand in: the token of `access_token_file`, which people type
once and get a cookie derived from it; and, on loopback without such a token, being on this machine. From the
first account on that token is a program's bearer token and no more. What does not hold is answered the later
the more there is of it (`guesses`).
"""

import hashlib
import hmac
import logging
import math
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from itertools import pairwise
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import anyio
import sqlalchemy as sa
from anyio import CapacityLimiter
from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, RedirectResponse

from renzheng.central.access.access_log import Access
from renzheng.central.access.ceremonies import LASTS
from renzheng.central.access.sessions import Came
from renzheng.central.access.visitors import BY_SHARED_TOKEN, IN_TROUBLE, ON_THIS_MACHINE, Visitor, Visitors
from renzheng.central.errors import SettingsError
from renzheng.central.store.faults import describe
from renzheng.central.web.guard import MOST_CHARACTERS, READING, Use, address_of, detour
from renzheng.central.web.guesses import LONGEST_WAIT_OF_ALL_SECONDS, Guesses
from renzheng.common.limits import Advising

logger = logging.getLogger(__name__)
COOKIE = "renzheng_access"
SHORTEST_TOKEN = 16
FEWEST_CHARACTERS = 8
"""Different ones; with fewer, or in a row of keys, a token of any length is soon guessed."""
SESSION_COOKIE = "__Host-renzheng"
"""With `Secure`, so over plain HTTP on loopback only browsers take it that trust that address (Chromium,
Firefox); everywhere else the console is behind TLS."""
STEP_COOKIE = "__Host-renzheng-step"
"""What a browser shows between the two steps of a sign-in."""
PAGES_OF_FORMS = frozenset({"/sign-in", "/sign-in/second", "/sign-in/passkey", "/first"})
OPEN_PATHS = PAGES_OF_FORMS | {"/sign-in/provider", "/sign-in/provider/back"} | {"/api/v1/health", "/health"}
OPEN_FOLDER = "/static/"
OF_PROGRAMS = ("/api/", "/nhsa/", "/cds-services")
"""Beginnings of addresses that programs call, and are answered in JSON."""
MOST_NOTING = 64
"""Entries of the access log that wait at the same time for answers on which care waits."""
MOST_FORM_BYTES = 16_384
"""A passkey of a TPM fits."""
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
    """Lets in who is known, and writes down what they read of persons before they see it.

    Args:
        token: the shared one of `access_token_file`.
        guesses: slows down whoever shows what does not hold.
        visitors: knows people and programs by their accounts; without it nobody has one.
        accounts_only: nobody is let in without an account, while there is none either.
        advising: answers, by path, what care waits for and cannot be written down in time.
        advising_seconds: how long that may take.
    """

    def __init__(
        self,
        token: str | None,
        guesses: Guesses | None = None,
        visitors: Visitors | None = None,
        *,
        accounts_only: bool = False,
        advising: Callable[[str], Advising | None] = lambda _: None,
        advising_seconds: float = 1.0,
    ) -> None:
        self._advising, self._advising_seconds = advising, advising_seconds
        self._noting = CapacityLimiter(MOST_NOTING)
        self._accounts_only = accounts_only
        self._token = token
        self._guesses = guesses or Guesses()
        self._visitors = visitors
        self._cookie = hmac.new((token or "").encode(), b"console", hashlib.sha256).hexdigest()

    async def __call__(self, request: Request, call_next: Next) -> Response:
        """Answer a request, or ask for a way to be known first."""
        if b"%00" in request.scope.get("raw_path", b"") or b"%00" in request.scope.get("query_string", b""):
            return JSONResponse({"error": {"what": "The address holds the character NUL."}}, status_code=400)
        path = request.url.path
        if is_open(path):
            if path in PAGES_OF_FORMS:
                request.state.claimed = await self._is_claimed()
            if request.method not in READING and path in PAGES_OF_FORMS and not is_from_here(request):
                return elsewhere()
            return await call_next(request)
        visitor = await self._visitor(request)
        if visitor is not None:
            self._guesses.forget(address_of(request))
            return await self._let_in(visitor, request, call_next)
        shown = request.headers.get("authorization") or request.cookies.get(COOKIE)
        if shown and not await self._guesses.fail(address_of(request)):
            return too_many()
        answer = self._ask(request)
        answer.delete_cookie(COOKIE)  # or a browser would go on to show that of last year's token
        return answer

    async def _let_in(self, visitor: Visitor, request: Request, call_next: Next) -> Response:
        by_a_browser = "authorization" not in request.headers  # no other site's page can send that
        if request.method not in READING and by_a_browser and not is_from_here(request):
            await self._write_forged(visitor, request)
            return elsewhere()
        request.state.visitor = visitor
        answer = await call_next(request)
        use: Use | None = getattr(request.state, "use", None)
        if use is None or self._visitors is None:
            return answer
        refused = answer.status_code == _FORBIDDEN and use.permission not in visitor.permissions
        # a form that is refused changes nothing, and its page may show rows all the same
        came_of_it = "refused" if refused else "shown" if answer.status_code >= _WRONG else None
        written = use.access(request, came_of_it)
        if written is None or (not refused and not _shows(answer.status_code, use)):
            return answer
        advising = self._advising(request.url.path)
        seconds = math.inf if advising is None else self._advising_seconds
        number = 0
        try:
            with anyio.move_on_after(seconds):
                number = await anyio.to_thread.run_sync(
                    self._visitors.note,
                    written,
                    limiter=None if advising is None else self._noting,
                    abandon_on_cancel=advising is not None,
                )
        except sa.exc.SQLAlchemyError as error:
            logger.error("the access log did not take an entry: %s", describe(error))  # noqa: TRY400
            return JSONResponse(advising("error")) if advising else not_written(path=request.url.path)
        if advising is not None and not number:
            return JSONResponse(advising("late"))  # what cannot be written down is not shown
        if use.terms.purpose == "export" or "attachment" in answer.headers.get("Content-Disposition", ""):
            name_entry(answer, number)
        if hasattr(answer, "body_iterator"):
            answer.body_iterator = self._to_the_end(answer.body_iterator, use, request)
        return answer

    async def _write_forged(self, visitor: Visitor, request: Request) -> None:
        """Write down that another site's page sent a form through the browser of somebody who is known."""
        if self._visitors is None:
            return
        what = f"{request.method} {request.url.path}"[:MOST_CHARACTERS]
        told = Access(
            visitor.account_id, visitor.roles, address_of(request), "forged_form", what, "own", "refused"
        )
        try:
            await run_in_threadpool(self._visitors.note, told)
        except sa.exc.SQLAlchemyError as error:  # it is refused all the same
            logger.error("the access log did not take an entry: %s", describe(error))  # noqa: TRY400

    async def _to_the_end(
        self, parts: AsyncIterator[bytes], use: Use, request: Request
    ) -> AsyncIterator[bytes]:
        """Pass an answer on; of whom a part tells beyond what was written before, is written before it.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the log did not take it; the answer breaks off before that part.
        """
        before = set(use.viewer.persons)
        async for part in parts:
            told = use.viewer.persons - before
            if told and self._visitors is not None:
                before |= told
                written = use.access(request, of=told)
                if written is not None:
                    await run_in_threadpool(self._visitors.note, written)
            yield part

    async def _is_claimed(self) -> bool:
        if self._visitors is None or self._accounts_only:
            return self._accounts_only
        return await run_in_threadpool(self._visitors.claimed)

    async def _visitor(self, request: Request) -> Visitor | None:
        """Return who asks; None when they are not known."""
        shown = request.headers.get("authorization", "").removeprefix("Bearer ")
        if shown and self.is_token(shown):
            return BY_SHARED_TOKEN
        if self._visitors is None:
            return BY_SHARED_TOKEN if self._token is None or self._knows_cookie(request) else None
        session = request.cookies.get(SESSION_COOKIE, "")
        try:
            found = None
            if shown:
                return await run_in_threadpool(self._visitors.by_token, shown)
            if session:
                found = await run_in_threadpool(self._visitors.by_session, session)
            if found is None and not await self._is_claimed():
                return ON_THIS_MACHINE if self._token is None else self._by_cookie(request)
        except sa.exc.SQLAlchemyError as error:
            logger.error("nobody can be known by the store: %s", describe(error))  # noqa: TRY400
            return IN_TROUBLE if self._token is None and not self._accounts_only else None
        return found

    def _by_cookie(self, request: Request) -> Visitor | None:
        return BY_SHARED_TOKEN if self._knows_cookie(request) else None

    def _knows_cookie(self, request: Request) -> bool:
        cookie = request.cookies.get(COOKIE, "")
        return self._token is not None and hmac.compare_digest(cookie.encode(), self._cookie.encode())

    def _ask(self, request: Request) -> Response:
        path = request.url.path
        if path.startswith((*OF_PROGRAMS, "/metrics")):
            what = "This API asks for a bearer token."
            return JSONResponse(
                {"error": {"what": what}}, status_code=401, headers={"WWW-Authenticate": "Bearer"}
            )
        wanted = f"{path}?{request.url.query}" if request.url.query else path
        return RedirectResponse(detour("/sign-in", wanted, request), status_code=303)

    @property
    def has_token(self) -> bool:
        """Whether this site has a shared token."""
        return self._token is not None

    def is_token(self, shown: str) -> bool:
        """Say whether this is the token; takes as long whatever it is."""
        return self._token is not None and hmac.compare_digest(shown.encode(), self._token.encode())

    async def sign_in_by_token(self, request: Request) -> Response | None:
        """Take the form with the shared token; None when it does not hold."""
        form = await read_form(request)
        target = own_address(form.get("next", "/"))
        holds = self.is_token(form.get("token", "")) and not await self._is_claimed()
        if not holds:
            return None if await self._guesses.fail(address_of(request)) else too_many()
        self._guesses.forget(address_of(request))
        answer = RedirectResponse(target, status_code=303)
        answer.set_cookie(
            COOKIE, self._cookie, httponly=True, samesite="strict", secure=request.url.scheme == "https"
        )
        return answer


_FORBIDDEN, _NOT_FOUND, _WRONG, _FAILED = 403, 404, 400, 500


def _shows(status: int, use: Use) -> bool:
    """Say whether an answer shows or changes something: a page that names what is wrong may show rows too."""
    if status < _WRONG:
        return True
    return bool(use.viewer.persons) and status != _NOT_FOUND and status < _FAILED


_NAME = re.compile(r'filename="([^"]*?)((?:\.\w+)?)"')


def name_entry(answer: Response, number: int) -> None:
    """Let an export carry the number of its entry in the access log: in its file's name, and as a header."""
    answer.headers["X-Access-Log-Entry"] = str(number)
    named = answer.headers.get("Content-Disposition")
    if named:
        answer.headers["Content-Disposition"] = _NAME.sub(rf'filename="\1-entry-{number}\2"', named)


def is_open(path: str) -> bool:
    """Say whether an address answers whoever is not known."""
    return path in OPEN_PATHS or path.startswith(OPEN_FOLDER)


async def read_form(request: Request) -> Mapping[str, str]:
    """Read a form's fields; of a field that comes again, the first."""
    form = parse_qs((await request.body()).decode("utf-8", "replace"), keep_blank_values=True)
    return {name: values[0] for name, values in form.items()}


def with_session(answer: Response, shown: str) -> Response:
    """Give a browser its session."""
    answer.set_cookie(SESSION_COOKIE, shown, httponly=True, samesite="strict", secure=True, path="/")
    answer.delete_cookie(STEP_COOKIE, path="/", secure=True, httponly=True, samesite="strict")
    return answer


def with_step(answer: Response, step: str) -> Response:
    """Give a browser what it shows until its sign-in is done."""
    answer.set_cookie(
        STEP_COOKIE, step, httponly=True, samesite="strict", secure=True, path="/", max_age=LASTS.seconds
    )
    return answer


def is_from_here(request: Request) -> bool:
    """Say whether a form was sent by a page of ours, and not by another site's through somebody's browser.

    Browsers say where a form comes from in Sec-Fetch-Site; the Origin of our own pages is `null`, since they
    ask for no referrer.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        return site in ("same-origin", "none")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


def elsewhere() -> Response:
    """Refuse what another site's page sends."""
    return JSONResponse({"error": {"what": "This form was sent by another site's page."}}, status_code=403)


def not_written(path: str) -> Response:
    """Show nothing of what was read, since it could not be written down."""
    what = "What you asked for cannot be written into the access log, so it is not shown."
    answer = {
        "error": {"what": what, "do": "Try again in a minute; the administrator sees why at /problems."}
    }
    logger.error("a page of persons was not shown: %s", path.split("/")[1] if "/" in path else "-")
    return JSONResponse(answer, status_code=503)


def too_many() -> Response:
    """Turn a caller away whose wrong token cannot even wait for its answer."""
    what = "Too many wrong tokens are being answered."
    return JSONResponse(
        {"error": {"what": what}},
        status_code=429,
        headers={"Retry-After": str(round(LONGEST_WAIT_OF_ALL_SECONDS))},
    )


def own_address(target: str) -> str:
    """Return where to go on, if that is an address of ours.

    Browsers take a backslash for a slash and leave out control characters, so none of them is taken.
    """
    ours = target.startswith("/") and not target.startswith("//") and "\\" not in target
    return target if ours and target.isprintable() else "/"


def came_from(request: Request) -> Came:
    """Return from where a request comes, with the session that it shows."""
    browser = request.headers.get("user-agent", "")
    return Came(address_of(request), browser, request.cookies.get(SESSION_COOKIE, ""))
