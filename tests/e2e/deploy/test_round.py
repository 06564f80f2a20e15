"""A round of bedside checks over all parts: ADT, commitment, door, the inspector's unit, ingest, rate, proof.

Commitment, draw and close happen by clocks that these steps are given; only the hour of the checks is waited
for, as the unit and central live by the machine's own.
"""

import json
import re
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from parts.adt import Hospital, message
from parts.processes import free_port, wait_until
from parts.site import RENZHENG, SECONDS, command, get, running, running_site

from renzheng.central.draw import command as draw_command
from renzheng.central.draw.rounds import Rounds
from renzheng.central.settings import read_settings
from renzheng.central.store import schema
from renzheng.central.store.database import Database
from renzheng.contracts import keys

SHANGHAI = ZoneInfo("Asia/Shanghai")
OFFICERS = ("--officer", "Wang", "--officer", "Li")
SECRETS = ("a secret of officer Wang", "another one, of officer Li")
PIN = "246813"
VALUE = "9f2c41d07be86a35c1f09d4e7720ab3358e6d90142fa7c8b6e15d3047ba9f8c2"
BEDS = 4


class Tablet:
    """Calls the unit as its page does."""

    def __init__(self, port):
        self._base = f"http://127.0.0.1:{port}"
        self._cookie = ""

    def post(self, path, said):
        headers = {"content-type": "application/json", "cookie": self._cookie}
        request = urllib.request.Request(
            self._base + path, data=json.dumps(said).encode(), headers=headers, method="POST"
        )
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            self._cookie = (answer.headers["set-cookie"] or self._cookie).split(";")[0]
            return json.loads(answer.read())

    def answer(self, sheet, check, number, **said):
        now = time.time() * 1000
        return self.post(
            "/api/answers",
            {
                "answer_id": f"answer-{number:010d}",
                "sheet_id": sheet,
                "check_id": check["check_id"],
                "inspector_id": "I-7",
                "answered_ms": now,
                "sent_ms": now,
                **said,
            },
        )


def page(site, path):
    """A page of the console."""
    with urllib.request.urlopen(f"http://127.0.0.1:{site.console}{path}", timeout=SECONDS) as answer:
        return answer.read().decode()


@pytest.fixture
def site(tmp_path):
    adt = free_port()
    with running_site(tmp_path, "embedded", f"[adt]\nport = {adt}\n") as site:
        site.institution("H1")
        site.institution("bureau:371121")
        hospital = Hospital(adt)
        for bed in range(BEDS):
            told = message(
                "A01", "20260302093000", bed, visit=f"V{bed}", person=f"P{bed}", bed=str(bed),
                admitted="20260302090000",
            )  # fmt: skip
            assert hospital.tell(told)[0] == "AA"
        hospital.close()
        yield site


def committed(site, known, due):
    """Commit to a round; returns its id and the commitment's file."""
    told = site.command(
        "central", "draw", "commit", *OFFICERS, "--public-value", "drand: round 4711000",
        "--known-at", f"{known:%Y-%m-%dT%H:%M:%S}", "--due-at", f"{due:%Y-%m-%dT%H:%M:%S}",
        "--device", "tablet-1", "--institution", "H1", "--wards", 1, "--per-ward", BEDS,
        typed="".join(f"{secret}\n{secret}\n" for secret in SECRETS),
    )  # fmt: skip
    return (re.search(rf"{word} +(\S+)", told).group(1) for word in ("round", "published"))


def seal(site, round_id):
    """Draw a round with its public value."""
    site.command(
        "central", "draw", "seal", round_id, *OFFICERS, "--public-value", VALUE,
        typed="".join(f"{secret}\n" for secret in SECRETS),
    )  # fmt: skip


