"""``renzheng edge machine``: sign a treatment machine's own log."""

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer


def machine(config: Annotated[Path, typer.Option("--config", help="The gateway's settings (TOML).")]) -> None:
    """Sign the runs that a machine's log file tells until told to stop (SIGTERM, Ctrl-C)."""
    from renzheng.common.supervised import attend
    from renzheng.edge.machine.main import build_gateway
    from renzheng.edge.settings import load_settings

    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    gateway = build_gateway(load_settings(config))
    gateway.start()
    print(f"reading {gateway.settings.machine.path}", flush=True)
    try:
        attend(gateway.workers, ended)
    finally:
        gateway.stop()
