"""Inspectors by number and passkey: set up by a code, checked without network, taken away at once."""

import re
import shutil
from datetime import UTC, datetime
from types import SimpleNamespace
from urllib.request import Request, urlopen

import orjson
import pytest
from parts.authenticator import Authenticator
from parts.bedside import PIN, InspectorsPage, events_of, make_check, make_sheet, make_unit
from parts.edge import hurry
from typer.testing import CliRunner

from renzheng.contracts.keys import generate_key
from renzheng.edge.bedside import passkey_store, passkeys
from renzheng.edge.bedside.store import BedsideStore
from renzheng.edge.command import app
from renzheng.edge.device.clock import SystemClock
from renzheng.edge.device.closing import NewIdentity, close_log
from renzheng.edge.device.link.uplink import Uplink
from renzheng.edge.device.log import DeviceLog
from renzheng.edge.device.people_backup import TABLES
from renzheng.edge.device.store.database import Store

RUN = CliRunner()
NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    hurry(monkeypatch)


@pytest.fixture(scope="module")
def sheet():
    return make_sheet(checks=[make_check(0), make_check(1)])


@pytest.fixture(scope="module")
def unit(tmp_path_factory, sheet):
    unit = make_unit(tmp_path_factory.mktemp("unit"), [sheet], enrolled=0)
    unit.put_inspector("I-8", PIN)
    unit.start()
    yield unit
    unit.stop()


class Tablet(InspectorsPage):
    """A page opened by name, and the tablet's authenticator."""

    def __init__(self, unit, number="I-7", **authenticator):
        super().__init__(unit, number="")
        self.base_url = unit.named_url.rstrip("/")
        self.number = number
        self.key = Authenticator(self.base_url, "localhost", **authenticator)
        self.passkeys = unit.inspection.sign_ins.passkeys.store

    def begin(self, code=None):
        code = self.passkeys.give_code(self.number) if code is None else code
        return self.post("/api/passkeys/new", json={"number": self.number, "code": code})

    def register(self, code=None):
        asked = self.begin(code)
        if asked.status_code != 200:
            return asked
        asked = asked.json()
        made = self.key.make(orjson.dumps(asked["options"]).decode())
        return self.post("/api/passkeys", json={"ceremony": asked["ceremony"], "credential": made})

    def ask(self):
        return self.post("/api/passkeys/ask", json={}).json()

    def shown(self, number=None, asked=None):
        asked = asked or self.ask()
        shown = self.key.show(orjson.dumps(asked["options"]).decode())
        return {
            "number": number or self.number,
            "ceremony": asked["ceremony"],
            "credential": shown,
        }

    def enter(self, call=None):
        """Sign in; the cookie is kept."""
        request = Request(
            self.base_url + "/api/sign-in/passkey",
            data=orjson.dumps(call or self.shown()),
            headers={"content-type": "application/json", "cookie": self.cookie},
        )
        with urlopen(request, timeout=90) as answer:
            self.cookie = answer.headers["set-cookie"].split(";")[0]
            return orjson.loads(answer.read())


@pytest.fixture
def tablet(unit):
    unit.bedside.put_inspector("I-7")
    tablet = Tablet(unit)
    assert tablet.register().json() == {"registered": True}
    yield tablet
    tablet.passkeys.remove("I-7")


def test_an_answer_names_by_what_its_inspector_was_signed_in(unit, tablet, sheet):
    by_pin = InspectorsPage(unit, number="I-8")
    by_pin.post("/api/rounds/fetch")
    assert by_pin.open(sheet).status_code == 200
    told = tablet.enter()
    assert tablet.get("/api/rounds").status_code == 200
    assert told["inspector_id"] == "I-7"
    assert len(told["lists_secret"]) > 40
    for number, page in enumerate((tablet, by_pin)):
        who = {"inspector_id": ("I-7", "I-8")[number]}
        said = {"choice": "absent", "confirmed": True, "answer_id": f"passkeys-{number:010d}"}
        assert page.answer(sheet, number, **who, **said).json()["result"] == "absent"
    told = [event["data"] for event in events_of(unit, "spot_check.answered")]
    assert [(one["inspector_id"], one["signed_in_by"]) for one in told[-2:]] == [
        ("I-7", "passkey"),
        ("I-8", "pin"),
    ]


