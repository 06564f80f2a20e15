"""`renzheng central`: make, run and tend the central service."""

import datetime as dt
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

from renzheng.central.access.command import app as account_command
from renzheng.central.access_log_command import app as access_log_command
from renzheng.central.adt.command import app as adt_command
from renzheng.central.backup.command import backup, restore
from renzheng.central.draw.command import app as draw_command
from renzheng.central.log_command import app as log_command
from renzheng.central.shell import open_store
from renzheng.common.terminal import Terminal, plain_column, table
from renzheng.common.words import say
from renzheng.contracts.errors import RenzhengError
from renzheng.contracts.events import Purpose, utc_now

if TYPE_CHECKING:
    from renzheng.central.store.database import Database

app = typer.Typer(no_args_is_help=True)
app.add_typer(log_command, name="log")
app.add_typer(account_command, name="account")
app.add_typer(access_log_command, name="access")
app.command()(backup)
app.command()(restore)
app.add_typer(draw_command, name="draw")
app.add_typer(adt_command, name="adt")

Config = Annotated[Path, typer.Option("--config", help="The configuration file.")]
CONFIG = Path("central.toml")
DAY = ["%Y-%m-%d"]


@app.callback()
def overview() -> None:
    """Run the central service."""


@app.command()
def init(  # noqa: PLR0917 - each is an option
    directory: Annotated[Path, typer.Option("--dir", help="Folder for configuration, store and key.")],
    broker_host: Annotated[
        str, typer.Option(help="The broker; loopback while the link is plain.")
    ] = "127.0.0.1",
    broker_port: Annotated[int, typer.Option(min=1, max=65535)] = 1883,
    protocol: Annotated[str, typer.Option(help="MQTT version: 5, or 3.1.1 for the embedded broker.")] = "5",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of console and API.")] = 8700,
    shard: Annotated[list[str] | None, typer.Option(help="A shard to consume; may be given again.")] = None,
    database_url: Annotated[
        str, typer.Option(help="SQLAlchemy address; empty is SQLite in the folder.")
    ] = "",
    name: Annotated[
        list[str] | None, typer.Option(help="Host name or address of this site's broker; may be given again.")
    ] = None,
) -> None:
    """Make configuration, signing key and store; what is there already is kept.

    Where devices are registered no key and no CA is made anew: they would believe neither.
    """
    from renzheng.central.main import make_signing_key
    from renzheng.central.settings import make_settings, read_settings, write_settings
    from renzheng.central.site.setup import make_site, must_not_forget
    from renzheng.central.store.database import Database
    from renzheng.contracts import keys

    path = directory / "central.toml"
    directory.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        broker = {"host": broker_host, "port": broker_port, "protocol": protocol}
        told = {"port": port, "shards": shard or ["0"], "database_url": database_url, "broker": broker}
        write_settings(make_settings({"data_dir": "data", **told}), path)
    settings = read_settings(path)
    must_not_forget(settings)
    key = make_signing_key(settings.key_file)
    public_file = settings.key_file.with_suffix(".public.pem")
    public_file.write_text(keys.public_pem(key), encoding="ascii")
    names = [*(name or []), settings.site.broker_host, "localhost", "127.0.0.1"]
    make_site(settings.site_dir, settings.site.name, list(dict.fromkeys(names)), utc_now())
    settings.tables_dir.mkdir(parents=True, exist_ok=True)
    database = Database(settings.database)
    database.migrate()
    database.close()
    console = Terminal()
    console.print(say("configuration  {0}", path))
    console.print(say("public key     {0}  (give it to the devices)", public_file))
    console.print(
        say("import claims  renzheng claims import PATH --format nhsa --out {0}", settings.tables_dir),
    )
    console.print(say("run            renzheng central run --config {0}", path))


@app.command()
def run(
    config: Config = CONFIG,
    shard: Annotated[
        list[str] | None, typer.Option(help="Consume this shard only; may be given again.")
    ] = None,
    ingest: Annotated[
        bool, typer.Option("--ingest/--no-ingest", help="Whether this process consumes any shard.")
    ] = True,
) -> None:
    """Consume the devices' logs and serve console and API until interrupted.

    Shards that this process does not consume have one of their own each: renzheng central ingest.
    """
    from renzheng.central.settings import read_settings
    from renzheng.common.supervised import attend

    settings = read_settings(config)  # a mistake in it is said before anything else is loaded
    from renzheng.central.main import build_central

    ended = _until_interrupted()
    central = build_central(settings, shards=(shard or None) if ingest else ())
    central.start(connect_seconds=0.0)  # a broker that is away keeps nobody from the console
    Terminal().print(say("console  {0}", central.url))
    _say_first(central.database, settings.public_url or central.url)
    if central.adt_port is not None:
        Terminal().print(say("ADT      port {0}", central.adt_port))
    try:
        attend(central.workers, ended)
    finally:
        central.stop()


