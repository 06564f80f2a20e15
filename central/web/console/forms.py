"""Reads the forms of our own pages."""

from collections.abc import Mapping
from urllib.parse import parse_qs

from fastapi import HTTPException, Request

MOST_FORM_BYTES = 8192


async def read_fields(request: Request) -> Mapping[str, str]:
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
