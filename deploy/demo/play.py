"""Plays the day on the stage, scene by scene, then bills and audits it, ends two doubts, and reports."""

import csv
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn
from rich.text import Text

from renzheng.central.audit.readback import read_verdicts
from renzheng.central.claims.importer import ImportSummary, import_claims
from renzheng.central.nightly.night import NightReport
from renzheng.common.terminal import Terminal, plain_column
from renzheng.contracts.errors import RenzhengError
from renzheng.deploy.demo import case, claims, report, story
from renzheng.deploy.demo.stage import Stage
from renzheng.deploy.demo.story import Deed
from renzheng.deploy.demo.visitors import Visitor

LOGGER = logging.getLogger(__name__)
TOLD = timedelta(minutes=20)
"""After this long into the next day, the kiosks have told of their coverage up to midnight."""
SLACK = timedelta(minutes=10)
"""Within a scene the clock runs with real time; the scene's event lies within this of its moment."""


@dataclass
class Seconds:
    """Real seconds that each part of the play took."""

    parts: dict[str, float]

    @contextmanager
    def of(self, part: str) -> Iterator[None]:
        """Measure one part."""
        started = time.monotonic()
        yield
        self.parts[part] = round(time.monotonic() - started, 2)


def play_day(stage: Stage, visitor: Visitor, console: Terminal) -> dict[str, Any]:
    """Play everything and return the report (see `report.build`); one that was cut short says by what."""
    seconds = Seconds({})
    try:
        with seconds.of("day"):
            _open_clinics(stage, visitor)
            _play_scenes(stage, visitor, console)
        with seconds.of("claims"):
            imported = _bill(stage)
        with seconds.of("audit"):
            night = _audit(stage, console)
        with seconds.of("case"):
            doubts = case.play(stage)
    except Exception as error:
        LOGGER.exception("the play was cut short")
        return _cut_short(stage, error, seconds.parts)
    return _report(stage, imported, night, doubts, seconds.parts)


def _cut_short(stage: Stage, error: Exception, seconds: Mapping[str, float]) -> dict[str, Any]:
    """Report what was played until something failed; nothing is billed or audited."""
    events = stage.stored_events()
    latencies = stage.latencies()
    day = report.Day(
        played=[_played(scene, events, latencies) for scene in story.SCENES],
        lines={},
        line_ids={line.serial: claims.line_id_of(line) for line in story.LINES},
        events=events,
        claims={"read": 0, "accepted": 0, "rejected": 0, "rejects": []},
        audit={},
        seconds=seconds,
        failure=error.what if isinstance(error, RenzhengError) else f"{type(error).__name__}: {error}",
    )
    return report.build(day)


def _open_clinics(stage: Stage, visitor: Visitor) -> None:
    for clinic in story.CLINICS:
        visitor.open(clinic, stage.agents[clinic.device_id].kiosk_url)


def _play_scenes(stage: Stage, visitor: Visitor, console: Terminal) -> None:
    columns = (SpinnerColumn(), plain_column("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=len(story.SCENES) + 1)
        for scene in story.SCENES:
            local = scene.when.astimezone(story.ZONE)
            progress.update(task, description=f"{local:%H:%M} {scene.zh} · {scene.en}")
            stage.advance_to(scene.when)
            _act(stage, visitor, scene)
            progress.console.print(
                Text.assemble(("✓", "green"), f" {local:%H:%M}  {scene.zh}  ", (scene.en, "dim"))
            )
            progress.advance(task)
        progress.update(task, description="24:00 一天结束 · the day ends")
        stage.advance_to(story.end_of_day() + TOLD)
        for clinic in story.CLINICS:
            stage.wait_until_sent(clinic)
        progress.advance(task)


def _act(stage: Stage, visitor: Visitor, scene: story.Scene) -> None:
    match scene.deed:
        case Deed.SIGN_IN | Deed.SIGN_OUT:
            assert scene.face is not None
            visitor.show_face(scene, stage.portraits / scene.face)
        case Deed.WITNESSED_IN | Deed.WITNESSED_OUT:
            visitor.be_vouched_for(scene)
        case Deed.NETWORK_DOWN:
            stage.network_down(scene.clinic)
        case Deed.NETWORK_BACK:
            stage.network_back(scene.clinic)
        case Deed.KIOSK_DOWN:
            stage.wait_until_sent(scene.clinic)
            stage.kiosk_down(scene.clinic)
        case Deed.KIOSK_BACK:
            agent = stage.start_kiosk(scene.clinic)
            visitor.open(scene.clinic, agent.kiosk_url)


def _bill(stage: Stage) -> ImportSummary:
    """Write the day's bill as the hospitals send it, and import it."""
    tables = stage.central.settings.tables_dir
    claims.write_tables(tables)
    bill = stage.folder / "claims-gb18030.csv"
    claims.write_bill(bill)
    return import_claims(bill, tables, file_format="nhsa")


def _audit(stage: Stage, console: Terminal) -> NightReport:
    columns = (SpinnerColumn(), plain_column("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("稽核 · the nightly audit", total=None)
        return stage.central.night.run(
            story.DAY,
            story.DAY,
            lambda step, done, total: progress.update(
                task, description=f"稽核 · audit: {step}", completed=done, total=total
            ),
        )


def _report(
    stage: Stage,
    imported: ImportSummary,
    night: NightReport,
    doubts: Sequence[Mapping[str, Any]],
    seconds: Mapping[str, float],
) -> dict[str, Any]:
    events = stage.stored_events()
    latencies = stage.latencies()
    verdicts = {verdict.line_id: asdict(verdict) for verdict in read_verdicts(night.folder / "result")}
    line_ids = {line.serial: claims.line_id_of(line) for line in story.LINES}
    day = report.Day(
        played=[_played(scene, events, latencies) for scene in story.SCENES],
        lines={serial: verdicts[key] for serial, key in line_ids.items() if key in verdicts},
        line_ids=line_ids,
        events=events,
        claims=_claims(imported),
        audit=night.summary,
        doubts=doubts,
        seconds=seconds,
    )
    return report.build(day)


def _played(
    scene: story.Scene, events: Mapping[str, Mapping[str, Any]], latencies: Mapping[str, float]
) -> report.Played:
    """Find the event that a scene left."""
    played = report.Played(scene)
    if scene.patient is None:
        return played
    for event in events.values():
        moment = datetime.fromisoformat(event["time"])
        of_scene = event.get("subject") == scene.patient.person_id and ".attendance." in event["type"]
        if of_scene and scene.when <= moment < scene.when + SLACK:
            latency = latencies.get(event["id"])
            played = replace(
                played, event=event, received_at=event["received_at"], usable_face_to_green_ms=latency
            )
    return played


def _claims(imported: ImportSummary) -> dict[str, Any]:
    table = imported.tables["claim_lines"]
    path = Path(imported.out) / "rejected" / "claim_lines.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rejects = list(csv.DictReader(file))
    return {
        "read": table.read,
        "accepted": table.added,
        "rejected": table.rejected,
        "rejects": rejects,
    }
