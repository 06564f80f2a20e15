"""Whole agents over real files and real loopback HTTP, with a stand-in for the networks."""

import itertools
import json
import time
from datetime import timedelta

import cv2
import numpy as np
import pytest
from parts.busy import busy_machine
from parts.edge import DAY, Page, StandInEngine, eventually, hurry, jpeg_of, make_settings, stepped_clock
from parts.metrics import OF_WORKERS, series
from websockets.sync.client import connect

from renzheng.contracts.log import read_entry
from renzheng.edge.device.log import DeviceLog
from renzheng.edge.device.store.database import Store
from renzheng.edge.errors import (
    FolderInUseError,
    GuardianNeededError,
    PhotographRefusedError,
    SettingsError,
    StoreError,
)
from renzheng.edge.kiosk.main import build_agent
from renzheng.edge.kiosk.notices import notice_sha256
from renzheng.edge.look import watcher
from renzheng.edge.look.watcher import now_ms

MINE, OTHER = 120, 200


def events_of(agent):
    return [read_entry(line).event for line in agent.log.lines(0, 10_000)]


def of_type(agent, name):
    return [event for event in events_of(agent) if event["type"].endswith(name)]


def make_agent(folder, clock, **sections):
    return build_agent(make_settings(folder, **sections), clock=clock, engine=StandInEngine())


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    hurry(monkeypatch)


@pytest.fixture
def clock():
    return stepped_clock()


@pytest.fixture
def attempt_seconds():
    """Long enough for a machine that has other things to do."""
    return 60


@pytest.fixture
def agent(tmp_path, clock, attempt_seconds):
    agent = make_agent(tmp_path, clock, kiosk={"attempt_seconds": attempt_seconds})
    agent.registration.enrol(
        "P1",
        surname="王某",
        card_number="6222000011112222",
        photographs=[jpeg_of(MINE)],
        consented=True,
        on_roster=DAY.date(),
    )
    agent.people.put_witness("1001", "2468")
    agent.start()
    yield agent
    agent.stop()


@pytest.fixture
def page(agent):
    return Page(agent.kiosk_url)


def test_a_second_agent_of_a_data_folder_is_refused_and_leaves_no_word_in_the_log(tmp_path, clock):
    first, second = make_agent(tmp_path, clock), make_agent(tmp_path, clock)
    first.start()
    told = len(events_of(first))
    with pytest.raises(FolderInUseError, match="runs on"):
        second.start()
    assert len(events_of(first)) == told
    first.crash()
    second.start()
    second.stop()


class Frames:
    """The page's socket: sends frames until the screen changes."""

    def __init__(self, agent):
        address = agent.kiosk_url
        self.socket = connect(address.replace("http", "ws") + "kiosk/socket", origin=address.rstrip("/"))

    def until(self, names, frame, within_seconds=90):
        """Send a frame again and again, or a camera's one after the other."""
        deadline = time.monotonic() + within_seconds
        for one in itertools.repeat(frame) if isinstance(frame, bytes) else frame:
            if time.monotonic() > deadline:
                break
            self.socket.send(one)
            try:
                while True:
                    screen = json.loads(self.socket.recv(timeout=0.05))
                    if screen["screen"] in names:
                        return screen
            except TimeoutError:
                continue
        raise AssertionError(f"never {names}")

    def close(self):
        self.socket.close()


@pytest.fixture
def frames(agent):
    frames = Frames(agent)
    yield frames
    frames.close()


def identify(page, **named):
    return page.post("/kiosk/identify", json=named)


