"""Notices: made once, sent again after failures, never a word about a person."""

import datetime as dt
import sys
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from parts.cases import PEOPLE
from parts.cases_store import lay

from renzheng.central.cases import lists, notices, scanning
from renzheng.central.cases.due import WorkingDays
from renzheng.central.cases.errors import BodyError
from renzheng.central.cases.guards import Body
from renzheng.central.cases.keeping import Cases
from renzheng.central.cases.notices import BUREAU, Notice, Notifier, message
from renzheng.central.cases.terms import Clock
from renzheng.central.settings import MailSettings
from renzheng.central.store import schema
from renzheng.contracts import keys
from renzheng.rules import casework
from renzheng.rules.pack import Pack

ZONE = ZoneInfo("Asia/Shanghai")
NOW = dt.datetime(2026, 4, 7, 1, tzinfo=dt.UTC)
MAIL = MailSettings(
    host="mail.example", sender="yb@bureau.example", bureau=["a@bureau.example"],
    institutions={"H1": ["office@h1.example"]},
)  # fmt: skip


class Site:
    """A site with one case of H1 issued, and one channel that fails as often as it is told to."""

    def __init__(self, database, folder):
        lay(database, folder)
        self.database, self.now, self.failing, self.sent = database, NOW, 0, []
        key = keys.generate_key()
        cases = Cases(database, lambda: key, lambda: Pack({}, {}, {}), ZONE, lambda: self.now)
        (case,) = cases.draft(PEOPLE["auditor"], "2026-03", "H1").cases
        with database.reading() as connection:
            self.doubts = lists.doubts_seen(connection, PEOPLE["auditor"], case.case_id)
        for one in self.doubts:
            cases.act(PEOPLE["auditor"], one.doubt_id, "confirm", Body())
        self.case = cases.issue(PEOPLE["auditor"], case.case_id)
        terms = Clock(lambda day: casework.resolve({}, day), ZONE, WorkingDays())
        self.notifier = Notifier(database, {"test": self.send}, lambda: terms, lambda: self.now)

    def send(self, notice):
        if self.failing:
            self.failing -= 1
            raise ConnectionError("refused")
        self.sent.append((notice["kind"], notice["audience"]))

    def turn(self, **later):
        self.now += dt.timedelta(**later)
        self.notifier.turn()
        with self.database.reading() as connection:
            return notices.listed(connection, PEOPLE["office"], 100)


@pytest.fixture
def site(database, tmp_path):
    return Site(database, tmp_path)


def test_each_notice_is_made_and_sent_once_and_time_limits_are_told_as_they_run(site):
    site.turn()
    site.turn(minutes=5)
    assert site.sent == [("issued", "H1")]
    for _ in range(20):
        found = site.turn(days=1)
    kinds = [kind for kind, audience in site.sent if audience == "H1"]
    assert kinds == ["issued", "reminder_50", "reminder_80", "overdue"]
    assert {one["kind"] for one in found} == set(kinds)
    assert all(one["sends"][0]["sent_at"] for one in found)


def test_what_fails_is_tried_again_later_and_later_and_given_up_with_a_record(site):
    site.failing = 2
    (notice,) = site.turn()
    assert notice["sends"][0]["problem"] == "ConnectionError: refused"
    site.turn(seconds=30)
    assert site.failing == 1, "not before its time"
    site.turn(seconds=31)
    site.turn(seconds=121)
    assert site.sent == [("issued", "H1")]
    site.failing = 99
    with site.database.writing() as connection:
        notices.keep(connection, iter([Notice("rule_power", BUREAU, "7")]), ["test"], site.now)
    for _ in range(20):
        site.turn(hours=7)
    with site.database.reading() as connection:
        row = connection.execute(
            sa.select(schema.notice_sends).where(schema.notice_sends.c.tries > 5)
        ).first()
    assert (row.tries, row.next_at, row.sent_at) == (notices.MOST_TRIES, None, None)


def test_a_mail_names_no_person(site):
    site.turn()
    with site.database.reading() as connection:
        row = dict(connection.execute(sa.select(schema.notices)).mappings().one())
    made = message(row, MAIL)
    text = str(made["Subject"]) + made.get_content()
    persons = {one.person_id for one in site.doubts if one.person_id}
    assert persons
    assert not any(one in text for one in persons)
    assert made["To"] == "office@h1.example"
    assert message({**row, "audience": "H9"}, MAIL) is None


@pytest.mark.parametrize(
    ("code", "says"),
    [("0", None), ("1", "refuses the file"), ("2", "could not be scanned")],
)
def test_the_scanner_decides_by_its_exit_status(code, says):
    command = [sys.executable, "-c", f"import sys; open(sys.argv[1]).read(); sys.exit({code})"]
    if says is None:
        scanning.must_pass(b"abc", command, 60)
        scanning.must_pass(b"abc", (), 60)
        return
    with pytest.raises(BodyError, match=says):
        scanning.must_pass(b"abc", command, 60)


def test_a_scanner_that_does_not_start_or_does_not_end_lets_nothing_pass(tmp_path):
    for command in ([str(tmp_path / "none")], [sys.executable, "-c", "import time; time.sleep(60)"]):
        with pytest.raises(BodyError, match="could not be scanned"):
            scanning.must_pass(b"abc", command, 0.2)
