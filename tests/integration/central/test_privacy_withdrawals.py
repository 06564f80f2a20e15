"""A consent taken back anywhere destroys the face everywhere, and nothing that is kept brings it back."""

import base64
import contextlib
import datetime as dt

import orjson
import pytest
import sqlalchemy as sa
from parts.privacy import BEGIN, Office
from parts.privacy_rows import filled

from renzheng.central.access.errors import PersonIdError
from renzheng.central.backup import backups
from renzheng.central.privacy import consents, crops, orders, withdrawals
from renzheng.central.privacy.errors import RequestRefusedError
from renzheng.central.store import schema
from renzheng.central.store.times import to_us
from renzheng.contracts import keys, sealing
from renzheng.contracts.privacy import (
    Answer,
    Certificate,
    Order,
    PrivacyError,
    Shares,
    Withdraw,
    hash_of,
    sign,
)
from renzheng.edge.device.people_backup import restore, take
from renzheng.edge.device.store.person_keys import key_of
from renzheng.edge.errors import BulkRefusedError
from renzheng.models.errors import TemplateDamagedError
from renzheng.models.protection import TemplateKey, unseal

WORDS = "six random words of a list"


@pytest.fixture
def office(tmp_path):
    made = Office(tmp_path)
    yield made
    made.close()


def withdraw(office, person="P1"):
    with office.database.writing() as connection:
        one = withdrawals.asked_here(connection, person, "console", "chen", office.now)
        assert withdrawals.begin(connection, one, office.now)
        assert not withdrawals.begin(connection, one, office.now)
    office.privacy.settle()
    return one


def outstanding(office):
    with office.database.reading() as connection:
        (row,) = withdrawals.listed(connection, 10)[1]
    return row["outstanding"]


def files_with(folder, needles):
    """Name the files below a folder in which one of some byte strings stands; a live server's come and go."""
    found = []
    for path in sorted(folder.rglob("*")):
        try:
            content = path.read_bytes() if path.is_file() else b""
        except FileNotFoundError:
            continue
        if any(one in content for one in needles):
            found.append(str(path.relative_to(folder)))
    return found


def test_a_withdrawn_face_is_nowhere_and_no_backup_brings_it_back(office, tmp_path):
    one, other = office.kiosk("kiosk-1", "H1"), office.kiosk("kiosk-2", "H2")
    for kiosk in (one, other):
        kiosk.enrol("P1", "P2")
    old = tmp_path / "old.sealed"
    assert take(other.agent.settings.device, old, WORDS, BEGIN) == 2
    central_backup = backups.take(
        office.settings, tmp_path / "none.toml", tmp_path / "backups", None, office.now
    )
    shares = [kiosk.agent.people.shares()["P1"] for kiosk in (one, other)]
    face = one.templates("P1")[0].values.tobytes()
    sealed = [
        kiosk.agent.store.row("SELECT template FROM person_references WHERE person_id = 'P1'")["template"]
        for kiosk in (one, other)
    ]
    before = files_with(tmp_path, [*shares, face, *sealed])
    assert len(before) >= 6, "in each device's file or WAL and key folder, and at central: the search finds"
    assert files_with(central_backup, shares) == [], "central's backup holds no half of a key"
    assert office.privacy.shares.people() == 2

    other.away = True
    withdraw(office)
    assert one.privacy.look() == 1
    assert outstanding(office) == ["kiosk-2"], "who is away is named"
    assert one.templates("P1") == []
    assert len(one.templates("P2")) == 1
    assert one.certificates() == ["destroyed"]
    other.away = False
    other.privacy.look()
    assert outstanding(office) == []
    assert office.privacy.shares.people() == 1
    assert files_with(tmp_path, [*shares, face, *sealed]) == []

    content = orjson.loads(sealing.unseal(old.read_bytes(), WORDS))
    device_key = TemplateKey(base64.b64decode(content["template_key"]))
    kept = [device_key, *(key_of(path.read_bytes(), device_key) for path in tmp_path.rglob("person-*/*/*"))]
    rows = [row for row in content["tables"]["person_references"] if row["person_id"] == "P1"]
    assert rows
    for row in rows:
        for key in kept:
            with pytest.raises(TemplateDamagedError):
                unseal(base64.b64decode(row["template"]["base64"]), key, "P1")

    other.agent.store.close()
    fresh = office.kiosk("kiosk-2", "H2", tmp_path / "new-disk")
    done = restore(fresh.agent.settings.device, old, WORDS)
    assert (done.references, done.unopened) == (0, 2), "without central's answer no face comes back"
    done = restore(fresh.agent.settings.device, old, WORDS, fresh.ask)
    assert (done.references, done.refused, done.unopened) == (1, 1, 0)
    assert fresh.templates("P1") == []
    assert len(fresh.templates("P2")) == 1
    assert fresh.agent.people.consented("P1", "face_recognition", "1") is False
    stranger = office.kiosk("kiosk-3", "H3")
    with pytest.raises(BulkRefusedError):
        restore(fresh.agent.settings.device, old, WORDS, stranger.ask)


