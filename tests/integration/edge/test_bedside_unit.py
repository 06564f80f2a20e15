"""The inspector's unit over its own calls: rounds open when due, answers reach the log once and whole."""

import base64
import http.client
import json
import re
import ssl
import struct
from datetime import timedelta
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import orjson
import pytest
from parts.bedside import (
    CODE,
    PIN,
    WITNESS_PIN,
    InspectorsPage,
    enrol,
    events_of,
    leave,
    make_check,
    make_sheet,
    make_unit,
)
from parts.certificates import CertificateAuthority
from parts.edge import DAY, hurry, jpeg_of

from renzheng.contracts.events import parse_event
from renzheng.contracts.rounds import Opening, RoundError, seal, unseal
from renzheng.edge.bedside.fetching import CentralRounds
from renzheng.edge.bedside.sheets import read_sheet
from renzheng.edge.device.bulk import Answer
from renzheng.edge.device.pins import PinError, check_pin
from renzheng.edge.errors import SettingsError
from renzheng.edge.settings import load_settings

SHADE = 120
TWO = ["name", "wristband"]


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    hurry(monkeypatch)


@pytest.fixture
def sheet():
    return make_sheet(
        checks=[
            make_check(0),
            make_check(1),
            make_check(2, away=(leave(),)),
            make_check(3, bed="1-01"),
            make_check(4, purpose="dialysis"),
        ]
    )


@pytest.fixture
def unit(tmp_path, sheet):
    unit = make_unit(tmp_path, [sheet])
    for number in (0, 4):
        enrol(unit, f"P{number}", SHADE)
    unit.start()
    yield unit
    unit.stop()


@pytest.fixture
def page(unit, sheet):
    page = InspectorsPage(unit)
    page.post("/api/rounds/fetch")
    assert page.open(sheet, None).status_code == 200
    return page


def test_only_an_inspector_signs_in_and_only_the_page_itself_may_call(unit):
    page = InspectorsPage(unit, number="")
    assert page.sign_in("1001", WITNESS_PIN).status_code == 403
    assert page.sign_in("I-7", "000000").json()["problem"] == "unknown_witness"
    for path in ("/api/rounds",):
        assert page.get(path).status_code == 401
    assert page.post("/api/answers", json={}).status_code in (401, 422)
    foreign = page.post(
        "/api/sign-in", json={"number": "I-7", "pin": PIN}, headers={"origin": "https://elsewhere.example"}
    )
    assert foreign.status_code == 403
    for _ in range(5):
        page.sign_in("I-7", "000000")
    assert page.sign_in("I-7", PIN).status_code == 429


NONSENSE = (
    b"",
    b"[]",
    b"null",
    b'{"number":1e999}',
    b'{"number":"\\ud800","pin":"\\ud800"}',
    b"\xff\xfe",
    b"[" * 9000,
)


def test_nonsense_is_refused_and_never_a_fault(unit):
    page = InspectorsPage(unit)
    for path in ("sign-in", "witness", "looks", "looks/x/frames", "answers", "sheets/x/open"):
        for body in NONSENSE:
            assert 400 <= page.post(f"/api/{path}", content=body).status_code < 500, (path, body[:20])


def test_what_is_too_large_is_refused_before_it_is_read(unit):
    call = http.client.HTTPConnection(unit.url.split("/")[2], timeout=90)
    call.putrequest("POST", "/api/answers")
    call.putheader("Content-Length", "3000001")
    call.endheaders()
    assert call.getresponse().status == 413
    call.close()


def test_health_tells_nothing_of_rounds(unit):
    unit.fetcher.fetch()
    told = InspectorsPage(unit, number="").get("/health").json()
    assert told["device_id"] == "unit-01"
    assert not any("round" in key or "sheet" in key for key in told)