def drawn(site, monkeypatch, due):
    """Commit to a round before its public value is known, and draw it afterwards; all before it is due."""
    known = due.astimezone(UTC) - timedelta(minutes=10)
    monkeypatch.setattr(draw_command, "utc_now", lambda: known - timedelta(minutes=10))
    round_id, commitment = committed(site, known.astimezone(SHANGHAI), due)
    monkeypatch.setattr(draw_command, "utc_now", lambda: known + timedelta(minutes=1))
    seal(site, round_id)
    return round_id, commitment


def test_a_round_from_the_hospitals_message_to_the_proof(site, monkeypatch):
    unit, _ = site.joined("tablet-1", "bureau:371121")
    port = free_port()
    config = unit / "edge.toml"
    config.write_text(config.read_text() + f"\n[bedside]\nport = {port}\n")
    for inspector in ("I-7", "I-8"):
        command(
            "edge", "inspector", "--inspector", inspector, "--config", config, cwd=unit,
            typed=f"{PIN}\n{PIN}\n",
        )  # fmt: skip
        site.command("central", "inspector", inspector, "--name", "王检查")

    with running([RENZHENG, "edge", "bedside", "--config", config], unit, "unit.log", port):
        tablet = Tablet(port)
        tablet.post("/api/sign-in", {"number": "I-7", "pin": PIN})
        due = datetime.now(SHANGHAI).replace(microsecond=0) + timedelta(seconds=4)
        round_id, commitment = drawn(site, monkeypatch, due)
        (before,) = tablet.post("/api/rounds/fetch", {})
        if datetime.now(SHANGHAI) < due:  # a slow machine may be too late to see it sealed
            assert (before["standing"], before["total"]) == ("not_due", None)
        wait_until(lambda: datetime.now(SHANGHAI) > due, within_seconds=SECONDS, what="the round's hour")
        opened = tablet.post(f"/api/sheets/{before['sheet_id']}/open", {"code": None})
        checks = opened["sheet"]["checks"]
        assert {check["visit_id"] for check in checks} == {f"V{bed}" for bed in range(BEDS)}
        two = ["name", "wristband"]
        witness = {"number": "I-8", "pin": PIN}
        for number, check in enumerate(checks[:3]):
            said = tablet.answer(
                before["sheet_id"], check, number, choice="present", identifiers=two,
                reason="no_reference", witness=witness,
            )  # fmt: skip
            assert said["result"] == "present"
        # An absence counts only by a clock that is known to be right, which a machine without NTP has not.
        trusted = get(f"http://127.0.0.1:{port}/health")["clock_trusted"]
        absence = "absent" if trusted else "unanswered"
        assert tablet.answer(before["sheet_id"], checks[3], 3, choice="absent")["result"] == absence
        wait_until(
            lambda: (health := get(f"http://127.0.0.1:{port}/health"))["acknowledged"] == health["sequence"],
            within_seconds=SECONDS,
            what="central has every answer",
        )

    settings = read_settings(site.folder / "central.toml")
    database = Database(settings.database)
    assert round_id[:8] in page(site, "/rounds?lang=en")  # looking also opens what is due
    with database.reading() as connection:
        answered = connection.execute(schema.spot_checks.select()).mappings().all()
    assert {(row["institution_id"], row["inspector_id"]) for row in answered} == {("H1", "I-7")}
    assert sorted(row["result"] for row in answered) == sorted([absence, "present", "present", "present"])
    rate = "75.0%" if trusted else "100.0%"
    assert rate in page(site, "/rate?lang=en")

    key = keys.load_private_key(settings.key_file.read_bytes())
    (published,) = Rounds(database, key, settings.checkpoints_dir).settle(
        datetime.now(UTC) + timedelta(days=1)
    )
    database.close()
    proof = site.command("draw", "verify", published, "--kept", commitment)
    assert round_id in proof
    changed = json.loads(published.read_text())
    changed["public_value"] = "4 0 8"
    published.write_text(json.dumps(changed))
    assert "Traceback" not in site.command("draw", "verify", published, status=1)