@pytest.mark.postgresql
def test_no_file_of_postgresql_ever_holds_a_face_its_key_or_a_crop(
    postgresql_server, migrated_database, tmp_path
):
    """Deleted rows stay in PostgreSQL's files and its log for a while: what must go is never there."""
    with contextlib.closing(Office(tmp_path, postgresql_server.new_database(migrated_database))) as office:
        kiosk = office.kiosk("kiosk-1", "H1")
        kiosk.enrol("P1", "P2")
        kiosk.agent.evidence.put(CROP_OF, CROP)
        row = {"device_id": "kiosk-1", "sequence": 900, "event_id": CROP_OF, "institution_id": "H1"}
        row |= {"person_id": "P1", "occurred_at": to_us(BEGIN)}
        doubt = {"doubt_id": "D1", "case_id": "C1", "person_id": "P1", "state": "cleared", "month": "2026-03"}
        with office.database.writing() as connection:
            for table, values in (
                (schema.attendance, row), (schema.cases, {"case_id": "C1"}), (schema.doubts, doubt),
            ):  # fmt: skip
                connection.execute(sa.insert(table).values(filled(table, **values)))
            told = {"subject": "doubt", "subject_id": "D1", "event_id": CROP_OF, "purpose": "who it is"}
            request_id = crops.ask(connection, office.settings, told, "li.wei", office.now)
            crops.allow(connection, office.settings, request_id, "wang", office.now)
        assert kiosk.privacy.look() == 1
        sealed = (office.settings.crops_dir / request_id).read_bytes()
        reference = kiosk.agent.store.row("SELECT template FROM person_references WHERE person_id = 'P1'")
        secret = [kiosk.agent.people.shares()["P1"], kiosk.templates("P1")[0].values.tobytes()]
        secret += [reference["template"], sealed, CROP]
        needles = [form for one in secret for form in (one, one.hex().encode(), base64.b64encode(one))]
        withdraw(office)
        assert kiosk.privacy.look() == 1
        assert outstanding(office) == []
        office.privacy.settle()
        assert not (office.settings.crops_dir / request_id).exists()
        with office.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("CHECKPOINT")
        assert files_with(postgresql_server.folder, [request_id.encode()]), "the search finds what is there"
        assert files_with(postgresql_server.folder, needles) == []
        assert files_with(tmp_path, needles) == []


CROP_OF, CROP = "0195d000-0000-7000-8000-000000000001", b"\xff\xd8\xff\xe0" + b"a face" * 100


def test_a_withdrawal_at_a_device_reaches_the_others_once_and_a_restored_central_again(office):
    one, other = office.kiosk("kiosk-1", "H1"), office.kiosk("kiosk-2", "H2")
    for kiosk in (one, other):
        kiosk.enrol("P1")
    one.agent.withdraw_consent("P1", witness_id="1001")
    one.deliver()
    other.privacy.look()
    assert other.templates("P1") == []
    other.deliver()
    (known,) = office.rows(schema.withdrawals)
    assert (known.origin, known.asked_by, known.institution_id) == ("device", "kiosk-1", "H1")
    assert len(office.rows(schema.privacy_orders)) == 2, "what a device carried out is no new withdrawal"
    one.privacy.look()
    assert one.certificates() == ["nothing_held"]

    with office.database.writing() as connection:  # set back to before it heard of anything
        for table in (schema.privacy_orders, schema.withdrawals, schema.privacy_cursors, schema.consents):
            connection.execute(sa.delete(table))
        connection.execute(sa.delete(schema.log_entries).where(schema.log_entries.c.device_id == "kiosk-1"))
    office.privacy.settle()
    (again,) = office.rows(schema.withdrawals)
    assert (again.withdrawal_id, again.withdrawn_at) == (known.withdrawal_id, known.withdrawn_at)
    with office.database.reading() as connection:
        (row,) = consents.counted(connection)
    assert (row["given"], row["withdrawn"], row["institution_id"]) == (0, 1, "H2")


