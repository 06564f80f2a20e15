"""``renzheng edge bedside``: the inspector's page; ``edge inspector``: who may use it."""

import logging
import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[Path, typer.Option("--config", help="The unit's settings (TOML).")]


def bedside(
    config: Config,
    sheet: Annotated[
        list[Path] | None,
        typer.Option("--sheet", help="A sealed sheet (JSON) brought as a file.", exists=True, dir_okay=False),
    ] = None,
) -> None:
    """Serve the inspector's bedside page until told to stop (SIGTERM, Ctrl-C)."""
    from renzheng.common.supervised import attend
    from renzheng.edge.bedside.main import build_unit
    from renzheng.edge.bedside.sheets import read_sheet
    from renzheng.edge.settings import load_settings

    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    logging.getLogger("httpx").setLevel(logging.WARNING)
    unit = build_unit(load_settings(config))
    for path in sheet or []:
        unit.fetcher.keep(read_sheet(path))
    unit.start()
    print(f"bedside page: {unit.url}", flush=True)
    try:
        attend(unit.workers, ended)
    finally:
        unit.stop()


def inspector(
    config: Config,
    number: Annotated[str, typer.Option("--inspector", help="The inspector's number.")],
) -> None:
    """Enter an inspector, or set a new PIN; the PIN is asked for and never shown."""
    from renzheng.edge.bedside.store import BedsideStore
    from renzheng.edge.device.pins import check_pin
    from renzheng.edge.device.store.database import Store
    from renzheng.edge.device.store.people import open_people
    from renzheng.edge.settings import load_settings

    pin = check_pin(typer.prompt("PIN", hide_input=True, confirmation_prompt=True))
    device = load_settings(config).device
    store = Store(device.data_dir / "device.sqlite")
    open_people(store, device).put_witness(number, pin)
    BedsideStore(store, device.data_dir).put_inspector(number)
    store.close()
    print(f"inspector {number} may sign in")
