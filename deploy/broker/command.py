"""``renzheng central broker-config`` and ``broker``: the site's broker, Mosquitto's or the embedded one.

Both take their certificates from the site's folder, and the list of revoked devices from central's store.
"""

import logging
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from renzheng.common.terminal import Terminal
from renzheng.common.words import say

if TYPE_CHECKING:
    from renzheng.central.settings import Settings
    from renzheng.central.store.database import Database
    from renzheng.deploy.broker.embedded import Tls

app = typer.Typer(no_args_is_help=True)
Config = Annotated[Path, typer.Option("--config", help="Central's configuration file.")]
CONFIG = Path("central.toml")
UNIT = "renzheng-limits.conf"
"""A drop-in for Mosquitto's unit."""
LOOK_EVERY_SECONDS = 1.0
"""How soon the embedded broker knows of a revocation."""


@app.command("broker-config")
def broker_config(
    out: Annotated[Path, typer.Option(help="Folder for renzheng.conf, renzheng.acl and renzheng.crl.")],
    config: Config = CONFIG,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "0.0.0.0",  # noqa: S104 - see MosquittoSite
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8883,
) -> None:
    """Write Mosquitto's configuration, once, and the lists that central keeps up to date from then on."""
    from renzheng.central.settings import read_settings
    from renzheng.central.site.revocation import ACL, CRL, keep_lists
    from renzheng.central.site.setup import certify_consumer
    from renzheng.contracts.events import utc_now
    from renzheng.deploy.broker.mosquitto import MosquittoSite, limits_for, render_config, render_unit

    settings = read_settings(config)
    tls = _tls(settings)
    for shard in settings.shards:  # central makes them at its start; the ACL names them before
        certify_consumer(settings.site_dir, shard, utc_now())
    database = _open(settings)
    keep_lists(database, settings.site_dir, out, utc_now())
    limits = limits_for(_in_use(database))
    _note_size(database, limits.devices)
    site = MosquittoSite(tls, (out / ACL).resolve(), (out / CRL).resolve(), host, port, limits=limits)
    (out / UNIT).write_text(render_unit(limits), encoding="utf-8")
    (out / "renzheng.conf").write_text(render_config(site), encoding="utf-8")
    (out / "renzheng.conf").chmod(0o644)  # no secret in it, and Mosquitto reads it under its own account
    console = Terminal()
    console.print(say("wrote renzheng.conf, {0}, {1} and {2} in {3}", UNIT, ACL, CRL, out))
    console.print(say("sized for {0} devices; the page /problems tells when there are more", limits.devices))
    console.print(
        say(
            "install: link renzheng.conf into /etc/mosquitto/conf.d, copy {0} to "
            "/etc/systemd/system/mosquitto.service.d/renzheng.conf, then systemctl daemon-reload and "
            "systemctl restart mosquitto",
            UNIT,
        ),
    )
    console.print(
        say("central keeps the lists in {0}; see deploy/systemd/renzheng-broker.path", settings.lists_dir)
    )


@app.command("broker")
def broker(
    config: Config = CONFIG,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8883,
) -> None:
    """Run the embedded broker with the site's certificates, for a site without a broker of its own."""
    from sqlalchemy.exc import SQLAlchemyError

    from renzheng.central.settings import read_settings
    from renzheng.common.supervised import Worker, Workers, attend
    from renzheng.deploy.broker.access import Access
    from renzheng.deploy.broker.embedded import EmbeddedBroker

    logging.getLogger("transitions").setLevel(logging.WARNING)
    settings = read_settings(config)
    database = _open(settings)
    access = Access(revoked=_revoked(database))
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())

    def look() -> None:
        access.revoked |= _revoked(database)

    looking = Worker("revocations", look, every_seconds=LOOK_EVERY_SECONDS, expected=(SQLAlchemyError,))
    with EmbeddedBroker(port, access, _tls(settings), host) as broker:
        looking.start()
        Terminal().print(f"broker  {host}:{port}")
        attend(Workers([looking, broker.worker]), ended)


def _open(settings: "Settings") -> "Database":
    from renzheng.central.store.database import Database

    database = Database(settings.database)
    database.migrate()
    return database


def _revoked(database: "Database") -> set[str]:
    import sqlalchemy as sa

    from renzheng.central.store import schema

    table = schema.devices
    with database.reading() as connection:
        found = connection.execute(sa.select(table.c.device_id).where(table.c.revoked_at.is_not(None)))
        return set(found.scalars())


def _in_use(database: "Database") -> int:
    """Count the devices that may connect."""
    import sqlalchemy as sa

    from renzheng.central.store import schema

    table = schema.devices
    query = sa.select(sa.func.count()).select_from(table).where(table.c.revoked_at.is_(None))
    with database.reading() as connection:
        return int(connection.execute(query).scalar_one())


def _note_size(database: "Database", devices: int) -> None:
    """Let central tell when there are more devices than the files are made for."""
    import sqlalchemy as sa

    from renzheng.central.store import schema
    from renzheng.central.store.times import to_us
    from renzheng.contracts.events import utc_now

    made = {"made_at": to_us(utc_now()), "devices": devices}
    with database.writing() as connection:
        connection.execute(sa.insert(schema.broker_configs).values(made))


def _tls(settings: "Settings") -> "Tls":
    from renzheng.contracts.errors import InputError
    from renzheng.deploy.broker.embedded import Tls

    folder = settings.site_dir
    tls = Tls(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    missing = [str(path) for path in (tls.ca, tls.certificate, tls.key) if not path.is_file()]
    if missing:
        raise InputError(
            f"The site has no {', '.join(missing)}.",
            why="Devices and broker know each other by the site's certificates.",
            do="Make them with: renzheng central init",
        )
    return tls
