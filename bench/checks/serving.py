"""Central's web application in a process of its own, so that callers and it have a processor each."""

import multiprocessing
import resource
import sys
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from renzheng.central.metrics import Metrics
from renzheng.central.settings import make_settings
from renzheng.central.store.database import Database
from renzheng.central.web.app import build_app
from renzheng.central.web.server import WebServer
from renzheng.contracts.events import utc_now

END = "end"


@dataclass(frozen=True, slots=True)
class Used:
    """What a process has used: processor seconds, and the most memory in megabytes."""

    processor_seconds: float
    memory_mb: float


def serve(folder: str, told: Connection) -> None:
    """Serve a data folder until told to end; tells its address first."""
    settings = make_settings({"data_dir": folder, "port": 0})
    database = Database(settings.database)
    server = WebServer(build_app(database, settings, utc_now, Metrics()), "127.0.0.1", 0)
    server.start()
    told.send(server.url)
    while told.recv() != END:
        told.send((time.process_time(), _most_memory_mb()))
    server.stop()
    database.close()


def _most_memory_mb() -> float:
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1 << 20 if sys.platform == "darwin" else 1 << 10)


class Serving:
    """A served data folder.

    Args:
        folder: central's data.
    """

    def __init__(self, folder: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self._told, other = context.Pipe()
        self._process = context.Process(target=serve, args=(str(folder), other), daemon=True)
        self._process.start()
        self.url = str(self._told.recv())

    def used(self) -> Used:
        """Return what it has used so far."""
        self._told.send("used")
        return Used(*self._told.recv())

    def end(self) -> None:
        """End it."""
        self._told.send(END)
        self._process.join(30)