def test_a_pin_that_guards_lists_is_not_short_and_a_file_that_is_no_sheet_is_refused(tmp_path):
    assert check_pin("24681a") == "24681a"
    for easy in ("", "12345", "777777"):
        with pytest.raises(PinError):
            check_pin(easy)
    (tmp_path / "sheet.json").write_text("{}")
    with pytest.raises(RoundError):
        read_sheet(tmp_path / "sheet.json")
    sealed = seal(make_sheet(), CODE)
    (tmp_path / "sheet.json").write_text(sealed.model_dump_json())
    assert unseal(read_sheet(tmp_path / "sheet.json"), CODE) == make_sheet()


def test_before_it_is_due_a_round_shows_its_hour_and_nothing_else(tmp_path):
    sheet = make_sheet(due_at=DAY + timedelta(minutes=30))
    unit = make_unit(tmp_path, [sheet])
    unit.start()
    try:
        page = InspectorsPage(unit)
        (shown,) = page.post("/api/rounds/fetch").json()
        assert (shown["standing"], shown["institution_name"], shown["total"]) == ("not_due", None, None)
        assert page.open(sheet).json()["problem"] == "not_due"
        unit.clock.advance(timedelta(minutes=31))
        assert page.open(sheet, "AAAAA-BBBBB-CCCCC-DDDDD").json()["problem"] == "wrong_code"
        assert page.open(sheet, CODE.lower().replace("-", " ")).json()["sheet"]["round_id"] == sheet.round_id
        assert page.get("/api/rounds").json()[0]["institution_name"] == "示范医院"
        assert "王某" not in (tmp_path / "data" / "device.sqlite").read_bytes().decode("latin-1")
    finally:
        unit.stop()


def test_a_round_that_closed_unopened_takes_late_answers_at_most(tmp_path, sheet):
    unit = make_unit(tmp_path, [sheet], away=True)
    unit.fetcher.keep(seal(sheet, CODE))
    unit.start()
    try:
        page = InspectorsPage(unit)
        assert page.open(sheet, None).json()["problem"] == "central_away"
        unit.clock.advance(timedelta(hours=5))
        assert page.sign_in("I-7", PIN).status_code == 200
        assert page.open(sheet, None).json()["problem"] == "closed"
        assert page.open(sheet).status_code == 200  # for what a page out of reach was answered in time
        assert page.answer(sheet, 0, choice="refused").json()["reason"] == "late"
    finally:
        unit.stop()


def test_another_institutions_sheet_is_refused(unit):
    with pytest.raises(RoundError, match="another institution"):
        unit.fetcher.keep(seal(make_sheet(institution_id="H2"), CODE))


def test_a_unit_of_the_bureau_answers_for_the_institution_it_was_carried_to(tmp_path):
    sheets = [make_sheet(2, institution_id=name, institution_name=name) for name in ("H1", "H2")]
    unit = make_unit(tmp_path, sheets, device={"device_id": "unit-01", "institution_id": "bureau:3711"})
    unit.start()
    try:
        page = InspectorsPage(unit)
        assert {one["standing"] for one in page.post("/api/rounds/fetch").json()} == {"open"}
        page.open(sheets[1], None)
        page.answer(sheets[1], 0, choice="refused")
        (event,) = events_of(unit, "spot_check.answered")
        assert event["data"]["institution_id"] == "H2"
    finally:
        unit.stop()


class DoorThatSays:
    """Stands in for the signed client: gives one body for each path."""

    def __init__(self, **bodies):
        self.bodies = bodies

    def get(self, target):
        return Answer(200, self.bodies[target.rsplit("/", 1)[1]], "application/json", None)


def test_rounds_are_read_as_central_writes_them(sheet):
    sealed = seal(sheet, CODE)
    opening = Opening(round_id=sheet.round_id, code=CODE)
    door = CentralRounds(
        DoorThatSays(
            rounds=f"[{sealed.model_dump_json()}]".encode(),
            openings=f"[{opening.model_dump_json()}]".encode(),
        )
    )
    assert unseal(door.sheets()[0], door.openings()[0].code) == sheet


@pytest.mark.parametrize("body", [b"", b"{}", b"[{}]", b"<html>", b"[1"])
def test_what_is_no_list_of_rounds_is_refused_and_nothing_changes(body):
    door = CentralRounds(DoorThatSays(rounds=body, openings=body))
    for asked in (door.sheets, door.openings):
        with pytest.raises(RoundError, match="no list of rounds"):
            asked()


