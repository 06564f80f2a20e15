"""What is due goes every night with a signed certificate; what an undecided doubt rests on stays."""

import datetime as dt

import orjson
import pytest
import sqlalchemy as sa
from parts.privacy import BEGIN, Office
from parts.privacy_rows import filled

from renzheng.central.checks.keeping import Answer, Check, Keeper
from renzheng.central.errors import SettingsError
from renzheng.central.privacy import retention, withdrawals
from renzheng.central.settings import make_settings
from renzheng.central.store import schema
from renzheng.central.store.times import to_us
from renzheng.contracts import keys
from renzheng.contracts.privacy import open_holds


@pytest.fixture
def office(tmp_path):
    made = Office(tmp_path)
    yield made
    made.close()


def put(office, table, **row):
    with office.database.writing() as connection:
        connection.execute(sa.insert(table).values(filled(table, **row)))


def doubt(office, person, state):
    put(office, schema.cases, case_id="C1", state="open", record=b"{}", month="2026-03")
    put(
        office,
        schema.doubts,
        doubt_id="D1",
        case_id="C1",
        person_id=person,
        month="2026-03",
        state=state,
        record=b"{}",
    )


def decide(office, state):
    with office.database.writing() as connection:
        connection.execute(sa.update(schema.doubts).values(state=state))


def test_the_night_deletes_what_is_due_and_signs_for_it(office):
    old = to_us(office.now - dt.timedelta(days=400))
    for person in ("P1", "P2"):
        row = {"institution_id": "H1", "visit_id": f"V-{person}", "person_id": person, "surname": "王"}
        put(office, schema.stays, **row, masked_number="****1234", discharged_at=old)
        put(office, schema.stay_events, **row, event_number=int(person[1]), masked_number="****1234")
    put(office, schema.stays, institution_id="H1", visit_id="V3", person_id="P3", surname="李")
    doubt(office, "P2", "issued")
    office.privacy.settle()
    assert {row.person_id: row.surname for row in office.rows(schema.stays)} == {
        "P1": "",
        "P2": "王",
        "P3": "李",
    }
    assert {row.person_id: row.surname for row in office.rows(schema.stay_events)} == {"P1": "", "P2": "王"}
    office.privacy.settle()
    (one,) = office.rows(schema.deletion_certificates)
    said = orjson.loads(keys.open_signed(one.certificate.encode(), office.key, retention.KIND))
    names = {item["item"]: (item["deleted"], item["held"]) for item in said["items"]}
    assert names["stay_names"] == (1, 1)
    assert "P1" not in str(said)
    decide(office, "cleared")
    office.now += dt.timedelta(days=1)
    office.privacy.settle()
    assert {row.surname for row in office.rows(schema.stays)} == {"", "李"}
    with office.database.reading() as connection:
        later, first = retention.certificates(connection)
        assert retention.overview(connection, office.settings)
    assert later["said"]["previous"] is not None
    assert first["said"]["previous"] is None


def test_proofs_of_withdrawals_outlive_their_days_only_while_a_device_has_not_answered(office):
    kiosk = office.kiosk("kiosk-1", "H1")
    with office.database.writing() as connection:
        withdrawals.begin(
            connection, withdrawals.asked_here(connection, "P1", "shell", "x", office.now), office.now
        )
    office.now += dt.timedelta(days=1100)
    office.privacy.settle()
    assert len(office.rows(schema.withdrawals)) == 1
    kiosk.privacy.look()
    office.now += dt.timedelta(days=1)
    office.privacy.settle()
    assert office.rows(schema.withdrawals) == office.rows(schema.privacy_orders) == []


def test_a_crop_of_an_open_doubt_outlives_withdrawal_and_age_and_goes_when_it_is_decided(office):
    kiosk = office.kiosk("kiosk-1", "H1")
    kiosk.enrol("P1")
    held, other = "0195d000-0000-7000-8000-000000000001", "0195d000-0000-7000-8000-000000000002"
    for number, (event, at) in enumerate(((held, BEGIN), (other, BEGIN - dt.timedelta(days=90)))):
        kiosk.agent.evidence.put(event, b"jpeg")
        put(
            office, schema.attendance, device_id="kiosk-1", sequence=900 + number, event_id=event,
            institution_id="H1", person_id="P1", occurred_at=to_us(at),
        )  # fmt: skip
    doubt(office, "P1", "issued")
    told = office.privacy.waiting("kiosk-1").holds
    assert open_holds(told, office.key).event_ids == (held,)
    with office.database.writing() as connection:
        withdrawals.begin(
            connection, withdrawals.asked_here(connection, "P1", "shell", "x", office.now), office.now
        )
    kiosk.privacy.look()
    assert kiosk.agent.evidence.get(held) == b"jpeg"
    assert kiosk.agent.evidence.get(other) is None
    kiosk.agent.housekeeper.tidy(BEGIN + dt.timedelta(days=400))
    assert kiosk.agent.evidence.get(held) == b"jpeg"
    decide(office, "dropped")
    kiosk.privacy.look()
    kiosk.agent.housekeeper.tidy(BEGIN)
    assert kiosk.agent.evidence.get(held) is None


def test_checks_and_answers_go_after_their_days_and_the_certificate_counts_them(office):
    kept = Keeper(office.settings.checks_dir / "checks.sqlite")
    for name, at in (("old", office.now - dt.timedelta(days=1100)), ("new", office.now)):
        advice = ({"id": f"A-{name}", "point": "p", "version": "1"}, True)
        kept.keep(Check(name, to_us(at), "H1", "his", "before", "ok", b'{"person_id": "P1"}', [advice], []))
        kept.answer([Answer(f"A-{name}", "followed", "")], "his", to_us(at))
    office.privacy.settle()
    assert (kept.institution_of("old"), kept.institution_of("new")) == (None, "H1")
    assert (kept.answers("A-old"), len(kept.answers("A-new"))) == ([], 1)
    kept.close()
    (one,) = office.rows(schema.deletion_certificates)
    said = orjson.loads(keys.open_signed(one.certificate.encode(), office.key, retention.KIND))
    (checks,) = [item for item in said["items"] if item["item"] == "checks"]
    assert checks["deleted"] == 1


def test_days_below_what_the_law_asks_for_are_refused(tmp_path):
    with pytest.raises(SettingsError, match="consents_days"):
        make_settings({"data_dir": str(tmp_path), "retention": {"consents_days": 30}})


def test_every_table_that_names_somebody_is_in_the_table_in_force():
    named = {table for item in retention.items(make_settings({"data_dir": "x"})) for table in item.tables}
    naming = {"person_id", "account_id", "surname", "inspector_id", "visit_id"}
    missing = {
        table.name
        for table in schema.metadata.tables.values()
        if naming & {column.name for column in table.columns} and table.name not in named
    }
    assert missing == {"visit_renames"}, "numbers of stays alone"


def test_requests_go_with_their_days_and_those_of_doubts_stay(office):
    for person in ("P1", "P2"):
        put(office, schema.crop_requests, request_id=f"R-{person}", person_id=person, asked_at=1)
        put(office, schema.privacy_requests, request_id=f"Q-{person}", person_id=person, answered_at=1)
    doubt(office, "P2", "issued")
    office.privacy.settle()
    assert [row.request_id for row in office.rows(schema.crop_requests)] == ["R-P2"]
    assert office.rows(schema.privacy_requests) == []
