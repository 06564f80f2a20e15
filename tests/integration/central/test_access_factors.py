"""One-time codes, passkeys and recovery codes, in the store and on the pages."""

import datetime as dt
import html
import json
import re

import pyotp
import pytest
import sqlalchemy as sa
from parts import stores
from parts.asking import Asking
from parts.authenticator import Authenticator

from renzheng.central.access import accounts, factors, one_time_codes, passkeys
from renzheng.central.access.accounts import New
from renzheng.central.access.ceremonies import MOST_OF_ADDRESS, Ceremonies, Ceremony
from renzheng.central.access.errors import AccountError, PasskeyError
from renzheng.central.access.one_time_codes import Sealer, Shown
from renzheng.central.access.passkeys import Answer
from renzheng.central.access.roles import Role
from renzheng.central.metrics import Metrics
from renzheng.central.settings import make_settings
from renzheng.central.store import schema
from renzheng.central.store.database import Database
from renzheng.central.web.access import SESSION_COOKIE
from renzheng.central.web.app import build_app
from renzheng.common.relying_party import RelyingParty, relying_party

NOW = dt.datetime(2026, 3, 4, 9, tzinfo=dt.UTC)
STEP = dt.timedelta(seconds=30)
PASSWORD = "five green lamps by the river"
PARTY = RelyingParty("audit.example.cn", "https://audit.example.cn")
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def people(database):
    with database.writing() as connection:
        for name in ("li.wei", "wang"):
            accounts.add(connection, New(name, frozenset({Role.AUDITOR})), "test", NOW)
    return database


@pytest.fixture
def sealer(tmp_path):
    return Sealer(tmp_path / "keys" / "second_factor.key")


def code_at(secret, moment):
    return pyotp.TOTP(secret).at(moment)


def test_a_code_is_good_once_and_within_a_step_of_now(people, sealer):
    with people.writing() as connection:
        secret = one_time_codes.begin(connection, "li.wei", sealer, NOW)
        assert one_time_codes.begin(connection, "li.wei", sealer, NOW) == secret, "until it is set up"

        def show(code, at=NOW, **more):
            return one_time_codes.show(connection, "li.wei", code, sealer, at, **more)

        assert show(code_at(secret, NOW)) is Shown.WRONG, "not set up yet"
        assert not factors.of_account(connection, "li.wei")
        assert show(code_at(secret, NOW), first=True) is Shown.RIGHT
        assert factors.of_account(connection, "li.wei").codes
        with pytest.raises(AccountError, match="already"):
            one_time_codes.begin(connection, "li.wei", sealer, NOW)
        assert show(code_at(secret, NOW)) is Shown.WRONG, "the same code again"
        assert show(code_at(secret, NOW - STEP)) is Shown.WRONG, "nor an earlier one that was not used"
        assert show(code_at(secret, NOW + STEP)) is Shown.RIGHT, "of a phone whose clock is fast"
        later = NOW + 10 * STEP
        assert show(code_at(secret, later - 2 * STEP), later) is Shown.WRONG
        assert show(code_at(secret, later)[:3] + " " + code_at(secret, later)[3:], later) is Shown.RIGHT
        kept = connection.execute(sa.select(schema.account_totp.c.sealed)).scalar_one()
        assert secret.encode() not in kept
        with pytest.raises(AccountError, match="cannot be read"):
            sealer.open("wang", kept)  # moved to another account's row


def test_whoever_has_the_password_needs_years_for_the_code(people, sealer):
    with people.writing() as connection:
        secret = one_time_codes.begin(connection, "li.wei", sealer, NOW)
        one_time_codes.show(connection, "li.wei", code_at(secret, NOW), sealer, NOW, first=True)
        at, looked_at = NOW, 0
        while at < NOW + dt.timedelta(days=1):
            at += dt.timedelta(minutes=1)
            shown = one_time_codes.show(connection, "li.wei", "00000", sealer, at)
            looked_at += shown is Shown.WRONG
        assert looked_at < 110
        assert one_time_codes.show(connection, "li.wei", code_at(secret, at), sealer, at) is Shown.PAUSE
        at += one_time_codes.LONGEST_PAUSE
        assert one_time_codes.show(connection, "li.wei", code_at(secret, at), sealer, at) is Shown.RIGHT


