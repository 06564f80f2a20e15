"""The national network identity at the kiosk: a stub of a site's gateway answers over HTTPS on loopback."""

import json

import pytest
from parts.certificates import CertificateAuthority
from parts.edge import Page, StandInEngine, hurry, make_settings, stepped_clock
from parts.network_identity import Service
from pydantic import ValidationError
from typer.testing import CliRunner

from renzheng.contracts.events import AttendanceData, parse_event, utc_now
from renzheng.contracts.log import read_entry
from renzheng.edge.command import app
from renzheng.edge.device.network_identity import Gateway
from renzheng.edge.errors import (
    NetworkIdentityRefusedError,
    NetworkIdentityUnreachedError,
    UnknownPersonError,
)
from renzheng.edge.kiosk.main import build_agent
from renzheng.edge.settings.network_identity import NetworkIdentitySettings


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    hurry(monkeypatch)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    made = Service(tmp_path_factory.mktemp("gateway"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def agent(tmp_path_factory, service):
    service.clock = stepped_clock()
    settings = make_settings(tmp_path_factory.mktemp("kiosk"), network_identity=service.settings)
    made = build_agent(settings, clock=service.clock, engine=StandInEngine())
    for number in (1, 2):
        made.people.put_patient(f"P{number}", surname="某", card_number=f"622200001111222{number}")
        made.people.put_network_identity(f"P{number}", f"token-{number}")
    made.people.put_witness("1001", "2468")
    made.start()
    yield made
    made.stop()


@pytest.fixture
def page(agent, service):
    service.spoil = lambda told: told
    found = Page(agent.kiosk_url)
    found.post("/kiosk/cancel")
    found.post("/kiosk/identify", json={"card_number": "6222000011112221"})
    found.post("/kiosk/consent", json={"given": False})
    assert found.get("/kiosk/state").json()["screen"] == "other_way"
    return found


def show(page, code):
    return page.post("/kiosk/network-identity", json={"code": code})


def attempts_of(agent):
    found = [read_entry(line).event for line in agent.log.lines(0, 10_000)]
    return [one for one in found if ".attendance." in one["type"]]


def test_a_code_signs_in_and_out_as_a_witness_would_and_the_event_says_by_what(agent, page, service):
    assert page.get("/kiosk/settings").json()["network_identity"] is True
    assert show(page, "code-of-one").json()["screen"] == "done"
    event = attempts_of(agent)[-1]
    data = event["data"]
    assert (event["type"], event["subject"]) == ("renzheng.v1.attendance.sign_in", "P1")
    assert (data["outcome"], data.get("witness_id"), data["reason"]) == ("declined", None, "face_declined")
    assert data["identifiers"] == ["insurance_card", "national_network_identity"]
    assert set(service.asked[-1]) == {"transaction", "code"}, "nothing of the patient leaves the kiosk"
    assert "token-1" not in json.dumps(event)
    assert parse_event(event).data.witness_id is None, "and it is an event of the contract"


def whoever_is_refused(agent, page, code, problem, status):
    before = len(attempts_of(agent))
    answer = show(page, code)
    assert (answer.status_code, answer.json()["problem"]) == (status, problem)
    assert len(attempts_of(agent)) == before, "it accuses nobody"
    assert page.get("/kiosk/state").json()["screen"] == "other_way", "and the other ways stay"
    word = {"witness_id": "1001", "pin": "2468", "identifier": "id_card", "cause": "face_declined"}
    assert page.post("/kiosk/witness", json=word).json()["screen"] == "done"


@pytest.mark.parametrize("code", ["code-of-two", "code-of-a-stranger", "run-out", "x" * 512])
def test_another_persons_code_or_none_that_holds_names_nobody(agent, page, code):
    if code == "code-of-two":  # the service knows it well: it is another patient's here
        assert show(page, code).status_code == 409
        assert page.get("/kiosk/state").json()["screen"] == "other_way"
        return
    whoever_is_refused(agent, page, code, "network_identity_not_shown", 403)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: b"",
        lambda _: b"<html>",
        lambda _: b"[1]",
        lambda _: b" " * 70_000,
        lambda told: {**told, "transaction": "another"},
        lambda told: {**told, "at": "2020-01-01T00:00:00Z"},
        lambda told: {**told, "at": "2026-03-02T09:00:00"},
        lambda told: {**told, "result": "perhaps"},
        lambda told: {**told, "person": "x" * 201},
    ],
)
def test_a_service_that_answers_something_else_turns_nobody_away(agent, page, service, spoil):
    service.spoil = spoil
    whoever_is_refused(agent, page, "code-of-one", "network_identity_unreached", 503)