def test_a_card_and_a_face_sign_in_and_out_under_one_session(agent, page, frames):
    assert page.get("/kiosk/roster").json() == [
        {"person_id": "P1", "surname": "王某", "masked_number": "****2222", "group": "later"}
    ]
    assert identify(page, card_number=" 6222000011112222 ").json()["screen"] == "looking"
    done = frames.until({"done"}, jpeg_of(MINE))
    assert (done["intent"], done["first_usable_frame"]) == ("sign_in", 1)
    (signed_in,) = of_type(agent, "sign_in")
    assert signed_in["id"] == done["event_id"]
    assert (signed_in["data"]["outcome"], signed_in["data"]["pad"]) == ("match", "not_shown")
    assert signed_in["data"]["identifiers"] == ["insurance_card", "face"]
    assert signed_in["data"]["false_match_rate"] == 1e-3
    assert identify(page, person_id="P1").json()["intent"] == "sign_out"
    frames.until({"done"}, jpeg_of(MINE))
    (signed_out,) = of_type(agent, "sign_out")
    assert signed_out["data"]["session_id"] == signed_in["data"]["session_id"]
    kept = page.post("/kiosk/latencies", json={"event_id": done["event_id"], "frame": 1, "milliseconds": 640})
    assert kept.json() == {"kept": True}
    assert page.get("/kiosk/latencies").json()[0]["milliseconds"] == 640


def noisy_jpegs():
    """What a camera sends of somebody who stands still: never the same twice."""
    noise = np.random.default_rng(1)
    while True:
        picture = (MINE + noise.integers(-2, 3, (480, 640, 3))).astype(np.uint8)
        yield cv2.imencode(".jpg", picture)[1].tobytes()


@pytest.mark.long  # slow frames at simulated times: test_frames_as_a_busy_machine... in test_edge_pad.py
@pytest.mark.parametrize("attempt_seconds", [3])
def test_a_busy_machine_accuses_nobody(agent, page, frames, monkeypatch):
    """Two processes burn each core; whoever is not seen in time may try again: nothing worse is recorded."""
    monkeypatch.undo()  # of what is hurried
    with busy_machine():
        screen = identify(page, person_id="P1").json()
        while screen["screen"] not in {"done", "other_way"}:
            if screen["screen"] == "failed":
                page.post("/kiosk/go-on")
            screen = frames.until({"done", "failed", "other_way"}, noisy_jpegs())
    outcomes = {event["data"]["outcome"] for event in events_of(agent) if "outcome" in event["data"]}
    assert outcomes <= {"match", "not_acquired"}
    assert [event["data"]["pad"] for event in of_type(agent, "sign_in")] in ([], ["not_shown"])


def test_another_face_is_recorded_and_after_three_tries_the_nurse_is_asked(agent, page, frames):
    identify(page, person_id="P1")
    for _ in range(2):
        frames.until({"failed"}, jpeg_of(OTHER))
        assert page.post("/kiosk/go-on").json()["screen"] == "looking"
    assert frames.until({"other_way"}, jpeg_of(OTHER))["cause"] == "tries_used"
    checks = of_type(agent, "identity_check")
    assert [check["data"]["outcome"] for check in checks] == ["non_match"] * 3
    word = {"witness_id": "1001", "pin": "0000", "identifier": "id_card", "cause": "tries_used"}
    assert page.post("/kiosk/witness", json=word).json()["problem"] == "unknown_witness"
    assert page.post("/kiosk/witness", json=word | {"pin": "2468"}).json()["screen"] == "done"
    (manual,) = of_type(agent, "sign_in")
    assert (manual["data"]["outcome"], manual["data"]["witness_id"]) == ("manual", "1001")
    assert manual["data"]["reason"] == "tries_used"


@pytest.mark.parametrize(
    "shown",
    [
        (b"no JPEG at all", "unreadable_frame"),
        (b"\xff\xd8\xff\xe0 cut off", "unreadable_frame"),
        (jpeg_of(0), "step_into_view"),
    ],
    ids=["no picture", "damaged", "nobody"],
)
def test_frames_that_show_nothing_end_with_a_name(agent, page, frames, shown, monkeypatch):
    frame, advice = shown
    identify(page, person_id="P1")
    frames.socket.send(frame)
    assert eventually(lambda: agent.kiosk.watcher.handled >= 1)
    monkeypatch.setattr(watcher, "now_ms", lambda: now_ms() + 60_000)  # the attempt's time is over
    assert frames.until({"failed"}, frame)["advice"] == advice
    (check,) = of_type(agent, "identity_check")
    assert (check["data"]["outcome"], check["data"]["reason"]) == ("not_acquired", advice)


