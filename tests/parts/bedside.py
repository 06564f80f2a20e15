"""An inspector's unit, rounds and a stand-in for central's door, for the bedside tests."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import cv2
import numpy as np
import orjson
from parts.edge import DAY, Answer, Page, StandInEngine, jpeg_of, make_settings, stepped_clock

from renzheng.contracts.log import read_entry
from renzheng.contracts.rosters import Away
from renzheng.contracts.rounds import Check, Opening, SealedSheet, Sheet, new_opening_code, seal
from renzheng.edge.bedside.main import Unit, build_unit
from renzheng.edge.bedside.rounds import sheet_id
from renzheng.edge.device.clock import SteppedClock
from renzheng.edge.errors import BulkUnreachableError

CODE = new_opening_code()
PIN, WITNESS_PIN = "246813", "9753"
DRAWN, DUE, CLOSES = DAY - timedelta(hours=12), DAY - timedelta(minutes=5), DAY + timedelta(hours=4)
SURNAMES = "王李张刘陈杨赵黄周吴徐孙马朱胡"


def make_check(number: int, **changed: Any) -> Check:
    """The check of one patient; five beds a ward."""
    values = {
        "check_id": f"C{number}",
        "visit_id": f"V{number}",
        "person_id": f"P{number}",
        "surname": f"{SURNAMES[number % len(SURNAMES)]}某",
        "masked_number": f"****{1000 + number}",
        "ward": f"{number // 5 + 1}病区",
        "bed": f"{number // 5 + 1}-{number % 5 + 1:02d}",
    }
    return Check(**(values | changed))


def make_sheet(count: int = 10, *, checks: Sequence[Check] | None = None, **changed: Any) -> Sheet:
    """The sheet of a round that is due now."""
    values = {
        "round_id": "R-2026-061",
        "institution_id": "H1",
        "institution_name": "示范医院",
        "drawn_at": DRAWN,
        "due_at": DUE,
        "closes_at": CLOSES,
        "checks": tuple(checks or (make_check(number) for number in range(count))),
    }
    return Sheet(**(values | changed))


def leave(kind: str = "examination", *, recorded_at: datetime = DRAWN - timedelta(hours=1)) -> Away:
    """An absence over the whole morning."""
    return Away(
        kind=kind,
        left_at=DAY - timedelta(hours=1),
        due_back_at=DAY + timedelta(hours=6),
        recorded_at=recorded_at,
    )


class StandInDoor:
    """Central's door: gives sheets always, codes once they are due, nothing while it is away."""

    def __init__(self, sheets: Sequence[Sheet], *, away: bool = False) -> None:
        self.sealed = [seal(sheet, CODE) for sheet in sheets]
        self.away = away

    def sheets(self) -> Sequence[SealedSheet]:
        """Give the sealed sheets."""
        self._must_answer()
        return self.sealed

    def openings(self) -> Sequence[Opening]:
        """Give the codes."""
        self._must_answer()
        return [Opening(round_id=sealed.round_id, code=CODE) for sealed in self.sealed]

    def _must_answer(self) -> None:
        if self.away:
            raise BulkUnreachableError("Central's door does not answer.")


def make_unit(
    folder: Path,
    sheets: Sequence[Sheet] = (),
    *,
    engine: Any = None,
    clock: Any = None,
    enrolled: int = 10,
    away: bool = False,
    **changed: dict[str, Any],
) -> Unit:
    """A unit with an inspector I-7, a nurse 1001, and the first patients enrolled with one face each."""
    changed = {"bedside": {"port": 0, "attempt_seconds": 6}} | changed
    settings = make_settings(
        folder, **({"device": {"device_id": "unit-01", "institution_id": "H1"}} | changed)
    )
    unit = build_unit(
        settings,
        clock=clock or stepped_clock(),
        engine=engine or StandInEngine(),
        rounds=StandInDoor(sheets, away=away),
    )
    unit.put_inspector("I-7", PIN)
    unit.people.put_witness("1001", WITNESS_PIN)
    for number in range(enrolled):
        unit.people.put_patient(f"P{number}", surname="某", card_number=f"62220000{1000 + number}")
    return unit


def sheet_now(count: int = 4, **changed: Any) -> Sheet:
    """The sheet of a round that is due by the machine's own clock, for pages that have no other."""
    now = datetime.now(UTC)
    times = {
        "drawn_at": now - timedelta(hours=12),
        "due_at": now - timedelta(minutes=5),
        "closes_at": now + timedelta(hours=4),
    }
    return make_sheet(count, **(times | changed))


