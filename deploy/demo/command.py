"""``renzheng demo``: play a dialysis day, to watch or to its end in a headless browser."""

import logging
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer
from rich.table import Table
from rich.text import Text

from renzheng.common.terminal import Terminal
from renzheng.contracts.errors import FaultError, InputError
from renzheng.deploy.demo import story

if TYPE_CHECKING:
    from renzheng.deploy.demo.browser import BrowserVisitor
    from renzheng.deploy.demo.stage import Stage

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
PORTRAITS = Path(__file__).resolve().parents[2] / ".cache" / "portraits"
CENTRAL_PORT, KIOSK_PORT = 8700, 8600
REAL_BEAT_SECONDS = 10
COLOURS = {"supported": "green", "contradicted": "red", "insufficient": "yellow", None: "dim"}


class UnexpectedOutcomeError(FaultError):
    """The day did not come out as it must."""

    exit_status = 1


@app.callback(invoke_without_command=True)
def demo(
    headless: Annotated[bool, typer.Option(help="Play in a headless Chromium, report and end.")] = False,
    out: Annotated[Path | None, typer.Option(help="Where to leave report.html and report.json.")] = None,
    portraits: Annotated[
        Path, typer.Option(envvar="RENZHENG_PORTRAITS", help="Folder of the portraits.")
    ] = PORTRAITS,
    stay: Annotated[
        bool | None,
        typer.Option(help="Keep serving after the day, for a visitor; by default when a person watches."),
    ] = None,
) -> None:
    """Play one dialysis day at two clinics: faces at the kiosk, events to central, verdicts on the bill."""
    _quiet_libraries()
    console = Terminal()
    _check_portraits(portraits)
    out = out or Path("demo-out")
    stays = (sys.stdout.isatty() and not headless) if stay is None else stay
    with tempfile.TemporaryDirectory(prefix="renzheng-demo-") as folder:
        result = _play(Path(folder), portraits, out, console, headless=headless, stays=stays)
    if not result["ok"]:
        raise _unexpected(result, out)


def _unexpected(result: dict[str, Any], out: Path) -> UnexpectedOutcomeError:
    what = "The day did not come out as it must."
    if result["failure"]:
        what = f"The play was cut short: {result['failure']}"
    return UnexpectedOutcomeError(
        f"{what} {result['excuse']}".strip(),
        why="The demo is also a test of the whole path." if not result["excuse"] else "",
        do=(
            "Run it again when the machine has time."
            if result["excuse"]
            else f"The rows marked in {out / 'report.html'} say what differs."
        ),
    )


def _quiet_libraries() -> None:
    """Let the play be read: the log of its parts goes to the terminal from warnings on."""
    level = os.environ.get("RENZHENG_LOG", "WARNING")
    logging.getLogger().setLevel(level)
    for noisy in ("amqtt", "transitions", "renzheng.edge.device.link"):
        logging.getLogger(noisy).setLevel("ERROR")


def _check_portraits(folder: Path) -> None:
    needed = {name for patient in story.PATIENTS if (name := patient.portrait)}
    needed |= {scene.face for scene in story.SCENES if scene.face}
    missing = sorted(name for name in needed if not (folder / name).is_file())
    if missing:
        raise InputError(
            f"The portraits {', '.join(missing)} are not in {folder}.",
            why="The demo enrols and recognises real photographs, which are not part of this repository.",
            do="Run `make setup`, which fetches them, or name their folder with --portraits.",
        )


