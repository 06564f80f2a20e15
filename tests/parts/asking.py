"""Asks a web application in the test's own process, without a socket."""

import asyncio
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from fastapi import FastAPI


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


class Asking:
    """One caller with its cookies.

    Args:
        app: whom it asks.
        token: the bearer token that it shows.
        address: from where it calls.
    """

    def __init__(self, app: FastAPI, token: str = "", address: str = "127.0.0.1") -> None:
        self.app, self.token, self.address = app, token, address
        self.cookies: dict[str, str] = {}

    def get(self, path: str, **headers: str) -> Answer:
        return asyncio.run(self.ask("GET", path, b"", headers))

    def post(self, path: str, form: dict[str, str] | None = None, **headers: str) -> Answer:
        return asyncio.run(self.ask("POST", path, urlencode(form or {}).encode(), headers))

    async def ask(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Answer:
        place = urlsplit(path)
        told = {
            "host": "127.0.0.1",
            **({"content-length": str(len(body))} if method == "POST" else {}),
            **{name.replace("_", "-"): value for name, value in (headers or {}).items()},
        }
        if self.token:
            told["authorization"] = f"Bearer {self.token}"
        if self.cookies:
            told["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        scope = {
            "type": "http", "http_version": "1.1", "method": method, "path": place.path, "scheme": "http",
            "raw_path": place.path.encode(), "query_string": place.query.encode(), "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in told.items()],
            "client": (self.address, 1), "server": ("127.0.0.1", 80), "extensions": {},
        }  # fmt: skip
        waiting, came = [{"type": "http.request", "body": body, "more_body": False}], []

        async def receive():
            if waiting:
                return waiting.pop()
            await asyncio.sleep(3600)
            return {"type": "http.disconnect"}

        async def send(message):
            came.append(message)

        await self.app(scope, receive, send)
        start = next(one for one in came if one["type"] == "http.response.start")
        named = [(name.decode(), value.decode()) for name, value in start["headers"]]
        for name, value in named:
            if name == "set-cookie":
                cookie, _, kept = value.split(";")[0].partition("=")
                self.cookies[cookie] = kept
        parts = [one.get("body", b"") for one in came if one["type"] == "http.response.body"]
        return Answer(start["status"], dict(named), b"".join(parts))
