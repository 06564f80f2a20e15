"""A console over a store that holds verdicts and findings, in the test's own process."""

import contextlib
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from parts import stores

from renzheng.bench.pages.store import Size, fill
from renzheng.central.main import make_signing_key
from renzheng.central.metrics import Metrics
from renzheng.central.settings import Settings, make_settings
from renzheng.central.store.database import Database
from renzheng.central.web.app import build_app
from renzheng.central.web.server import WebServer
from renzheng.contracts.events import utc_now


class Console:
    """A served console."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.settings, self.database = settings, database
        self.server = WebServer(build_app(database, settings, utc_now, Metrics()), "127.0.0.1", 0)

    @property
    def url(self) -> str:
        return self.server.url

    def get(self, path: str, **headers: str) -> tuple[int, str]:
        """Read a page; what it redirects to is read too."""
        status, content, _ = self.ask(path, headers=headers)
        return status, content.decode("utf-8", "replace")

    def ask(
        self, path: str, form: dict[str, str] | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes, str]:
        """Read a page or send a form; return status, content and the address it came from in the end."""
        body = urllib.parse.urlencode(form).encode() if form is not None else None
        request = urllib.request.Request(self.url + path, data=body, headers=headers or {})
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, answer.read(), answer.url.removeprefix(self.url)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read(), error.url.removeprefix(self.url)


@contextlib.contextmanager
def listed_console(folder: Path, size: Size, **told: object) -> Iterator[Console]:
    """Serve a console over a store of a given size."""
    settings = make_settings({"data_dir": str(folder), "port": 0, **told})
    make_signing_key(settings.key_file)
    stores.lay(settings.database)
    database = Database(settings.database)
    fill(database, settings.runs_dir, size)
    console = Console(settings, database)
    console.server.start()
    try:
        yield console
    finally:
        console.server.stop()
        database.close()
