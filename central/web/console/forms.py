"""Reads the forms of our own pages, and refuses those that another site sends through somebody's browser."""

from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

from fastapi import HTTPException, Request

MOST_FORM_BYTES = 8192


def from_here(request: Request) -> bool:
    """Tell whether a form is of our own pages.

    Browsers say where a form comes from in Sec-Fetch-Site; the Origin of our own pages is `null`, since they
    ask for no referrer.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        return site in ("same-origin", "none")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


async def read_form(request: Request) -> Mapping[str, str]:
    """Read a form's fields, the first value of each.

    Raises:
        HTTPException: 413, it is longer than a form of ours can be.
    """
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_FORM_BYTES:
            raise HTTPException(413)
    return {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
