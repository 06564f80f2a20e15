"""The bedside page without network, killed in the middle, and a device killed while it takes answers over."""

import base64
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from parts.bedside import CODE, PIN, enrol, events_of, make_check, make_sheet, make_unit
from parts.bedside_browser import TELEPHONE, noisy_feed, tablet
from parts.certificates import CertificateAuthority
from parts.edge import eventually

from renzheng.contracts.log import read_entry
from renzheng.edge.clock import SteppedClock
from renzheng.edge.log import DeviceLog
from renzheng.edge.store.database import Store

pytestmark = pytest.mark.chromium
TESTS = Path(__file__).resolve().parents[2]
SHADE = 120


@pytest.fixture(scope="module")
def feed(tmp_path_factory):
    return noisy_feed(tmp_path_factory.mktemp("feed") / "feed.y4m", SHADE)


def sheet_now(count=4, **changed):
    now = datetime.now(UTC)
    times = {
        "drawn_at": now - timedelta(hours=12),
        "due_at": now - timedelta(minutes=5),
        "closes_at": now + timedelta(hours=4),
    }
    return make_sheet(count, **(times | changed))


def make_unit_now(folder, sheet, *, port=0, away=False):
    unit = make_unit(
        folder,
        [sheet],
        clock=SteppedClock(datetime.now(UTC), runs=True),
        away=away,
        bedside={"port": port, "attempt_seconds": 6},
    )
    if not unit.people.references("P0", "stand-in:000000000000:2"):
        enrol(unit, "P0", SHADE)
        enrol(unit, "P3", 30)  # somebody else's face stands under this name
    return unit


def port_of(unit):
    return int(unit.url.rsplit(":", 1)[1].strip("/"))


def answers_of(unit):
    return {
        event["subject"]: (event["data"]["result"], event["data"].get("reason"))
        for event in events_of(unit, "spot_check.answered")
    }


@pytest.mark.parametrize("language", ["zh", "en"])
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


def test_a_page_killed_in_the_middle_of_an_answer_loses_and_doubles_nothing(tmp_path, feed):
    unit = make_unit_now(tmp_path / "unit", sheet_now())
    unit.start()
    profile = tmp_path / "profile"
    with tablet(unit.url, feed, profile=profile) as held:
        held.open_round()
        held.bed("C1", "refused")
        held.tap("#confirm")
        held.save()
        held.waiting(0)
        held.context.set_offline(offline=True)
        held.bed("C2", "refused")
        held.tap("#confirm")
        held.save()
        held.bed("C3", "cannot_be_asked")
        held.tap("[data-value=name]")
        held.tap("[data-value=isolation]")
        held.page.wait_for_timeout(300)
        kill_browser(profile)
        held.dead = True
    with tablet(unit.url, feed, profile=profile) as held:
        held.sign_in()
        assert held.reach("form", "rounds") == "form"
        assert held.page.get_attribute("[data-value=name]", "aria-pressed") == "true"
        assert held.page.get_attribute("[data-value=isolation]", "aria-pressed") == "true"
        held.tap("[data-value=wristband]")
        held.vouch()
        held.save()
        held.waiting(0)
        assert held.page.locator("[data-state=done]").count() == 3
    assert answers_of(unit) == {
        "P1": ("refused", None),
        "P2": ("refused", None),
        "P3": ("present", "isolation"),
    }
    assert len(events_of(unit, "spot_check.answered")) == 3
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


def kill_browser(profile: Path) -> None:
    """SIGKILL the browser of this profile, as a flat battery would."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        mine = f"--user-data-dir={profile}".encode() in words
        if mine and not any(word.startswith(b"--type=") for word in words):
            os.kill(int(entry.name), signal.SIGKILL)


UNIT = """
import sys, time
from pathlib import Path
sys.path[:0] = sys.argv[3:]
from test_bedside_offline import make_unit_now
from parts.bedside import Sheet
sheet = Sheet.model_validate_json(Path(sys.argv[1], "sheet.json").read_bytes())
unit = make_unit_now(Path(sys.argv[1]), sheet, port=int(sys.argv[2]))
unit.start()
print(unit.url, flush=True)
time.sleep(600)
"""


def start(folder, port):
    command = [sys.executable, "-c", UNIT, str(folder), str(port), str(TESTS), str(Path(__file__).parent)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()


def test_a_device_killed_while_it_takes_answers_over_has_each_exactly_once(tmp_path, feed):
    sheet = sheet_now(checks=[make_check(number) for number in range(8)])
    (tmp_path / "sheet.json").write_text(sheet.model_dump_json(), encoding="utf-8")
    process, url = start(tmp_path, 0)
    port = int(url.rsplit(":", 1)[1].strip("/"))
    with tablet(url, feed) as held:
        held.open_round()
        kill(process)
        for number in (1, 2, 4, 5, 6, 7):
            held.bed(f"C{number}", "refused")
            held.tap("#confirm")
            held.save()
        held.waiting(6)
        for seconds in (0.2, 0.05, 0.4):
            process, _ = start(tmp_path, port)
            written(tmp_path, at_least=1, within_seconds=seconds + 6)
            time.sleep(seconds)
            kill(process)
        process, _ = start(tmp_path, port)
        held.waiting(0)
        assert eventually(lambda: held.page.locator("[data-state=done]").count() == 6)
        kill(process)
    subjects = [event["subject"] for event in written(tmp_path)]
    assert subjects == ["P1", "P2", "P4", "P5", "P6", "P7"]


def written(folder, *, at_least=0, within_seconds=0.0):
    """The answers in the device's log, each entry of which must hold."""
    deadline = time.monotonic() + within_seconds
    while True:
        store = Store(folder / "data" / "device.sqlite")
        log = DeviceLog(store, "unit-01")
        log.verify()
        events = [read_entry(line).event for line in log.lines(0, 10_000)]
        store.close()
        found = [event for event in events if event["type"].endswith("spot_check.answered")]
        if len(found) >= at_least or time.monotonic() > deadline:
            return found
        time.sleep(0.05)