def test_one_bad_sheet_does_not_keep_the_others_away(tmp_path, sheet):
    unit = make_unit(tmp_path, [make_sheet(institution_id="H2"), sheet])
    unit.fetcher.fetch()
    assert len(unit.bedside.sheets()) == 1
    unit.stop()


def test_a_surname_that_central_lacks_is_filled_in_where_the_device_knows_it(tmp_path):
    nameless = make_sheet(checks=[make_check(0, surname=""), make_check(77, surname="")])
    unit = make_unit(tmp_path, [nameless])
    unit.start()
    try:
        shown = InspectorsPage(unit).open(nameless, None).json()["sheet"]["checks"]
        assert [check["surname"] for check in shown] == ["某", ""]
    finally:
        unit.stop()


def test_over_the_network_the_page_comes_by_https_with_the_sites_certificate(tmp_path, sheet):
    authority = CertificateAuthority(tmp_path / "ca")
    identity = authority.issue("bedside")
    tls = {"port": 0, "certificate_file": identity.certificate, "key_file": identity.key}
    unit = make_unit(tmp_path, [sheet], bedside=tls)
    unit.start()
    trusted = ssl.create_default_context(cafile=authority.certificate)
    try:
        assert unit.url.startswith("https://127.0.0.1:")
        body = orjson.dumps({"number": "I-7", "pin": PIN})
        request = Request(unit.url + "api/sign-in", body, {"content-type": "application/json"})
        with urlopen(request, context=trusted, timeout=90) as answer:
            cookie = answer.headers["set-cookie"].lower()
        assert all(word in cookie for word in ("secure", "httponly", "samesite=strict"))
        with pytest.raises(URLError, match="CERTIFICATE"):
            urlopen(unit.url, timeout=90)
    finally:
        unit.stop()


def test_a_certificate_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "c.pem").write_text("no certificate")
    tls = {"port": 0, "certificate_file": tmp_path / "c.pem", "key_file": tmp_path / "c.pem"}
    with pytest.raises(SettingsError, match=r"bedside\.certificate_file"):
        make_unit(tmp_path, bedside=tls)


def test_the_page_is_installable_and_its_worker_keeps_the_page_and_nothing_else(unit):
    page = InspectorsPage(unit, number="")
    manifest = page.get("/manifest.webmanifest").json()
    assert (manifest["display"], manifest["start_url"]) == ("standalone", "/")
    worker = page.get("/worker.js").text
    assert "__" not in worker
    files = json.loads(re.search(r"FILES = (\[.*\])", worker).group(1))
    assert not any(path.startswith(("/api", "/health")) for path in files)
    for path in [*files, *(icon["src"] for icon in manifest["icons"])]:
        with urlopen(unit.url.rstrip("/") + path, timeout=90) as answer:
            assert answer.status == 200
            content = answer.read()
        if path.endswith(".png"):
            side = int(path[6:9])
            assert struct.unpack(">II", content[16:24]) == (side, side)
    with pytest.raises(HTTPError, match="404"):
        urlopen(unit.url + "icon-100000.png", timeout=90)


def test_a_verified_presence_carries_score_clock_place_and_its_crop(unit, page, sheet):
    look = page.look(sheet, "C0", SHADE)
    assert look["verdict"] == "match"
    assert look["false_match_rate"] == pytest.approx(1e-3)
    answered = page.answer(
        sheet,
        0,
        choice="present",
        look_id=look["look_id"],
        identifiers=TWO,
        patient_word="yes",
        position={"latitude": 36.1, "longitude": 120.4, "accuracy_m": 30, "taken_ms": page.now_ms()},
    ).json()
    assert (answered["result"], answered["reason"]) == ("present", None)
    (event,) = events_of(unit, "spot_check.answered")
    data = parse_event(event).data
    assert (event["subject"], data.visit_id, data.round_id) == ("P0", "V0", sheet.round_id)
    assert (data.inspector_id, data.identifiers, data.patient_word) == ("I-7", tuple(TWO), "yes")
    assert data.comparison_score == pytest.approx(0.99)
    assert (data.threshold, data.pad.value, data.clock.trusted) == (0.9, "not_shown", True)
    assert abs(data.page_offset_ms) < 1000
    assert data.position.accuracy_m == 30
    assert unit.evidence.get(event["id"]).startswith(b"\xff\xd8")
    assert events_of(unit, "attendance.presence") == []


