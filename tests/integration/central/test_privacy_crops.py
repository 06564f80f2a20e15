"""One crop for one doubt: two people, one device, one look; everything else is refused."""

import datetime as dt

import pytest
import sqlalchemy as sa
from parts.asking import Asking
from parts.privacy import BEGIN, Office
from parts.privacy_rows import filled

from renzheng.central.access import access_log, accounts
from renzheng.central.access.access_log import Wanted
from renzheng.central.access.accounts import New
from renzheng.central.access.errors import DutyError
from renzheng.central.access.roles import Role
from renzheng.central.metrics import Metrics
from renzheng.central.privacy import crops
from renzheng.central.privacy.crops import CropStore
from renzheng.central.privacy.errors import RequestRefusedError
from renzheng.central.store import schema
from renzheng.central.store.times import to_us
from renzheng.central.web.app import build_app
from renzheng.contracts.log import read_entry
from renzheng.contracts.privacy import Answer, Order, PrivacyError, Release, open_certificate

EVENT, OTHER = "0195d000-0000-7000-8000-000000000001", "0195d000-0000-7000-8000-000000000002"
CROP = b"\xff\xd8\xff\xe0" + b"a face" * 100


@pytest.fixture
def office(tmp_path):
    made = Office(tmp_path)
    kiosk = made.kiosk("kiosk-1", "H1")
    kiosk.agent.evidence.put(EVENT, CROP)
    rows = (
        (schema.cases, {"case_id": "C1"}),
        (schema.doubts, {
            "doubt_id": "D1", "case_id": "C1", "person_id": "P1", "state": "issued", "month": "2026-03",
        }),
        *(
            (schema.attendance, {
                "device_id": "kiosk-1", "sequence": 900 + number, "event_id": event, "institution_id": "H1",
                "person_id": person, "occurred_at": to_us(BEGIN),
            })
            for number, (event, person) in enumerate(((EVENT, "P1"), (OTHER, "P2")))
        ),
    )  # fmt: skip
    with made.database.writing() as connection:
        for table, row in rows:
            connection.execute(sa.insert(table).values(filled(table, **row)))
    yield made
    made.close()


def asked(office, **changed):
    told = {
        "subject": "doubt",
        "subject_id": "D1",
        "event_id": EVENT,
        "purpose": "is it the person",
        **changed,
    }
    with office.database.writing() as connection:
        return crops.ask(connection, office.settings, told, "li.wei", office.now)


def allowed(office, request_id, by="wang"):
    with office.database.writing() as connection:
        return crops.allow(connection, office.settings, request_id, by, office.now)


def begun(office, request_id, by="li.wei"):
    with office.database.writing() as connection:
        return crops.begin_showing(connection, office.settings, request_id, by, office.now)


def state(office):
    with office.database.reading() as connection:
        return [one["state"] for one in crops.listed(connection, 10)]


def test_a_crop_is_released_for_two_people_shown_once_and_gone(office):
    kiosk = office.kiosks["kiosk-1"]
    for wrong in (
        {"event_id": OTHER},
        {"event_id": "none"},
        {"subject_id": "D9"},
        {"purpose": " "},
        {"subject": "x"},
    ):
        with pytest.raises(RequestRefusedError):
            asked(office, **wrong)
    request_id = asked(office)
    assert kiosk.privacy.look() == 0, "nothing reaches a device before a second person allows it"
    with pytest.raises(DutyError):
        allowed(office, request_id, by="li.wei")
    kiosk.away = True
    assert allowed(office, request_id) == "P1"
    with pytest.raises(RequestRefusedError):
        allowed(office, request_id)
    assert state(office) == ["waiting"]
    kiosk.away = False
    assert kiosk.privacy.look() == 1
    assert state(office) == ["ready"]
    (sealed,) = [path for path in office.settings.crops_dir.iterdir() if not path.name.startswith(".")]
    assert b"a face" not in sealed.read_bytes()
    told = [read_entry(line).event for line in kiosk.agent.log.lines(0, 100)]
    (release,) = [one for one in told if one["type"] == "renzheng.v1.evidence.released"]
    assert (release["subject"], release["data"]["stated_purpose"]) == ("P1", "is it the person")
    with pytest.raises(RequestRefusedError):
        begun(office, request_id, by="wang")
    row = begun(office, request_id)
    assert CropStore(office.settings).open(row) == CROP
    with pytest.raises(RequestRefusedError):
        begun(office, request_id)
    assert not sealed.exists()
    assert state(office) == ["shown"]
    assert kiosk.agent.store.row("SELECT answer FROM privacy_answers")["answer"].count(b"sealed") == 0


def test_a_withdrawal_ends_what_waits_but_for_an_undecided_doubt(office):
    from renzheng.central.privacy import withdrawals  # noqa: PLC0415

    kiosk = office.kiosks["kiosk-1"]
    requests = [asked(office) for _ in range(3)]
    for one in requests[:2]:
        allowed(office, one)
        if one == requests[0]:
            kiosk.privacy.look()
    assert sorted(state(office)) == ["asked", "ready", "waiting"]
    with office.database.writing() as connection:
        crops.withdraw(connection, "P1", office.now)
    assert sorted(state(office)) == ["asked", "ready", "waiting"], "the doubt is not decided"
    with office.database.writing() as connection:
        connection.execute(sa.update(schema.doubts).values(state="cleared"))
        one = withdrawals.asked_here(connection, "P1", "shell", "x", office.now)
        withdrawals.begin(connection, one, office.now)
    assert state(office) == ["withdrawn"] * 3
    with pytest.raises(RequestRefusedError):
        begun(office, requests[0])
    with pytest.raises(RequestRefusedError):
        allowed(office, requests[2])
    office.privacy.settle()
    assert [path.name for path in office.settings.crops_dir.iterdir()] == [".recipient.key"]
    kiosk.privacy.look()
    assert kiosk.certificates() == ["released", "withdrawn", "destroyed"]


