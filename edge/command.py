"""``renzheng edge``: run the agent, enrol from photographs, enter witnesses, check the log."""

import logging
import signal
import threading
from datetime import date, time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from renzheng.contracts.errors import InputError
from renzheng.edge.bedside.command import bedside, inspector
from renzheng.edge.counter.command import counter
from renzheng.edge.device.command import log_app
from renzheng.edge.machine.command import machine
from renzheng.edge.ward.command import app as ward_app

if TYPE_CHECKING:
    from renzheng.contracts.events import Guardian
    from renzheng.edge.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Run the agent of one clinic machine.")
app.add_typer(log_app, name="log")
app.command()(bedside)
app.command()(inspector)
app.command()(counter)
app.command()(machine)
voices_app = typer.Typer(no_args_is_help=True, help="The kiosk's spoken prompts.")
app.add_typer(voices_app, name="voices")
app.add_typer(ward_app, name="ward")

Config = Annotated[Path, typer.Option("--config", help="The agent's settings (TOML).")]


@app.command()
def run(config: Config) -> None:
    """Run the agent until it is told to stop (SIGTERM, Ctrl-C)."""
    from renzheng.common.supervised import attend
    from renzheng.edge.kiosk.main import build_agent
    from renzheng.edge.settings import load_settings

    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    logging.getLogger("httpx").setLevel(logging.WARNING)
    agent = build_agent(load_settings(config))
    agent.start()
    print(f"kiosk page: {agent.kiosk_url}", flush=True)
    try:
        attend(agent.workers, ended, also=agent.alive)
    finally:
        agent.stop()


@app.command()
def enrol(  # noqa: PLR0917 - Typer's options
    config: Config,
    person: Annotated[str, typer.Option(help="The insured person's id.")],
    surname: Annotated[str, typer.Option(help="What the roster shows of the name.")],
    card: Annotated[str, typer.Option(help="Card number; only its hash and last digits are kept.")],
    images: Annotated[
        list[Path], typer.Argument(help="Photographs of this person.", exists=True, dir_okay=False)
    ],
    consented: Annotated[
        bool, typer.Option(help="The patient's consent is on paper; it is recorded.")
    ] = False,
    guardian: Annotated[
        str | None, typer.Option(help="Who consents for a child under 14: mother, father or other.")
    ] = None,
    roster: Annotated[str | None, typer.Option(help="Expect the patient on this day (2026-03-31).")] = None,
    at: Annotated[
        str | None, typer.Option(help="Expect the patient at this local time of that day (07:30).")
    ] = None,
) -> None:
    """Enrol a person from photographs."""
    from renzheng.edge.look.engines import choose_engine
    from renzheng.edge.look.registration import open_registration
    from renzheng.edge.settings import load_settings

    settings = load_settings(config)
    with open_registration(settings, choose_engine(settings).open()) as registration:
        event_id = registration.enrol(
            person,
            surname=surname,
            card_number=card,
            photographs=[image.read_bytes() for image in images],
            consented=consented,
            guardian=_guardian(guardian),
            on_roster=_day(roster),
            expected_at=_time(at),
        )
    print(f"enrolled {person}: {len(images)} reference(s), event {event_id}")


def _guardian(text: str | None) -> "Guardian | None":
    from typing import get_args

    from renzheng.contracts.events import Guardian

    for one in get_args(Guardian):
        if text == one:
            return cast("Guardian", one)
    if text is None:
        return None
    raise InputError(f"{text!r} is no guardian.", do="Say mother, father or other.")


def _time(text: str | None) -> time | None:
    try:
        return None if text is None else time.fromisoformat(text)
    except ValueError:
        raise InputError(f"{text!r} is no time of day.", do="Write it as 07:30.") from None


