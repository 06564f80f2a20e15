"""What somebody tries who may not: other methods and paths, another hospital's ids, forged forms, names."""

import asyncio
import contextlib
import datetime as dt
import json
import re

import pyotp
import pytest
import sqlalchemy as sa
from parts.asking import Asking
from parts.walked import (
    DAY,
    NAMES,
    NOW,
    PASSWORD,
    PERSONS,
    A,
    B,
    Site,
    address,
    known,
    routes,
)

from renzheng.central.access import accounts, emergency, factors, one_time_codes, passwords, sessions
from renzheng.central.access.accounts import New
from renzheng.central.access.errors import AccountError
from renzheng.central.access.roles import ALWAYS_APART, BY_INSTITUTION, MATRIX, Role
from renzheng.central.store import schema
from renzheng.central.store.times import to_us
from renzheng.central.web.access import SESSION_COOKIE, own_address


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    made = Site(tmp_path_factory.mktemp("attacked"))
    yield made
    made.database.close()


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The same site in a world in which the other hospital never was."""
    made = Site(tmp_path_factory.mktemp("alone"), institutions=(A,))
    yield made
    made.database.close()


def office_of(site):
    return Asking(site.app, site.account("office-of-alpha", Role.HOSPITAL_OFFICE, institution={A}))


def test_other_methods_and_paths_open_nothing(site):
    caller = Asking(site.app, site.account("chief", Role.ADMINISTRATOR))
    nobody = Asking(site.app)
    tried = [
        "//findings", "/findings/", "/%66indings", "/./findings", "/x/../findings", "/static/../findings",
        "/static/%2e%2e/findings", "/sign-in/../findings", "/findings%2f", "/findings;x=1", "/findings%20",
        "/FINDINGS", "/api/v1//verdicts", "/api/v1/./verdicts", "/sign-in/second/../../findings",
        "/api/v1/health/../verdicts", "/health/verdicts",
    ]  # fmt: skip

    async def all_of():
        found = []
        for path in tried:
            found += [(path, await who.ask("GET", path)) for who in (caller, nobody)]
        for path in ("/findings", "/api/v1/verdicts"):
            for method in ("HEAD", "OPTIONS", "TRACE", "PUT", "POST", "FOO"):
                found += [(f"{method} {path}", await who.ask(method, path)) for who in (caller, nobody)]
        return found

    opened = [
        where for where, answer in asyncio.run(all_of()) if answer.status < 300 or "PERSON" in answer.text
    ]
    assert opened == []


def test_nothing_tells_a_hospital_that_another_exists(site, alone):
    """Every page of its office is the same, to the byte, in a world in which the other never was."""
    ours, theirs = office_of(site), office_of(alone)
    asked = f"institution={B}&institution_id={B}&person=PERSON-B1&text=PERSON-B1&person_id=PERSON-B1"

    async def pairs():
        for method, path, mark in routes(site.app):
            if method != "GET" or mark not in MATRIX[Role.HOSPITAL_OFFICE]:
                continue
            for query in ("", f"?{asked}"):
                where = address(path, A) + query
                yield where, await ours.ask("GET", where), await theirs.ask("GET", where)

    async def different():
        found, seen = [], 0
        async for where, one, other in pairs():
            seen += 1
            text = other.text.replace(f" and {B}", " and ***").replace(NAMES[B], "***")
            if one.status != other.status or (is_text(one) and one.text != text):
                found.append(where)
            told = [word for word in (NAMES[B], "PERSON-B2", "LINE-B") if word in one.text]
            found += [f"{where} names {told}"] if told else []
        return found, seen

    found, seen = asyncio.run(different())
    assert found == []
    assert seen > 30


def is_text(answer):
    return "zip" not in answer.headers.get("content-type", "") and "sheet" not in answer.headers.get(
        "content-type", ""
    )


def test_no_form_is_taken_from_another_sites_page(site):
    browser = site.person("li.wei", Role.AUDITOR)
    forged = (
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
    )

    async def answers():
        for method, path, _ in routes(site.app):
            for headers in forged if method != "GET" else ():
                yield path, (await browser.ask(method, address(path, A), b"", headers)).status

    async def taken():
        return [(path, status) async for path, status in answers() if status != 403]

    before = site.head()
    assert asyncio.run(taken()) == []
    told = site.entries(before)
    assert {(one["account"], one["act"], one["outcome"]) for one in told} == {
        ("li.wei", "forged_form", "refused")
    }
    assert len(told) == 3 * sum(method != "GET" for method, _, _ in routes(site.app))
    assert browser.get("/findings").status == 200, "nobody was signed out either"


@pytest.mark.parametrize(
    "target",
    ["//evil.example", "/\\evil.example", "/\t/evil.example", "\t//evil.example", "/\n/evil.example",
     "https://evil.example", "javascript:alert(1)", "", "evil", "\\/evil.example", "/x\r\nset-cookie: a=b"],
)  # fmt: skip
def test_nobody_is_sent_elsewhere_after_signing_in(target):
    assert own_address(target) == "/"
    assert own_address("/findings?day=2026-03-02&lang=zh") == "/findings?day=2026-03-02&lang=zh"


def test_a_session_that_was_there_before_is_not_taken_over_and_ends(site):
    victim = site.person("wang", Role.AUDITOR)
    before = victim.cookies[SESSION_COOKIE]
    planted = Asking(site.app)
    planted.cookies[SESSION_COOKIE] = "an-attackers-own-choice"
    planted.post("/sign-in", {"account": "wang", "password": PASSWORD})
    assert planted.cookies[SESSION_COOKIE] not in ("an-attackers-own-choice", before)
    victim.post("/sign-in", {"account": "wang", "password": PASSWORD})
    with site.database.reading() as connection:
        assert sessions.find(connection, before, NOW) is None, "what the browser showed before has ended"


def test_whether_there_is_an_account_shows_neither_in_the_answer_nor_in_the_work(site, monkeypatch):
    with site.database.writing() as connection:
        for name, kind in (("gone", "person"), ("reader", "program"), ("fresh", "person")):
            accounts.add(connection, New(name, frozenset({Role.AUDITOR}), kind=kind), "test", NOW)
        accounts.choose_password(connection, "gone", PASSWORD, NOW)
        accounts.disable(connection, "gone", NOW)
    site.person("zhao", Role.AUDITOR)
    reckoned = []
    real = passwords.is_password
    monkeypatch.setattr(
        accounts, "is_password", lambda kept, shown: reckoned.append(kept) or real(kept, shown)
    )

    def answer(name, password):
        told = Asking(site.app, address=f"10.0.0.{len(reckoned)}").post(
            "/sign-in", {"account": name, "password": password}
        )
        return told.status, told.text, json.dumps(sorted(told.headers))

    tried = [("nobody", "x"), ("zhao", "x"), ("gone", PASSWORD), ("reader", "x"), ("fresh", "x")]
    assert len({answer(*one) for one in tried}) == 1
    assert len(reckoned) == len(tried), "argon2 is reckoned for everybody"
    assert PERSONS[A][0] not in answer("nobody", "x")[1]


@pytest.mark.parametrize(
    "where",
    [
        "/lines?sort=nothing",
        "/findings?from=xx",
        "/lines?group=nothing",
        "/lines?from=xx&after=x",
        "/lines?month=x",
    ],
)
def test_rows_on_a_page_that_names_what_is_wrong_are_written_down_too(site, where):
    browser = site.account("reads", Role.AUDITOR) if where == "/lines?sort=nothing" else READS["token"]
    READS["token"] = browser
    before = site.head()
    answer = Asking(site.app, browser).get(where)
    assert (answer.status, "…N-A1" in answer.text) == (400, True)
    (entry,) = site.entries(before)
    assert PERSONS[A][0] in entry["persons"]
    assert entry["outcome"] == "shown"


READS = {}


def test_a_page_of_no_persons_that_shows_some_is_written_down(site):
    """The first page needs nothing but being somebody, and shows lines whose answer has changed."""
    with site.database.writing() as connection:
        told = {
            "line_id": "LINE-A1",
            "institution_id": A,
            "person_id": PERSONS[A][0],
            "changed_at": to_us(NOW),
        }
        table = schema.verdict_changes
        connection.execute(sa.insert(table).values(known(table, {**told, "service_day": "2026-03-02"})))
    auditor = Asking(site.app, site.account("sees-the-morning", Role.AUDITOR))
    before = site.head()
    assert "LINE-A1" in auditor.get("/").text
    (entry,) = site.entries(before)
    assert entry["persons"] == [PERSONS[A][0]]


def test_an_export_breaks_off_where_it_cannot_be_written_down(tmp_path):
    made = Site(tmp_path)
    browser = made.person("li.wei", Role.AUDITOR)
    with made.database.writing() as connection:  # the entry of the call fits, those of its rows do not
        connection.execute(
            sa.text(
                f"CREATE TRIGGER full BEFORE INSERT ON access_log WHEN NEW.number > {made.head() + 1} "
                "BEGIN SELECT RAISE(ABORT, 'x'); END"
            )
        )
    sent, app = [], made.app

    async def heard(scope, receive, send):
        async def kept(message):
            sent.append(message.get("body", b""))
            await send(message)

        await app(scope, receive, kept)

    browser.app = heard
    with contextlib.suppress(sa.exc.SQLAlchemyError, ExceptionGroup):
        browser.get(f"/lines.csv?from={DAY}&to={DAY}")
    assert sent[0] == b"", "it has begun"
    assert b"LINE-A1" not in b"".join(sent)
    made.database.close()


def test_before_the_first_account_another_sites_page_does_nothing_here(tmp_path):
    made = Site(tmp_path)
    form = {"institution": A, "kind": "discharge", "visit": "VISIT-A1", "person": PERSONS[A][0]}
    for path in ("/inpatients", "/unmask", "/api/v1/cases/draft"):
        for headers in (
            {"sec_fetch_site": "cross-site"},
            {"origin": "https://evil.example"},
            {"origin": "null"},
        ):
            assert Asking(made.app).post(path, form, **headers).status == 403, (path, headers)
    assert Asking(made.app).post("/inpatients", form).status != 403, "a program says nothing of where it is"
    made.database.close()


def test_whoever_waits_for_the_second_step_starts_again_after_a_new_password(tmp_path):
    made = Site(tmp_path)
    browser = made.person("li.wei", Role.AUDITOR)
    made.now += dt.timedelta(minutes=1)
    secret = re.search(r'<span class="mono">([A-Z2-7]{16,})<', browser.get("/access/factors").text)[1]
    code = pyotp.TOTP(secret.replace(" ", ""))
    set_up = {"act": "codes_set_up", "code": code.at(made.now)}
    assert browser.post("/access/factors", set_up).status == 200
    thief = Asking(made.app)
    assert thief.post("/sign-in", {"account": "li.wei", "password": PASSWORD}).status == 303
    made.now += dt.timedelta(minutes=1)
    fresh = "seven quiet boats at noon"
    with made.database.writing() as connection:
        reset = accounts.give_code(connection, "li.wei", made.now)
    changed = {"act": "password_changed", "present": PASSWORD, "password": fresh, "again": fresh}
    assert browser.post("/access/factors", changed).status == 200
    thief.post("/sign-in/second", {"code": code.at(made.now)})
    assert thief.get("/findings").status == 303, "asks who it is"
    lately = Asking(made.app).post("/first", {"code": reset, "password": PASSWORD, "again": PASSWORD})
    assert lately.status == 403, "a code by which somebody could choose another password is void too"
    made.database.close()


def test_what_a_disabled_account_had_is_gone_when_it_is_let_in_again(site):
    with site.database.writing() as connection:
        accounts.add(connection, New("back", frozenset({Role.FINANCE})), "test", NOW)
        accounts.add(connection, New("chief-2", frozenset({Role.ADMINISTRATOR})), "test", NOW)
        key = {"credential_id": "k", "account_id": "back", "label": "-", "public_key": b"k", "sign_count": 0}
        connection.execute(sa.insert(schema.account_passkeys).values(**key, made_at=0))
        one_time_codes.begin(
            connection, "back", one_time_codes.Sealer(site.settings.key_file.parent / "s"), NOW
        )
        one_time_codes.give_recovery_codes(connection, "back", NOW)
        asked = emergency.ask(connection, "back", Role.AUDITOR, "a court asks", NOW)
        emergency.allow(connection, asked, "chief-2", NOW)
        accounts.disable(connection, "back", NOW)
        accounts.enable(connection, "back")
        assert factors.of_account(connection, "back") == factors.Factors(codes=False, passkeys=0, recovery=0)
        assert emergency.roles_now(connection, "back", NOW) == frozenset()


def test_no_way_of_granting_gives_a_pair_that_nobody_holds_together(site):
    """By hand in either order, by the identity provider, in an emergency, and by an emergency before it."""
    apart = sorted(sorted(pair) for pair in ALWAYS_APART if not pair & BY_INSTITUTION)
    with site.database.writing() as connection:
        accounts.add(connection, New("chief-3", frozenset({Role.ADMINISTRATOR})), "test", NOW)
        for number, pair in enumerate(apart):
            for first, second in (pair, pair[::-1]):
                name = f"pair-{number}-{first}"
                accounts.add(connection, New(name, frozenset({first})), "test", NOW)
                for grant in (
                    lambda name=name, second=second: accounts.grant(connection, name, second, "test", NOW),
                    lambda name=name, pair=pair: accounts.set_roles(
                        connection, name, frozenset(pair), frozenset(), "test", NOW
                    ),
                    lambda name=name, second=second: emergency.ask(connection, name, second, "why", NOW),
                ):
                    with pytest.raises(AccountError, match="cannot be both"):
                        grant()
        accounts.add(connection, New("later", frozenset({Role.FINANCE})), "test", NOW)
        emergency.allow(
            connection, emergency.ask(connection, "later", Role.AUDITOR, "w", NOW), "chief-3", NOW
        )
        waits = emergency.ask(connection, "later", Role.REVIEWER, "w", NOW)
        accounts.set_roles(connection, "later", frozenset({Role.ADMINISTRATOR}), frozenset(), "test", NOW)
        shown = sessions.begin(connection, "later", NOW)
        assert sessions.find(connection, shown, NOW)[0].account.roles == {Role.ADMINISTRATOR}
        with pytest.raises(AccountError, match="cannot be both"):
            emergency.allow(connection, waits, "chief-3", NOW)
        with pytest.raises(AccountError, match="without an end"):
            accounts.set_roles(
                connection, "later", frozenset({Role.THIRD_PARTY}), frozenset({A}), "test", NOW
            )