@ON_SQLITE
def test_a_recovery_code_is_good_once_and_its_owners_alone(people):
    with people.writing() as connection:
        before = one_time_codes.give_recovery_codes(connection, "li.wei", NOW)
        codes = one_time_codes.give_recovery_codes(connection, "li.wei", NOW)
        use = one_time_codes.use_recovery_code
        assert not use(connection, "li.wei", before[0])
        assert not use(connection, "wang", codes[0])
        assert use(connection, "li.wei", f" {codes[0].upper()} ")
        assert not use(connection, "li.wei", codes[0])
        assert factors.of_account(connection, "li.wei").recovery == 9
        assert codes[1] not in str(connection.execute(sa.select(schema.account_recovery_codes)).all())


def registered(connection, name, **more):
    key = Authenticator(PARTY.origin, PARTY.rp_id, **more)
    made = key.make(passkeys.ask_new(connection, name, PARTY, b"c" * 32))
    passkeys.register(connection, name, Answer(PARTY, b"c" * 32, made), "key", NOW)
    return key


def shown(connection, key, name=None, *, challenge=b"d" * 32, asked=b"d" * 32, party=PARTY):
    options = passkeys.ask(connection, name, PARTY, asked)
    return passkeys.show(connection, name, Answer(party, challenge, key.show(options)), NOW)


def test_a_passkey_is_its_owners_and_no_copy_of_it_is_taken(people):
    with people.writing() as connection:
        key, other = registered(connection, "li.wei"), registered(connection, "wang", counts=False)
        assert shown(connection, key) == "li.wei"
        assert shown(connection, key, "li.wei") == "li.wei"
        assert shown(connection, other) == shown(connection, other) == "wang", "one that does not count"
        with pytest.raises(PasskeyError, match="not hold"):
            shown(connection, key, "wang")
        key.count = 1  # a copy of it, made before its last uses
        with pytest.raises(PasskeyError, match="counter") as refused:
            shown(connection, key)
        assert refused.value.attributes["counter"] == "li.wei"
        key.handle = b"another"
        key.count = 9
        with pytest.raises(PasskeyError, match="not hold"):
            shown(connection, key)
        assert (
            passkeys.remove(connection, "wang", passkeys.of_account(connection, "li.wei")[0]["credential_id"])
            is False
        )
        assert passkeys.remove(
            connection, "li.wei", passkeys.of_account(connection, "li.wei")[0]["credential_id"]
        )
        with pytest.raises(PasskeyError):
            shown(connection, key, "li.wei")


@ON_SQLITE
@pytest.mark.parametrize(
    "change",
    [
        lambda key: setattr(key, "origin", "https://audit.example.cn.evil.example"),
        lambda key: setattr(key, "rp_id", "evil.example"),
        lambda key: setattr(key, "knows_user", False),
        lambda key: setattr(key, "key", Authenticator("", "").key),
    ],
    ids=["origin", "rp_id", "user", "key"],
)
def test_a_passkey_of_another_page_or_person_is_refused(people, change):
    with people.writing() as connection:
        key = registered(connection, "li.wei")
        change(key)
        with pytest.raises(PasskeyError, match="not hold"):
            shown(connection, key)


@ON_SQLITE
@pytest.mark.parametrize("sent", ["", "{}", "[]", "null", '{"id": 3}', '{"id": "AA", "response": 1}', "\x00"])
def test_what_is_no_passkey_is_refused_and_nothing_fails(people, sent):
    with people.writing() as connection:
        key = registered(connection, "li.wei")
        for text in (
            sent,
            key.show(passkeys.ask(connection, None, PARTY, b"x" * 32)).replace(
                '"signature": "', '"signature": "AAAA'
            ),
        ):
            with pytest.raises(PasskeyError, match="not hold"):
                passkeys.show(connection, None, Answer(PARTY, b"x" * 32, text), NOW)
            with pytest.raises(PasskeyError, match="not hold"):
                passkeys.register(connection, "wang", Answer(PARTY, b"x" * 32, text), "x", NOW)
        with pytest.raises(PasskeyError, match="not hold"):
            shown(connection, key, challenge=b"e" * 32)


