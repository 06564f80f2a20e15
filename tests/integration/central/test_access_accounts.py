"""Accounts, sessions and the access log in a store, on both backends."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from parts.command_line import run

from renzheng.central.access import access_log, accounts, emergency, log_retention, separation, sessions
from renzheng.central.access.access_log import Access, Wanted
from renzheng.central.access.accounts import New
from renzheng.central.access.errors import AccessLogError, AccountError, DutyError, PasswordError
from renzheng.central.access.roles import ALWAYS_APART, BY_INSTITUTION, Role
from renzheng.central.main import make_signing_key
from renzheng.central.settings import make_settings, write_settings
from renzheng.central.store import schema
from renzheng.central.verify.checkpoint import CheckpointError
from renzheng.central.verify.publish import check_checkpoints, check_leaf, take_checkpoint
from renzheng.contracts import keys

NOW = dt.datetime(2026, 3, 4, 9, tzinfo=dt.UTC)
PASSWORD = "five green lamps by the river"
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
LATER = {name: NOW + dt.timedelta(minutes=minutes) for name, minutes in (("soon", 6), ("idle", 16))}


def make(connection, name, *roles, **more):
    accounts.add(connection, New(name, frozenset(map(Role, roles)), **more), "test", NOW)


def looked(account, *persons, what="/days/2026-03-04"):
    return Access(account, ("auditor",), "10.0.0.1", "verdicts", what, "audit", "shown", persons)


def test_a_one_time_code_is_good_once_and_the_password_then(database):
    with database.writing() as connection:
        make(connection, "li.wei", "auditor")
        first = accounts.give_code(connection, "li.wei", NOW)
        code = accounts.give_code(connection, "li.wei", NOW)
        assert accounts.use_code(connection, first, PASSWORD, NOW) is None, "the newer code has replaced it"
        with pytest.raises(PasswordError):
            accounts.use_code(connection, code, "li.wei-2026-03", NOW)
        assert accounts.use_code(connection, code, PASSWORD, NOW + dt.timedelta(hours=25)) is None
        assert accounts.use_code(connection, code.upper(), PASSWORD, NOW) == "li.wei"
        assert accounts.use_code(connection, code, PASSWORD, NOW) is None
        kept = accounts.kept_password(connection, "li.wei", NOW)
        everything = str([connection.execute(sa.select(t)).all() for t in schema.metadata.sorted_tables])
    assert accounts.knows_password(kept, PASSWORD)
    assert not accounts.knows_password(kept, PASSWORD[:-1])
    assert not accounts.knows_password(None, PASSWORD)
    assert PASSWORD not in everything
    assert code not in everything


def test_a_session_ends_when_idle_when_old_and_when_its_account_does(database):
    with database.writing() as connection:
        make(connection, "li.wei", "auditor")
        make(connection, "wang", "administrator")
        make(connection, "zhao", "administrator")
        shown = sessions.begin(connection, "li.wei", NOW)
        other = sessions.begin(connection, "wang", NOW)
        found, keep = sessions.find(connection, shown, NOW)
        assert (found.account.account_id, found.confirmed, keep) == ("li.wei", True, False)
        assert sessions.find(connection, shown + "x", NOW) is None
        assert not sessions.find(connection, shown, LATER["soon"])[0].confirmed, "a decision asks again"
        sessions.confirm(connection, found.session_id, LATER["soon"])
        assert sessions.find(connection, shown, LATER["soon"])[0].confirmed
        assert sessions.find(connection, other, LATER["idle"]) is None
        now = NOW
        for _ in range(60):
            now += dt.timedelta(minutes=10)
            held = sessions.find(connection, shown, now)
            if held:
                sessions.touch(connection, found.session_id, now)
        assert held is None, "not longer than ten hours, however busy"
        again = sessions.begin(connection, "wang", NOW)
        session_id = sessions.find(connection, again, NOW)[0].session_id
        assert not sessions.end(connection, session_id, "li.wei", NOW), "nobody ends another's"
        assert sessions.end(connection, session_id, "wang", NOW)
        third = sessions.begin(connection, "wang", NOW)
        accounts.disable(connection, "wang", NOW)
        assert sessions.find(connection, third, NOW) is None


@ON_SQLITE
def test_a_token_holds_until_its_end_and_may_do_no_more_than_its_scopes(database):
    with database.writing() as connection:
        make(connection, "reader", "auditor", kind="program")
        token = accounts.give_token(connection, "reader", NOW, days=1)
        narrow = accounts.give_token(connection, "reader", NOW, scopes=["runs", "accounts"])
        account, may = accounts.account_of_token(connection, token, NOW)
        assert may == account.permissions
        assert accounts.account_of_token(connection, narrow, NOW)[1] == {"runs"}, "no more than its roles"
        assert accounts.account_of_token(connection, token, NOW + dt.timedelta(days=1)) is None
        assert accounts.account_of_token(connection, "rz_wrong", NOW) is None
        accounts.disable(connection, "reader", NOW)
        assert accounts.account_of_token(connection, narrow, NOW) is None


@ON_SQLITE
def test_the_last_administrator_stays(database):
    with database.writing() as connection:
        code = accounts.open_first(connection, NOW)
        assert accounts.open_first(connection, NOW) not in (None, code), "until somebody has used it"
        code = accounts.open_first(connection, NOW)
        assert accounts.use_code(connection, code, PASSWORD, NOW) == accounts.FIRST
        assert accounts.open_first(connection, NOW) is None
        for undo in (
            lambda: accounts.disable(connection, accounts.FIRST, NOW),
            lambda: accounts.take_away(connection, accounts.FIRST, Role.ADMINISTRATOR),
        ):
            with pytest.raises(AccountError, match="last administrator"):
                undo()


def test_a_log_that_was_written_by_several_at_once_holds(database):
    def write(number):
        with database.writing() as connection:
            return access_log.append(connection, looked(f"a{number % 3}", f"P{number}", "P0"), NOW)

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(write, range(20))) == list(range(1, 21))
    with database.reading() as connection:
        assert access_log.verify(connection).sequence == 20
        total, rows = access_log.read(connection, Wanted(person_id="P7"))
        assert (total, rows[0]["account"]) == (1, "a1")
        assert access_log.read(connection, Wanted(account_id="a2", limit=2))[0] == 6
        assert len(access_log.read(connection, Wanted(person_id="P0", limit=5))[1]) == 5


@ON_SQLITE
@pytest.mark.parametrize(
    ("statement", "number"),
    [
        ("UPDATE access_log SET account_id = 'nobody' WHERE number = 2", 2),
        ("UPDATE access_log SET at = at + 1 WHERE number = 2", 2),
        ("DELETE FROM access_log WHERE number = 2", 2),
        ("DELETE FROM access_log_persons WHERE number = 3", 3),
        ("INSERT INTO access_log_persons VALUES ('P9', 1)", 1),
    ],
)
def test_what_was_changed_in_the_log_is_named(database, statement, number):
    with database.writing() as connection:
        for person in ("P1", "P2", "P3"):
            access_log.append(connection, looked("li.wei", person), NOW)
        connection.execute(sa.text(statement))
        with pytest.raises(AccessLogError) as refused:
            access_log.verify(connection)
    assert refused.value.attributes["number"] == number


@ON_SQLITE
def test_a_checkpoint_binds_the_log(database, tmp_path):
    key = keys.generate_key()
    with database.writing() as connection:
        access_log.append(connection, looked("li.wei", "P1"), NOW)
        access_log.append(connection, looked("li.wei", "P2"), NOW)
    take_checkpoint(database, "renzheng/site", key, tmp_path, NOW)
    assert check_checkpoints(database, key) == 1
    with database.reading() as connection:
        assert check_leaf(connection, access_log.LEAF) == 2
    with database.writing() as connection:  # the whole tail rewritten, so that the chain itself holds
        connection.execute(sa.delete(schema.access_log).where(schema.access_log.c.number == 2))
        connection.execute(sa.text("DELETE FROM access_log_persons WHERE number = 2"))
        access_log.append(connection, looked("li.wei"), NOW)
        assert access_log.verify(connection).sequence == 2
        with pytest.raises(CheckpointError, match="access/log"):
            check_leaf(connection, access_log.LEAF)
    with pytest.raises(CheckpointError, match="access/log"):
        check_checkpoints(database, key)


def test_a_third_partys_account_holds_between_its_contracts_dates(database):
    day = dt.timedelta(days=1)
    own = {"institutions": frozenset({"H1"})}
    with database.writing() as connection:
        with pytest.raises(AccountError, match="without an end"):
            make(connection, "auditors-ltd", "third_party", **own)
        make(connection, "auditors-ltd", "third_party", valid_from=NOW, valid_until=NOW + 90 * day, **own)
        accounts.choose_password(connection, "auditors-ltd", PASSWORD, NOW)
        token = accounts.give_token(connection, "auditors-ltd", NOW)
        for at, holds in ((NOW - day, False), (NOW, True), (NOW + 89 * day, True), (NOW + 90 * day, False)):
            shown = sessions.begin(connection, "auditors-ltd", at)
            assert bool(sessions.find(connection, shown, at)) is holds
            assert bool(accounts.account_of_token(connection, token, at)) is holds
            assert bool(accounts.kept_password(connection, "auditors-ltd", at)) is holds


@ON_SQLITE
def test_entries_older_than_three_years_go_and_the_chain_goes_on_from_a_signed_note(database, tmp_path):
    key, day = keys.generate_key(), dt.timedelta(days=1)
    with database.writing() as connection:
        for number in range(6):
            access_log.append(connection, looked("li.wei", f"P{number}"), NOW + number * day)
    for number in (2, 4):
        with database.writing() as connection:
            access_log.append(connection, looked("li.wei", "P9"), NOW + (6 + number) * day)
        take_checkpoint(database, "renzheng/site", key, tmp_path, NOW + (6 + number) * day)
    late = NOW + log_retention.KEPT + 9 * day
    with database.writing() as connection:
        assert log_retention.prune(connection, key, late) == 0, "not while nobody uses the service"
        access_log.append(connection, looked("li.wei", "P1"), late)
        assert log_retention.prune(connection, keys.generate_key(), NOW + day) == 0, "none is old"
        assert log_retention.prune(connection, key, late) == 7
        assert log_retention.prune(connection, key, late) == 0, "what no checkpoint binds stays"
        begins = log_retention.beginning(connection, keys.generate_key(), key)
        assert begins.sequence == 7
        assert access_log.verify(connection, beginning=begins).sequence == 10
        assert access_log.read(connection, Wanted(person_id="P3"))[0] == 0
        assert access_log.read(connection, Wanted(person_id="P1"))[0] == 1
        with pytest.raises(AccessLogError):
            access_log.verify(connection)
        with pytest.raises(AccessLogError, match="not central's"):
            log_retention.beginning(connection, keys.generate_key())
    assert check_checkpoints(database, key) == 2, "what was published before still holds"
    with database.writing() as connection:  # somebody cuts more off, and moves the note
        connection.execute(sa.text("DELETE FROM access_log WHERE number = 8"))
        connection.execute(sa.text("UPDATE access_log_past SET number = 8 WHERE note IS NOT NULL"))
        with pytest.raises(AccessLogError, match="not central's"):
            log_retention.beginning(connection, key)


@ON_SQLITE
def test_every_pair_of_roles_that_nobody_holds_together_is_refused_when_granted(database):
    with database.writing() as connection:
        for number, pair in enumerate(ALWAYS_APART):
            first, second = sorted(pair)
            own = {"H1"} if first in BY_INSTITUTION else set()
            make(connection, f"a{number}", first, institutions=frozenset(own), valid_until=LATER["idle"])
            with pytest.raises(AccountError):
                accounts.grant(connection, f"a{number}", second, "test", NOW)
            with pytest.raises(AccountError, match="both"):
                make(connection, f"b{number}", first, second, institutions=frozenset({"H1"}), valid_until=NOW)
            assert accounts.read(connection, f"a{number}").roles == {first}


@ON_SQLITE
def test_duties_that_check_each_other_are_done_by_two(database):
    with database.writing() as connection:
        for kind, pairs in separation.APART.items():
            for number, pair in enumerate(pairs):
                first, second = sorted(pair)
                separation.do(connection, (kind, str(number)), first, "li.wei", NOW)
                separation.do(connection, (kind, str(number)), first, "li.wei", NOW)
                with pytest.raises(DutyError) as refused:
                    separation.do(connection, (kind, str(number)), second, "li.wei", NOW)
                assert refused.value.attributes["done"] == first
                separation.do(connection, (kind, str(number)), second, "wang", NOW)
                separation.do(connection, (kind, f"another {number}"), second, "li.wei", NOW)


def test_emergency_access_takes_two_people_ends_by_itself_and_waits_for_a_third_look(database):
    with database.writing() as connection:
        make(connection, "li.wei", "finance")
        make(connection, "wang", "administrator")
        make(connection, "chen", "data_protection")
        make(connection, "zhao", "reviewer")
        with pytest.raises(AccountError, match="reason"):
            emergency.ask(connection, "li.wei", Role.AUDITOR, " ", NOW)
        with pytest.raises(AccountError, match="no emergency access"):
            emergency.ask(connection, "li.wei", Role.HOSPITAL_OFFICE, "x", NOW)
        asked = emergency.ask(connection, "li.wei", Role.AUDITOR, "a court asks tonight", NOW)
        shown = sessions.begin(connection, "li.wei", NOW)
        assert Role.AUDITOR not in sessions.find(connection, shown, NOW)[0].account.roles
        for who, why in (("li.wei", "two people"), ("zhao", "may not")):
            with pytest.raises(AccountError, match=why):
                emergency.allow(connection, asked, who, NOW)
        until = emergency.allow(connection, asked, "wang", NOW)
        assert Role.AUDITOR in sessions.find(connection, shown, NOW)[0].account.roles
        assert emergency.roles_now(connection, "li.wei", until) == frozenset()
        with pytest.raises(AccountError, match="waits"):
            emergency.allow(connection, asked, "chen", NOW)
        late = until + dt.timedelta(days=2)
        assert emergency.overdue(connection, late) == 1
        with pytest.raises(AccountError, match="own"):
            emergency.review(connection, asked, "li.wei", "all well", late)
        emergency.review(connection, asked, "chen", "as the court asked", late)
        assert emergency.overdue(connection, late) == 0
        assert emergency.listed(connection)[0]["review"] == "as the court asked"
        old = emergency.ask(connection, "li.wei", Role.AUDITOR, "again", NOW)
        with pytest.raises(AccountError, match="waits"):
            emergency.allow(connection, old, "wang", late)


@pytest.fixture
def site(tmp_path):
    settings = make_settings({"data_dir": str(tmp_path / "data")})
    write_settings(settings, tmp_path / "central.toml")
    make_signing_key(settings.key_file)

    def call(*words, status=0):
        return run("central", *words, "--config", tmp_path / "central.toml", status=status)

    return call


def test_accounts_from_a_shell(site):
    address = site("account", "add", "li.wei", "--role", "auditor", "--tie", "H2").split()[-1]
    assert address.startswith("http://127.0.0.1:8700/first?code=")
    office = ("account", "add", "office", "--role", "hospital_office")
    assert "needs an institution" in site(*office, status=1)
    token = site(*office, "--institution", "H1", "--token").split()[-1]
    assert token.startswith("rz_")
    assert "already" in site("account", "add", "li.wei", "--role", "auditor", status=1)
    assert "both" in site("account", "role", "li.wei", "--role", "administrator", status=1)
    assert site("account", "role", "li.wei", "--role", "reviewer").split() == [
        "li.wei",
        "auditor",
        "reviewer",
    ]
    assert site("account", "role", "li.wei", "--remove", "auditor").split() == ["li.wei", "reviewer"]
    assert "0 sessions" in site("account", "sign-out", "li.wei")
    listed = site("account", "list")
    assert token not in listed
    assert [line.split()[:2] for line in listed.splitlines() if line.strip()][2:] == [
        ["li.wei", "person"],
        ["office", "program"],
    ]
    site("account", "disable", "office")
    assert "disabled" in site("account", "token", "office", status=1)
    assert "/first?code=" in site("account", "enable", "office")
    assert "/first?code=" in site("account", "code", "li.wei")
    assert site("account", "token", "office", "--revoke", "--scope", "verdicts").split()[-1].startswith("rz_")
    assert "1 entries in all" in site("access", "who-looked", "P1")
    assert "10 entries hold" in site("access", "verify")
