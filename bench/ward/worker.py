"""The measured agent, in a process of its own: ``python -m ...bench.worker SETTINGS.toml FOLDER``.

Enrols the photographs in FOLDER, says ``ready``, watches until a line comes in, then prints its figures.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import cv2

from renzheng.contracts.events import utc_now
from renzheng.contracts.rosters import Inpatient, InpatientRoster
from renzheng.edge.device.clock import SystemClock
from renzheng.edge.look.engines import choose_engine
from renzheng.edge.settings import Settings, load_settings
from renzheng.edge.ward.main import WardAgent, check_settings
from renzheng.models.engine import FaceEngine
from renzheng.models.images import decode


def enrol(agent: WardAgent, engine: FaceEngine, folder: Path) -> int:
    """Enter everybody of whom a photograph lies in a folder as an inpatient of the first camera's ward."""
    now, ward = utc_now(), agent.settings.ward.cameras[0].ward
    patients = []
    for path in sorted(folder.iterdir()):
        image = decode(path.read_bytes())
        face = engine.subject(image)
        if face is None:
            continue
        who = f"P-{path.stem}"
        agent.people.put_patient(who, surname="", card_number=None)
        template = engine.embed(image, face, mirrored=True)
        with agent.store.writing() as database:
            agent.people.add_references(who, [template], source="photograph", at=now)(database)
        patients.append(Inpatient(visit_id=who, person_id=who, ward=ward, admitted_at=now))
    day = now.astimezone(ZoneInfo(agent.settings.device.time_zone)).date()
    institution = agent.settings.device.institution_id
    agent.inpatients.put(
        InpatientRoster(institution_id=institution, day=day, made_at=now, patients=tuple(patients)), now
    )
    return len(patients)


def figures(agent: WardAgent) -> dict[str, Any]:
    """Sum up what the cameras delivered and what became of it."""
    watches = agent.watches
    return {
        "at_s": time.monotonic(),
        "pictures": sum(watch.camera.counts.pictures for watch in watches),
        "analysed": sum(watch.numbers.analysed for watch in watches),
        "on_time": sum(watch.numbers.on_time for watch in watches),
        "with_motion": sum(watch.numbers.looked_for_faces for watch in watches),
        "faces": sum(watch.numbers.faces for watch in watches),
        "analysis_cpu_s": sum(watch.numbers.cpu_seconds for watch in watches),
        "presences": agent.writer.told,
        "cameras_up": sum(watch.standing().state.value == "up" for watch in watches),
    }


def main(config: Path, folder: Path) -> None:
    """Do what the module says."""
    cv2.setNumThreads(1)
    settings: Settings = load_settings(config)
    check_settings(settings)
    chosen = choose_engine(settings)
    engine = chosen.open()
    at_hand = [engine]

    def make() -> FaceEngine:
        return at_hand.pop() if at_hand else chosen.open()

    agent = WardAgent(settings, clock=SystemClock(), open_engine=make, central_key=None)
    enrolled = enrol(agent, engine, folder)
    agent.start()
    print(json.dumps({"ready": enrolled}), flush=True)  # noqa: T201 - spoken to the process that started us
    for _line in sys.stdin:
        print(json.dumps(figures(agent)), flush=True)  # noqa: T201 - the same
    agent.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
