"""What page servers share: scripts, whose pages may call, what pages may load, how errors are answered."""

import logging
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles

from renzheng.contracts.errors import FaultError, RenzhengError
from renzheng.edge.errors import PhotographRefusedError

LOGGER = logging.getLogger(__name__)
SHARED = Path(str(resources.files("renzheng.edge.device") / "page"))
"""Scripts that every page may use, served under ``/shared``."""

Problems = Mapping[type[RenzhengError], tuple[int, str]]
POLICY = (
    "default-src 'self'; object-src 'none'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'self'"
)
_LOCAL_HOSTS = ("127.0.0.1", "localhost", "[::1]")


def serve_page(app: FastAPI, folder: Path) -> None:
    """Serve a page's own files under ``/static``, and those that all pages share under ``/shared``."""
    app.mount("/static", StaticFiles(directory=str(folder)), name="static")
    app.mount("/shared", StaticFiles(directory=str(SHARED)), name="shared")


def is_own(host: str | None, origin: str | None, *, loopback_only: bool = True) -> bool:
    """Whether a call comes from a page of this very address, by its `Host` and `Origin` headers."""
    if loopback_only and (host or "").rsplit(":", 1)[0] not in _LOCAL_HOSTS:
        return False
    return origin is None or urlsplit(origin).netloc == host


def answer_errors(app: FastAPI, problems: Problems) -> None:
    """Answer malformed calls and errors as JSON, with the status and word that `problems` names."""

    async def malformed(_request: Request, error: Exception) -> Response:
        """Name the fields, never the values that were sent."""
        assert isinstance(error, RequestValidationError)
        fields = sorted({".".join(map(str, item["loc"][1:])) or "body" for item in error.errors()})
        LOGGER.info("a call was malformed: %s", ", ".join(fields)[:200])
        return JSONResponse({"problem": "malformed", "fields": fields[:20]}, status_code=422)

    async def named(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RenzhengError)
        fault = (500 if isinstance(error, FaultError) else 400, "fault")
        status, problem = problems.get(type(error), fault)
        LOGGER.info("a call ended as %s: %s", problem, error.what)
        answer = {"problem": problem, "what": error.what, "do": error.do}
        if isinstance(error, PhotographRefusedError):
            answer["reason"] = str(error.attributes.get("reason", ""))
        if "missing" in error.attributes:
            answer["missing"] = str(error.attributes["missing"])
        return JSONResponse(answer, status_code=status)

    app.add_exception_handler(RequestValidationError, malformed)
    app.add_exception_handler(RenzhengError, named)
