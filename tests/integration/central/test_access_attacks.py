"""What somebody tries who may not: other methods and paths, another hospital's ids, forged forms, names."""

import asyncio
import json

import pytest
from parts.asking import Asking
from parts.walked import (
    NAMES,
    NOW,
    PASSWORD,
    PERSONS,
    A,
    B,
    Site,
    address,
    routes,
)

from renzheng.central.access import accounts, passwords, sessions
from renzheng.central.access.accounts import New
from renzheng.central.access.roles import MATRIX, Role
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

    assert asyncio.run(taken()) == []
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