def test_for_which_addresses_there_are_passkeys():
    assert relying_party("https://Audit.example.cn:8443/x") == RelyingParty(
        "audit.example.cn", "https://audit.example.cn:8443"
    )
    assert relying_party("http://localhost:8700").rp_id == "localhost"
    for none in ("http://audit.example.cn", "http://127.0.0.1:8700", "https://10.1.2.3", "", "https://[::1]"):
        assert relying_party(none) is None


def test_a_challenge_is_answered_once_and_a_flood_from_one_place_ends_its_own():
    held = Ceremonies()
    held.put("mine", Ceremony("10.0.0.2", "li.wei", challenge=b"c"), NOW)
    assert held.take_challenge("other", NOW) is None
    assert (held.take_challenge("mine", NOW), held.take_challenge("mine", NOW)) == (b"c", None)
    for number in range(2 * MOST_OF_ADDRESS):
        held.put(str(number), Ceremony("10.0.0.1"), NOW)
    assert held.find("mine", NOW)
    assert (held.find("0", NOW), bool(held.find(str(2 * MOST_OF_ADDRESS - 1), NOW))) == (None, True)
    assert [held.fail("mine", NOW) for _ in range(6)] == [True] * 4 + [False] * 2
    assert held.find("5000", NOW + dt.timedelta(minutes=6)) is None


class Site:
    def __init__(self, folder, **more):
        self.now = NOW
        settings = make_settings({"data_dir": str(folder), "public_url": PARTY.origin, **more})
        self.database = Database(stores.lay(settings.database))
        self.app = build_app(self.database, settings, lambda: self.now, Metrics())

    def person(self, name, role):
        with self.database.writing() as connection:
            accounts.add(connection, New(name, frozenset({role})), "test", self.now)
            code = accounts.give_code(connection, name, self.now)
        browser = Asking(self.app)
        browser.post("/first", {"code": code, "password": PASSWORD, "again": PASSWORD})
        return browser

    def acts(self):
        query = sa.select(schema.access_log.c.entry).order_by(schema.access_log.c.number)
        with self.database.reading() as connection:
            entries = [json.loads(one) for one in connection.execute(query).scalars()]
        return [(one["act"], one["what"]) for one in entries]


@pytest.fixture
def site(tmp_path):
    made = Site(tmp_path, second_factor="deciding")
    yield made
    made.database.close()


def options_of(answer):
    return html.unescape(re.search(r'data-options="([^"]*)"', answer.text)[1])


def sign_in(site, password=PASSWORD):
    browser = Asking(site.app)
    return browser, browser.post("/sign-in", {"account": "li.wei", "password": password, "next": "/findings"})


def test_whoever_decides_sets_up_a_second_factor_first_and_shows_it_from_then_on(site):
    browser = site.person("li.wei", Role.AUDITOR)
    assert browser.get("/findings").headers["location"] == "/access/factors"
    assert browser.get("/api/v1/findings").status == 403
    page = browser.get("/access/factors?lang=en").text
    secret = re.search(r'<span class="mono">([A-Z2-7]{32})</span>', page)[1]
    assert "<svg" in page
    form = {"act": "codes_set_up", "code": "000000"}
    assert browser.post("/access/factors", form).status == 400
    answer = browser.post("/access/factors", {**form, "code": code_at(secret, site.now)})
    codes = re.findall(r"<li>((?:\w{4}-){5}\w{4})</li>", answer.text)
    assert (answer.status, len(codes)) == (200, 10)
    assert codes[0] not in browser.get("/access/factors").text, "shown once"
    assert browser.get("/findings").status == 200

    other, answer = sign_in(site)
    assert answer.headers["location"] == "/sign-in/second"
    assert SESSION_COOKIE not in other.cookies
    assert other.get("/findings").status == 303, "half a sign-in opens nothing"
    assert other.post("/sign-in/second", {"code": code_at(secret, site.now)}).status == 403, "used already"
    site.now += STEP
    code = code_at(secret, site.now)
    assert Asking(site.app).post("/sign-in/second", {"code": code}).headers["location"] == "/sign-in"
    answer = other.post("/sign-in/second", {"code": code})
    assert (answer.status, answer.headers["location"]) == (303, "/findings")
    assert other.get("/findings").status == 200
    third, _ = sign_in(site)
    assert third.post("/sign-in/second", {"code": code}).status == 403, "overheard and used at once"
    assert third.post("/sign-in/second", {"code": codes[0]}).status == 303
    assert ("second_factor_refused", "one_time_code") in site.acts()
    assert ("signed_in", "password recovery_code") in site.acts()
    fourth, _ = sign_in(site)
    for _ in range(5):
        fourth.post("/sign-in/second", {"code": codes[0]})
    assert fourth.post("/sign-in/second", {"code": codes[1]}).headers["location"] == "/sign-in"
    site.now += dt.timedelta(minutes=6)
    assert other.get("/access/factors").headers["location"] == "/confirm?next=/access/factors"
    assert other.post("/access/factors", {"act": "codes_removed"}).status == 403
    again = {"code": code_at(secret, site.now), "next": "//evil.example"}
    assert other.post("/confirm", again).headers["location"] == "/"
    assert other.post("/access/factors", {"act": "codes_removed"}).status == 200
    assert third.get("/findings").headers["location"].startswith("/sign-in"), "signed out everywhere else"