def _day(text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise InputError(f"{text!r} is no day.", do="Write it as 2026-03-31.") from None


@app.command()
def withdraw(
    config: Config,
    person: Annotated[str, typer.Option(help="Who takes the consent back.")],
    number: Annotated[str | None, typer.Option("--witness", help="Who was told.")] = None,
) -> None:
    """Take a consent back: deletes the person's references and crops here; central tells the others."""
    from renzheng.edge.kiosk.main import build_agent
    from renzheng.edge.settings import load_settings

    agent = build_agent(_apart(load_settings(config)))
    print(f"withdrawn: event {agent.withdraw_consent(person, witness_id=number).event_id}")


def _apart(settings: "Settings") -> "Settings":
    """The same device without link and port, for a command beside a running agent."""
    return settings.model_copy(
        update={
            "link": settings.link.model_copy(update={"host": None}),
            "kiosk": settings.kiosk.model_copy(update={"port": 0}),
        }
    )


@app.command()
def witness(
    config: Config,
    number: Annotated[str, typer.Option("--witness", help="The witness's number.")],
) -> None:
    """Enter a witness, or set a new PIN; the PIN is asked for and never shown."""
    from renzheng.edge.device.pins import check_pin
    from renzheng.edge.device.store.database import Store
    from renzheng.edge.device.store.people import open_people
    from renzheng.edge.settings import load_settings

    pin = check_pin(typer.prompt("PIN", hide_input=True, confirmation_prompt=True))
    device = load_settings(config).device
    store = Store(device.data_dir / "device.sqlite")
    open_people(store, device).put_witness(number, pin)
    store.close()
    print(f"witness {number} may vouch")


@app.command()
def inpatients(
    config: Config,
    file: Annotated[Path, typer.Argument(help="A roster of inpatients (JSON), as central writes it.")],
) -> None:
    """Take today's inpatients from a file, for a site without a way to central."""
    from renzheng.contracts.events import utc_now
    from renzheng.edge.device.store.database import Store
    from renzheng.edge.device.store.inpatients import Inpatients, read_roster_file
    from renzheng.edge.settings import load_settings

    device = load_settings(config).device
    roster = read_roster_file(file)
    store = Store(device.data_dir / "device.sqlite")
    Inpatients(store, device.institution_id).put(roster, utc_now())
    store.close()
    print(f"{roster.day}: {len(roster.patients)} inpatients")


Passphrase = Annotated[
    Path, typer.Option("--passphrase-file", help="A file with the passphrase that seals the backup.")
]


@app.command()
def backup(
    config: Config,
    out: Annotated[Path, typer.Argument(help="A new file, on another disk or machine.")],
    passphrase_file: Passphrase,
) -> None:
    """Keep whom this device knows in one sealed file: people, references, consents, witnesses."""
    from renzheng.contracts.events import utc_now
    from renzheng.contracts.sealing import read_passphrase
    from renzheng.edge.device.people_backup import take
    from renzheng.edge.settings import load_settings

    device, passphrase = load_settings(config).device, read_passphrase(passphrase_file)
    print(f"{take(device, out, passphrase, utc_now())} people of {device.device_id} in {out}")


@app.command()
def restore(
    config: Config,
    file: Annotated[Path, typer.Argument(help="What `renzheng edge backup` has written.", exists=True)],
    passphrase_file: Passphrase,
) -> None:
    """Add whom a backup knows, after a lost disk; the agent must not run. What is here stays as it is.

    Central's door is asked first: references of who has withdrawn since do not come back, and without its
    answer none does.
    """
    from renzheng.contracts.events import utc_now
    from renzheng.contracts.sealing import read_passphrase
    from renzheng.edge.device.keyring import Keyring
    from renzheng.edge.device.people_backup import restore as restore_people
    from renzheng.edge.device.privacy import ask_what_may_come_back
    from renzheng.edge.device.store.database import Store
    from renzheng.edge.settings import load_settings

    settings, passphrase = load_settings(config), read_passphrase(passphrase_file)
    device = settings.device
    store = Store(device.data_dir / "device.sqlite")
    try:
        ask = ask_what_may_come_back(settings, Keyring(store, device.data_dir), utc_now())
        done = restore_people(device, file, passphrase, ask)
    finally:
        store.close()
    print(f"{done.people} people and {done.references} references of {done.taken_at:%Y-%m-%d %H:%M} UTC")
    if done.refused:
        print(f"{done.refused} of them have taken their consent back since: their references were left out")
    if done.unopened:
        print(f"{done.unopened} must be enrolled again: central has no half of their key, or was not asked")


@app.command()
def credential(
    config: Config,
    person: Annotated[str, typer.Option(help="Whose e-credential it is.")],
    image: Annotated[
        Path | None, typer.Option(help="A picture of its QR code; asked for as text without.", exists=True)
    ] = None,
) -> None:
    """Enter a patient's e-credential; only the hash of what its QR code holds is kept."""
    from renzheng.edge.device.store.database import Store
    from renzheng.edge.device.store.people import open_people
    from renzheng.edge.kiosk.codes import read_code
    from renzheng.edge.settings import load_settings
    from renzheng.models.images import decode

    if image is None:
        content = typer.prompt("QR code's content", hide_input=True)
    else:
        content = read_code(decode(image.read_bytes()))
        if content is None:
            raise InputError(f"{image.name} shows no QR code that can be read.", do="Give a sharper picture.")
    device = load_settings(config).device
    store = Store(device.data_dir / "device.sqlite")
    open_people(store, device).put_credential(person, content)
    store.close()
    print(f"e-credential of {person} entered")


@app.command("network-identity")
def network_identity(
    config: Config, person: Annotated[str, typer.Option(help="Who shows the code, known by other papers.")]
) -> None:
    """Enter by what the national network identity service knows a patient, who shows a code of its app."""
    from renzheng.edge.device.clock import SystemClock
    from renzheng.edge.device.network_identity import open_network_identity
    from renzheng.edge.device.store.database import Store
    from renzheng.edge.device.store.people import open_people
    from renzheng.edge.settings import load_settings

    settings, clock = load_settings(config), SystemClock()
    service = open_network_identity(settings.network_identity, lambda: clock.read().wall)
    if service is None:
        raise InputError("No network identity service is set up.", do="Set [network_identity] url.")
    shown = service.ask(typer.prompt("code of the app", hide_input=True))
    store = Store(settings.device.data_dir / "device.sqlite")
    open_people(store, settings.device).put_network_identity(person, shown.person_token)
    store.close()
    print(f"network identity of {person} entered")


@voices_app.command("render")
def voices_render(
    out: Annotated[
        Path | None, typer.Option(help="Folder for the sound files; where every agent looks when not given.")
    ] = None,
) -> None:
    """Render the prompts of every language with espeak-ng; what is there and still right is kept."""
    from renzheng.edge.kiosk.voices import render, voices_folder

    folder = out or voices_folder()
    for language, count in render(folder).items():
        print(f"{language}: {count} prompt(s) rendered to {folder / language}")
