"""Steps on cases in a store, on both backends: drafted, frozen, written down, replayed."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from zoneinfo import ZoneInfo

import orjson
import pytest
import sqlalchemy as sa
from parts.cases import PEOPLE
from parts.cases_store import DAY, VERDICT, lay
from parts.command_line import run

from renzheng.central.access import access_log, accounts
from renzheng.central.access.access_log import Wanted
from renzheng.central.access.accounts import New
from renzheng.central.access.roles import Role
from renzheng.central.cases import filters, journal, keeping, lists, penalty_keeping, powers, reading
from renzheng.central.cases.desk import GROUPS
from renzheng.central.cases.doubts import CaseState, State
from renzheng.central.cases.errors import (
    BodyError,
    JournalError,
    MayNotError,
    NotFoundError,
    StaleError,
    StepRefusedError,
)
from renzheng.central.cases.guards import Body
from renzheng.central.cases.keeping import Cases
from renzheng.central.cases.money import ledger_of
from renzheng.central.cases.penalties import Asked
from renzheng.central.cases.penalty_keeping import Penalties
from renzheng.central.cases.worklists import Choice, Worklist
from renzheng.central.settings import make_settings, write_settings
from renzheng.central.store import adjudicated, audits, schema
from renzheng.central.web.api.cases import shown_case, shown_ledger
from renzheng.central.web.console.pages import money
from renzheng.contracts import keys
from renzheng.rules.pack import Pack

ZONE = ZoneInfo("Asia/Shanghai")


class Clock:
    now = dt.datetime(2026, 4, 7, 1, 0, tzinfo=dt.UTC)

    def __call__(self):
        self.now += dt.timedelta(seconds=1)
        return self.now


@pytest.fixture
def desk(database, tmp_path):
    lay(database, tmp_path)
    key = keys.generate_key()
    clock = Clock()
    cases = Cases(database, lambda: key, lambda: Pack({}, {}, {}), ZONE, clock)
    cases.key, cases.database, cases.clock = key, database, clock
    return cases


def act(desk, who, doubt, name, **body):
    return desk.act(PEOPLE[who], doubt.doubt_id, name, Body(**body))


def test_the_tables_of_a_run_are_read_before_anybody_has_to_wait_for_the_confirming(desk, monkeypatch):
    _, (first, second) = drafted(desk)
    freeze, seen = keeping.freezing.freeze, []

    def watched(connection, *rest):
        seen.append(connection.get_execution_options()["writes"])
        return freeze(connection, *rest)

    monkeypatch.setattr(keeping.freezing, "freeze", watched)
    act(desk, "auditor", first, "confirm")
    desk.act_on_many(PEOPLE["auditor"], {second.doubt_id: None}, "confirm", Body())
    assert seen == [False, False]


def drafted(desk, institution="H1"):
    case = desk.draft(PEOPLE["auditor"], "2026-03", institution).cases[0]
    with desk.database.reading() as connection:
        return case, lists.doubts_seen(connection, PEOPLE["auditor"], case.case_id)


def test_a_month_is_drafted_once_each_line_in_one_doubt(desk):
    first = desk.draft(PEOPLE["auditor"], "2026-03")
    assert (len(first.cases), first.added) == (2, 3)
    again = desk.draft(PEOPLE["auditor"], "2026-03")
    assert (len(again.cases), again.added) == (2, 0)
    _, doubts = drafted(desk)
    assert [(one.rule_id, one.at_stake_fen) for one in doubts] == [
        ("machine-overlap", 70_000), ("line-haemodialysis", 45_000),
    ]  # fmt: skip
    assert [flag.rule_id for flag in doubts[0].also_flagged_by] == ["line-haemodialysis"]


def speak_again(desk, run_id, line_id, verdict):
    """Let another run, which has one line of H1 and no more, speak for the day."""
    again = VERDICT | {
        "run_id": run_id, "institution_id": "H1", "line_id": line_id, "person_id": "P", "amount_fen": 1,
        "at_stake_fen": 1, "verdict": verdict, "reason": "seen", "doctor_id": "D7",
    }  # fmt: skip
    with desk.database.writing() as connection:
        audits.begin(connection, run_id, DAY, DAY, folder="again", now_us=3)
        connection.execute(sa.insert(schema.verdicts).values(again))
        audits.publish(connection, run_id, DAY, DAY, summary={"parameters": {}}, now_us=4)


def test_the_ledger_is_in_whole_fen(desk):
    desk.draft(PEOPLE["auditor"], "2026-03")
    with desk.database.reading() as connection:
        found = lists.ledgers(connection, PEOPLE["auditor"], "", "")
        _, cases = lists.cases(connection, PEOPLE["auditor"], lists.CaseChoice())
    assert [money(ledger.at_stake) for _, ledger in found.rows] == ["¥1,150.00", "¥500.00"]
    assert shown_ledger(found.sum)["at_stake"] == "1650.00"
    assert sorted(shown_case(*one)["amount_at_stake"] for one in cases) == ["1150.00", "500.00"]


def test_a_list_says_what_the_newest_audit_says(desk):
    def says():
        with desk.database.reading() as connection:
            rows = Worklist(connection, PEOPLE["auditor"], Choice(institution="H1")).rows()
        return {row.line_id: (row.newest, row.day, row.doctor, row.item, row.differs) for row in rows}

    drafted(desk)
    assert says()["L2"] == ("contradicted", "2026-03-03", "", "血液透析", False)
    speak_again(desk, "again", "L2", "supported")
    assert says() == {
        "L2": ("supported", "2026-03-03", "D7", "血液透析", True), "L1": ("", "", "", "", False),
    }  # fmt: skip
    speak_again(desk, "third", "L2", "contradicted")
    assert not says()["L2"][-1]


LISTS = [
    ({}, ["H1 L1", "H2 L1", "H1 L2"]),  # what the newest audit no longer says comes last
    ({"sort": "amount"}, ["H1 L1", "H2 L1", "H1 L2"]),
    ({"sort": "due"}, ["H2 L1", "H1 L1", "H1 L2"]),
    ({"sort": "institution"}, ["H1 L1", "H1 L2", "H2 L1"]),
    ({"sort": "person"}, ["H1 L1", "H1 L2", "H2 L1"]),
    ({"sort": "day"}, ["H1 L1", "H2 L1", "H1 L2"]),
    ({"differs": "yes"}, ["H1 L2"]),
    ({"differs": "no", "certainty": "high"}, ["H1 L1", "H2 L1"]),
    ({"certainty": "low"}, []),
    ({"certainty": "no such"}, []),
    ({"doctor": "D7"}, ["H1 L2"]),
    ({"shape": "line-haemodialysis no_presence"}, ["H2 L1", "H1 L2"]),
    ({"confirmed": "yes"}, []),
    ({"decided": "no", "states": ("drafted",), "institution": "H2"}, ["H2 L1"]),
]


def test_lists_are_narrowed_ordered_and_added_up(listed):
    for chosen, lines in LISTS:
        found = Worklist(listed, PEOPLE["auditor"], Choice(**chosen))
        rows = found.rows()
        assert [f"{row.institution_id} {row.line_id}" for row in rows] == lines, chosen
        assert list(found.versions()) == [row.doubt_id for row in rows]
        assert found.rows(1, 1) == rows[1:2]
        ids = [row.doubt_id for row in rows]
        for place, doubt_id in enumerate(ids):
            assert found.beyond(doubt_id, 9) == ids[place + 1 :]
            assert found.beyond(doubt_id, 9, before=True) == ids[:place]
            assert found.beyond(doubt_id, 1, before=True) == ids[max(place - 1, 0) : place]
        assert found.beyond("none", 9) is None
        assert sum(one.at_stake_fen for one in found.totals()) == sum(row.at_stake_fen for row in rows)
        for by in GROUPS:
            counted, groups = found.groups(by)
            assert counted == len(groups)
            assert sum(group.doubts for group in groups) == len(rows)
            assert found.groups(by, 1, 1)[1] == groups[1:2]
    counted, groups = Worklist(listed, PEOPLE["auditor"], Choice()).groups("institution")
    assert counted == 2
    assert [(one.key, one.name, one.doubts, one.at_stake_fen, one.waiting) for one in groups] == [
        ("H1", "H1", 2, 115_000, 2), ("H2", "H2", 1, 50_000, 1),
    ]  # fmt: skip
    listed.execute(sa.update(schema.doubts).values(state="issued"))
    late = Worklist(listed, PEOPLE["auditor"], Choice(late_us=9)).rows()
    assert [row.institution_id for row in late] == ["H2"]


@pytest.fixture
def listed(desk):
    """The lists of a drafted month, in a transaction that is taken back."""
    desk.draft(PEOPLE["auditor"], "2026-03")
    speak_again(desk, "again", "L2", "supported")
    with desk.database.writing() as connection:
        other = schema.doubts.c.institution_id == "H2"
        connection.execute(sa.update(schema.doubts).where(other).values(due_at=5))
        yield connection


def whole_way(desk):
    """Take one doubt to its deduction and one, before a panel, to its clearing."""
    case, (large, small) = drafted(desk)
    for one in (large, small):
        act(desk, "auditor", one, "confirm")
    case = desk.issue(PEOPLE["auditor"], case.case_id)
    desk.receive(PEOPLE["office"], case.case_id)
    act(desk, "office", small, "submit", position="accept")
    act(desk, "approver", small, "finalise")
    act(desk, "finance", small, "deduct", period="2026-05")
    act(desk, "office", large, "submit", position="contest", text="两台机器")
    act(desk, "reviewer", large, "review", decision="uphold", reason="重叠")
    act(desk, "reviewer-2", large, "review", decision="uphold", reason="医学问题", medical=True)
    members = ("doctor-a", "doctor-b", "doctor-c")
    desk.panel(PEOPLE["auditor"], case.case_id, Body(members=members), lambda _one: False)
    for who, decision in zip(members, ("clear", "uphold", "clear"), strict=True):
        act(desk, who, large, "vote", decision=decision, reason="意见")
    act(desk, "approver", large, "finalise")
    desk.close(PEOPLE["auditor"], case.case_id)
    return case.case_id


def kept_of(desk, case_id):
    with desk.database.reading() as connection:
        return reading.read_journal(connection, case_id)


def test_the_journal_is_signed_and_makes_the_case_again(desk):
    case_id = whole_way(desk)
    kept = kept_of(desk, case_id)
    entries = journal.verify(case_id, kept, [desk.key])
    made = journal.replay(entries)
    with desk.database.reading() as connection:
        doubts = {one.doubt_id: one for one in reading.doubts_of(connection, case_id)}
        case = reading.case_record(connection, case_id)
        found = lists.ledgers(connection, PEOPLE["auditor"], "H1", "2026-03")
        fared = lists.overturns_of(connection)
    assert made.case == case
    assert made.doubts == doubts
    assert case.state is CaseState.CLOSED
    assert sorted(one.state for one in doubts.values()) == [State.CLEARED, State.DEDUCTED]
    assert found.sum == ledger_of(doubts.values())
    assert found.sum.agrees()
    assert (found.sum.deducted, found.sum.cleared) == (45_000, 70_000)
    assert [(one.rule_id, one.issued, one.overturned) for one in fared] == [
        ("line-haemodialysis", 1, 0), ("machine-overlap", 1, 1),
    ]  # fmt: skip


def test_each_step_sets_when_the_next_is_due_and_the_clock_stops_while_a_document_is_owed(desk):
    case, (large, small) = drafted(desk)
    for one in (large, small):
        act(desk, "auditor", one, "confirm")
    desk.issue(PEOPLE["auditor"], case.case_id)
    due = desk.receive(PEOPLE["office"], case.case_id).due_at

    def listed():
        chosen = lists.DoubtChoice(case_id=case.case_id, sort="due_at")
        with desk.database.reading() as connection:
            return [one.doubt_id for one, _ in lists.doubts(connection, PEOPLE["auditor"], chosen)[1]]

    act(desk, "office", large, "ask", text="请提供机器日志的来源")
    assert listed() == [small.doubt_id, large.doubt_id], "what stands still is due last"
    desk.clock.now += dt.timedelta(days=9)
    after = act(desk, "auditor", large, "supply", text="见附件")
    assert after.due_at > due
    assert "停止计算" in after.due_explained
    assert listed() == [small.doubt_id, large.doubt_id]
    after = act(desk, "office", small, "submit", position="contest")
    assert "计5个工作日" in after.due_explained
    after = act(desk, "reviewer", small, "review", decision="clear", reason="有记录")
    after = act(desk, "approver", small, "finalise", amount_fen=0)
    assert after.due_at is None
    made = journal.replay(journal.verify(case.case_id, kept_of(desk, case.case_id), [desk.key]))
    with desk.database.reading() as connection:
        assert made.doubts == {one.doubt_id: one for one in reading.doubts_of(connection, case.case_id)}


def clear(desk, doubt):
    """Take a confirmed and issued doubt to its clearing."""
    act(desk, "office", doubt, "submit", position="contest")
    act(desk, "reviewer", doubt, "review", decision="clear", reason="有记录")
    return act(desk, "approver", doubt, "finalise", amount_fen=0)


class Strict(Pack):
    """A pack by which one decision is enough to conclude something."""

    def casework(self, region, day):
        return {**super().casework(region, day), "overturn_fewest": 1}


def test_a_rule_that_is_overturned_too_often_loses_power_by_itself_and_is_restored_by_an_approver(desk):
    desk._pack, rule = (lambda: Strict({}, {}, {})), ("line-haemodialysis", "3")
    case, (large, small) = drafted(desk)
    _, (other,) = drafted(desk, "H2")
    for one in (large, small):
        act(desk, "auditor", one, "confirm")
    desk.issue(PEOPLE["auditor"], case.case_id)
    clear(desk, small)
    with desk.database.reading() as connection:
        assert powers.powers(connection)[rule].power == "warn"
        alike = lists.doubts_alike(connection, PEOPLE["auditor"], small)
        assert [one.doubt_id for one in alike] == [other.doubt_id]
        assert adjudicated.decisions(connection) == {"L2": "overturned"}
    with pytest.raises(StepRefusedError, match="needs a reason"):
        act(desk, "auditor", other, "confirm")
    with desk.database.writing() as connection:
        powers.change(connection, rule, "bureau", PEOPLE["approver"], "又两次", desk.clock(), desk.key)
    with pytest.raises(StepRefusedError, match="shown to the bureau only"):
        act(desk, "auditor", other, "confirm", reason="看过")
    left = desk.draft(PEOPLE["auditor"], "2026-03").left
    assert "rule_power" in {one.guard for one in left}
    with pytest.raises(StepRefusedError, match="needs a reason"):
        desk.restore_rule(PEOPLE["approver"], *rule, " ")
    with pytest.raises(MayNotError):
        desk.restore_rule(PEOPLE["auditor"], *rule, "数据已更正")
    assert desk.restore_rule(PEOPLE["approver"], *rule, "数据已更正").power == "block"
    act(desk, "auditor", other, "confirm")
    with desk.database.reading() as connection:
        entries = journal.verify("rules", powers.read_journal(connection), [desk.key])
    assert [one.after["power"] for one in entries] == ["warn", "bureau", "block"]


def test_a_changed_moved_or_missing_entry_of_a_journal_is_refused(desk):
    case_id = whole_way(desk)
    kept = kept_of(desk, case_id)
    later = replace(kept[3], entry=kept[3].entry.replace(b"auditor", b"auditer"))
    for wrong in (
        [*kept[:3], later, *kept[4:]],
        [*kept[:2], *kept[3:]],
        [*kept[:2], kept[3], kept[2], *kept[4:]],
    ):
        with pytest.raises(JournalError):
            journal.verify(case_id, wrong, [desk.key])
    with pytest.raises(JournalError):
        journal.verify(case_id, kept, [keys.generate_key()])
    sealed = [one for one in kept if b'"sealed"' in one.entry]
    assert b"uphold" not in sealed[1].entry, "a vote is sealed until all are in"


def test_frozen_evidence_that_was_changed_stops_every_step(desk):
    case, (large, small) = drafted(desk)
    act(desk, "auditor", large, "confirm")
    act(desk, "auditor", small, "confirm")
    with desk.database.reading() as connection:
        frozen = orjson.loads(reading.evidence_of(connection, small.doubt_id))
    assert frozen["lines"][0]["verdict"]["reason"] == "no_presence"
    table = schema.doubt_evidence
    with desk.database.writing() as connection:
        connection.execute(
            sa.update(table).where(table.c.doubt_id == small.doubt_id).values(evidence=b'{"lines":[]}')
        )
    for step in (
        lambda: act(desk, "auditor", small, "withdraw", reason="x"),
        lambda: desk.issue(PEOPLE["auditor"], case.case_id),
    ):
        with pytest.raises(StepRefusedError) as caught:
            step()
        assert caught.value.guard == "evidence_changed"


def test_institutions_see_their_own_and_only_what_was_issued(desk):
    case, (large, small) = drafted(desk)
    other, _ = drafted(desk, "H2")
    act(desk, "auditor", large, "drop", reason="同机不同床")
    act(desk, "auditor", small, "confirm")
    with desk.database.reading() as connection, pytest.raises(NotFoundError):
        reading.case_of(connection, PEOPLE["office"], case.case_id)
    desk.issue(PEOPLE["auditor"], case.case_id)
    with desk.database.reading() as connection:
        assert reading.case_of(connection, PEOPLE["office"], case.case_id).state is CaseState.ISSUED
        seen = lists.doubts_seen(connection, PEOPLE["office"], case.case_id)
        assert [one.doubt_id for one in seen] == [small.doubt_id]
        assert lists.doubts_seen(connection, PEOPLE["doctor"], case.case_id) == []
        for read in (reading.case_of, reading.doubt_of):
            with pytest.raises(NotFoundError):
                read(
                    connection, PEOPLE["office"], other.case_id if read is reading.case_of else large.doubt_id
                )
        total, listed = lists.cases(connection, PEOPLE["office"], lists.CaseChoice())
        assert (total, listed[0][1]) == (1, lists.Counted(1, 45_000))


def test_a_step_on_an_old_version_is_refused_and_changes_nothing(desk):
    _, (large, _) = drafted(desk)
    act(desk, "auditor", large, "refer", to="police", reason="多家机构")
    with pytest.raises(StaleError):
        desk.act(PEOPLE["auditor"], large.doubt_id, "confirm", Body(), seen=large.version)
    assert desk.act(PEOPLE["auditor"], large.doubt_id, "confirm", Body(), seen=large.version + 1).confirmed


def test_what_was_settled_is_not_drafted_again_and_runs_with_doubts_keep_their_tables(desk, tmp_path):
    whole_way(desk)
    again = desk.draft(PEOPLE["auditor"], "2026-03", "H1")
    assert [(one.guard, one.line_id) for one in again.left] == [("reopened", "L1"), ("reopened", "L3")]
    assert again.added == 1, "that nobody was seen is another question than that two shared a machine"
    assert desk.draft(PEOPLE["auditor"], "2026-03", "H1").added == 0
    with desk.database.reading() as connection:
        assert str(tmp_path) not in audits.folders_to_drop(connection, keep=0)
    assert keeping.NIGHT.account == "(nightly run)"


def test_of_two_who_take_a_step_at_once_one_is_told_that_it_has_moved_on(desk):
    _, (large, _) = drafted(desk)

    def refer(number):
        try:
            body = Body(to="police", reason=f"线索{number}")
            return desk.act(PEOPLE["auditor"], large.doubt_id, "refer", body, seen=1).version
        except StaleError:
            return None

    with ThreadPoolExecutor(4) as several:
        assert sorted(several.map(refer, range(4)), key=str) == [2, None, None, None]
    with ThreadPoolExecutor(3) as several:
        again = several.map(lambda _: desk.draft(PEOPLE["auditor"], "2026-03", "H2").added, range(3))
        assert sorted(again) == [0, 0, 1], "a month that is drafted by several at once is drafted once"


def test_a_referral_is_tracked_and_becomes_an_enforcement_file(desk):
    _, (doubt, _) = drafted(desk)
    penalties = Penalties(desk.database, lambda: desk.key, lambda: Pack({}, {}, {}), ZONE, desk.clock)

    def opened():
        return penalties.open(PEOPLE["auditor"], [doubt.doubt_id], "monitor", "body", 38, 70_000)

    act(desk, "auditor", doubt, "confirm")
    with pytest.raises(BodyError, match="was not referred"):
        opened()
    act(desk, "auditor", doubt, "refer", to="enforcement", reason="多次")
    act(desk, "auditor", doubt, "receipt", to="enforcement", text="收字12号")
    with pytest.raises(BodyError, match="no referral"):
        act(desk, "auditor", doubt, "referral_answer", to="police", text="已立案")
    after = act(desk, "auditor", doubt, "referral_answer", to="enforcement", text="已立案")
    assert (after.referrals[0].receipt, after.referrals[0].answer) == ("收字12号", "已立案")
    file = opened()
    assert "计15个工作日" in file.due_explained
    with pytest.raises(StepRefusedError, match="another enforcement file"):
        opened()
    officers = Asked(officers={"auditor": "1", "auditor-2": "2"})
    with pytest.raises(BodyError, match="'auditor' is no account"):
        penalties.act(PEOPLE["auditor"], file.penalty_id, "file", officers)
    with desk.database.writing() as connection:
        for name, ties in (("auditor", ()), ("auditor-2", ()), ("tied", ("H1",))):
            new = New(name, frozenset({Role.AUDITOR}), ties=frozenset(ties))
            accounts.add(connection, new, "test", desk.clock())
    with pytest.raises(StepRefusedError, match="tied has a tie"):
        penalties.act(
            PEOPLE["auditor"], file.penalty_id, "file", Asked(officers={"auditor": "1", "tied": "2"})
        )
    after = penalties.act(PEOPLE["auditor"], file.penalty_id, "file", officers, seen=1)
    with pytest.raises(StaleError):
        penalties.act(PEOPLE["auditor"], file.penalty_id, "report", Asked(), seen=1)
    with desk.database.reading() as connection:
        assert penalty_keeping.listed(connection, PEOPLE["auditor"]) == [after]
        assert penalty_keeping.listed(connection, PEOPLE["doctor"]) == []
        assert penalty_keeping.listed(connection, PEOPLE["office"]) == [], (
            "an institution learns by the notice"
        )
        kept = penalty_keeping.journal_of(connection, file.penalty_id)
    entries = journal.verify(file.penalty_id, kept, [desk.key])
    assert [one.act for one in entries] == ["open", "file"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_taking_a_case_away_from_a_shell_is_written_down_first(desk, tmp_path):
    case, doubts = drafted(desk)
    settings = make_settings(
        {"data_dir": str(tmp_path / "data"), "database_url": f"sqlite:///{tmp_path / 'central.sqlite'}"}
    )
    write_settings(settings, tmp_path / "central.toml")
    settings.key_file.parent.mkdir(parents=True)
    settings.key_file.write_bytes(keys.private_pem(desk.key))
    taken = tmp_path / "case.zip"
    run("case", "bundle", case.case_id, "--out", taken, "--config", tmp_path / "central.toml")
    with desk.database.reading() as connection:
        _, entries = access_log.read(connection, Wanted())
    persons = sorted({one.person_id for one in doubts if one.person_id})
    assert persons
    assert (entries[0]["act"], entries[0]["persons"]) == ("case_bundle", persons)
    assert taken.exists()


def test_named_lists_are_an_accounts_own(desk):
    with desk.database.writing() as connection:
        for name in ("gao", "lin"):
            accounts.add(
                connection,
                New(name, frozenset({Role.AUDITOR})),
                "test",
                dt.datetime(2026, 4, 7, tzinfo=dt.UTC),
            )
        filters.save(connection, "lin", "  to   look at ", "state=drafted", 1)
        filters.save(connection, "lin", "to look at", "state=drafted&sort=due", 2)
        filters.save(connection, "gao", "to look at", "state=final", 3)
        (own,) = filters.of_account(connection, "lin")
        assert (own.name, own.query) == ("to look at", "state=drafted&sort=due")
        filters.remove(connection, "gao", own.filter_id)
        assert filters.of_account(connection, "lin") == [own]
        for number in range(1, filters.MOST):
            filters.save(connection, "lin", f"list {number}", "", 4)
        for name in ("", "x" * 61, "one more"):
            with pytest.raises(BodyError):
                filters.save(connection, "lin", name, "", 5)
        filters.remove(connection, "lin", own.filter_id)
        assert len(filters.of_account(connection, "lin")) == filters.MOST - 1
