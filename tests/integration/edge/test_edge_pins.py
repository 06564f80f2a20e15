"""PINs under guessing: parallel tries, pauses over restarts, lanes; what is kept of people on the disk."""

import stat
import threading
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from renzheng.common.files import keep_private
from renzheng.edge.device import credentials, pins
from renzheng.edge.device.clock import ClockReading, SteppedClock
from renzheng.edge.device.pins import PinChecker, PinError, TriedTooOftenError, check_pin
from renzheng.edge.device.running_time import KEEP_EVERY_MS, RunningTime
from renzheng.edge.device.store import people as people_store
from renzheng.edge.device.store.database import Store
from renzheng.edge.device.store.people import People, template_key
from renzheng.edge.errors import UnknownWitnessError
from renzheng.models.errors import TemplateDamagedError
from renzheng.models.protection import unseal
from renzheng.models.templates import ModelId, Template

PIN, WRONG = "802614", "802615"
MINUTE = 60_000


class Desk:
    """A desk over a folder, with a clock that is set by hand."""

    def __init__(self, folder):
        self.folder, self.now, self.told = folder, 1_000_000_000, []
        self.open()

    def open(self):
        self.store = Store(self.folder / "device.sqlite")
        self.people = People(self.store, template_key(self.folder / "template.key"))
        self.pins = PinChecker(
            self.store, self.people, running_ms=lambda: self.now, tell=lambda *told: self.told.append(told)
        )

    def again(self):
        self.store.close()
        self.open()

    def wrong(self, number="W1", caller="10.0.0.9", **more):
        with pytest.raises(UnknownWitnessError) as raised:
            self.pins.check(number, WRONG, caller=caller, **more)
        return isinstance(raised.value, TriedTooOftenError)


def test_a_pin_is_dear_to_try_out():
    assert people_store._SCRYPT["n"] * people_store._SCRYPT["r"] >= 2**17


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A desk whose hashes cost little: hundreds of PINs are tried here."""
    monkeypatch.setitem(people_store._SCRYPT, "n", 2)
    desk = Desk(tmp_path)
    desk.people.put_witness("W1", PIN)
    yield desk
    desk.store.close()


def test_of_two_hundred_tries_at_once_few_are_looked_at(desk, monkeypatch):
    looked, held = [], threading.Event()

    def slowly(number, pin):
        looked.append(pin)
        held.wait(30)
        raise UnknownWitnessError("no")

    monkeypatch.setattr(desk.people, "witness", slowly)
    refused = []

    def guess(n):
        try:
            desk.pins.check("W1", f"{n:06}", caller="10.0.0.9")
        except TriedTooOftenError:
            refused.append(n)
            if len(refused) == 199:
                held.set()
        except UnknownWitnessError:
            pass

    threads = [threading.Thread(target=guess, args=(n,)) for n in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(looked), len(refused)) == (1, 199)


def test_pauses_grow_and_outlive_a_restart(desk):
    assert [desk.wrong() for _ in range(pins.FREE_TRIES)] == [False] * pins.FREE_TRIES
    desk.again()
    with pytest.raises(TriedTooOftenError):
        desk.pins.check("W1", PIN, caller="10.0.0.9")
    for minutes in (1, 2, 4, 8, 15, 15):
        desk.now += minutes * MINUTE - 1
        assert desk.wrong(), "still closed"
        desk.now += 1
        assert not desk.wrong(), "looked at again, and closed for longer"
    desk.now += 15 * MINUTE
    assert desk.pins.check("W1", PIN, caller="10.0.0.9") == "W1"
    assert not desk.wrong(), "a right PIN begins anew"


def test_a_failure_is_written_before_the_pin_is_looked_at(desk, monkeypatch):
    def cut(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(desk.people, "witness", cut)
    for _ in range(pins.FREE_TRIES):
        with pytest.raises(KeyboardInterrupt):
            desk.pins.check("W1", WRONG, caller="10.0.0.9")
    with pytest.raises(TriedTooOftenError):
        desk.pins.check("W1", WRONG, caller="10.0.0.9")


def test_whoever_guesses_closes_a_lane_of_their_own(desk):
    token = desk.pins.new_lane("W1")
    for _ in range(pins.FREE_TRIES):
        desk.wrong()
    assert desk.wrong()
    assert desk.pins.check("W1", PIN, caller="10.0.0.10") == "W1", "another address"
    for n in range(pins.STRANGERS_TRIES):
        desk.wrong(caller=f"10.1.0.{n}")
    with pytest.raises(TriedTooOftenError):
        desk.pins.check("W1", PIN, caller="10.2.0.1")
    lane = desk.pins.lane_of(token, "W1")
    assert desk.pins.check("W1", PIN, caller=lane, known=True) == "W1", "a tablet that has signed in"
    assert desk.pins.lane_of(token, "W2") is None
    assert desk.pins.lane_of("made up", "W1") is None
    desk.people.put_witness("W1", "715290")
    assert desk.pins.check("W1", "715290", caller="10.2.0.1") == "W1", "a new PIN opens it"


def test_one_caller_cannot_try_one_pin_at_everybody(desk):
    assert [desk.wrong(f"W{n}") for n in range(pins.CALLER_TRIES)] == [False] * pins.CALLER_TRIES
    assert desk.wrong("W999")


def test_failures_are_told_with_numbers_that_exist_and_not_without_end(desk):
    desk.wrong("W1")
    desk.wrong("246810")
    assert desk.told == [("W1", 1), (None, 1)], "what is no number may be a PIN"
    for n in range(3 * pins.EVENTS_AN_HOUR):
        desk.wrong("W1", caller=f"10.1.0.{n}")
    assert len(desk.told) == pins.EVENTS_AN_HOUR


@pytest.mark.parametrize("days", [-400, -1, 1, 400])
def test_a_clock_that_is_set_neither_opens_a_lane_nor_keeps_it_closed(desk, days):
    clock = SteppedClock(datetime(2026, 3, 2, tzinfo=UTC))
    desk.pins = PinChecker(desk.store, desk.people, running_ms=RunningTime(desk.store, clock).read_ms)
    for _ in range(pins.FREE_TRIES):
        desk.wrong()
    clock.set_wall(timedelta(days=days))
    assert desk.wrong()
    clock.advance(timedelta(milliseconds=pins.FIRST_PAUSE_MS))
    assert desk.pins.check("W1", PIN, caller="10.0.0.9") == "W1"


class Boots:
    """A machine's clock over restarts."""

    def __init__(self):
        self.boot, self.ms = 1, 5_000

    def read(self):
        return ClockReading(datetime(2026, 3, 2, tzinfo=UTC), self.ms, f"boot-{self.boot}", trusted=True)