def test_a_dialysis_check_also_gives_the_presence_that_the_audit_counts(unit, page, sheet):
    look = page.look(sheet, "C4", SHADE)
    page.answer(sheet, 4, choice="present", look_id=look["look_id"], identifiers=TWO)
    (presence,) = events_of(unit, "attendance.presence")
    assert (presence["subject"], presence["data"]["purpose"]) == ("P4", "dialysis")
    assert (presence["data"]["outcome"], presence["data"]["comparison_score"]) == ("match", 0.99)
    assert events_of(unit, "spot_check.answered")[0]["data"]["purpose"] == "dialysis"


def test_a_face_that_does_not_match_accuses_nobody(unit, page, sheet):
    look = page.look(sheet, "C0", 200)
    assert look["verdict"] == "non_match"
    said = {"look_id": look["look_id"], "identifiers": TWO}
    assert page.answer(sheet, 0, choice="present", **said).json()["result"] == "unanswered"
    witnessed = {"witness": {"number": "1001", "pin": WITNESS_PIN}, "reason": "face_not_verified"}
    again = page.answer(sheet, 0, answer_id="second-answer-000", choice="present", **said, **witnessed).json()
    assert (again["result"], again["reason"]) == ("present", "face_not_verified")
    first, second = events_of(unit, "spot_check.answered")
    assert second["data"]["corrects"] == first["id"]
    assert second["data"]["witness_id"] == "1001"


def test_a_look_of_another_bed_does_not_serve(page, sheet):
    look = page.look(sheet, "C0", SHADE)
    refused = page.answer(sheet, 4, choice="present", look_id=look["look_id"], identifiers=TWO)
    assert refused.json()["problem"] == "unknown_look"


@pytest.mark.parametrize("pair", [("I-7", PIN), ("1001", "0000"), ("9999", WITNESS_PIN)])
def test_nobody_vouches_but_a_second_known_person(page, sheet, pair):
    witness = {"number": pair[0], "pin": pair[1]}
    assert page.post("/api/witness", json=witness).status_code == 403
    said = {"choice": "cannot_be_asked", "reason": "isolation", "identifiers": TWO, "witness": witness}
    answered = page.answer(sheet, 1, **said).json()
    assert (answered["result"], answered["reason"]) == ("unanswered", "witness_unknown")


def test_who_has_no_reference_is_not_looked_at(page, sheet):
    assert page.look(sheet, "C1", SHADE)["verdict"] == "no_reference"


def test_away_by_a_recorded_leave_or_a_photographed_order(unit, page, sheet):
    assert page.answer(sheet, 2, choice="away").json()["reason"] == "recorded_leave"
    photograph = base64.b64encode(jpeg_of(90)).decode()
    said = {"choice": "away", "photograph": photograph}
    answered = page.answer(sheet, 1, **said).json()
    assert (answered["result"], answered["reason"]) == ("away_approved", "order_photographed")
    assert unit.evidence.get(answered["event_id"]) == jpeg_of(90)
    unit.evidence.delete(answered["event_id"])  # as if the power had gone between event and picture
    assert page.answer(sheet, 1, **said).json() == answered
    assert unit.evidence.get(answered["event_id"]) == jpeg_of(90)


def test_one_answer_sent_many_times_is_one_event_and_two_patients_in_one_bed_are_two(unit, page, sheet):
    said = {"choice": "absent", "confirmed": True}
    assert len({page.answer(sheet, 0, **said).json()["event_id"] for _ in range(3)}) == 1
    page.answer(sheet, 3, **said)
    assert [event["subject"] for event in events_of(unit, "spot_check.answered")] == ["P0", "P3"]