def _say_first(database: "Database", base: str) -> None:
    """Print, while nobody has an account, the one-time address of the first administrator."""
    from renzheng.central.access import accounts
    from renzheng.central.access.command import first_address

    with database.writing() as connection:
        code = accounts.open_first(connection, utc_now())
    if code is not None:
        Terminal().print(say("first administrator, within 24 hours: {0}", first_address(base, code)))


@app.command("ingest")
def ingest_shards(
    shard: Annotated[list[str], typer.Option(help="The shard to consume; may be given again.")],
    config: Config = CONFIG,
) -> None:
    """Consume shards in a process of their own, without console, door and night, until interrupted."""
    from renzheng.central.ingest_process import IngestProcess
    from renzheng.central.settings import read_settings
    from renzheng.common.supervised import attend

    ended = _until_interrupted()
    process = IngestProcess(read_settings(config), shard, utc_now)
    process.start(connect_seconds=0.0)
    Terminal().print(say("consuming  shard {0}", ", ".join(shard)))
    try:
        attend(process.workers, ended)
    finally:
        process.stop()


def _until_interrupted() -> threading.Event:
    """Give the event that an interruption or a request to end sets."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    return ended


@app.command()
def register_institution(  # noqa: PLR0917 - each is an option
    institution: Annotated[str, typer.Option(help="Its id, as in the claims.")],
    name: Annotated[str, typer.Option()],
    region: Annotated[str, typer.Option(help="Its region's code.")],
    config: Config = CONFIG,
    timezone: Annotated[str, typer.Option(help="IANA name.")] = "Asia/Shanghai",
    dialysis_machines: Annotated[int | None, typer.Option(min=0)] = None,
    beds: Annotated[int | None, typer.Option(min=0)] = None,
) -> None:
    """Register an institution, or bring its data up to date."""
    from renzheng.central.store import devices
    from renzheng.central.store.devices import Institution

    ZoneInfo(timezone)
    found = Institution(institution, name, region, timezone, dialysis_machines, beds)
    with open_store(config)[1].writing() as connection:
        devices.put_institution(connection, found)
    Terminal().print(say("registered {0}", institution))


@app.command()
def register_device(  # noqa: PLR0917 - each is an option
    device: Annotated[str, typer.Option(help="The device's id, also its name in topics and certificates.")],
    institution: Annotated[str, typer.Option(help="Where it stands.")],
    public_key: Annotated[Path, typer.Option(help="The device's public key (PEM).")],
    config: Config = CONFIG,
    purpose: Annotated[Purpose, typer.Option(help="What people are there for.")] = Purpose.DIALYSIS,
    shard: Annotated[str, typer.Option()] = "0",
    label: Annotated[str, typer.Option(help="What people call it.")] = "",
) -> None:
    """Register a device with its public key."""
    from renzheng.central.errors import RegistrationError
    from renzheng.central.store import devices
    from renzheng.central.store.devices import Device
    from renzheng.contracts import keys

    try:
        key = keys.load_public_key(public_key.read_bytes())
    except (OSError, ValueError) as error:
        raise RegistrationError(f"{public_key} holds no public key: {type(error).__name__}.") from error
    with open_store(config)[1].writing() as connection:
        devices.register(connection, Device(device, institution, shard, purpose, label), key, utc_now())
    Terminal().print(say("registered {0}, key {1}", device, keys.key_id(key)))


@app.command()
def revoke_device(device: Annotated[str, typer.Option()], config: Config = CONFIG) -> None:
    """Revoke a device and its keys at once: its next message is refused."""
    from renzheng.central.site.revocation import keep_lists
    from renzheng.central.store import devices

    settings, database = open_store(config)
    with database.writing() as connection:
        devices.revoke(connection, device, utc_now())
    keep_lists(database, settings.site_dir, settings.lists_dir, utc_now())
    Terminal().print(say("revoked {0}", device))


@app.command()
def inspector(
    number: Annotated[
        str | None, typer.Argument(help="An inspector's number; without one all are listed.")
    ] = None,
    name: Annotated[str, typer.Option(help="The inspector's name.")] = "",
    leaves: Annotated[
        bool, typer.Option("--leaves", help="Later answers of this inspector count no more.")
    ] = False,
    config: Config = CONFIG,
) -> None:
    """Enter who may answer spot checks for the bureau, or list them; answers of nobody else count."""
    from renzheng.central.store import inspectors
    from renzheng.central.store.times import to_us

    now_us = to_us(utc_now())
    with open_store(config)[1].writing() as connection:
        if number and leaves:
            inspectors.end(connection, number, now_us)
        elif number:
            inspectors.add(connection, number, name or number, now_us)
        rows = inspectors.listed(connection)
    for row in rows:
        state = "left" if row["until"] is not None else "counts"
        Terminal().print(f"{row['inspector_id']}  {row['name']}  {state}")


@app.command()
def alarms(
    close: Annotated[int | None, typer.Option(help="Close the alarm of this number.")] = None,
    config: Config = CONFIG,
) -> None:
    """List the open alarms, or close one that was looked into."""
    from renzheng.central.errors import SettingsError
    from renzheng.central.store import alarms as kept
    from renzheng.central.store import reading
    from renzheng.central.store.times import from_us, to_us

    with open_store(config)[1].writing() as connection:
        if close is not None and not kept.close(connection, close, to_us(utc_now())):
            raise SettingsError(f"There is no open alarm {close}.", do="List them: renzheng central alarms")
        rows = [row for row in reading.alarms(connection) if row["resolved_at"] is None]
    shown = table("number", "problem", "where", "since", "times", "detail")
    for row in rows:
        since = f"{from_us(row['first_at']):%Y-%m-%d %H:%M}"
        said = (row["problem"], row["device_id"], since, str(row["times"]), row["detail"])
        shown.add_row(str(row["alarm_id"]), *said)
    Terminal().print(shown)


@app.command()
def renew(
    config: Config = CONFIG,
    days: Annotated[int, typer.Option(help="Renew what ends within so many days.", min=0)] = 60,
) -> None:
    """Renew the site's own certificates that end soon; broker and central read them when they start again."""
    from renzheng.central.settings import read_settings
    from renzheng.central.site.setup import renew_site

    settings = read_settings(config)
    renewed = renew_site(settings.site_dir, utc_now(), dt.timedelta(days=days))
    for path, until in renewed:
        Terminal().print(say("renewed {0}, holds until {1}", path, f"{until:%Y-%m-%d}"))
    if not renewed:
        Terminal().print(say("nothing of {0} ends within {1} days", settings.site_dir, days))
    else:
        Terminal().print(
            say("copy them to the broker (renzheng central broker-config), restart broker and central")
        )