def test_a_service_that_verifies_nobody_shows_nobody(agent, page, service):
    service.spoil = lambda told: {**told, "person": ""}
    whoever_is_refused(agent, page, "code-of-one", "network_identity_not_shown", 403)


def test_an_absent_a_slow_and_a_strange_service_cannot_be_asked(service, tmp_path):
    now = lambda: service.clock.read().wall  # noqa: E731

    def ask(**changed):
        settings = NetworkIdentitySettings(**{**service.settings, **changed})
        return Gateway(settings, now).ask("code-of-one")

    service.spoil = lambda told: told
    assert ask().person_token == "token-1"
    assert ask(assurances=("face", "password")).assurance == "face"
    with pytest.raises(NetworkIdentityRefusedError):
        ask(assurances=("password",))
    with pytest.raises(NetworkIdentityUnreachedError):
        ask(url="https://127.0.0.1:1/identity")
    other = CertificateAuthority(tmp_path, "somebody else's CA")
    with pytest.raises(NetworkIdentityUnreachedError):
        ask(ca_file=str(other.certificate))
    service.spoil = lambda told: service.go_on.wait(30) and told
    with pytest.raises(NetworkIdentityUnreachedError):
        ask(seconds=0.2)
    service.go_on.set()
    for wrong in ("http://127.0.0.1/x", "https://", "file:///etc/passwd"):
        with pytest.raises(ValidationError):
            NetworkIdentitySettings(url=wrong)


def test_a_patients_token_is_entered_from_a_code_and_kept_beside_the_e_credential(service, tmp_path):
    service.spoil = lambda told: told
    config, own = tmp_path / "agent.toml", service.settings
    settings = make_settings(tmp_path / "data", network_identity=own)
    data = settings.device.data_dir
    lines = [f'[device]\ndevice_id = "k-1"\ninstitution_id = "H1"\ndata_dir = "{data}"']
    lines += [f'[network_identity]\nurl = "{own["url"]}"\nca_file = "{own["ca_file"]}"']
    config.write_text("\n".join(lines))
    agent = build_agent(settings, clock=service.clock, engine=StandInEngine())
    agent.people.put_patient("P1", surname="某", card_number="62220000")
    agent.people.put_credential("P1", "a QR code")
    agent.stop()
    service.spoil = lambda told: {
        **told,
        "at": utc_now().isoformat(),
    }  # a command goes by the machine's own clock
    command = ["network-identity", "--config", str(config), "--person", "P1"]
    told = CliRunner().invoke(app, command, input="code-of-one\n")
    assert told.exit_code == 0, told.output
    agent = build_agent(settings, clock=service.clock, engine=StandInEngine())
    assert agent.people.by_network_identity("token-1").person_id == "P1"
    assert agent.people.by_credential("a QR code").person_id == "P1"
    with pytest.raises(UnknownPersonError):
        agent.people.by_credential("network identity\ntoken-1")
    agent.stop()


def test_an_attempt_that_nobody_vouched_for_is_no_event():
    clock = {"trusted": True, "boot_id": "b", "monotonic_ms": 1}
    told = {"institution_id": "H1", "clock": clock, "purpose": "dialysis", "outcome": "manual"}
    told["pad"] = "not_shown"
    for identifiers in ((), ("insurance_card", "id_card")):
        with pytest.raises(ValidationError, match="witness_id"):
            AttendanceData(**told, identifiers=identifiers)
    taken = AttendanceData(**told, identifiers=("insurance_card", "national_network_identity"))
    assert taken.witness_id is None
