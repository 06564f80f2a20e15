"""Every page and route, for every role and two institutions: the right answer, and what was read is kept."""

import asyncio
import datetime as dt
import json
import re

import pytest
import sqlalchemy as sa
from fastapi import APIRouter, FastAPI
from parts import stores
from parts.asking import Asking
from parts.walked import DAY, NAMES, NOW, OF, PASSWORD, PERSONS, TELLING, A, B, Site, address, routes

from renzheng.central.access import accounts
from renzheng.central.access.errors import UndeclaredRouteError
from renzheng.central.access.roles import BY_INSTITUTION, MATRIX, TERMS, Permission, Role
from renzheng.central.metrics import Metrics
from renzheng.central.settings import make_settings
from renzheng.central.store.database import Database
from renzheng.central.web.access import SESSION_COOKIE, is_open
from renzheng.central.web.app import build_app
from renzheng.central.web.guard import check_routes, needs


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    made = Site(tmp_path_factory.mktemp("walked"))
    yield made
    made.database.close()


@pytest.fixture
def fresh(tmp_path):
    made = Site(tmp_path)
    yield made
    made.database.close()


@pytest.mark.parametrize("role", Role)
def test_every_route_answers_a_role_as_the_matrix_has_it(site, role):
    of = {A} if role in BY_INSTITUTION else ()
    caller = Asking(site.app, site.account(f"walks-{role}", role, institution=of))
    walked = asyncio.run(_walk(site, caller, role))
    assert len(walked) > 40
    assert [one for one in walked if one] == []


async def _walk(site, caller, role):
    return [
        await _step(site, caller, role, method, address(path, institution), mark, institution)
        for method, path, mark in routes(site.app)
        for institution in ((A, B) if mark in MATRIX[role] and "{" in path else (A,))
    ]


async def _step(site, caller, role, method, path, permission, institution):  # noqa: PLR0917
    """Call one address; return what is wrong with the answer."""
    before = site.head()
    answer = await caller.ask(method, path)
    persons, text = TERMS[permission].persons, answer.text.replace(path, "")
    written = site.entries(before) if persons else []
    named = {person for person in OF if person in text}
    where = f"{method} {path}: {answer.status}, names {sorted(named)}, written down {written}"
    if permission not in MATRIX[role]:
        refused = [entry["outcome"] for entry in written] == (["refused"] if persons else [])
        return None if answer.status == 403 and refused and not named else where
    unmasked = named if Permission.IDENTITIES not in MATRIX[role] else set()
    told = [one for one in TELLING[B] if one in text] if role in BY_INSTITUTION else []
    others = role in BY_INSTITUTION and institution == B and PLACED.search(path) and answer.status != 404
    unwritten = len(written) != 1 or not named <= set(written[0]["persons"]) if persons else bool(named)
    by_the_case = permission is Permission.CASES_STEP and method == "POST"  # whose own table has the steps
    refused = answer.status in (401, 500) or (answer.status == 403 and not by_the_case)
    wrong = (refused, told, others, unmasked, answer.status < 400 and unwritten)
    return f"{where}, {wrong}" if any(wrong) else None


PLACED = re.compile("LINE-|FINDING-|/rate/HOSP")


def test_what_a_hospital_sees_is_its_own(site):
    office = Asking(site.app, site.account("office-of-alpha", Role.HOSPITAL_OFFICE, institution={A}))
    auditor = Asking(site.app, site.account("sees-all", Role.AUDITOR))
    own = json.loads(office.get("/api/v1/verdicts").body)
    assert {row["person_id"] for row in own["verdicts"]} == set(PERSONS[A])
    assert own["total"] == 2
    assert json.loads(auditor.get("/api/v1/verdicts").body)["total"] == 4
    assert json.loads(office.get(f"/api/v1/verdicts?institution_id={B}").body)["total"] == 0
    assert json.loads(office.get("/api/v1/verdicts?text=PERSON-B1").body)["total"] == 0
    assert sum(row["lines"] for row in json.loads(office.get(f"/api/v1/days/{DAY}").body)["totals"]) == 2
    finding = json.loads(office.get(f"/api/v1/findings/FINDING-{A}").body)
    assert finding["explanation_en"] == f"PERSON-A1 at {A} and ***, {NAMES[A]} and ***"
    assert finding["parameters"] == {"other": "***", "and": A}
    assert NAMES[B] in json.loads(auditor.get(f"/api/v1/findings/FINDING-{A}").body)["explanation_en"]
    form = {"institution": B, "kind": "discharge", "visit": "VISIT-B1", "person": "PERSON-B1"}
    assert office.post("/inpatients", form).status == 400
    assert "…A1" in office.get("/inpatients").text
    assert "…B1" not in office.get(f"/inpatients?institution={B}").text