@pytest.mark.parametrize(
    ("path", "body", "status", "problem"),
    [
        ("/kiosk/identify", {"card_number": "999999999"}, 404, "unknown_person"),
        ("/kiosk/identify", {"person_id": "P9"}, 404, "unknown_person"),
        ("/kiosk/identify", {}, 409, "wrong_moment"),
        ("/kiosk/identify", {"bed": "7"}, 422, "malformed"),
        ("/kiosk/consent", {"given": True}, 409, "wrong_moment"),
        ("/kiosk/latencies", {"event_id": "e", "frame": 1, "milliseconds": 5}, 409, "wrong_moment"),
        ("/enrol/frame", None, 409, "wrong_moment"),
    ],
)
def test_bad_calls_end_with_a_name_and_never_echo_what_was_sent(page, path, body, status, problem):
    answer = page.post(path, json=body) if body is not None else page.post(path, content=b"x")
    assert (answer.status_code, answer.json()["problem"]) == (status, problem)
    assert "999999999" not in answer.text


def test_a_body_that_no_json_holds_is_malformed_too(page):
    answer = page.post(
        "/kiosk/latencies",
        content=b'{"event_id":"e","frame":1,"milliseconds":1e999}',
        headers={"content-type": "application/json"},
    )
    assert (answer.status_code, answer.json()["problem"]) == (422, "malformed")


@pytest.mark.parametrize("header", [{"host": "evil.example"}, {"origin": "http://evil.example"}])
def test_foreign_pages_may_not_call(page, header):
    assert page.post("/kiosk/identify", json={"person_id": "P1"}, headers=header).status_code == 403


def test_pins_cannot_be_tried_out(agent, page):
    identify(page, person_id="P1")
    page.post("/kiosk/other-way")
    word = {"witness_id": "1001", "pin": "0", "identifier": "id_card", "cause": "asked_for"}
    for _ in range(5):
        assert page.post("/kiosk/witness", json=word).status_code == 403
    assert "Too many" in page.post("/kiosk/witness", json=word | {"pin": "2468"}).json()["what"]


def test_a_broken_store_shows_the_fault_screen_and_signs_nobody_in(agent, page, frames, monkeypatch):
    identify(page, person_id="P1")
    monkeypatch.setattr(agent.recorder, "attempt", lambda _record: (_ for _ in ()).throw(StoreError("full")))
    assert frames.until({"fault"}, jpeg_of(MINE))["patient"] is None
    assert agent.people.open_session("P1") is None


def test_a_crash_is_never_up_and_a_stop_is_said(tmp_path, clock):
    first = make_agent(tmp_path, clock, coverage={"page_expected": False})
    first.start()
    clock.advance(timedelta(seconds=30))
    first.beat()
    first.crash()
    clock.advance(timedelta(minutes=20))
    second = make_agent(tmp_path, clock, coverage={"page_expected": False})
    second.start()
    clock.advance(timedelta(seconds=30))
    second.stop()
    stretches = [
        (e["data"]["state"], e["data"].get("cause")) for e in of_type(second_log(tmp_path), "coverage")
    ]
    assert stretches == [("up", None), ("down", "crashed"), ("up", None)]
    down = of_type(second_log(tmp_path), "coverage")[1]["data"]
    assert down["from_at"] < down["to_at"]
    third = make_agent(tmp_path, clock, coverage={"page_expected": False})
    third.start()
    third.stop()
    causes = [event["data"].get("cause") for event in of_type(second_log(tmp_path), "coverage")]
    assert "stopped" in causes
    assert len(of_type(second_log(tmp_path), "device.stopped")) == 2