@app.command("rotate-key")
def rotate_key(config: Config = CONFIG) -> None:
    """Change central's signing key; the old one signs for the new, and devices follow by themselves."""
    from renzheng.central.site.succession import rotate
    from renzheng.contracts import keys

    settings, database = open_store(config)
    new = rotate(database, settings.key_file, utc_now())
    Terminal().print(say("central signs with {0} once it is started again", keys.key_id(new)))
    Terminal().print(say("Give those who keep checkpoints the new public key, and take a backup."))


@app.command()
def move(
    host: Annotated[
        str | None, typer.Option(help="Where devices will find the broker: a name or an address.")
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8883,
    door: Annotated[
        str | None, typer.Option(help="Where they will find the door, if it moves too: https://NEW:8701")
    ] = None,
    done: Annotated[bool, typer.Option("--done", help="Every device has followed; tell it no more.")] = False,
    config: Config = CONFIG,
) -> None:
    """Tell devices that broker and door move: they follow by themselves, and go back while nobody is there.

    Who joins meanwhile gets the new place at once.
    """
    from renzheng.central.errors import SettingsError
    from renzheng.central.settings import read_settings
    from renzheng.central.site.setup import add_name
    from renzheng.central.site.succession import make_move, must_be_settled, tell_move

    settings = read_settings(config)
    if done == (host is not None):
        raise SettingsError("Say where to (--host), or that it is over (--done).")
    if host is None:
        must_be_settled(settings)
        tell_move(settings.key_file, None)
        Terminal().print(say("devices are told no more, once central is started again"))
        return
    moved = make_move(host, port, door, utc_now())
    if settings.broker.ca_file is not None:
        path = add_name(settings.site_dir, host, utc_now())
        Terminal().print(say("copy {0} and its key to the broker (renzheng central broker-config)", path))
    if door is not None:
        add_name(settings.site_dir, urlsplit(door).hostname or host, utc_now())
    tell_move(settings.key_file, moved)
    Terminal().print(say("start central again; each device follows with its next status"))
    Terminal().print(
        say(
            'then set [site] broker_host = "{0}" and broker_port = {1} in {2}, and: move --done',
            host,
            port,
            config,
        ),
    )
    if door is None and settings.site.listen_host is not None:
        Terminal().print(say("the door stays where it is; if it moves too, say so by --door"))


@app.command("move-device")
def move_device(
    device: Annotated[list[str], typer.Option(help="The device to move; may be given again.")],
    shard: Annotated[str, typer.Option(help="The shard that it is to belong to.")],
    config: Config = CONFIG,
) -> None:
    """Move devices to another shard: each follows central's signed word with its next status.

    Nothing stops meanwhile, and nothing is lost or doubled: until a device has followed, its old shard takes
    what it sends. `renzheng central devices` shows who has not followed yet.
    """
    from renzheng.central.settings import read_settings
    from renzheng.central.shards import must_be_known
    from renzheng.central.store import devices, last_times
    from renzheng.central.store.times import to_us
    from renzheng.central.watch.problems import WATCHED_SECONDS
    from renzheng.central.watch.watch import SHARD

    must_be_known(read_settings(config), shard)
    now = utc_now()
    with open_store(config)[1].writing() as connection:
        moved = [one for one in device if devices.reassign(connection, one, shard, now)]
        seen_us = last_times.read(connection, SHARD).get(shard, 0)
    console = Terminal()
    for one in device:
        said = "follows with its next status" if one in moved else f"belongs to shard {shard} already"
        console.print(f"{one}  {said}")
    if to_us(now) - seen_us > WATCHED_SECONDS * 1_000_000:
        console.print(say("nobody consumes shard {0} yet: renzheng central ingest --shard {1}", shard, shard))


@app.command("devices")
def list_devices(config: Config = CONFIG) -> None:
    """List the devices: head of the log here, and what they hold back."""
    from renzheng.central.store import reading

    with open_store(config)[1].reading() as connection:
        rows = reading.devices(connection)
    shown = table("device", "institution", "shard", "head", "waiting", "state", "open alarms")
    for row in rows:
        waiting = max((row["said_sequence"] or 0) - row["head_sequence"], 0)
        state = say("revoked") if row["revoked_at"] else row["state"] or say("never seen")
        numbers = (str(row["head_sequence"]), str(waiting), state, str(row["open_alarms"]))
        follows = row["said_shard"] not in (None, row["shard"])
        shard = f"{row['said_shard']} → {row['shard']}" if follows else row["shard"]
        shown.add_row(row["device_id"], row["institution_id"], shard, *numbers)
    Terminal().print(shown)


@app.command()
def night(
    config: Config = CONFIG,
    day: Annotated[
        dt.datetime | None, typer.Option(formats=DAY, help="First service day; yesterday when left out.")
    ] = None,
    to: Annotated[
        dt.datetime | None, typer.Option(formats=DAY, help="Last service day; the first when left out.")
    ] = None,
) -> None:
    """Audit service days over what has arrived, publish the verdicts, and sign a checkpoint.

    Without --day: yesterday, every billed day that no night has answered, and every audited day that
    something touches which has come in since. A run whose process was killed goes on first, where it was.
    Of several centrals over one store one runs; the others wait, and take over should it die.
    One run that fails keeps no other back; the command then ends with its exit status, and is tried again.
    """
    from renzheng.central.access import log_retention
    from renzheng.central.nightly.night import Night
    from renzheng.central.settings import read_settings
    from renzheng.central.store.database import Database
    from renzheng.central.verify.publish import take_checkpoint
    from renzheng.contracts import keys

    settings = read_settings(config)
    database = Database(settings.database)
    database.migrate()
    run_of_nights = Night(database, settings, utc_now)
    failed: list[RenzhengError] = []
    console, errors = Terminal(), Terminal(stderr=True)
    columns = (plain_column("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    asked = utc_now()
    with Progress(*columns, console=errors) as bars, run_of_nights.alone(wait=day is None):

        def follow(first: dt.date) -> Callable[[str, int, int], None]:
            task = bars.add_task(f"{first}", total=None)

            def show(step: str, done: int, total: int) -> None:
                bars.update(task, description=f"{first} {step}", completed=done, total=total)
                if not errors.is_terminal:  # the journal
                    errors.print(f"{first} {step} {done}/{total}")

            return show

        reports = []
        try:
            reports += run_of_nights.go_on(follow)
        except RenzhengError as error:
            failed.append(error)
        if day:
            wanted = [(day.date(), (to or day).date())]
        else:
            wanted = run_of_nights.wanted(asked, [(report.first, report.last) for report in reports])
        for first, last in wanted:
            try:
                reports.append(run_of_nights.run(first, last, follow(first)))
            except RenzhengError as error:
                errors.print(f"{first} to {last}: {error.what}")
                failed.append(error)
        for report in reports:
            days = f"{report.first} to {report.last}"
            console.print(say("run {0}: {1}, kept in {2}", report.run_id, days, report.folder))
        key = keys.load_private_key(settings.key_file.read_bytes())
        with database.writing() as connection:
            log_retention.prune(connection, key, utc_now())
        _, note = take_checkpoint(
            database, settings.log_origin, key, settings.checkpoints_dir, utc_now(), settings.backup.interval
        )
    database.close()
    console.print(say("checkpoint {0}", note))
    if failed:
        raise failed[0]