def test_with_a_passkey_the_pin_alone_signs_in_no_more_and_a_session_by_pin_ends(unit):
    before = InspectorsPage(unit, number="I-8")
    tablet = Tablet(unit, "I-8")
    assert before.get("/api/rounds").status_code == 200
    tablet.register()
    assert before.get("/api/rounds").status_code == 401
    refused = InspectorsPage(unit, number="").sign_in("I-8", PIN)
    assert (refused.status_code, refused.json()["problem"]) == (403, "passkey_needed")
    assert InspectorsPage(unit, number="").sign_in("I-8", "000000").json()["problem"] == "unknown_witness"
    tablet.enter()
    assert tablet.get("/api/rounds").status_code == 200
    tablet.passkeys.remove("I-8")
    assert tablet.get("/api/rounds").status_code == 401, "a tablet that is lost is signed out at once"
    assert InspectorsPage(unit, number="").sign_in("I-8", PIN).status_code == 200


def test_an_inspector_who_leaves_is_signed_out_at_once(unit, tablet):
    tablet.enter()
    assert unit.bedside.remove_inspector("I-7")
    assert tablet.get("/api/rounds").status_code == 401
    unit.bedside.put_inspector("I-7")
    assert refused(tablet, tablet.shown()), "their passkey went with them"


def refused(page, call):
    answer = page.post("/api/sign-in/passkey", json=call)
    return (answer.status_code, answer.json().get("problem")) == (403, "passkey_refused")


def test_a_passkey_is_refused_but_for_its_own_number_challenge_page_and_user(unit, tablet):
    assert refused(tablet, tablet.shown("I-8")), "another's number"
    asked = tablet.ask()
    call = tablet.shown(asked=asked)
    tablet.enter(call)
    assert refused(tablet, call), "a challenge is answered once"
    assert refused(tablet, tablet.shown() | {"ceremony": "x" * 43}), "a challenge that nobody made"
    assert refused(tablet, tablet.shown(asked=tablet.ask() | {"ceremony": tablet.ask()["ceremony"]}))
    tablet.key.count = 0
    assert refused(tablet, tablet.shown()), "a copy: its counter went back"
    tablet.key.count = 9
    tablet.key.knows_user = False
    assert refused(tablet, tablet.shown()), "whoever holds the tablet is not its user"
    tablet.key.knows_user = True
    tablet.key.origin = "https://elsewhere.example"
    assert refused(tablet, tablet.shown()), "another page's"
    tablet.key.origin = tablet.base_url
    for nonsense in ("{}", "[]", '{"id":"x"}', '{"id":7,"response":null}', "null"):
        assert refused(tablet, tablet.shown() | {"credential": nonsense})
    told = [event["data"] for event in events_of(unit, "device.pin_refused")]
    assert told[-1] == {**told[-1], "factor": "passkey", "place": "bedside", "witness_id": "I-7"}
    tablet.enter()


def test_a_code_holds_once_for_its_own_number_and_half_an_hour_of_running(unit, monkeypatch):
    first = Tablet(unit)
    code = first.passkeys.give_code("I-7")
    assert Tablet(unit, "I-8").begin(code).status_code == 403
    assert first.begin("").status_code == 422
    assert first.begin(code.lower().replace("-", " ")).status_code == 200
    late, other = first.begin(code).json(), Tablet(unit)
    assert first.register(code).json() == {"registered": True}
    made = other.key.make(orjson.dumps(late["options"]).decode())
    stolen = other.post("/api/passkeys", json={"ceremony": late["ceremony"], "credential": made})
    assert stolen.status_code == 403, "two ceremonies of one code make one passkey"
    assert first.begin(code).status_code == 403
    code = first.passkeys.give_code("I-7")
    monkeypatch.setattr(
        first.passkeys, "_running_ms", lambda: unit.running_time.read_ms() + passkey_store.CODE_MS
    )
    assert first.begin(code).status_code == 403
    stranger = Tablet(unit, "I-99")
    assert stranger.begin(first.passkeys.give_code("I-99")).status_code == 403, "no inspector of this unit"
    first.passkeys.remove("I-7")


