"""A person's copy is in words, deletion says what stays and until when, and every request has its due day."""

import datetime as dt
import re

import orjson
import pytest
import sqlalchemy as sa
from parts.command_line import run
from parts.privacy import Office
from parts.privacy_rows import filled

from renzheng.central.access import access_log
from renzheng.central.access.access_log import Wanted
from renzheng.central.checks.keeping import Check, Keeper
from renzheng.central.privacy import requests
from renzheng.central.settings import write_settings
from renzheng.central.store import audits, devices, schema
from renzheng.central.store.devices import Institution
from renzheng.central.store.times import to_us

DAY = dt.date(2026, 3, 2)


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    made = Office(tmp_path_factory.mktemp("rights"))
    write_settings(made.settings, made.folder / "central.toml")
    at = to_us(dt.datetime(2026, 3, 2, 1, tzinfo=dt.UTC))
    with made.database.writing() as connection:
        devices.put_institution(connection, Institution("H1", "县人民医院", "371122"))
        audits.begin(connection, "RUN-1", DAY, DAY, folder="none", now_us=0)
        for table, row in (
            (
                schema.verdicts,
                {
                    "run_id": "RUN-1",
                    "line_id": "L1",
                    "service_day": "2026-03-02",
                    "institution_id": "H1",
                    "person_id": "P1",
                    "item_name": "血液透析 <b>",
                    "amount_fen": 42000,
                    "verdict": "insufficient",
                    "reason": "coverage_gap",
                    "evidence": '["E1"]',
                    "rule_id": "line-haemodialysis",
                },
            ),
            (
                schema.attendance,
                {
                    "device_id": "kiosk-1",
                    "sequence": 1,
                    "event_id": "E1",
                    "institution_id": "H1",
                    "person_id": "P1",
                    "event_type": "sign_in",
                    "occurred_at": at,
                    "outcome": "match",
                },
            ),
            (
                schema.stays,
                {
                    "institution_id": "H1",
                    "visit_id": "V1",
                    "person_id": "P1",
                    "surname": "王",
                    "masked_number": "****1234",
                    "admitted_at": at,
                    "discharged_at": at,
                },
            ),
            (
                schema.consents,
                {
                    "person_id": "P1",
                    "device_id": "kiosk-1",
                    "notice": "face_recognition",
                    "notice_version": "1",
                    "institution_id": "H1",
                    "seen_at": at,
                    "said_at": at,
                    "given": 1,
                },
            ),
        ):
            connection.execute(sa.insert(table).values(filled(table, **row)))
        audits.publish(connection, "RUN-1", DAY, DAY, summary={}, now_us=0)
    yield made
    made.close()


def privacy(office, *words, status=0):
    return run("privacy", *words, "--config", office.folder / "central.toml", status=status)


def text_of(page):
    return re.sub(r"<[^>]+>", " ", re.sub(r"<style>.*?</style>", "", page))


def test_a_copy_is_whole_and_in_words(office):
    out = office.folder / "copy.html"
    privacy(office, "export", "P1", "--out", out)
    assert out.stat().st_mode & 0o077 == 0
    page = out.read_text(encoding="utf-8")
    said = text_of(page)
    for words in (
        "县人民医院",
        "签到",
        "匹配",
        "420.00 元",
        "证据不足",
        "设备覆盖不足",
        "同意",
        "王",
        "2056年12月31日",
    ):
        assert words in said, words
    assert "血液透析 &lt;b&gt;" in page, "foreign text is no markup"
    for code in (
        "sign_in",
        "coverage_gap",
        "insufficient",
        "face_recognition",
        "person_exported",
        "None",
        "nan",
    ):
        assert code not in said, f"a code, not a word: {code}"
    privacy(office, "export", "P1", "--out", out, status=3)