def _play(
    folder: Path, portraits: Path, out: Path, console: Terminal, *, headless: bool, stays: bool
) -> dict[str, Any]:
    from renzheng.central.texts import LANGUAGES, texts
    from renzheng.deploy.demo import play, report
    from renzheng.deploy.demo.stage import Stage
    from renzheng.deploy.demo.visitors import SocketVisitor

    ports = {clinic.device_id: KIOSK_PORT + n for n, clinic in enumerate(story.CLINICS)}
    ports["central"] = CENTRAL_PORT
    visitor = _browser(folder, out) if headless else SocketVisitor()
    with Stage(folder, portraits, with_pages=headless, ports=None if headless else ports) as stage, visitor:
        _say_where(stage, console)
        result = play.play_day(stage, visitor, console)
        report.write(result, out, {language: texts(language).catalogue for language in LANGUAGES})
        _say_verdicts(result, console)
        if not isinstance(visitor, SocketVisitor) and not result["failure"]:
            _picture_pages(stage, visitor, result, out / "screens")
        console.print(f"报告 · report: {out / 'report.html'}")
        _say_accounts(stage, console)
        if stays:
            _stay(stage, console)
    return result


def _browser(folder: Path, out: Path) -> "BrowserVisitor":
    from renzheng.deploy.demo.browser import BrowserVisitor

    return BrowserVisitor(folder, out / "screens")


def _picture_pages(stage: "Stage", visitor: "BrowserVisitor", result: dict[str, Any], folder: Path) -> None:
    """Keep pictures of the pages that an auditor would open next."""
    central = stage.central.url.rstrip("/")
    contested = next(line for line in result["lines"] if line["reason"] == "more_lines_than_sessions")
    visitor.picture(f"{central}/days/{story.DAY}", folder / "console-day.png")
    visitor.picture(f"{central}/lines/{quote(contested['line_id'])}", folder / "console-line.png")
    visitor.picture(f"{central}/findings", folder / "console-findings.png")
    visitor.picture(f"{central}/devices", folder / "console-devices.png")


def _say_where(stage: "Stage", console: Terminal) -> None:
    console.print(
        Text.assemble(("人证 renzheng", "bold"), "  两家透析中心的一天 · a dialysis day at two clinics")
    )
    console.print(f"  控制台 console         {stage.central.url}")
    for clinic in story.CLINICS:
        console.print(f"  {clinic.name} kiosk  {stage.agents[clinic.device_id].kiosk_url}")


def _say_verdicts(result: dict[str, Any], console: Terminal) -> None:
    from renzheng.central.texts import texts

    table = Table("", "患者", "项目", "实情 · what happened", "判定 · verdict", "理由 · reason")
    for line in result["lines"]:
        colour = COLOURS[line["verdict"]]
        verdict = texts("zh").code("verdict", line["verdict"]) if line["verdict"] else "–"
        reason = texts("zh").code("reason", line["reason"]) if line["reason"] else ""
        mark = Text("✓", "green") if line["right"] else Text("✗", "red")
        what = Text.assemble(line["zh"], " ", (line["en"], "dim"))
        table.add_row(mark, f"{line['surname']}某", line["item_name"], what, Text(verdict, colour), reason)
    console.print(table)


def _say_accounts(stage: "Stage", console: Terminal) -> None:
    """Make the accounts of the console and say their one-time addresses; from now on it asks who is there."""
    from renzheng.central.access.command import first_address

    console.print("控制台账号，首次打开时自设密码 · accounts of the console; choose a password at first")
    for name, code in stage.make_accounts().items():
        console.print(f"  {name:<16} {first_address(stage.central.url, code)}")


def _stay(stage: "Stage", console: Terminal) -> None:
    north = stage.agents[story.NORTH.device_id].kiosk_url
    console.print(
        "\n有摄像头的话，可以自己试：先注册，再到终端签到。\n"
        "With a webcam, try it yourself: enrol first, then sign in at the kiosk.\n"
        f"  注册 enrol  {north}enrol   （见证人 witness {story.WITNESS_ID}，PIN {story.WITNESS_PIN}）\n"
        f"  签到 sign in  {north}\n"
        "按 Ctrl-C 结束 · Ctrl-C ends."
    )
    try:
        while True:
            time.sleep(REAL_BEAT_SECONDS)
            stage.beat()
    except KeyboardInterrupt:
        console.print("再见 · goodbye")