def test_an_answer_after_the_close_is_kept_as_late(unit, page, sheet):
    page.answer(sheet, 0, choice="absent", confirmed=True)
    in_time = page.now_ms()
    unit.clock.advance(timedelta(hours=5))
    assert page.sign_in("I-7", PIN).status_code == 200
    late = page.answer(sheet, 0, answer_id="a-late-answer-0000", choice="refused").json()
    assert (late["result"], late["reason"]) == ("absent", "late")
    waited = page.answer(
        sheet, 1, answered_ms=in_time, sent_ms=page.now_ms(), choice="absent", confirmed=True
    ).json()
    assert (waited["result"], waited["reason"]) == ("absent", None)
    assert [e["data"]["answer"] for e in events_of(unit, "spot_check.answered")] == [
        "absent",
        "refused",
        "absent",
    ]


def test_a_page_whose_clock_is_wrong_accuses_nobody_and_says_so(unit, page, sheet):
    ahead = page.now_ms() + 3_600_000
    answered = page.answer(sheet, 0, answered_ms=ahead, sent_ms=ahead, choice="absent", confirmed=True).json()
    assert (answered["result"], answered["reason"]) == ("unanswered", "clock_untrusted")
    (event,) = events_of(unit, "spot_check.answered")
    assert event["data"]["clock"]["trusted"] is False
    assert 3_590_000 < event["data"]["page_offset_ms"] < 3_610_000
    assert event["data"]["answer"] == "absent"


@pytest.mark.parametrize(
    "broken",
    [
        {"choice": "perhaps"},
        {"answered_ms": 1e30},
        {"identifiers": ["bed"]},
        {"photograph": "bm8gSlBFRw=="},
        {"answer_id": "short"},
        {"score": 1.0},
        {"position": {"latitude": 900, "longitude": 0, "accuracy_m": 1, "taken_ms": 0}},
    ],
    ids=str,
)
def test_what_is_no_answer_is_refused_by_field_and_leaves_nothing(unit, page, sheet, broken):
    refused = page.answer(sheet, 0, **({"choice": "absent", "confirmed": True} | broken))
    assert refused.status_code == 422
    assert events_of(unit, "spot_check.answered") == []


def test_a_restart_leaves_round_and_answers_where_they_were(tmp_path, sheet):
    unit = make_unit(tmp_path, [sheet])
    unit.start()
    page = InspectorsPage(unit)
    page.open(sheet, None)
    first = page.answer(sheet, 0, choice="refused").json()
    unit.stop()
    unit = make_unit(tmp_path, [sheet], away=True)
    unit.start()
    try:
        page = InspectorsPage(unit)
        opened = page.open(sheet, None).json()
        assert opened["answers"] == [first]
        assert page.answer(sheet, 0, choice="refused").json() == first
        assert len(events_of(unit, "spot_check.answered")) == 1
        stretches = {event["data"]["state"] for event in events_of(unit, "device.coverage")}
        assert stretches <= {"down"}
    finally:
        unit.stop()


def test_a_round_that_closed_long_ago_is_forgotten(unit, page, sheet):
    page.answer(sheet, 0, choice="refused")
    assert unit.bedside.forget_closed(DAY + timedelta(days=31), timedelta(days=30)) == 1
    assert unit.bedside.sheets() == []
    assert not list((unit.settings.device.data_dir / "bedside" / "evidence").glob("*"))


def test_an_address_of_the_network_needs_a_certificate(tmp_path):
    config = tmp_path / "edge.toml"
    config.write_text('[device]\ndevice_id = "u"\ninstitution_id = "H1"\n[bedside]\nhost = "0.0.0.0"\n')
    with pytest.raises(SettingsError, match="certificate_file"):
        load_settings(config)
    config.write_text(
        '[device]\ndevice_id = "u"\ninstitution_id = "H1"\n[bedside]\ncertificate_file = "c.pem"\n'
    )
    with pytest.raises(SettingsError, match="belong together"):
        load_settings(config)