def second_log(folder):
    """Open the log of a stopped agent, by itself."""

    class Holder:
        log = DeviceLog(Store(folder / "data" / "device.sqlite"), "kiosk-01")

    return Holder


def test_a_kiosk_whose_page_is_away_does_not_claim_to_see(agent):
    assert agent.kiosk.standing().cause == "no_page"
    frames = Frames(agent)
    assert eventually(lambda: agent.kiosk.standing().state == "up")
    frames.close()


def test_a_failed_camera_is_degraded(agent, page, frames):
    page.post("/kiosk/camera", json={"state": "failed", "cause": "NotReadableError"})
    standing = agent.kiosk.standing()
    assert (standing.state, standing.cause) == ("degraded", "camera_NotReadableError")
    page.post("/kiosk/camera", json={"state": "up"})
    assert agent.kiosk.standing().state == "up"


def test_a_clock_that_jumps_is_an_event_and_stops_nothing(agent, clock):
    clock.set_wall(timedelta(days=1))
    agent.beat()
    assert eventually(lambda: len(of_type(agent, "clock")) == 1)
    (jumped,) = of_type(agent, "clock")
    assert jumped["data"]["change"] == "jumped"
    assert abs(jumped["data"]["offset_ms"] - 86_400_000) < 3_000


def test_a_photograph_without_a_face_is_refused_and_nothing_is_kept(agent):
    with pytest.raises(PhotographRefusedError, match="step_into_view"):
        agent.registration.enrol(
            "P7", surname="某", card_number="62227777", photographs=[jpeg_of(MINE), jpeg_of(0)]
        )
    assert agent.people.references("P7", StandInEngine.model) == []


def test_live_enrolment_takes_three_references_under_a_witness(agent, page):
    call = {
        "person_id": "P2",
        "surname": "李某",
        "card_number": "6222000011113333",
        "witness_id": "1001",
        "pin": "2468",
        "consented": True,
    }
    assert page.post("/enrol/begin", json=call | {"consented": False}).status_code == 409
    assert page.post("/enrol/begin", json=call).json()["wanted"] == 3
    assert page.post("/enrol/frame", content=b"junk").json()["guidance"] == "unreadable_frame"
    assert eventually(lambda: page.post("/enrol/frame", content=jpeg_of(90)).json().get("done") is True)
    assert len(agent.people.references("P2", StandInEngine.model)) == 3
    assert of_type(agent, "captured")[-1]["data"] | {"clock": 0} == {
        "institution_id": "H1",
        "clock": 0,
        "engine": "stand-in/stand-in:000000000000:2",
        "references": 3,
        "source": "live",
        "witness_id": "1001",
    }


def test_two_agents_live_in_one_process_and_a_taken_port_is_a_named_error(tmp_path, agent, clock):
    other = make_agent(
        tmp_path / "other", clock, device={"device_id": "kiosk-02", "data_dir": tmp_path / "2"}
    )
    other.start()
    assert Page(other.kiosk_url).get("/health").json()["device_id"] == "kiosk-02"
    with pytest.raises(SettingsError, match="port"):
        make_agent(tmp_path / "third", clock, kiosk={"port": other.port}, device={"data_dir": tmp_path / "3"})
    other.stop()


def test_the_frame_that_is_looked_at_is_always_the_newest(agent, page):
    seen = []

    class Slow(StandInEngine):
        def analyse(self, image, *, last=None):
            seen.append(round(float(image.mean())))
            time.sleep(0.1)
            return super().analyse(image, last=last)

    agent.kiosk.watcher._engine = Slow()
    identify(page, person_id="P1")
    frames = Frames(agent)
    for shade in range(60, 90):
        frames.socket.send(jpeg_of(shade))
    assert eventually(lambda: bool(seen) and seen[-1] == 89)
    assert len(seen) <= 5
    frames.close()