def order(office, **changed):
    act = {
        "request_id": "R1", "person_id": "P1", "event_id": EVENT, "purpose": "x", "asked_by": "li.wei",
        "allowed_by": "wang", "recipient_key": CropStore(office.settings).public_key(),
        "until": office.now + dt.timedelta(days=1), **changed,
    }  # fmt: skip
    return Order(
        order_id=f"O-{len(changed)}-{changed}"[:90],
        device_id="kiosk-1",
        issued_at=office.now,
        act=Release(**act),
    )


def outcome(office, one):
    kiosk = office.kiosks["kiosk-1"]
    answer = Answer.model_validate_json(kiosk.privacy.answer(one))
    said = open_certificate(answer.certificate, kiosk.key)
    assert (answer.sealed is not None) == (said.outcome == "released")
    return said.outcome, said.reason


def test_a_device_refuses_what_is_not_named_allowed_and_in_time(office):
    assert outcome(office, order(office, allowed_by=None)) == ("refused", "not_allowed")
    assert outcome(office, order(office, allowed_by="li.wei")) == ("refused", "not_allowed")
    assert outcome(office, order(office, until=BEGIN)) == ("refused", "too_late")
    assert outcome(office, order(office, event_id="another")) == ("not_held", None)
    kiosk = office.kiosks["kiosk-1"]
    kiosk.enrol("P1")
    event = read_entry(kiosk.agent.log.lines(0, 1)[0]).event
    kiosk.agent.evidence.put(event["id"], CROP)
    assert event["subject"] == "P1"
    assert outcome(office, order(office, event_id=event["id"], person_id="P2")) == ("refused", "other_person")
    assert outcome(office, order(office, second_person=False, allowed_by=None)) == ("released", None)


def test_a_swapped_key_a_swapped_crop_and_one_too_late_show_nothing(office):
    kiosk = office.kiosks["kiosk-1"]
    request_id = asked(office)
    allowed(office, request_id)
    (row,) = office.rows(schema.privacy_orders)
    real = kiosk.privacy.answer(Order.model_validate_json(row.issued_order))
    swapped = Answer.model_validate_json(real).model_copy(update={"sealed": "AAAA"})
    with pytest.raises(PrivacyError):
        office.privacy.take_answer("kiosk-1", swapped.model_dump_json().encode())
    office.privacy.take_answer("kiosk-1", real)
    (office.settings.crops_key_file).write_bytes(bytes(range(32)))
    with pytest.raises(RequestRefusedError):
        CropStore(office.settings).open(begun(office, request_id))

    again = asked(office)
    allowed(office, again)
    kiosk.privacy.look()
    office.now += dt.timedelta(hours=73)
    office.privacy.settle()
    with pytest.raises(RequestRefusedError):
        begun(office, again)
    assert sorted(state(office)) == ["expired", "shown"]
    assert [path.name for path in office.settings.crops_dir.iterdir()] == [".recipient.key"]


def test_by_pages_it_is_watermarked_logged_and_seen_by_its_hospital_alone(office):
    app = build_app(office.database, office.settings, lambda: office.now, Metrics())
    with office.database.writing() as connection:
        tokens = {}
        for name, role, of in (
            ("li.wei", Role.AUDITOR, ()), ("wang", Role.REVIEWER, ()),
            ("own", Role.HOSPITAL_OFFICE, ("H1",)), ("other", Role.HOSPITAL_OFFICE, ("H2",)),
        ):  # fmt: skip
            accounts.add(connection, New(name, frozenset({role}), frozenset(of)), "test", office.now)
            tokens[name] = accounts.give_token(connection, name, office.now)
    li, wang, own, other = (Asking(app, tokens[name]) for name in ("li.wei", "wang", "own", "other"))
    form = {"subject": "doubt", "subject_id": "D1", "event_id": EVENT, "purpose": "is it <b>"}
    assert li.post("/crops", form).status == 303
    (row,) = office.rows(schema.crop_requests)
    path = f"/crops/{row.request_id}"
    assert li.post(f"{path}/allow").status == 403
    assert li.post(f"{path}/show").status == 400
    assert wang.post(f"{path}/allow").status == 303
    office.kiosks["kiosk-1"].privacy.look()
    answer = li.post(f"{path}/show")
    assert (answer.status, answer.headers["content-type"]) == (200, "image/svg+xml")
    assert answer.text.count("li.wei") > 20
    assert "sandbox" in answer.headers["content-security-policy"]
    assert li.post(f"{path}/show").status == 400
    assert "P1" in own.get("/crops").text
    assert "is it &lt;b&gt;" in own.get("/crops").text
    assert "P1" not in other.get("/crops").text
    assert own.post("/crops", form).status == 403
    with office.database.reading() as connection:
        _, log = access_log.read(connection, Wanted(person_id="P1"))
    assert {(one["account"], one["what"]) for one in log} >= {
        ("li.wei", "POST /crops"), ("wang", f"POST {path}/allow"), ("li.wei", f"POST {path}/show"),
    }  # fmt: skip