def test_running_time_goes_on_over_restarts_and_never_back(desk):
    clock = Boots()
    running = RunningTime(desk.store, clock)
    counted = [running.read_ms()]
    clock.ms += KEEP_EVERY_MS
    counted.append(running.read_ms())
    clock.ms += 10  # so little is not kept, and lost with the power
    counted.append(running.read_ms())
    clock.boot, clock.ms = 2, 3_000
    counted.append(RunningTime(desk.store, clock).read_ms())
    clock.ms = 0
    counted.append(RunningTime(desk.store, clock).read_ms())
    assert counted == [5_000, 65_000, 65_010, 68_000, 68_000]


def test_a_pause_under_way_outlives_an_upgrade(desk):
    with desk.store.writing() as database:
        database.execute("DROP TABLE running_time")
        database.execute("DELETE FROM _sqlite_migrations WHERE name = '0012_running_time'")
        database.execute("INSERT INTO pin_tries VALUES ('W1', 'x', 6, 1800000120000, 1800000000000)")
    desk.again()
    row = desk.store.row("SELECT * FROM pin_tries")
    assert (row["until_ms"], row["last_ms"]) == (120_000, 0)


@pytest.mark.parametrize(
    "pin",
    ["", "80261", "777777", "123456", "654321", "012345", "112233", "123123", "121212", "147258", "258046",
     "900101", "010190", "19900101", "password", "qwerty", "ab1234"[:5], "5201314", "abcdef",
     "123321", "123654", "159753", "1q2w3e", "qwe123", "iloveyou"],
)  # fmt: skip
def test_short_and_common_pins_are_refused(pin):
    with pytest.raises(PinError):
        check_pin(pin)


@pytest.mark.parametrize("pin", [PIN, "24681a", "715290", "k7m-3q"])
def test_others_are_taken(pin):
    assert check_pin(pin) == pin


def template(seed):
    values = np.random.default_rng(seed).normal(size=128).astype(np.float32)
    return Template(model=ModelId("dlib:0123456789ab:128"), values=values / np.linalg.norm(values))


def enrol(desk, person_id):
    desk.people.put_patient(person_id, surname="王", card_number=f"622200001111{person_id}")
    with desk.store.writing() as database:
        desk.people.add_references(person_id, [template(1)], source="photo", at=NOW)(database)
    return desk.store.row("SELECT template FROM person_references WHERE person_id = ?", person_id)["template"]


