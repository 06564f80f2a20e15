"""Agents, events and a stand-in for the face engine, for the edge's tests."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import cv2
import numpy as np
import orjson
import pytest

from renzheng.contracts.events import AttendanceData, Clock, Outcome, Pad, Purpose, SignIn, device_source
from renzheng.edge.device.clock import SteppedClock
from renzheng.edge.look import attempt, pace
from renzheng.edge.settings import Settings
from renzheng.models.analysis import Analysis, Face, NoFace, OneFace
from renzheng.models.calibration import Calibration
from renzheng.models.comparison import plain_space
from renzheng.models.decision import Decision, Match, NonMatch, NoReference, Threshold
from renzheng.models.detection.boxes import Box
from renzheng.models.landmarks import Landmarks
from renzheng.models.quality import Quality
from renzheng.models.templates import ModelId, Template

DAY = datetime(2026, 3, 2, 0, tzinfo=UTC)  # 08:00 in Shanghai
THRESHOLD = Threshold(0.9, 1e-3, 1e-4, 2e-3, "card")


def make_settings(folder: Path, **changed: dict[str, Any]) -> Settings:
    """Settings of one agent with its data in `folder`; sections are merged."""
    sections: dict[str, dict[str, Any]] = {
        "device": {"device_id": "kiosk-01", "institution_id": "H1", "data_dir": folder / "data"},
        # Most tests send plain frames, in which nothing lives: they are about something else.
        # No screen goes by itself while a busy machine looks at it.
        "kiosk": {
            "port": 0,
            "already_minutes": 0,
            "unshown_liveness": "record",
            "done_seconds": 60,
            "idle_seconds": 600,
            "sleep_seconds": 3600,
        },
    }
    for name, values in changed.items():
        sections[name] = sections.get(name, {}) | values
    return Settings.model_validate(sections)


def stepped_clock(*, runs: bool = True) -> SteppedClock:
    """A clock that begins at eight in the morning."""
    return SteppedClock(DAY, runs=runs)


def sign_in(number: int, *, device_id: str = "kiosk-01", subject: str = "P1") -> SignIn:
    """The event of one sign-in."""
    return SignIn(
        source=device_source(device_id),
        time=DAY + timedelta(seconds=number),
        subject=subject,
        data=AttendanceData(
            institution_id="H1",
            clock=Clock(trusted=True, boot_id="boot", monotonic_ms=number),
            purpose=Purpose.DIALYSIS,
            outcome=Outcome.MATCH,
            pad=Pad.BONA_FIDE,
            comparison_score=0.95,
            threshold=0.9,
            session_id=f"S{number}",
        ),
    )


def eventually(true: Callable[[], bool], *, within_seconds: float = 60.0) -> bool:
    """Wait until something holds; False when it does not in time."""
    deadline = time.monotonic() + within_seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@dataclass(frozen=True)
class Answer:
    """What an HTTP call came back with."""

    status_code: int
    text: str

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.text)


class Page:
    """Calls an agent as its own page does."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url.rstrip("/")

    def get(self, path: str) -> Answer:
        """GET."""
        return self._call("GET", path, None, {})

    def post(
        self,
        path: str,
        *,
        json: Any = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """POST JSON, or raw bytes."""
        body = content if content is not None else orjson.dumps({} if json is None else json)
        return self._call("POST", path, body, {"content-type": "application/json", **(headers or {})})

    def _call(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        request = Request(self.base_url + path, data=body, headers=dict(headers), method=method)
        try:
            with urlopen(request, timeout=90) as answer:
                return Answer(answer.status, answer.read().decode())
        except HTTPError as error:
            with error:
                return Answer(error.code, error.read().decode())


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a look be decided soon: a stand-in's face shows nothing living, however long that is waited for.

    How long it really is waited for is shown in tests/unit/edge/test_edge_attempt.py.
    """
    monkeypatch.setattr(attempt, "PASSIVE_MS", 300)
    monkeypatch.setattr(attempt, "REFUSE_MS", 300)


def be_unmoved_by_load(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no machine count as too slow: a busy one must fail no test. What that means is tested by clocks."""
    monkeypatch.setattr(pace, "SLOW_MS", 3_600_000)
    monkeypatch.setattr(pace, "LONGEST_MS", 3_600_000)


def be_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a look of the real engine wait for frames that a busy machine brings late."""
    monkeypatch.setattr(attempt, "PASSIVE_MS", 20_000)
    monkeypatch.setattr(attempt, "LOST_MS", 5_000)


def jpeg_of(shade: int) -> bytes:
    """A plain frame; `StandInEngine` sees a face in it whose identity is its shade, none when it is 0."""
    done, encoded = cv2.imencode(".jpg", np.full((480, 640, 3), shade, np.uint8))
    assert done
    return encoded.tobytes()


class StandInEngine:
    """Takes a frame's brightness for an identity; the real engine's Protocol, none of its networks."""

    name = "stand-in"
    model = ModelId("stand-in:000000000000:2")
    card_calibration = Calibration(plain_space(model), (THRESHOLD, Threshold(0.99, 1e-4, 1e-5, 1e-3, "card")))

    def analyse(self, image: np.ndarray, *, last: Face | None = None) -> Analysis:
        """See one face, or none in the dark; followed where that is asked for."""
        if image.mean() < 20:
            return NoFace()
        eyes = Landmarks((370, 200), (350, 200), (270, 200), (290, 200), (320, 260))
        quality = Quality(80.0, 10.0, 120.0, 0.0, 0.0, 0.0, 1.0)
        return OneFace(Face(Box(220, 120, 420, 360), 1.0, eyes, followed=last is not None), quality)

    def analyse_reference(
        self,
        image: np.ndarray,
        *,
        any_way_up: bool = False,  # noqa: ARG002 - the Protocol's
    ) -> tuple[np.ndarray, Analysis]:
        """See the same; brightness has no upper end."""
        return image, self.analyse(image)

    def embed(self, image: np.ndarray, face: Face, *, mirrored: bool = False) -> Template:  # noqa: ARG002
        """Make the brightness the template."""
        return Template(np.array([image.mean(), 255 - image.mean()], np.float32), self.model)

    def verify(
        self,
        probes: Sequence[Template],
        references: Sequence[Template],
        at_fmr: float = 1e-3,  # noqa: ARG002 - the Protocol's
        calibration: Calibration | None = None,  # noqa: ARG002
    ) -> Decision:
        """Match equal brightness."""
        if not references:
            return NoReference()
        apart = abs(float(probes[0].values[0]) - float(references[0].values[0]))
        return Match(0.99, THRESHOLD) if apart < 5 else NonMatch(0.1, THRESHOLD)
