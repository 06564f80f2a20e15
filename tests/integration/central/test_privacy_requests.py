"""Requests of persons by their page, on both stores: recorded, due, answered once; deletion and its proof."""

import datetime as dt

import orjson
import pytest
import sqlalchemy as sa
from parts.asking import Asking
from parts.command_line import run
from parts.privacy import Office
from parts.privacy_rows import filled

from renzheng.central.access import access_log, accounts
from renzheng.central.access.access_log import Wanted
from renzheng.central.access.accounts import New
from renzheng.central.access.roles import Role
from renzheng.central.metrics import Metrics
from renzheng.central.privacy import answering, requests, retention
from renzheng.central.settings import write_settings
from renzheng.central.store import schema
from renzheng.central.store.times import to_us
from renzheng.central.web.app import build_app
from renzheng.contracts import keys

PATH = "/privacy/requests"


@pytest.fixture
def office(tmp_path, database_url):
    made = Office(tmp_path, database_url)
    write_settings(made.settings, tmp_path / "central.toml")
    yield made
    made.close()


def put(office, table, **row):
    with office.database.writing() as connection:
        connection.execute(sa.insert(table).values(filled(table, **row)))


def caller(office, name, role):
    with office.database.writing() as connection:
        accounts.add(connection, New(name, frozenset({role})), "test", office.now)
        token = accounts.give_token(connection, name, office.now)
    return Asking(build_app(office.database, office.settings, lambda: office.now, Metrics()), token)


def of_kind(office, kind):
    (row,) = [row for row in office.rows(schema.privacy_requests) if row.kind == kind]
    return row


def recorded(office, chen):
    """Ask for everything that can be asked for."""
    assert caller(office, "li.wei", Role.AUDITOR).get(PATH).status == 403
    for kind in requests.KINDS:
        assert chen.post(PATH, {"person": " p1 ", "kind": kind, "note": "<i>a word"}).status == 303
    assert chen.post(PATH, {"person": "P1", "kind": "everything"}).status == 400
    assert chen.post(PATH, {"person": "", "kind": "copy"}).status == 400
    page = chen.get(f"{PATH}?lang=en").text
    assert "&lt;i&gt;a word" in page
    assert page.count("Overdue") == 1, "as the name of a count only"
    assert {row.due_explained for row in office.rows(schema.privacy_requests)} != {""}


def corrected(office, chen):
    """Answer what only people can answer, once, in words."""
    wrong = of_kind(office, "correct").request_id
    assert chen.post(f"{PATH}/{wrong}/delete").status == 400
    assert chen.post(f"{PATH}/{wrong}/answer", {"reason": " "}).status == 400
    told = {"reason": "the hospital has sent it again", "outcome": "answered"}
    assert chen.post(f"{PATH}/{wrong}/answer", told).status == 303
    assert chen.post(f"{PATH}/{wrong}/answer", told).status == 400, "answered once"


def copied(office):
    """Answer the copy, which data protection does not see, from the shell."""
    config, out = office.folder / "central.toml", office.folder / "copy.html"
    number = of_kind(office, "copy").request_id
    words = ("--request", number, "--out", out, "--config", config)
    run("privacy", "export", "P2", *words, status=1)
    run("privacy", "export", "P1", *words)
    assert "信息副本" in out.read_text(encoding="utf-8")
    assert of_kind(office, "copy").outcome == "answered"


def deleted(office, chen, kiosks):
    """Answer the deletion: the certificate says what is outstanding until every device has certified."""
    right = of_kind(office, "delete").request_id
    assert chen.post(f"{PATH}/{right}/answer", {"reason": "done", "outcome": "answered"}).status == 400
    assert chen.post(f"{PATH}/{right}/delete").status == 303
    assert chen.post(f"{PATH}/{right}/delete").status == 400
    path = f"/privacy/withdrawals/{of_kind(office, 'delete').withdrawal_id}/certificate"
    assert certificate(office, chen, path)["complete"] is False
    for kiosk in kiosks:
        kiosk.privacy.look()
        assert kiosk.templates("P1") == []
        assert kiosk.templates("P2")
    office.privacy.settle()
    said = certificate(office, chen, path)
    assert (said["complete"], said["person_id"], said["key_halves_destroyed"]) == (True, "P1", 2)
    devices = [(one["device_id"], one["outcome"]) for one in said["devices"]]
    assert devices == [("kiosk-1", "destroyed"), ("kiosk-2", "destroyed")]
    assert all(one["certificate"] for one in said["devices"])
    assert {row.person_id: row.surname for row in office.rows(schema.stays)} == {"P1": "", "P2": "王"}
    assert path in chen.get(PATH).text


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # a command ends with its process
def test_requests_are_answered_once_each_by_their_way_and_a_deletion_has_its_certificate(office):
    kiosks = [office.kiosk(f"kiosk-{number}", f"H{number}") for number in (1, 2)]
    for kiosk in kiosks:
        kiosk.enrol("P1", "P2")
    old = to_us(office.now - dt.timedelta(days=400))
    for person, ended in (("P1", old), ("P2", None)):
        visit = {"institution_id": "H1", "visit_id": f"V{person}", "person_id": person, "surname": "王"}
        put(office, schema.stays, **visit, masked_number="****1", discharged_at=ended)
    put(office, schema.cases, case_id="C1", state="open", record=b"{}", month="2026-03")
    put(
        office,
        schema.doubts,
        doubt_id="D1",
        case_id="C1",
        person_id="P2",
        state="issued",
        record=b"{}",
        month="2026-03",
    )
    chen = caller(office, "chen", Role.DATA_PROTECTION)
    recorded(office, chen)
    corrected(office, chen)
    deleted(office, chen, kiosks)
    copied(office)
    office.now += dt.timedelta(days=60)
    with office.database.reading() as connection:
        counted = requests.counted(connection, office.now)
        order = [row["kind"] for row in requests.listed(connection, 10)[1]]
        _, log = access_log.read(connection, Wanted(person_id="P1"))
    assert (counted["overdue"], counted["in_time"] + counted["late"]) == (2, 3)
    assert set(order[:2]) == {"who_looked", "explain"}, "what is open stands first"
    assert chen.get(f"{PATH}?lang=en").text.count("Overdue") == 3
    acts = [(one["account"], one["act"], one["outcome"]) for one in log]
    assert acts.count(("chen", "privacy_change", "changed")) == len(requests.KINDS) + 2
    assert ("command line", "person_exported", "shown") in acts

    office.now += dt.timedelta(days=2000)
    office.privacy.settle()
    assert {row.kind for row in office.rows(schema.privacy_requests)} == {"who_looked", "explain"}
    assert {row.person_id: row.surname for row in office.rows(schema.stays)} == {"P1": "", "P2": "王"}
    assert office.rows(schema.withdrawals) == []
    with office.database.reading() as connection:
        assert retention.overview(connection, office.settings)
        (last, *_) = retention.certificates(connection)
    assert keys.open_signed(last["certificate"].encode(), office.key, retention.KIND)


def certificate(office, chen, path):
    answer = chen.get(path)
    assert answer.status == 200
    assert "-entry-" in answer.headers["content-disposition"]
    return orjson.loads(keys.open_signed(answer.body, office.key, answering.KIND))