def test_a_route_that_names_no_permission_does_not_start():
    app, router = FastAPI(docs_url=None, redoc_url=None), APIRouter()

    @router.get("/secret")
    def read_secret():
        return "everything"

    app.include_router(router, prefix="/api/v1")
    with pytest.raises(UndeclaredRouteError, match="/api/v1/secret"):
        check_routes(app, is_open)
    needs(Permission.OWN)(read_secret)
    check_routes(app, is_open)


def test_until_the_first_account_whoever_is_on_this_machine_reads_and_is_written_down(fresh):
    somebody = Asking(fresh.app)
    assert somebody.get("/api/v1/verdicts").status == 200
    assert fresh.entries()[-1]["account"] == "(this machine)"
    assert set(fresh.entries()[-1]["persons"]) == set(OF)
    fresh.account("first", Role.ADMINISTRATOR)
    assert somebody.get("/api/v1/verdicts").status == 401
    assert somebody.get("/findings").headers["location"] == "/sign-in?next=/findings"
    assert somebody.get("/findings?lang=en").headers["location"].endswith("&lang=en")
    assert Asking(fresh.app, "rz_wrong").get("/api/v1/verdicts").status == 401


def test_a_page_that_cannot_be_written_down_is_not_shown(fresh):
    auditor = Asking(fresh.app, fresh.account("li.wei", Role.AUDITOR))
    assert "…N-A1" in auditor.get("/findings").text
    with fresh.database.writing() as connection:
        connection.execute(
            sa.text("CREATE TRIGGER full BEFORE INSERT ON access_log BEGIN SELECT RAISE(ABORT, 'x'); END")
        )
    answer = auditor.get("/findings")
    assert (answer.status, "N-A1" in answer.text) == (503, False)
    assert auditor.get("/runs").status == 200, "what is of no person is shown"


def test_a_person_signs_in_stays_signed_in_and_signs_out(fresh):
    browser = fresh.person("li.wei", Role.AUDITOR)
    cookie = browser.cookies[SESSION_COOKIE]
    answer = browser.get("/findings")
    assert (answer.status, "…N-A1" in answer.text) == (200, True)
    assert "/access/me" in answer.text
    assert 'href="/access/accounts"' not in answer.text
    assert browser.post("/inpatients", sec_fetch_site="cross-site").status == 403
    assert browser.post("/sign-out").status == 303
    assert Asking(fresh.app).get("/findings").status == 303
    browser.cookies[SESSION_COOKIE] = cookie
    assert browser.get("/findings").status == 303, "the session has ended, not only the cookie"
    form = {"account": "li.wei", "password": PASSWORD, "next": "//evil.example"}
    answer = browser.post("/sign-in", form)
    assert (answer.status, answer.headers["location"]) == (303, "/")
    said = answer.headers["set-cookie"]
    assert said.startswith("__Host-")
    assert all(part in said for part in ("Secure", "HttpOnly", "Path=/", "SameSite=strict"))
    assert browser.cookies[SESSION_COOKIE] != cookie
    fresh.now += dt.timedelta(minutes=16)
    assert browser.get("/findings").status == 303
    assert browser.post("/sign-in", {**form, "password": "wrong"}).status == 403
    assert browser.post("/sign-in", form, sec_fetch_site="cross-site").status == 403


def test_an_export_asks_for_the_password_again(fresh):
    browser = fresh.person("li.wei", Role.AUDITOR)
    sheet = f"/days/{DAY}/verdicts.xlsx"
    assert browser.get(sheet).status == 200
    assert set(fresh.entries()[-1]["persons"]) == set(OF)
    assert fresh.entries()[-1]["purpose"] == "export"
    number, again = fresh.head(), browser.get(sheet)
    assert again.headers["content-disposition"].endswith(f'-entry-{number + 1}.xlsx"')
    assert again.headers["x-access-log-entry"] == str(number + 1)
    fresh.now += dt.timedelta(minutes=6)
    answer = browser.get(sheet)
    assert (answer.status, answer.headers["location"]) == (303, f"/confirm?next={sheet}")
    assert browser.get("/findings").status == 200
    assert browser.post("/confirm", {"password": "wrong", "next": sheet}).status == 400
    assert browser.post("/confirm", {"password": PASSWORD, "next": sheet}).headers["location"] == sheet
    assert browser.get(sheet).status == 200
    before = fresh.head()
    assert browser.get(f"/lines.csv?from={DAY}&to={DAY}").text.count("…N-") == 4
    assert {one for entry in fresh.entries(before) for one in entry["persons"]} == set(OF), "as it streams"


