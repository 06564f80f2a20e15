"""``renzheng edge counter``: the clerk's page at a pharmacy's or an outpatient department's counter."""

import logging
import signal
import threading
from pathlib import Path
from typing import Annotated

import typer


def counter(config: Annotated[Path, typer.Option("--config", help="The counter's settings (TOML).")]) -> None:
    """Serve the counter's page until told to stop (SIGTERM, Ctrl-C)."""
    from renzheng.common.supervised import attend
    from renzheng.edge.counter.main import build_counter
    from renzheng.edge.settings import load_settings

    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    logging.getLogger("httpx").setLevel(logging.WARNING)
    agent = build_counter(load_settings(config))
    agent.start()
    print(f"counter page: {agent.url}", flush=True)
    try:
        attend(agent.workers, ended)
    finally:
        agent.stop()