def test_who_consents_anew_keeps_what_came_after(office):
    kiosk = office.kiosk("kiosk-1", "H1")
    kiosk.enrol("P1")
    kiosk.away = True
    withdraw(office)
    kiosk.away = False
    kiosk.clock.advance(dt.timedelta(hours=2))
    old = kiosk.agent.people.shares()["P1"]
    kiosk.agent.registration.enrol(
        "P1", surname="王", card_number="622200001", photographs=[jpeg()], consented=True
    )
    kiosk.privacy.look()
    (kept,) = kiosk.templates("P1")
    assert kept.values[0] == pytest.approx(90, abs=2)
    assert kiosk.agent.people.shares()["P1"] != old
    assert kiosk.certificates() == ["destroyed"]


def jpeg():
    from parts.edge import jpeg_of  # noqa: PLC0415

    return jpeg_of(90)


def order_for(office, device_id, order_id="O1"):
    act = Withdraw(withdrawal_id="W1", person_id="P1", withdrawn_at=office.now)
    return Order(order_id=order_id, device_id=device_id, issued_at=office.now, act=act)


def test_nothing_is_done_at_a_strangers_word_and_an_order_is_answered_once(office, monkeypatch):
    one, other = office.kiosk("kiosk-1", "H1"), office.kiosk("kiosk-2", "H2")
    one.enrol("P1")
    for forged in (
        sign(order_for(office, "kiosk-1"), keys.generate_key()),
        sign(order_for(office, "kiosk-2"), office.key),
        "no.envelope",
    ):
        with monkeypatch.context() as patched:
            patched.setattr(orders, "waiting", lambda *_, forged=forged: (forged,))
            assert one.privacy.look() == 0
    assert len(one.templates("P1")) == 1

    withdraw(office)
    (row,) = [row for row in office.rows(schema.privacy_orders) if row.device_id == "kiosk-1"]
    order = Order.model_validate_json(row.issued_order)
    answer = one.privacy.answer(order)
    assert one.privacy.answer(order) == answer, "the same certificate, and nothing done twice"
    for wrong, by in (
        ({"device_id": "kiosk-2"}, other.key),
        ({}, other.key),
        ({"order_sha256": "0" * 64}, one.key),
        ({"order_id": "O9"}, one.key),
    ):
        told = {"order_id": order.order_id, "device_id": "kiosk-1", "order_sha256": hash_of(order), **wrong}
        forged = Certificate(**told, at=office.now, outcome="destroyed")
        with pytest.raises(PrivacyError):
            office.privacy.take_answer(
                "kiosk-1", Answer(certificate=sign(forged, by)).model_dump_json().encode()
            )
    assert "kiosk-1" in outstanding(office)
    office.privacy.take_answer("kiosk-1", answer)
    office.privacy.take_answer("kiosk-1", answer)
    assert outstanding(office) == ["kiosk-2"]


def test_halves_of_who_has_withdrawn_are_not_taken_and_an_order_without_a_device_is_settled(office):
    kiosk = office.kiosk("kiosk-1", "H1")
    kiosk.enrol("P1")
    half = kiosk.agent.people.shares()["P1"]
    withdraw(office)
    office.privacy.take_shares(
        "kiosk-1", Shares(shares={"P1": base64.b64encode(half).decode()}).model_dump_json().encode()
    )
    assert office.privacy.shares.people() == 0
    with pytest.raises(PrivacyError):
        office.privacy.take_shares("kiosk-1", b'{"shares": {"P2": "AAAA"}}')
    (row,) = office.rows(schema.privacy_orders)
    with office.database.writing() as connection:
        with pytest.raises(RequestRefusedError):
            orders.settle(connection, row.order_id, "chen", "  ", office.now)
        assert orders.settle(connection, row.order_id, "chen", "disk shredded", office.now) == "P1"
        with pytest.raises(RequestRefusedError):
            orders.settle(connection, row.order_id, "chen", "disk shredded", office.now)
    assert outstanding(office) == []