NOW = datetime(2026, 3, 2, tzinfo=UTC)


def test_a_withdrawn_template_is_gone_from_the_files_and_does_not_open_from_an_older_copy(desk):
    sealed, other = enrol(desk, "P1"), enrol(desk, "P2")
    with desk.store.writing() as database:
        desk.people.forget_face("P1", "face", "1", at=NOW)(database)
    desk.people.destroy_key("P1")
    files = [path for path in desk.folder.rglob("*") if path.is_file()]
    held = b"".join(path.read_bytes() for path in files)
    assert sealed not in held
    assert other in held
    with desk.store.writing() as database:  # as from a copy of yesterday's database
        database.execute(
            "INSERT INTO person_references VALUES ('r', 'P1', 'dlib:0123456789ab:128', ?, 'photo', 'x')",
            (sealed,),
        )
    with pytest.raises(TemplateDamagedError):
        desk.people.references("P1", "dlib:0123456789ab:128")
    assert len(desk.people.references("P2", "dlib:0123456789ab:128")) == 1


def test_a_key_that_a_power_cut_left_goes_at_the_next_start(desk):
    enrol(desk, "P1")
    with desk.store.writing() as database:
        desk.people.forget_face("P1", "face", "1", at=NOW)(database)
    assert len(list((desk.folder / "person-keys").iterdir())) == 1
    desk.again()
    assert list((desk.folder / "person-keys").iterdir()) == []


def test_the_devices_key_alone_opens_nothing_and_hashes_are_keyed(desk):
    sealed = enrol(desk, "P1")
    desk.people.put_credential("P1", "QR-CONTENT")
    with pytest.raises(TemplateDamagedError):
        unseal(sealed, template_key(desk.folder / "template.key"), "P1")
    kept = desk.store.row(
        "SELECT card_hash, credential_hash FROM patients JOIN credentials USING (person_id)"
    )
    assert all(value.startswith("k1:") for value in kept.values())
    other = People(desk.store, template_key(desk.folder / "other.key"))
    assert other._card("622200001111P1") != kept["card_hash"]


def test_what_an_earlier_version_kept_is_brought_up_to_date(desk):
    from renzheng.edge.device.store.people import _card_hash, _credential_hash  # noqa: PLC0415
    from renzheng.models.protection import seal  # noqa: PLC0415

    key = template_key(desk.folder / "template.key")
    with desk.store.writing() as database:
        database.execute("INSERT INTO patients VALUES ('P1', '王', '****1111', ?)", (_card_hash("62221111"),))
        kept = (_credential_hash("QR"), "P1", "e_credential")
        database.execute("INSERT INTO credentials VALUES (?, ?, ?)", kept)
        database.execute(
            "INSERT INTO person_references VALUES ('r', 'P1', 'dlib:0123456789ab:128', ?, 'photo', 'x')",
            (seal(template(1), key, "P1"),),
        )
    desk.again()
    assert desk.people.by_card("62221111").person_id == desk.people.by_credential("QR").person_id == "P1"
    (held,) = desk.people.references("P1", "dlib:0123456789ab:128")
    assert np.allclose(held.values, template(1).values)
    with pytest.raises(TemplateDamagedError):
        unseal(desk.store.row("SELECT template FROM person_references")["template"], key, "P1")


def test_a_store_is_its_owners_alone_whatever_the_umask(tmp_path, caplog):
    path = tmp_path / "d" / "device.sqlite"
    Store(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    store = Store(path)
    assert {stat.S_IMODE(p.stat().st_mode) for p in path.parent.iterdir()} == {0o600}
    assert "could be read by others" in caplog.text
    store.close()
    keep_private(tmp_path / "none")


def test_a_key_that_systemd_hands_over_is_taken_and_another_is_complained_of(tmp_path, monkeypatch, caplog):
    from renzheng.edge.device.evidence import Evidence  # noqa: PLC0415

    caplog.set_level("INFO", "renzheng.edge.device.credentials")
    Evidence(tmp_path / "a").put("e1", b"crop")
    assert "lies beside what it protects" in caplog.text
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "evidence.key").write_bytes((tmp_path / "a" / "evidence.key").read_bytes())
    (tmp_path / "a" / "evidence.key").unlink()
    monkeypatch.setenv(credentials.DIRECTORY, str(tmp_path / "credentials"))
    caplog.clear()
    assert Evidence(tmp_path / "a").get("e1") == b"crop"
    assert caplog.text == ""
    assert not (tmp_path / "a" / "evidence.key").exists()