def make_unit_now(folder: Path, sheet: Sheet, *, port: int = 0, away: bool = False) -> Unit:
    """A unit on the machine's own clock that knows P0's face, and somebody else's under the name of P3."""
    unit = make_unit(
        folder,
        [sheet],
        clock=SteppedClock(datetime.now(UTC), runs=True),
        away=away,
        bedside={"port": port, "attempt_seconds": 6},
    )
    if not unit.people.references("P0", "stand-in:000000000000:2"):
        enrol(unit, "P0", 120)
        enrol(unit, "P3", 30)
    return unit


def enrol(unit: Unit, person_id: str, shade: int) -> None:
    """Give a patient a reference that `StandInEngine` knows by its brightness."""
    engine = StandInEngine()
    image = cv2.imdecode(np.frombuffer(jpeg_of(shade), np.uint8), cv2.IMREAD_COLOR_RGB)
    face = engine.analyse(image).face
    with unit.store.writing() as database:
        unit.people.add_references(person_id, [engine.embed(image, face)], source="photograph", at=DAY)(
            database
        )


def noisy_jpeg(shade: int, seed: int) -> bytes:
    """A frame of one shade as a sensor would give it: never the same twice."""
    noise = np.random.default_rng(seed).normal(shade, 6, (480, 640, 1)).clip(0, 255)
    done, encoded = cv2.imencode(".jpg", np.repeat(noise.astype(np.uint8), 3, axis=2))
    assert done
    return encoded.tobytes()


def events_of(unit: Unit, name: str) -> list[dict[str, Any]]:
    """The unit's events of one type, oldest first."""
    every = [read_entry(line).event for line in unit.log.lines(0, 10_000)]
    return [event for event in every if event["type"].endswith(name)]


def answers_of(unit: Unit) -> dict[str, tuple[str, str | None]]:
    """The last answer to each patient's check: result and reason."""
    return {
        event["subject"]: (event["data"]["result"], event["data"].get("reason"))
        for event in events_of(unit, "spot_check.answered")
    }


class InspectorsPage(Page):
    """Calls a unit as its page does, with the page's cookie."""

    def __init__(self, unit: Unit, *, number: str = "I-7", pin: str = PIN) -> None:
        super().__init__(unit.url)
        self.unit = unit
        self.cookie = ""
        if number:
            assert self.sign_in(number, pin).status_code == 200

    def sign_in(self, number: str, pin: str) -> Answer:
        """Sign in; the cookie is kept."""
        request = Request(
            self.base_url + "/api/sign-in",
            data=orjson.dumps({"number": number, "pin": pin}),
            headers={"content-type": "application/json"},
        )
        try:
            with urlopen(request, timeout=90) as answer:
                self.cookie = answer.headers["set-cookie"].split(";")[0]
                return Answer(answer.status, answer.read().decode())
        except HTTPError as error:
            with error:
                return Answer(error.code, error.read().decode())

    def _call(self, method: str, path: str, body: bytes | None, headers: Any) -> Answer:
        return super()._call(method, path, body, {**headers, "cookie": self.cookie})

    def now_ms(self) -> float:
        """A page's clock that is as the unit's."""
        return self.unit.clock.read().wall.timestamp() * 1000

    def open(self, sheet: Sheet, code: str | None = CODE) -> Answer:
        """Open a sheet."""
        name = sheet_id(sheet.round_id, sheet.institution_id)
        return self.post(f"/api/sheets/{name}/open", json={"code": code})

    def look(self, sheet: Sheet, check_id: str, shade: int) -> dict[str, Any]:
        """Look at a plain frame until the look ends."""
        name = sheet_id(sheet.round_id, sheet.institution_id)
        look = self.post("/api/looks", json={"sheet_id": name, "check_id": check_id}).json()
        until, seed = time.monotonic() + 90, 0
        while not look.get("verdict") and time.monotonic() < until:
            time.sleep(0.05 + 0.01 * (seed % 3))
            seed += 1
            look = self.post(
                f"/api/looks/{look['look_id']}/frames",
                content=noisy_jpeg(shade, seed),
                headers={"content-type": "image/jpeg"},
            ).json()
        return look

    def answer(self, sheet: Sheet, number: int, **said: Any) -> Answer:
        """Answer a check; the clock is right and the answer fresh unless said otherwise."""
        now = self.now_ms()
        values = {
            "answer_id": f"answer-{number:010d}",
            "sheet_id": sheet_id(sheet.round_id, sheet.institution_id),
            "check_id": f"C{number}",
            "inspector_id": "I-7",
            "answered_ms": now,
            "sent_ms": now,
        }
        return self.post("/api/answers", json=values | said)
