"""Every setting is read by the product: a setting that nobody reads is a promise to whoever writes the file.

The five agents are started with settings that note who reads them, and do what an agent does on a day. Only
what the product's own code reads counts; what validation and copying read does not.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from parts.bedside import InspectorsPage, make_unit, sheet_now
from parts.certificates import CertificateAuthority
from parts.edge import Page, StandInEngine, eventually, jpeg_of, make_settings
from parts.machine_log import HEADER, make_gateway, row
from parts.network_identity import Service
from parts.till import ClerksPage, make_counter
from pydantic import BaseModel

from renzheng.contracts.events import utc_now
from renzheng.edge.device.clock import SystemClock
from renzheng.edge.device.link.uplink import read_central_key
from renzheng.edge.device.network_identity import open_network_identity
from renzheng.edge.kiosk.main import build_agent
from renzheng.edge.look.engines import choose_engine
from renzheng.edge.settings import Settings
from renzheng.edge.settings.network_identity import NetworkIdentitySettings
from renzheng.edge.settings.sections import Section
from renzheng.edge.ward.camera import TimedPicture
from renzheng.edge.ward.decoder import Picture
from renzheng.edge.ward.main import WardAgent
from renzheng.edge.ward.notice import write_notice
from renzheng.edge.ward.sight import Condition
from renzheng.edge.ward.tracks import Step, Track
from renzheng.models.detection.boxes import Box

NOWHERE = "rtsp://127.0.0.1:9/stream"


def fields_of(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """Every setting below a section, by its class and name."""
    for name, info in model.model_fields.items():
        yield model.__name__ + "@" + model.__module__, name
        for inner in sections_in(info.annotation):
            yield from fields_of(inner)


def sections_in(annotation: object) -> Iterator[type[BaseModel]]:
    """The sections that an annotation names, in a tuple or beside None as well."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in getattr(annotation, "__args__", ()):
        yield from sections_in(part)


@contextmanager
def noted(monkeypatch) -> Iterator[set[tuple[str, str]]]:
    """What is read of settings by the product's own code while this holds."""
    seen: set[tuple[str, str]] = set()

    def read(section, name):
        kind = type(section)
        if name in kind.__dict__.get("__pydantic_fields__", {}):
            reader = sys._getframe(1)
            module = reader.f_globals["__name__"]
            validates = module.startswith("renzheng.edge.settings") and not isinstance(
                getattr(kind, reader.f_code.co_name, None), property
            )
            if module.startswith("renzheng.") and not validates:
                seen.add((kind.__name__ + "@" + kind.__module__, name))
        return object.__getattribute__(section, name)

    with monkeypatch.context() as patch:
        patch.setattr(Section, "__getattribute__", read, raising=False)
        yield seen


@pytest.fixture
def link(tmp_path):
    """A broker that does not answer, over TLS, with everything that may be said of it."""
    authority = CertificateAuthority(tmp_path / "ca")
    mine = authority.issue("device")
    password = tmp_path / "password"
    password.write_text("x")
    return {
        "host": "127.0.0.1",
        "port": 9,
        "username": "device",
        "password_file": password,
        "ca_file": authority.certificate,
        "certificate_file": mine.certificate,
        "key_file": mine.key,
    }


def a_day_at_the_kiosk(folder, link):
    """Somebody is enrolled, named and looked at; the camera and the broker do not answer."""
    password = folder / "camera-password"
    password.write_text("x")
    settings = make_settings(
        folder / "kiosk",
        link=link,
        bulk={"url": "https://127.0.0.1:9", "ca_file": link["ca_file"]},
        camera={"source": NOWHERE, "password_file": password},
    )
    choose_engine(settings)
    gateway = Service(folder / "gateway")
    gateway.clock = SystemClock()
    own = {"certificate_file": link["certificate_file"], "key_file": link["key_file"], "assurances": ["face"]}
    identity = NetworkIdentitySettings.model_validate(gateway.settings | own)
    assert open_network_identity(identity, utc_now).ask("code-of-one").person_token == "token-1"
    gateway.close()
    agent = build_agent(settings, engine=StandInEngine())
    photograph = jpeg_of(120)
    agent.registration.enrol(
        "P1", surname="某", card_number="62220000", photographs=[photograph], consented=True
    )
    agent.start()
    try:
        agent.housekeeper.tidy(utc_now())
        page = Page(agent.kiosk_url)
        assert page.get("/kiosk/settings").status_code == 200
        assert page.get("/kiosk/roster").status_code == 200
        assert page.post("/kiosk/identify", json={"person_id": "P1"}).json()["screen"] == "looking"
        agent.link._link._publish_status("online")
    finally:
        agent.stop()