def test_a_copy_holds_what_was_asked_in_checks_and_is_the_same_in_another_spelling(office):
    kept = Keeper(office.settings.checks_dir / "checks.sqlite")
    for number, person in enumerate(("P1", "P2", " p1")):
        asked = {
            "patient": {"person_id": person.strip()}, "encounter": {"diagnoses": ["N18.5"]},
            "items": [{"code": "X1", "name": f"阿司匹林{number}"}],
        }  # fmt: skip
        told = {"id": f"A{number}", "point": "p", "version": "1", "text_zh": f"第{number}条提醒"}
        kept.keep(
            Check(f"C{number}", 1, "H1", "his", "before", "ok", orjson.dumps(asked), [(told, True)], [])
        )
    kept.close()
    out = office.folder / "spelled.html"
    privacy(office, "export", "p1 ", "--out", out)
    said = text_of(out.read_text(encoding="utf-8"))
    for words in ("阿司匹林0", "阿司匹林2", "第2条提醒", "N18.5", "420.00 元", "信息副本"):
        assert words in said, words
    assert "阿司匹林1" not in said
    assert "person_exported" not in said
    assert "2 entries in all" not in privacy(office, "who-looked", "p1")


def test_an_explanation_says_what_it_is_not(office):
    out = office.folder / "line.html"
    privacy(office, "explain", "L1", "--out", out)
    said = text_of(out.read_text(encoding="utf-8"))
    assert "表示无法判断" in said
    assert "人工复核" in said
    assert "透析" in said
    privacy(office, "explain", "L9", "--out", office.folder / "none.html", status=1)


def test_deletion_names_what_stays_and_until_when_and_an_open_case_keeps_the_name(office):
    rows = (
        (schema.cases, {"case_id": "C1", "state": "open", "month": "2026-03"}),
        (schema.doubts, {"doubt_id": "D1", "case_id": "C1", "person_id": "P1", "state": "issued"}),
    )
    with office.database.writing() as connection:
        for table, row in rows:
            connection.execute(sa.insert(table).values(filled(table, **row)))
    said = privacy(office, "delete", "P1")
    assert "names erased from 0 stays" in said
    assert "until the case is decided" in said
    assert "kept by law until 2056-12-31" in said
    with office.database.writing() as connection:
        connection.execute(sa.update(schema.doubts).values(state="cleared"))
    said = privacy(office, "delete", "P1")
    assert "names erased from 1 stays" in said
    assert "until the case is decided" not in said
    assert [row.surname for row in office.rows(schema.stays)] == [""]
    assert len(office.rows(schema.withdrawals)) == 2
    assert len(office.rows(schema.verdicts)) == 1


def test_requests_are_counted_with_their_due_day(office):
    assert "withdrawn" not in privacy(office, "who-looked", "P2")
    with office.database.writing() as connection:
        before = requests.counted(connection, office.now)
        now = dt.datetime(2026, 9, 28, 1, tzinfo=dt.UTC)  # before the long holiday
        late = requests.record(connection, office.settings, ("copy", "P3", "x"), now)
        requests.record(connection, office.settings, ("copy", "P4", "x"), now)
        assert requests.counted(connection, now)["open"] == 2
        requests.close(connection, late, "answered", "", now + dt.timedelta(days=60))
        count = requests.counted(connection, now + dt.timedelta(days=60))
        assert (count["overdue"], count["late"] - before["late"]) == (1, 1)
        due = next(one for one in requests.listed(connection, 50)[1] if one["person_id"] == "P4")
    assert "15个工作日" in due["due_explained"]
    assert due["due_at"] > to_us(now + dt.timedelta(days=25)), "holidays are not counted"
    assert before["refused"] == 2


def test_every_command_about_a_person_is_in_the_access_log_under_that_person(office):
    out = str(office.folder / "walk")
    told = {
        "person_exported": ("privacy", "export", "P1", "--out", f"{out}-copy.html"),
        "line_explained": ("privacy", "explain", "L1", "--out", f"{out}-line.html"),
        "who_looked": ("privacy", "who-looked", "P1"),
        "withdrawn": ("privacy", "withdraw", "P1"),
        "person_deleted": ("privacy", "delete", "P1"),
    }
    for act, words in (*told.items(), ("who_looked", ("central", "access", "who-looked", "P1"))):
        with office.database.reading() as connection:
            before = access_log.head(connection).sequence
        run(*words, "--config", office.folder / "central.toml")
        with office.database.reading() as connection:
            total, rows = access_log.read(connection, Wanted(person_id="P1", limit=1))
        assert (rows[0]["act"], rows[0]["number"]) == (act, before + 1), words
        assert total > 0
