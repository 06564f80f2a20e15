"""``renzheng edge ward``: watch the cameras, try them, print the notice for the door."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from renzheng.edge.settings import Settings

app = typer.Typer(
    no_args_is_help=False,
    invoke_without_command=True,
    help="Ward cameras: tell which of today's inpatients were seen.",
)

Config = Annotated[Path, typer.Option("--config", help="The agent's settings (TOML).")]


@app.callback()
def watch(
    context: typer.Context,
    config: Annotated[Path | None, typer.Option(help="The agent's settings (TOML).")] = None,
) -> None:
    """Watch the cameras until told to stop (SIGTERM, Ctrl-C); `--config` names the settings."""
    if context.invoked_subcommand is not None:
        return
    if config is None:
        raise typer.BadParameter("needed to watch the cameras", param_hint="--config")
    _run(config)


def _run(config: Path) -> None:
    import signal
    import threading

    import cv2

    from renzheng.common.supervised import attend
    from renzheng.edge.settings import load_settings
    from renzheng.edge.ward.main import build_ward_agent

    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    cv2.setNumThreads(1)  # the analysts are the threads
    agent = build_ward_agent(load_settings(config))
    agent.start()
    print(f"{len(agent.watches)} camera(s); health: http://127.0.0.1:{agent.port}/health", flush=True)
    try:
        attend(agent.workers, ended)
    finally:
        agent.stop()


@app.command()
def probe(
    config: Config,
    seconds: Annotated[float, typer.Option(min=3, max=120, help="How long to wait for pictures.")] = 15.0,
) -> None:
    """Connect to every camera once and say what comes; nobody is looked for and nothing is kept."""
    from renzheng.edge.settings import load_settings
    from renzheng.edge.ward.probing import probe as probe_cameras

    settings = load_settings(config)
    troubled = 0
    for told in probe_cameras(settings.ward.cameras, seconds):
        print(told.line)
        troubled += not told.good
    raise typer.Exit(1 if troubled else 0)


@app.command()
def enrol(  # noqa: PLR0917 - Typer's options
    config: Config,
    person: Annotated[str, typer.Option(help="The insured person's id, as on the roster.")],
    card: Annotated[str, typer.Option(help="Card number; only its hash and last digits are kept.")],
    images: Annotated[
        list[Path], typer.Argument(help="Photographs of this person.", exists=True, dir_okay=False)
    ],
    surname: Annotated[str, typer.Option(help="What the roster shows of the name.")] = "",
    consented: Annotated[
        bool, typer.Option(help="The patient's consent is on paper; it is recorded.")
    ] = False,
) -> None:
    """Enrol a patient from photographs, with the engine that the cameras use; the agent may run meanwhile."""
    from renzheng.edge.look.engines import choose_engine
    from renzheng.edge.look.registration import open_registration
    from renzheng.edge.settings import load_settings

    settings = load_settings(config)
    photographs = [image.read_bytes() for image in images]
    with open_registration(settings, choose_engine(settings).open()) as registration:
        event_id = registration.enrol(
            person, surname=surname, card_number=card, photographs=photographs, consented=consented
        )
    print(f"enrolled {person}: {len(images)} reference(s), event {event_id}")


@app.command()
def notice(
    config: Config,
    out: Annotated[Path, typer.Option(help="The page to write (HTML, prints on A4).")],
    contact: Annotated[str, typer.Option(help="Whom to ask or object to: office and telephone.")] = "",
    hospital: Annotated[str, typer.Option(help="The institution's name, as on its seal.")] = "",
    ward: Annotated[str | None, typer.Option(help="One ward only; all that have cameras else.")] = None,
) -> None:
    """Write the notice that hangs beside the cameras: what they do, on what ground, and one's rights."""
    from renzheng.edge.settings import load_settings
    from renzheng.edge.ward.notice import write_notice

    pages = write_notice(load_settings(config), out, hospital=hospital, contact=contact, ward=ward)
    print(f"{out}: {pages} page(s); print it on A4 and hang it at eye level beside the camera")


@app.command()
def settle(
    config: Config,
    camera: Annotated[str, typer.Argument(help="The camera's id.")],
) -> None:
    """Say that a camera that was reported as moved hangs where it should; it learns its scene anew."""
    from renzheng.contracts.errors import InputError
    from renzheng.edge.settings import load_settings
    from renzheng.edge.ward.scene import scene_file

    settings: Settings = load_settings(config)
    if camera not in {one.id for one in settings.ward.cameras}:
        raise InputError(f"There is no camera {camera!r} in the settings.", do="See [[ward.cameras]].")
    scene_file(settings.device.data_dir, camera).unlink(missing_ok=True)
    print(f"{camera}: its scene will be learnt anew within a minute")
