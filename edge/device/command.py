"""`renzheng device join | rotate-key | log verify`: the device's side; central's lies with central."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True)
log_app = typer.Typer(no_args_is_help=True, help="The device's own log.")
app.add_typer(log_app, name="log")

Config = Annotated[Path, typer.Option("--config", help="The agent's settings (TOML).")]


@app.command()
def join(
    central: Annotated[str, typer.Option(help="Address of central's door: https://central.example:8443")],
    code: Annotated[
        str | None, typer.Argument(help="The one-time code; asked for when it is not given.")
    ] = None,
    config: Config = Path("edge.toml"),
    data_dir: Annotated[Path, typer.Option(help="Where keys and store will lie.")] = Path("data"),
    again: Annotated[
        bool,
        typer.Option(
            "--again",
            help="This device has joined before: close its log and go on behind what central holds. The"
            " agent must not run.",
        ),
    ] = False,
) -> None:
    """Let this machine join a site with the code that `renzheng device provision` showed."""
    from renzheng.contracts.provisioning import JoinCode
    from renzheng.edge.device.joining import join as join_site
    from renzheng.edge.device.link.uplink import SOFTWARE

    typed = code or typer.prompt("Code")
    joined = join_site(JoinCode(typed), central, config, data_dir, SOFTWARE, again=again)
    print(f"joined as {joined.answer.device_id} of {joined.answer.institution_id}")
    if joined.closed is not None:
        closed = joined.closed
        print(f"the log was closed at entry {closed.head.sequence}; {closed.carried} entries carried over")
        if closed.unreadable:
            print(f"{closed.unreadable} entries cannot be read any more and were not carried over")
    print(f"settings: {config}; now run: renzheng edge run --config {config}")


@app.command("rotate-key")
def rotate_key(config: Config = Path("edge.toml")) -> None:
    """Change the device's signing key; the agent may run meanwhile."""
    from renzheng.edge.device.clock import SystemClock
    from renzheng.edge.device.keyring import Keyring
    from renzheng.edge.device.log import DeviceLog
    from renzheng.edge.device.store.database import Store
    from renzheng.edge.settings import load_settings

    device = load_settings(config).device
    store = Store(device.data_dir / "device.sqlite")
    keyring = Keyring(store, device.data_dir)
    head = keyring.rotate(
        DeviceLog(store, device.device_id), institution_id=device.institution_id, clock=SystemClock()
    )
    store.close()
    print(f"{device.device_id} signs with a new key from entry {head.sequence + 1} on")


@log_app.command("verify")
def verify(config: Config = Path("edge.toml")) -> None:
    """Check this device's own log: the file's structure, every entry, every hash, every change of key."""
    from renzheng.edge.device.checking import check_file
    from renzheng.edge.settings import load_settings

    device = load_settings(config).device
    found = check_file(device.data_dir / "device.sqlite", device.device_id)
    first, last = found.base.sequence + 1, found.head.sequence
    print(f"{device.device_id}: entries {first} to {last} hold; head {found.head.hash}")
    print(f"{found.waiting} wait for central")