def test_a_page_opened_by_an_address_of_numbers_is_told_what_to_open(unit):
    page = InspectorsPage(unit, number="")
    answer = page.post("/api/passkeys/ask", json={})
    assert (answer.status_code, answer.json()["problem"]) == (409, "no_passkeys_here")
    assert passkeys.party_of("https://unit-01.example:8610/").rp_id == "unit-01.example"


def test_a_flood_of_challenges_ends_only_those_of_its_own_address():
    held = passkeys.Passkeys(SimpleNamespace(), lambda _number: True)
    party = passkeys.party_of("http://localhost:8610/")
    mine = held.ask(party, "the tablet").ceremony
    for _ in range(3 * passkeys.MOST_OF_CALLER):
        held.ask(party, "a stranger")
    assert len(held._held) == passkeys.MOST_OF_CALLER + 1
    assert held._take(mine)


def test_passkeys_are_in_no_backup_of_people_so_none_comes_back_that_was_taken_away():
    assert not [table for table in TABLES if "passkey" in table]


@pytest.mark.parametrize("shown_by", ["ahead", "fork:fork", "joined again"])
def test_a_folder_put_back_brings_no_passkey_back_once_central_has_said_so(tmp_path, shown_by):
    def opened(folder):
        store = Store(folder / "device.sqlite")
        bedside = BedsideStore(store, folder)
        return store, bedside, passkey_store.PasskeyStore(store, lambda: 0)

    folder, copy = tmp_path / "unit", tmp_path / "copy"
    folder.mkdir()
    store, bedside, known = opened(folder)
    bedside.put_inspector("I-7")
    lost = passkey_store.Passkey("lost", "I-7", "localhost", b"key", 1, "secret")
    known.add(lost, known.give_code("I-7"), NOW)
    known.give_code("I-7")
    store.close()
    shutil.copytree(folder, copy)
    store, _, known = opened(folder)
    assert known.remove("I-7") == 1
    store.close()
    store, bedside, known = opened(copy)
    assert known.find("lost") == lost, "the copy holds it"
    reading = SystemClock().read()
    link = SimpleNamespace(_store=store, _clock=SystemClock())
    Uplink._alarm(link, "refused:malformed", 3)
    assert known.find("lost") == lost, "other alarms say nothing of it"
    if shown_by == "joined again":
        log = DeviceLog(store, "unit-01")
        close_log(log, log.head(), NewIdentity(generate_key(), "H1", None), reading)
    else:
        Uplink._alarm(link, shown_by, 9)
    assert (known.find("lost"), known.count("I-7"), bedside.is_inspector("I-7")) == (None, 0, False)
    assert store.row("SELECT COUNT(*) AS n FROM bedside_passkey_codes")["n"] == 0
    store.close()


def test_who_looks_after_the_unit_gives_a_code_takes_passkeys_away_and_lets_an_inspector_go(unit, tmp_path):
    config = tmp_path / "unit.toml"
    data = unit.settings.device.data_dir
    config.write_text(f'[device]\ndevice_id = "unit-01"\ninstitution_id = "H1"\ndata_dir = "{data}"\n')

    def run(*options):
        told = RUN.invoke(app, ["inspector", "--config", str(config), "--inspector", "I-9", *options])
        assert told.exit_code == 0, told.output
        return told.output

    code = re.search(r"[0-9A-Z]{4}(-[0-9A-Z]{4}){3}", run("--passkey")).group()
    tablet = Tablet(unit, "I-9")
    assert tablet.register(code).json() == {"registered": True}
    tablet.enter()
    assert "1" in run("--remove-passkeys")
    assert tablet.get("/api/rounds").status_code == 401
    run("--leaves")
    assert not unit.bedside.is_inspector("I-9")