def test_a_session_is_ended_by_its_owner_and_by_nobody_else(fresh):
    browser, other = fresh.person("li.wei", Role.AUDITOR), Asking(fresh.app)
    other.post("/sign-in", {"account": "li.wei", "password": PASSWORD})
    stranger = fresh.person("wang", Role.AUDITOR)
    listed = re.findall(r'name="session" value="([^"]+)"', browser.get("/access/me").text)
    assert len(listed) == 1
    assert stranger.post("/access/me/end", {"session": listed[0]}).status == 404
    assert other.get("/findings").status == 200
    assert browser.post("/access/me/end", {"session": listed[0]}).status == 303
    assert other.get("/findings").status == 303


def test_with_accounts_only_nobody_reads_before_the_first_code(tmp_path):
    settings = make_settings({"data_dir": str(tmp_path), "accounts_only": True, "host": "0.0.0.0"})
    database = Database(stores.lay(settings.database))
    somebody = Asking(build_app(database, settings, lambda: NOW, Metrics()))
    assert somebody.get("/api/v1/devices").status == 401
    assert somebody.get("/problems").status == 303
    assert 'name="account"' in somebody.get("/sign-in").text
    with database.writing() as connection:
        code = accounts.open_first(connection, NOW)
    assert "administrator" in somebody.get(f"/first?code={code}").text
    wrong = {"code": code, "password": "short", "again": "short"}
    assert somebody.post("/first", wrong).status == 400
    assert somebody.post("/first", {**wrong, "again": "other"}).status == 400
    assert somebody.post("/first", {"code": code, "password": PASSWORD, "again": PASSWORD}).status == 303
    assert somebody.get("/").headers["location"] == "/problems"
    assert somebody.get(f"/first?code={code}").status == 403
    database.close()


def test_the_page_of_accounts_makes_them_and_says_who_did(fresh):
    browser = fresh.person("chief", Role.ADMINISTRATOR)
    form = {"act": "added", "account": "li.wei", "role": "auditor", "ties": A}
    made = browser.post("/access/accounts", form)
    address = re.search(r"http://127\.0\.0\.1/first\?code=[\w-]+", made.text)[0]
    assert "li.wei" in Asking(fresh.app).get(address).text
    refused = browser.post("/access/accounts?lang=zh", {**form, "act": "role_given", "role": "administrator"})
    assert (refused.status, "不能兼任" in refused.text) == (400, True)
    assert browser.post("/access/accounts", {**form, "act": "role_given", "role": "reviewer"}).status == 200
    assert browser.post("/access/accounts", {**form, "act": "disabled"}).status == 200
    assert "not yet" not in browser.get("/access/accounts?lang=en").text
    assert browser.post("/access/accounts", {**form, "act": "erased"}).status == 400
    assert browser.post("/access/accounts", {**form, "act": "disabled", "account": "chief"}).status == 400
    done = [
        (one["account"], one["act"], one["what"])
        for one in fresh.entries()
        if one["act"].startswith("account_")
    ]
    assert done == [
        ("chief", "account_added", "li.wei auditor"),
        ("chief", "account_role_given", "li.wei reviewer"),
        ("chief", "account_disabled", "li.wei auditor"),
    ]


def test_data_protection_sees_who_has_looked_at_whom(fresh):
    auditor, officer = fresh.person("li.wei", Role.AUDITOR), fresh.person("chen", Role.DATA_PROTECTION)
    auditor.get("/api/v1/lines/LINE-A1")
    auditor.get("/api/v1/verdicts")
    page = officer.get("/access/log?lang=en&person=PERSON-A1").text
    assert page.count("li.wei") == 2
    assert "4 persons" in page
    assert fresh.entries()[-1]["persons"] == ["PERSON-A1"], "the question is written down too"
    assert officer.get("/findings").status == 403
    assert "refused" in officer.get("/access/log?lang=en&account=chen").text


def test_emergency_access_by_pages(fresh):
    asks, allows = fresh.person("li.wei", Role.FINANCE), fresh.person("wang", Role.ADMINISTRATOR)
    assert asks.post("/access/emergencies", {"role": "auditor", "reason": "a court asks"}).status == 303
    page = allows.get("/access/emergencies").text
    assert "a court asks" in page
    emergency = {"emergency": re.search(r'name="emergency" value="([^"]+)"', page)[1]}
    assert asks.post("/access/emergencies/allow", emergency).status == 403
    assert asks.get("/findings").status == 403
    assert allows.post("/access/emergencies/allow", emergency).status == 303
    assert asks.get("/findings").status == 200
    assert "auditor" in fresh.entries()[-1]["roles"]
    fresh.now += dt.timedelta(days=2)
    for browser, account in ((asks, "li.wei"), (allows, "wang")):
        assert browser.post("/sign-in", {"account": account, "password": PASSWORD}).status == 303
    assert asks.get("/findings").status == 403
    assert "within a day: 1" in allows.get("/access/emergencies?lang=en").text
    assert allows.post("/access/emergencies/review", {**emergency, "review": "as asked"}).status == 303
    assert "within a day" not in allows.get("/access/emergencies?lang=en").text
