"""A pharmacy's counter with two clerks, a patient and her daughter, and its page, for the counter's tests."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import cv2
import numpy as np
import orjson
from parts.bedside import noisy_jpeg
from parts.edge import DAY, Answer, Page, StandInEngine, jpeg_of, make_settings

from renzheng.contracts.log import read_entry
from renzheng.edge.counter.main import Counter, build_counter
from renzheng.edge.device.clock import SteppedClock

CLERK, PIN = "2001", "246813"
COLLEAGUE, COLLEAGUES_PIN = "2002", "975318"
MOTHER, DAUGHTER = "370101195001010025", "370101197803040046"
MOTHERS_CARD, DAUGHTERS_CARD = "62220000111", "62220000222"
SHADE = 120
"""What the stand-in engine takes for the daughter's face."""


def make_counter(folder: Path, *, purpose: str = "pharmacy", address: bool = False) -> Counter:
    """A counter that knows the mother without, and the daughter with a face."""
    device = {"device_id": "counter-01", "institution_id": "P1", "purpose": purpose}
    counter: dict[str, Any] = {"port": 0, "attempt_seconds": 6}
    if address:
        counter["address_file"] = folder / "address"
    settings = make_settings(folder, device=device, counter=counter)
    agent = build_counter(settings, clock=SteppedClock(datetime.now(UTC), runs=True), engine=StandInEngine())
    for number, pin in ((CLERK, PIN), (COLLEAGUE, COLLEAGUES_PIN)):
        agent.people.put_witness(number, pin)
    agent.people.put_patient(MOTHER, surname="王", card_number=MOTHERS_CARD)
    agent.people.put_patient(DAUGHTER, surname="李", card_number=DAUGHTERS_CARD)
    engine = StandInEngine()
    image = cv2.imdecode(np.frombuffer(jpeg_of(SHADE), np.uint8), cv2.IMREAD_COLOR_RGB)
    template = engine.embed(image, engine.analyse(image).face)
    with agent.store.writing() as database:
        agent.people.add_references(DAUGHTER, [template], source="photograph", at=DAY)(database)
    return agent


def purchases_of(agent: Counter) -> list[dict[str, Any]]:
    """The counter's events of purchases, oldest first."""
    every = [read_entry(line).event for line in agent.log.lines(0, 10_000)]
    return [event for event in every if event["type"].endswith("attendance.counter")]


class ClerksPage(Page):
    """Calls a counter as its page does, with the clerk's cookie."""

    def __init__(self, agent: Counter, *, signed_in: bool = True) -> None:
        super().__init__(agent.url)
        self.cookie = ""
        self.number = 0
        if signed_in:
            assert self.sign_in(CLERK, PIN).status_code == 200

    def sign_in(self, number: str, pin: str) -> Answer:
        """Sign in; the cookie is kept."""
        body = orjson.dumps({"number": number, "pin": pin})
        request = Request(
            self.base_url + "/api/sign-in", data=body, headers={"content-type": "application/json"}
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

    def new_id(self) -> str:
        """The id of a further purchase."""
        self.number += 1
        return f"purchase-{self.number:010d}"

    def look(self, purchase_id: str, buyer: str, shade: int) -> dict[str, Any]:
        """Look at noisy frames of one shade until the look ends."""
        look = self.post("/api/looks", json={"purchase_id": purchase_id, "buyer": buyer}).json()
        seed = 0
        while not look.get("verdict"):
            time.sleep(0.05)
            seed += 1
            headers = {"content-type": "image/jpeg"}
            path = f"/api/looks/{look['look_id']}/frames"
            look = self.post(path, content=noisy_jpeg(shade, seed), headers=headers).json()
        return look

    def buy(self, way: str, purchase_id: str | None = None, **said: Any) -> Answer:
        """The daughter buys for her mother, papers of both shown."""
        values = {
            "purchase_id": purchase_id or self.new_id(),
            "patient": MOTHERS_CARD,
            "buyer": DAUGHTERS_CARD,
            "relation": "child",
            "basis": "relative",
            "papers_seen": True,
            "way": way,
        }
        return self.post("/api/purchases", json={**values, **said})
