"""A device whose face engine was changed: nobody is compared across engines, all are told in words."""

import json
import logging
from pathlib import Path

import pytest
from parts.bedside import InspectorsPage, make_sheet, make_unit
from parts.bedside import enrol as enrol_at_the_bedside
from parts.edge import DAY, Page, StandInEngine, jpeg_of, make_settings, stepped_clock

from renzheng.contracts.log import read_entry
from renzheng.contracts.rosters import Inpatient, InpatientRoster
from renzheng.edge.bedside import app as bedside_app
from renzheng.edge.kiosk import app as kiosk_app
from renzheng.edge.kiosk.main import build_agent
from renzheng.edge.look.engines import choose_engine
from renzheng.edge.ward.main import WardAgent
from renzheng.models.calibration import Calibration
from renzheng.models.comparison import plain_space
from renzheng.models.engine import BEST_FIRST, is_ready, model_of
from renzheng.models.templates import ModelId

SHADE = 120


class NewEngine(StandInEngine):
    """The stand-in with another model's templates, which look the same to a careless comparison."""

    name = "new-engine"
    model = ModelId("new-engine:000000000000:2")
    card_calibration = Calibration(plain_space(model), StandInEngine.card_calibration.thresholds)


def kiosk_with(engine, folder, **sections):
    return build_agent(make_settings(folder, **sections), clock=stepped_clock(), engine=engine)


def enrol(agent):
    agent.registration.enrol(
        "P1", surname="王某", card_number="62220000", photographs=[jpeg_of(SHADE)], consented=True
    )


def events_of(agent, name):
    every = [read_entry(line).event for line in agent.log.lines(0, 1000)]
    return [event for event in every if event["type"].endswith(name)]


def words(page, key):
    catalogues = Path(str(page)) / "catalogue"
    return [json.loads(file.read_text("utf-8"))[key] for file in sorted(catalogues.iterdir())]


@pytest.fixture
def changed(tmp_path):
    """A kiosk where P1 was enrolled with the old engine, and the new one is in force now."""
    before = kiosk_with(StandInEngine(), tmp_path)
    enrol(before)
    before.people.put_witness("1001", "2468")
    before.store.close()
    agent = kiosk_with(NewEngine(), tmp_path, link={"host": "127.0.0.1", "port": 9})
    agent.start()
    yield agent
    agent.stop()


def test_who_was_enrolled_with_another_engine_is_not_looked_at_and_enrolled_again(changed):
    page = Page(changed.kiosk_url)
    screen = page.post("/kiosk/identify", json={"person_id": "P1"}).json()
    assert (screen["screen"], screen["cause"]) == ("other_way", "enrol_again")
    assert all(words(kiosk_app.PAGE, "cause_text.enrol_again"))
    vouched = {
        "witness_id": "1001",
        "pin": "2468",
        "identifier": "id_card",
        "cause": "enrol_again",
    }
    assert page.post("/kiosk/witness", json=vouched).json()["screen"] == "done"
    assert events_of(changed, "sign_in")[-1]["data"]["reason"] == "enrol_again"

    enrol(changed)
    assert page.get("/health").json()["engine"]["enrol_again"] == 0
    assert page.post("/kiosk/identify", json={"person_id": "P1"}).json()["screen"] == "looking"


def test_log_health_and_status_say_what_is_in_force(tmp_path, changed, caplog):
    report = Page(changed.kiosk_url).get("/health").json()
    assert report["engine"] == {
        "name": "new-engine", "model": NewEngine.model, "better": None, "enrol_again": 1
    }  # fmt: skip
    assert report["software"].endswith("(new-engine)")
    assert events_of(changed, "started")[-1]["data"]["software"] == report["software"]
    assert changed.link._link._status("online").software == report["software"]
    with caplog.at_level(logging.INFO, "renzheng"):
        changed.engine_report.log()
    assert "new-engine" in caplog.text
    assert "1 people have references of another face engine only: enrol them again" in caplog.text


def test_at_the_bedside_nobody_is_looked_at_either(tmp_path):
    sheet = make_sheet(1)
    before = make_unit(tmp_path, [sheet])
    enrol_at_the_bedside(before, "P0", SHADE)
    before.store.close()
    unit = make_unit(tmp_path, [sheet], engine=NewEngine())
    unit.start()
    try:
        page = InspectorsPage(unit)
        page.post("/api/rounds/fetch")
        page.open(sheet, None)
        assert page.look(sheet, "C0", SHADE)["verdict"] == "enrol_again"
        assert unit.health()["engine"]["enrol_again"] == 1
        assert unit.health()["software"].endswith("(new-engine)")
    finally:
        unit.stop()
    assert all(words(bedside_app.PAGE, "verdict.enrol_again"))


def test_a_ward_s_list_counts_who_must_be_enrolled_again(tmp_path):
    before = kiosk_with(StandInEngine(), tmp_path)
    enrol(before)
    before.store.close()
    settings = make_settings(
        tmp_path,
        device={"purpose": "inpatient"},
        ward={
            "cameras": [{"id": "door", "url": "rtsp://127.0.0.1:9/", "ward": "3", "place": "corridor"}],
            "health_port": 0,
        },
    )
    agent = WardAgent(settings, clock=stepped_clock(), open_engine=NewEngine, central_key=None)
    patient = Inpatient(visit_id="V1", person_id="P1", surname="王某", ward="3", admitted_at=DAY)
    roster = InpatientRoster(institution_id="H1", day=DAY.date(), made_at=DAY, patients=(patient,))
    agent.inpatients.put(roster, DAY)
    agent.refresh()
    report = agent.health()
    agent.store.close()
    assert report["lists"] == {"3": {"inpatients": 1, "looked_for": 0, "enrol_again": 1}}
    assert report["engine"]["name"] == "new-engine"


def test_the_best_engine_of_this_machine_is_opened_and_in_force(tmp_path):
    if not is_ready(BEST_FIRST[0]):
        pytest.skip("needs the model files that RENZHENG_MODEL_DIR names")
    settings = make_settings(tmp_path)
    agent = build_agent(settings)
    try:
        assert agent.health()["engine"]["name"] == BEST_FIRST[0]
        assert agent.health()["engine"]["model"] == model_of(BEST_FIRST[0])
    finally:
        agent.store.close()
    # A device where people are enrolled keeps their model, and says that a better engine is here.
    other = make_settings(tmp_path / "other", face={"engine": "dlib"})
    engine = choose_engine(other).open()
    with_people = build_agent(other, engine=engine)
    with_people.people.put_patient("P1", surname="王某", card_number=None)
    with with_people.store.writing() as database:
        database.execute(
            "INSERT INTO person_references VALUES ('r', 'P1', ?, x'00', 'live', '2026-03-02')",
            (engine.model,),
        )
    with_people.store.close()
    assert choose_engine(make_settings(tmp_path / "other")).name == "yunet-dlib"
