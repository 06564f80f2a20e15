"""Signing in at the bureau's own identity provider, and everything that is tried in its name."""

import datetime as dt
import json
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa
from joserfc.jwk import ECKey
from parts import stores
from parts.asking import Asking
from parts.provider import CLIENT, SECRET, IdentityProvider

from renzheng.central.access import accounts, provider
from renzheng.central.access.accounts import New
from renzheng.central.access.roles import Role
from renzheng.central.errors import SettingsError
from renzheng.central.metrics import Metrics
from renzheng.central.settings import make_settings, read_settings, write_settings
from renzheng.central.store import schema
from renzheng.central.store.database import Database
from renzheng.central.web.access import SESSION_COOKIE
from renzheng.central.web.app import build_app

NOW = dt.datetime(2026, 3, 4, 9, tzinfo=dt.UTC)
HOME = "https://audit.example.cn"
ROLES = {"yb-audit": "auditor", "yb-fin": "finance", "yb-approve": "approver", "hosp": "hospital_office"}
LI = {"preferred_username": "li.wei", "roles": ["yb-audit", "offline_access", "administrator"]}


class Site:
    def __init__(self, folder, **more):
        self.now = NOW
        self.provider = IdentityProvider(lambda: self.now)
        (folder / "secret").write_text(f"{SECRET}\n")
        oidc = {"issuer": self.provider.issuer, "client_id": CLIENT, "roles": ROLES, **more.pop("oidc", {})}
        oidc["client_secret_file"] = str(folder / "secret")
        self.settings = make_settings({"data_dir": str(folder), "public_url": HOME, "oidc": oidc, **more})
        self.database = Database(stores.lay(self.settings.database))
        self.app = build_app(self.database, self.settings, lambda: self.now, Metrics())

    def sent(self, next_="/findings"):
        browser = Asking(self.app)
        return browser, browser.get(f"/sign-in/provider?next={next_}").headers["location"]

    def sign_in(self, sub="s-1", **claims):
        browser, address = self.sent()
        return browser, self.back(browser, self.provider.sign_in(address, sub, **(claims or LI)))

    @staticmethod
    def back(browser, query):
        return browser.get(f"/sign-in/provider/back?{urlencode(query)}")

    def roles(self, name):
        with self.database.reading() as connection:
            found = accounts.read(connection, name)
        return None if found is None else set(found.roles)

    def acts(self):
        query = sa.select(schema.access_log.c.entry).order_by(schema.access_log.c.number)
        with self.database.reading() as connection:
            entries = [json.loads(one) for one in connection.execute(query).scalars()]
        return [(one["account"], one["act"]) for one in entries]


@pytest.fixture
def make(tmp_path):
    made = []

    def build(**more):
        made.append(Site(tmp_path, **more))
        return made[0]

    yield build
    for one in made:
        one.provider.close()
        one.database.close()


def test_somebody_signs_in_there_has_the_roles_of_the_claim_and_signs_out_there(make):
    site = make()
    browser, answer = site.sign_in()
    assert (answer.status, 'url=/findings"' in answer.text) == (200, True)
    assert browser.get("/findings").status == 200
    assert site.roles("li.wei") == {Role.AUDITOR}, "values that are not named give nothing"
    assert ("li.wei", "signed_in") in site.acts()
    out = browser.post("/sign-out").text
    assert f"{site.provider.issuer}/bye?id_token_hint=" in out
    assert "post_logout_redirect_uri=https%3A%2F%2Faudit.example.cn%2Fsign-in" in out
    assert browser.get("/findings").status == 303
    _, answer = site.sign_in(**{**LI, "roles": "yb-fin"})
    assert site.roles("li.wei") == {Role.FINANCE}, "as the claim has them now"
    site.sign_in("s-2", preferred_username="office", roles=["hosp"], institution="H1")
    with site.database.reading() as connection:
        assert accounts.read(connection, "office").scope == {"H1"}
    places = {"/.well-known/openid-configuration", "/keys", "/token"}
    assert set(site.provider.asked) == places, "nothing else is asked, and only of the issuer"


def refused(site, **more):
    browser, address = site.sent()
    answer = site.back(browser, site.provider.sign_in(address, "s-1", **LI, **more))
    return answer.status == 403 and SESSION_COOKIE not in browser.cookies and site.roles("li.wei") is None


def test_an_id_token_that_was_not_made_for_this_sign_in_is_refused(make):
    site, now = make(), int(NOW.timestamp())
    assert refused(site, iss="http://127.0.0.1:1")
    assert refused(site, aud="another client")
    assert refused(site, aud=[CLIENT, "another"], azp="another")
    assert refused(site, nonce="an old one")
    assert refused(site, exp=now - 120)
    assert refused(site, iat=now + 600)
    assert refused(site, header={"alg": "none"})
    assert refused(site, header={"alg": "HS256"}), "signed with the public key as if it were a secret"
    assert refused(site, key=ECKey.generate_key("P-256", private=True))
    assert not refused(site)


