"""The bedside page without network: a whole round, a lost tablet, a telephone over HTTPS."""

import base64
from datetime import UTC, datetime
from hashlib import sha256

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from parts.bedside import CODE, PIN, answers_of, events_of, make_unit, make_unit_now, sheet_now
from parts.bedside_browser import TELEPHONE, noisy_feed, tablet
from parts.certificates import CertificateAuthority
from parts.edge import hurry

from renzheng.edge.device.clock import SteppedClock

pytestmark = pytest.mark.chromium
SHADE = 120


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    hurry(monkeypatch)


@pytest.fixture(scope="module")
def feed(tmp_path_factory):
    return noisy_feed(tmp_path_factory.mktemp("feed") / "feed.y4m", SHADE)


# `long`: the other language; a whole round in it is in test_bedside_round.py
@pytest.mark.parametrize("language", ["en", pytest.param("zh", marks=pytest.mark.long)])
def test_a_whole_round_without_network_is_handed_over_later(  # noqa: PLR0915 - one round, told in order
    tmp_path, feed, language
):
    unit = make_unit_now(tmp_path, sheet_now(), away=True)
    for sealed in unit.fetcher._rounds.sealed:
        unit.fetcher.keep(sealed)
    unit.start()
    with tablet(unit.url, feed, viewport=TELEPHONE, language=language) as held:
        held.sign_in()
        held.reach("rounds")
        held.context.set_offline(offline=True)
        held.page.reload()  # by the service worker
        held.sign_in(pin="111111")
        held.page.wait_for_selector("#lock-problem:not(:empty)")
        held.sign_in()
        held.reach("rounds")
        held.tap("[data-round=due]")
        held.reach("code")
        held.type("#code", "0" * 20)
        held.tap("#code-form button")
        held.page.wait_for_selector("#code-problem:not(:empty)")
        held.type("#code", CODE.lower())
        held.tap("#code-form button")
        held.reach("list")
        held.present("C0")
        held.bed("C1", "cannot_be_asked")
        held.identify()
        held.vouch("asleep")
        held.save()
        held.bed("C2", "absent")
        held.tap("#confirm")
        held.save()
        held.present("C3")
        held.waiting(5)  # the code, and four answers
        held.shoot(f"{language}-390-16-offline")
        secret = held.kept()
        assert "keyfalse" in secret
        assert not any(word in secret for word in ("王某", "absent", "asleep", "9753", PIN, "JFIF"))
        assert events_of(unit, "spot_check.answered") == []
        held.page.reload()
        held.sign_in()
        held.reach("rounds")
        held.waiting(5)
        held.context.set_offline(offline=False)
        held.waiting(0)
        held.tap("[data-round=open]")
        held.page.wait_for_selector("[data-check=C3][data-state=look]")
        held.shoot(f"{language}-390-17-look-again")
        assert held.kept("queue") == ""
        held.bed("C3", "present")  # what the kept pictures did not verify, a witness does
        held.reach("form")
        held.identify()
        held.vouch()
        held.save()
        held.waiting(0)
    assert answers_of(unit) == {
        "P0": ("present", None),
        "P1": ("present", "asleep"),
        "P2": ("absent", None),
        "P3": ("present", "face_not_verified"),
    }
    events = events_of(unit, "spot_check.answered")
    assert len(events) == 5
    assert events[0]["data"]["comparison_score"] == pytest.approx(0.99)
    assert events[0]["time"] < events[0]["data"]["received_at"]
    assert [event["subject"] for event in events[:4]] == ["P0", "P1", "P2", "P3"]
    unit.stop()


def test_a_lost_tablet_shows_no_name_and_forgets_its_lists_after_ten_guesses(tmp_path, feed):
    unit = make_unit_now(tmp_path, sheet_now())
    unit.start()
    with tablet(unit.url, feed) as held:
        held.open_round()
        held.context.set_offline(offline=True)
        held.bed("C1", "refused")
        held.tap("#confirm")
        held.save()
        held.tap("#leave")
        assert held.kept("lists")
        assert "李某" not in held.page.content() + held.kept()
        for guess in range(10):
            held.sign_in(pin=f"00000{guess}")
            held.page.wait_for_selector("#lock-problem:not(:empty)")
        held.sign_in()
        held.page.get_by_text("名单已因多次输错密码而清除").wait_for()
        assert held.kept("lists") == ""
        held.context.set_offline(offline=False)
        held.sign_in()  # the answer that waited is no list, and is not lost
        held.reach("rounds")
        held.waiting(0)
    assert answers_of(unit) == {"P1": ("refused", None)}
    unit.stop()


def test_a_telephone_on_the_sites_network_uses_the_page_over_https(tmp_path, feed):
    authority = CertificateAuthority(tmp_path / "ca")
    identity = authority.issue("bedside.example")
    tls = {"port": 0, "certificate_file": identity.certificate, "key_file": identity.key}
    unit = make_unit(
        tmp_path / "unit", [sheet_now()], clock=SteppedClock(datetime.now(UTC), runs=True), bedside=tls
    )
    unit.start()
    certificate = x509.load_pem_x509_certificate(identity.certificate.read_bytes())
    spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    flags = (
        "--host-resolver-rules=MAP bedside.example 127.0.0.1",
        # The telephone trusts the site's CA; here the one certificate is pinned instead.
        "--ignore-certificate-errors-spki-list=" + base64.b64encode(sha256(spki).digest()).decode(),
    )
    url = unit.url.replace("127.0.0.1", "bedside.example")
    with tablet(url, feed, viewport=TELEPHONE, profile=tmp_path / "profile", flags=flags) as held:
        assert held.page.evaluate("isSecureContext")
        held.open_round()
        held.context.set_offline(offline=True)
        held.page.reload()
        held.sign_in()
        held.reach("rounds")
        held.tap("[data-round=open]")
        held.reach("list")
        held.bed("C1", "refused")
        held.tap("#confirm")
        held.save()
        held.waiting(1)
        held.context.set_offline(offline=False)
        held.waiting(0)
    assert answers_of(unit) == {"P1": ("refused", None)}
    unit.stop()