def a_round_at_the_bedside(folder):
    """An inspector signs in, opens a round and answers."""
    sheet = sheet_now()
    unit = make_unit(folder / "bedside", [sheet], clock=SystemClock())
    unit.start()
    try:
        page = InspectorsPage(unit)
        assert page.post("/api/rounds/fetch").status_code == 200
        assert page.open(sheet, None).status_code == 200
        assert page.answer(sheet, 0, choice="refused").status_code == 200
        unit.monitor.beat()
        unit._tidy(utc_now())
    finally:
        unit.stop()


def a_sale_at_the_counter(folder):
    """A clerk signs in, and a relative buys."""
    agent = make_counter(folder / "counter")
    agent.start()
    try:
        assert ClerksPage(agent).buy("document").json()["identified"]
    finally:
        agent.stop()


def a_run_of_a_machine(folder):
    """A console writes one run."""
    folder = folder / "machine"
    folder.mkdir()
    (folder / "runs.csv").write_text(HEADER + row(1))
    gateway = make_gateway(folder)
    gateway.start()
    try:
        gateway.read()
        gateway.standing()
    finally:
        gateway.stop()


def a_day_at_the_ward(folder, ca_file):
    """A camera that does not answer, and the notice beside it."""
    credentials = folder / "credentials"
    credentials.write_text("user\nsecret\n")
    credentials.chmod(0o600)
    line = {"start": (0, 0.5), "end": (1, 0.5), "inside": (0.5, 0.9)}
    camera = {"id": "door", "url": NOWHERE, "ward": "3", "place": "entrance", "line": line}
    settings = make_settings(
        folder / "ward",
        device={"device_id": "ward-1", "purpose": "inpatient"},
        bulk={"url": "https://127.0.0.1:9", "ca_file": ca_file},
        ward={"cameras": [camera | {"credentials_file": credentials}], "health_port": 0, "workers": 1},
    )
    agent = WardAgent(settings, clock=SystemClock(), open_engine=StandInEngine, central_key=None)
    agent.start()
    try:
        agent.refresh()
        agent.health()
        watch = agent.watches[0]
        taken = TimedPicture(Picture(np.zeros((540, 640), np.uint8)), 0.0)
        watch.analyse(None, taken)
        assert watch.scene.condition is Condition.DARK
        down = Track(1, (Step(0.0, Box(0, 0, 9, 9)), Step(1.0, Box(0, 340, 9, 349))))
        assert watch._direction(down, taken) == "in"
        assert eventually(lambda: agent.watches[0].standing().cause == "unreachable")
        write_notice(settings, folder / "notice.html")
    finally:
        agent.stop()


def test_every_setting_is_read_by_the_product(tmp_path, monkeypatch, link):
    with noted(monkeypatch) as seen:
        a_day_at_the_kiosk(tmp_path, link)
        a_round_at_the_bedside(tmp_path)
        a_sale_at_the_counter(tmp_path)
        a_run_of_a_machine(tmp_path)
        a_day_at_the_ward(tmp_path, link["ca_file"])
    unread = {f"{kind.partition('@')[0]}.{name}" for kind, name in set(fields_of(Settings)) - seen}
    assert not unread


def test_a_setting_that_nobody_reads_is_found(monkeypatch):
    """The instrument itself: a copy and a look by the test count for nothing, the product's own read does."""
    settings = Settings.model_validate({"device": {"device_id": "a", "institution_id": "H1"}})
    with noted(monkeypatch) as seen:
        settings.model_copy(update={"link": settings.link.model_copy(update={"host": None})})
        assert settings.face.engine == "best"
        assert seen == set()
        read_central_key(settings)
    assert {name for _, name in seen} == {"link", "central_key_file"}
