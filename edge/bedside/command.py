"""``renzheng edge bedside``: the inspector's page; ``edge inspector``: who may use it."""

import logging
import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from renzheng.common.words import say

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
    if unit.named_url != unit.url:
        print(say("for passkeys open it as {0}", unit.named_url), flush=True)
    try:
        attend(unit.workers, ended)
    finally:
        unit.stop()


def inspector(
    config: Config,
    number: Annotated[str, typer.Option("--inspector", help="The inspector's number.")],
    passkey: Annotated[
        bool,
        typer.Option("--passkey", help="Print a code for setting up the tablet's passkey; holds 30 minutes."),
    ] = False,
    remove_passkeys: Annotated[
        bool, typer.Option("--remove-passkeys", help="Take the inspector's passkeys away: a tablet is lost.")
    ] = False,
    leaves: Annotated[
        bool, typer.Option("--leaves", help="The inspector may sign in on this unit no more.")
    ] = False,
) -> None:
    """Enter an inspector, or set a new PIN; the PIN is asked for and never shown. Or see to passkeys."""
    from renzheng.edge.bedside.passkey_store import PasskeyStore
    from renzheng.edge.bedside.store import BedsideStore
    from renzheng.edge.device.clock import SystemClock
    from renzheng.edge.device.pins import check_pin
    from renzheng.edge.device.running_time import RunningTime
    from renzheng.edge.device.store.database import Store
    from renzheng.edge.device.store.people import open_people
    from renzheng.edge.settings import load_settings

    asks_pin = not (passkey or remove_passkeys or leaves)
    pin = check_pin(typer.prompt("PIN", hide_input=True, confirmation_prompt=True)) if asks_pin else ""
    device = load_settings(config).device
    store = Store(device.data_dir / "device.sqlite")
    bedside = BedsideStore(store, device.data_dir)
    passkeys = PasskeyStore(store, RunningTime(store, SystemClock()).read_ms)
    if remove_passkeys:
        print(say("passkeys of {0} taken away: {1}", number, passkeys.remove(number)))
    if leaves:
        bedside.remove_inspector(number)
        print(say("inspector {0} may sign in no more", number))
    elif passkey:
        bedside.put_inspector(number)
        print(say("code for a passkey of {0}, within 30 minutes: {1}", number, passkeys.give_code(number)))
    elif asks_pin:
        open_people(store, device).put_witness(number, pin)
        bedside.put_inspector(number)
        print(say("inspector {0} may sign in", number))
    store.close()