def test_a_device_settled_by_hand_that_comes_back_is_told_all_the_same(office):
    kiosk = office.kiosk("kiosk-1", "H1")
    kiosk.enrol("P1")
    kiosk.away = True
    withdraw(office)
    (order,) = office.rows(schema.privacy_orders)
    with office.database.writing() as connection:
        orders.settle(connection, order.order_id, "chen", "stolen", office.now)
    assert outstanding(office) == []
    kiosk.away = False
    assert kiosk.privacy.look() == 1
    assert kiosk.templates("P1") == []
    assert office.privacy.shares.people() == 0
    (order,) = office.rows(schema.privacy_orders)
    assert (order.outcome, order.settled_by) == ("destroyed", "chen")
    assert kiosk.privacy.look() == 0


def test_a_device_whose_folder_was_put_back_is_told_again(office):
    kiosk = office.kiosk("kiosk-1", "H1")
    kiosk.enrol("P1")
    half = kiosk.agent.people.shares()["P1"]
    withdraw(office)
    kiosk.privacy.look()
    kiosk.deliver()
    body = Shares(shares={"P1": base64.b64encode(half).decode()}).model_dump_json().encode()
    office.now += dt.timedelta(minutes=10)
    office.privacy.take_shares("kiosk-1", body)
    assert kiosk.certificates() == ["destroyed"], "once an hour"
    office.now += dt.timedelta(hours=1)
    office.privacy.take_shares("kiosk-1", body)
    assert kiosk.certificates() == ["destroyed", None]
    assert office.privacy.shares.people() == 0
    kiosk.clock.advance(dt.timedelta(hours=3))
    kiosk.enrol("P1")
    kiosk.deliver()
    assert outstanding(office) == []
    office.now += dt.timedelta(hours=3)
    kiosk.privacy._handed = None
    assert kiosk.privacy.look() == 0, "who has consented anew is known"
    assert office.privacy.shares.people() == 1


def test_a_store_set_back_hears_of_withdrawals_that_no_device_has_carried_out(office):
    kiosk = office.kiosk("kiosk-1", "H1")
    kiosk.enrol("P1")
    kiosk.away = True
    known = withdraw(office)
    with office.database.writing() as connection:
        for table in (schema.privacy_orders, schema.withdrawals):
            connection.execute(sa.delete(table))
    office.privacy.settle()
    kiosk.away = False
    assert kiosk.privacy.look() == 1
    assert kiosk.templates("P1") == []
    assert [row.withdrawal_id for row in office.rows(schema.withdrawals)] == [known.withdrawal_id]
    office.privacy.settle()
    journal = office.settings.shares_dir / ".withdrawals"
    assert not journal.exists()
    journal.write_bytes(b"[")
    with pytest.raises(RequestRefusedError):
        office.privacy.settle()
    assert journal.read_bytes() == b"[", "what cannot be read is not written over"


def test_other_spellings_and_numbers_of_a_person_are_withdrawn_too(office):
    one, other = office.kiosk("kiosk-1", "H1"), office.kiosk("kiosk-2", "H2")
    for kiosk in (one, other):
        kiosk.enrol("P1", "P2")
        kiosk.deliver()
    alias = {"person_id": "P2", "alias_of": "P1", "since": 0, "institution_id": "H1"}
    with office.database.writing() as connection:
        connection.execute(sa.insert(schema.person_aliases).values(alias))
        consents_of = sa.update(schema.consents).where(schema.consents.c.person_id == "P2")
        connection.execute(consents_of.where(schema.consents.c.device_id == "kiosk-2").values(person_id="p9"))
        assert withdrawals.asked_here(connection, " p1", "shell", "x", office.now).person_id == "P1"
        assert withdrawals.asked_here(connection, "P9", "shell", "x", office.now).person_id == "p9"
        connection.execute(consents_of.values(person_id="P9"))
        assert withdrawals.asked_here(connection, "P9", "shell", "x", office.now).person_id == "P9"
        connection.execute(
            sa.update(schema.consents).where(schema.consents.c.person_id == "P9").values(person_id="ab")
        )
        connection.execute(
            sa.update(schema.consents).where(schema.consents.c.person_id == "p9").values(person_id="aB")
        )
        with pytest.raises(PersonIdError):
            withdrawals.asked_here(connection, "AB", "shell", "x", office.now)
    withdraw(office)
    for kiosk in (one, other):
        kiosk.privacy.look()
    assert [len(kiosk.templates("P2")) for kiosk in (one, other)] == [0, 1], "at that hospital alone"
    assert office.privacy.shares.by_device() == {"kiosk-1": 0, "kiosk-2": 1}