def test_a_state_is_of_one_browser_and_good_once(make):
    site = make()
    browser, address = site.sent()
    query = site.provider.sign_in(address, "s-1", **LI)
    other, _ = site.sent()
    assert site.back(Asking(site.app), query).status == 403
    assert site.back(other, query).status == 403, "somebody is signed in as another"
    assert site.back(browser, {**query, "state": "x"}).status == 403
    assert site.back(browser, query).status == 403, "the state is used up"
    browser, address = site.sent()
    query = site.provider.sign_in(address, "s-1", **LI)
    assert site.back(browser, {**query, "iss": "https://evil.example"}).status == 403
    browser, address = site.sent()
    query = site.provider.sign_in(address, "s-1", **LI)
    assert site.back(browser, query).status == 200
    assert site.back(browser, query).status == 403
    browser, address = site.sent(next_="//evil.example")
    answer = site.back(browser, site.provider.sign_in(address, "s-1", **LI))
    assert "evil" not in answer.text
    assert site.back(browser, {"error": "access_denied", "state": "x"}).status == 403


def test_claims_that_fit_no_account_here_change_nothing(make):
    site = make()
    assert site.sign_in("s-1", preferred_username="li.wei", roles=["offline_access"])[1].status == 403
    assert site.sign_in("s-1", preferred_username="li.wei", roles=[7, None])[1].status == 403
    assert site.sign_in("s-1", preferred_username="li.wei", roles=["yb-fin", "yb-approve"])[1].status == 403
    assert site.sign_in("s-1", preferred_username="li.wei", roles=["hosp"])[1].status == 403, "of no hospital"
    assert site.roles("li.wei") is None
    assert site.acts() == [("s-1", "sign_in_refused")] * 4
    with site.database.writing() as connection:
        accounts.add(connection, New("wang", frozenset({Role.ADMINISTRATOR})), "test", NOW)
    assert site.sign_in("s-1", **{**LI, "preferred_username": "wang"})[1].status == 403, (
        "takes no local account"
    )
    assert site.sign_in()[1].status == 200
    assert site.sign_in(**{**LI, "roles": ["yb-fin", "yb-approve"]})[1].status == 403
    assert site.roles("li.wei") == {Role.AUDITOR}
    with site.database.writing() as connection:
        accounts.disable(connection, "li.wei", NOW)
    assert site.sign_in()[1].status == 403


def test_a_new_key_of_the_provider_is_found_and_an_old_one_is_refused(make):
    site = make()
    assert site.sign_in()[1].status == 200
    old = site.provider.key
    site.provider.rotate()
    site.now += dt.timedelta(minutes=1)
    assert site.sign_in()[1].status == 200
    browser, address = site.sent()
    query = site.provider.sign_in(address, "s-1", **LI, header={"kid": old.kid}, key=old)
    assert site.back(browser, query).status == 403
    asked = site.provider.asked.count("/keys")
    for _ in range(3):
        browser, address = site.sent()
        site.back(browser, site.provider.sign_in(address, "s-1", **LI, key=old))
    assert site.provider.asked.count("/keys") == asked, "wrong tokens do not make it ask again and again"


@pytest.mark.parametrize("name", ["token_endpoint", "jwks_uri", "end_session_endpoint", "issuer"])
def test_metadata_that_names_another_address_is_refused(make, name):
    site = make()
    site.provider.endpoints = {name: "http://169.254.169.254/latest"}
    assert Asking(site.app).get("/sign-in/provider").status == 403
    assert site.provider.asked == ["/.well-known/openid-configuration"]


def test_an_export_asks_to_sign_in_there_once_more(make):
    site = make(second_factor="deciding", oidc={"asks_for_second_factor": True})
    browser, _ = site.sign_in()
    assert browser.get("/findings").status == 200
    site.now += dt.timedelta(minutes=6)
    assert browser.get("/access/factors").headers["location"].startswith("/confirm")
    assert "/confirm/provider" in browser.get("/confirm").text

    def again(sub, **more):
        address = browser.get("/confirm/provider?next=/access/factors").headers["location"]
        assert "prompt=login" in address
        return site.back(browser, site.provider.sign_in(address, sub, **{**LI, **more}))

    assert again("s-1", auth_time=int(NOW.timestamp())).status == 403, "signed in there long ago"
    assert again("s-2", preferred_username="wang").status == 403, "as somebody else"
    assert browser.get("/access/factors").status == 303
    assert again("s-1").status == 200
    assert browser.get("/access/factors").status == 200


def test_a_second_factor_is_asked_for_here_where_the_provider_asks_for_none(make):
    site = make(second_factor="deciding")
    browser, _ = site.sign_in()
    assert browser.get("/findings").headers["location"] == "/access/factors"


def test_settings_of_a_provider(tmp_path):
    def settings(**more):
        oidc = {"issuer": "https://idp.example.cn", "client_id": "x", "roles": ROLES, **more}
        return make_settings({"data_dir": str(tmp_path), "public_url": HOME, "oidc": oidc})

    write_settings(settings(), tmp_path / "central.toml")
    assert read_settings(tmp_path / "central.toml").oidc.roles == ROLES
    with pytest.raises(SettingsError, match="https"):
        settings(issuer="http://idp.example.cn")
    with pytest.raises(SettingsError, match="public_url"):
        make_settings({"data_dir": "x", "oidc": {"issuer": "https://i", "client_id": "x", "roles": ROLES}})
    with pytest.raises(SettingsError, match="no role"):
        provider.Provider(settings(roles={"a": "chief"}).oidc, HOME, lambda: NOW)