def test_a_passkey_is_registered_and_signs_in_alone_or_second(site):
    browser = site.person("li.wei", Role.AUDITOR)
    key = Authenticator(PARTY.origin, PARTY.rp_id)
    form = {"act": "passkey_registered", "label": "blue key"}
    page = browser.get("/access/factors")
    made = key.make(options_of(page))
    stranger = site.person("wang", Role.AUDITOR)
    stranger.get("/access/factors")
    assert stranger.post("/access/factors", {**form, "credential": made}).status == 400, "another's challenge"
    assert "blue key" in browser.post("/access/factors", {**form, "credential": made}).text
    assert browser.post("/access/factors", {**form, "credential": made}).status == 400, "answered once"

    alone = Asking(site.app)
    shown = key.show(options_of(alone.get("/sign-in/passkey?next=/findings")))
    assert Asking(site.app).post("/sign-in/passkey", {"credential": shown}).status == 403, "another browser"
    answer = alone.post("/sign-in/passkey", {"credential": shown})
    assert (answer.status, answer.headers["location"]) == (303, "/findings")
    assert alone.get("/findings").status == 200
    assert alone.post("/sign-in/passkey", {"credential": shown}).status == 403, "replayed"

    second, _ = sign_in(site)
    shown = key.show(options_of(second.get("/sign-in/second")))
    assert second.post("/sign-in/second", {"credential": shown}, sec_fetch_site="cross-site").status == 403
    assert second.post("/sign-in/second", {"credential": shown}).status == 303
    assert ("signed_in", "password passkey") in site.acts()
    site.now += dt.timedelta(minutes=6)
    shown = key.show(options_of(alone.get("/confirm?next=/access/factors")))
    assert second.post("/confirm", {"credential": shown}).status == 400, "of another session"
    assert alone.post("/confirm", {"credential": shown, "next": "/access/factors"}).status == 303
    with site.database.writing() as connection:
        accounts.disable(connection, "li.wei", site.now)
    late = Asking(site.app)
    shown = key.show(options_of(late.get("/sign-in/passkey")))
    assert late.post("/sign-in/passkey", {"credential": shown}).status == 403


def test_people_change_their_own_password_and_are_signed_out_elsewhere(site):
    browser = site.person("li.wei", Role.AUDITOR)
    other, _ = sign_in(site)
    fresh = "seven quiet boats at noon"
    form = {"act": "password_changed", "present": PASSWORD, "password": fresh, "again": fresh}
    for change in ({"present": "wrong"}, {"again": "another"}, {"password": "short", "again": "short"}):
        assert browser.post("/access/factors", form | change).status == 400
    assert other.get("/access/me").status == 200
    assert browser.post("/access/factors", form).status == 200
    assert other.get("/access/me").status == 303
    assert sign_in(site)[1].status == 403
    assert sign_in(site, fresh)[1].status == 303
    assert ("password_changed", "-") in site.acts()