def test_the_crop_behind_a_decision_is_kept_under_its_event(agent, page, frames):
    identify(page, person_id="P1")
    done = frames.until({"done"}, jpeg_of(MINE))
    assert eventually(lambda: agent.evidence.get(done["event_id"]) is not None)
    assert agent.evidence.get(done["event_id"]).startswith(b"\xff\xd8")


def test_metrics_count_without_naming_anybody(agent, page, frames):
    identify(page, person_id="P1")
    frames.until({"done"}, jpeg_of(MINE))
    text = page.get("/metrics").text
    assert 'renzheng_edge_attempts_total{kind="sign_in",outcome="match"} 1.0\n' in text
    assert "renzheng_edge_connected 0.0\n" in text
    assert f"renzheng_edge_backlog_entries {agent.log.head().sequence}.0\n" in text
    assert series(text) == OF_WORKERS | {
        ("log_entries", "untyped"), ("backlog_entries", "gauge"), ("backlog_oldest_seconds", "gauge"),
        ("connected", "gauge"), ("commit_seconds_sum", "summary"), ("commit_seconds_count", "summary"),
        ("alarms", "gauge"), ("frames_total", "counter"), ("disk_short", "gauge"), ("clock_trusted", "gauge"),
        ("attempts_total", "counter", "kind", "outcome"), ("frame_interval_seconds", "gauge"),
    }  # fmt: skip
    assert "P1" not in text


def test_a_consent_taken_back_takes_references_and_crops_with_it(agent, page, frames):
    identify(page, person_id="P1")
    done = frames.until({"done"}, jpeg_of(MINE))
    assert eventually(lambda: agent.evidence.get(done["event_id"]) is not None)
    agent.withdraw_consent("P1", witness_id="1001")
    assert agent.people.references("P1", StandInEngine.model) == []
    assert agent.evidence.get(done["event_id"]) is None
    (withdrawn,) = of_type(agent, "consent.withdrawn")
    assert withdrawn["data"]["witness_id"] == "1001"
    (deleted,) = of_type(agent, "evidence.deleted")
    assert deleted["data"]["evidence_event_ids"] == [done["event_id"]]
    assert deleted["data"]["reason"] == "consent_withdrawn"
    assert identify(page, person_id="P1").json()["cause"] == "face_declined"


def test_a_door_that_cannot_be_asked_keeps_no_kiosk_from_starting(tmp_path, clock):
    gone = {name: str(tmp_path / "none.pem") for name in ("ca_file", "certificate_file", "key_file")}
    link = {"host": "127.0.0.1", "port": 9, **gone}
    agent = make_agent(tmp_path, clock, link=link, bulk={"url": "https://door.example"})
    agent.start()
    answer = Page(agent.kiosk_url).get("/health")
    assert answer.status_code == 200
    assert answer.json()["moving"] is True
    assert "link-kiosk-01" in answer.json()["workers"]
    agent.stop()


def test_a_child_under_fourteen_is_not_asked_alone_and_a_guardian_is_named(agent, page):
    child = "110101201501010011"
    agent.people.put_patient(child, surname="李", card_number="622200009999")
    assert identify(page, person_id=child).json()["cause"] == "guardian_needed"
    with pytest.raises(GuardianNeededError):
        agent.recorder.consents.record(child, given=True)
    agent.recorder.consents.record(child, given=False)
    agent.recorder.consents.record(child, given=True, guardian="mother")
    said = [event["data"] for event in of_type(agent, "consent.recorded")][-2:]
    assert [(one["given"], one.get("guardian")) for one in said] == [(False, None), (True, "mother")]


def test_that_a_notice_was_seen_is_written_before_the_answer(agent, page):
    agent.people.put_patient("P9", surname="王", card_number="622200009998")
    assert identify(page, person_id="P9").json()["screen"] == "consent"
    (seen,) = of_type(agent, "notice.seen")
    assert (seen["subject"], seen["data"]["notice_version"]) == ("P9", "1")
    assert seen["data"]["text_sha256"] == notice_sha256()
