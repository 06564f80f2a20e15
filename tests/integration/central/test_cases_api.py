"""A case over the API, by accounts with tokens, as a program written from the contract alone drives it."""

import asyncio
import base64
import datetime as dt
import hashlib
import json
import random
import re
from types import SimpleNamespace
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa
from parts import stores
from parts.asking import Asking
from parts.cases_store import lay
from parts.command_line import run
from parts.walked import routes

from renzheng.central.access import access_log, accounts
from renzheng.central.access.access_log import Wanted
from renzheng.central.access.accounts import New
from renzheng.central.access.roles import Role
from renzheng.central.cases import journal
from renzheng.central.draw.answers import RateCategory
from renzheng.central.main import make_signing_key
from renzheng.central.metrics import Metrics
from renzheng.central.rate.core import Call
from renzheng.central.settings import make_settings
from renzheng.central.store import schema
from renzheng.central.store.database import Database
from renzheng.central.store.masking import ending
from renzheng.central.web.api import case_summonses
from renzheng.central.web.app import build_app

START = dt.datetime(2026, 4, 7, 1, tzinfo=dt.UTC)
PEOPLE = {
    "auditor": ("auditor", ""), "reviewer": ("reviewer", ""), "reviewer-2": ("reviewer", ""),
    "expert-1": ("panel", ""), "expert-2": ("panel", ""), "expert-3": ("panel", ""),
    "expert-4": ("panel", ""), "doctor-2": ("doctor", "H2"),
    "approver": ("approver", ""), "finance": ("finance", ""), "office-1": ("hospital_office", "H1"),
    "office-2": ("hospital_office", "H2"), "doctor-1": ("doctor", "H1"), "admin": ("administrator", ""),
}  # fmt: skip


class Bureau:
    def __init__(self, folder, database_url=""):
        self.now = START
        settings = make_settings({"data_dir": str(folder), "database_url": database_url})
        self.folder, self.key = folder, make_signing_key(settings.key_file)
        self.database = Database(stores.lay(settings.database))
        lay(self.database, folder)
        self.app = build_app(self.database, settings, lambda: self.now, Metrics())
        self.people = {}
        with self.database.writing() as connection:
            for name, (role, at) in PEOPLE.items():
                new = New(name, frozenset({Role(role)}), frozenset({at}) if at else frozenset())
                accounts.add(connection, new, "test", self.now)
                self.people[name] = accounts.give_token(connection, name, self.now)

    def ask(self, who, method, path, body=None, **headers):
        caller = Asking(self.app, self.people.get(who, who))
        content = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
        told = {"content-type": "application/json", **headers}
        return asyncio.run(caller.ask(method, f"/api/v1{path}", content, told))

    def get(self, who, path):
        answer = self.ask(who, "GET", path)
        assert answer.status == 200, answer.text
        return json.loads(answer.body)

    def post(self, who, path, body=None, **headers):
        answer = self.ask(who, "POST", path, body, **headers)
        assert answer.status == 200, answer.text
        return json.loads(answer.body)

    def refused(self, who, path, body=None, **headers):
        answer = self.ask(who, "POST", path, body, **headers)
        told = json.loads(answer.body)
        return answer.status, told.get("guard")


@pytest.fixture
def bureau(tmp_path):
    made = Bureau(tmp_path)
    yield made
    made.database.close()


def issued(bureau):
    """Draft, confirm and issue the case of H1; return it."""
    drafted = bureau.post("auditor", "/cases/draft", {"month": "2026-03", "institution_id": "H1"})
    (case,) = drafted["cases"]
    for doubt in case["doubts"]:
        bureau.post("auditor", f"/doubts/{doubt['id']}/confirm")
    return bureau.post("auditor", f"/cases/{case['id']}/issue")


def test_the_whole_loop_from_a_draft_to_a_deduction_and_a_clearing(bureau):
    case = issued(bureau)
    assert (case["state"], bool(case["due_at"]), "工作日" in case["due_explained"]) == ("issued", True, True)
    overlap, line = case["doubts"]
    assert (overlap["amount_at_stake"], line["amount_at_stake"]) == ("700.00", "450.00")
    assert (line["rule_id"], line["line_ids"], len(line["evidence_sha256"])) == (
        "line-haemodialysis",
        ["L2"],
        64,
    )
    assert line["clears_it"]
    bureau.post("office-1", f"/cases/{case['id']}/receive")
    sheet = bureau.ask("office-1", "POST", "/attachments", b"%PDF-1.7 a sheet")
    assert sheet.status == 201
    proof = json.loads(sheet.body)["id"]
    one = f"/doubts/{line['id']}"
    bureau.post("office-1", f"{one}/assign", {"doctor": "doctor-1"})
    bureau.post("doctor-1", f"{one}/answer", {"text": "当日三号机", "attachments": [proof]})
    submitted = bureau.post("office-1", f"{one}/submit", {"position": "partly", "amount": "150.00"})
    assert (submitted["state"], submitted["accepted"]) == ("submitted", "150.00")
    bureau.post("reviewer", f"{one}/review", {"decision": "partly", "amount": "300.00", "reason": "部分"})
    bureau.post("reviewer-2", f"{one}/review", {"decision": "uphold", "reason": "同意"})
    assert bureau.refused("approver", f"{one}/finalise", {"amount": "300.01"}) == (409, "amount_raised")
    final = bureau.post("approver", f"{one}/finalise", {"amount": "300.00"})
    assert (final["state"], bool(final["decided_at"])) == ("final", True)
    assert bureau.post("finance", f"{one}/deduct", {"period": "2026-05"})["state"] == "deducted"
    other = f"/doubts/{overlap['id']}"
    bureau.post("office-1", f"{other}/submit", {"position": "contest", "text": "机号录错"})
    bureau.post("reviewer", f"{other}/review", {"decision": "uphold", "reason": "重叠"})
    bureau.post("reviewer-2", f"{other}/review", {"decision": "uphold", "reason": "转合议", "medical": True})
    panel = {"members": ["expert-1", "expert-2", "expert-3"]}
    assert bureau.post("auditor", f"/cases/{case['id']}/panel", panel)["members"] == panel["members"]
    for who in panel["members"]:
        seen = bureau.post(who, f"{other}/vote", {"decision": "clear", "reason": "机号确系录错"})
    assert (seen["state"], seen["amount"]) == ("final", "0.00")
    assert bureau.post("approver", f"{other}/finalise", {"amount": "0"})["state"] == "cleared"
    assert bureau.post("auditor", f"/cases/{case['id']}/close")["state"] == "closed"
    assert bureau.refused("auditor", f"{other}/refer", {"to": "police", "reason": "x"}) == (409, "closed")
    back = bureau.post("finance", f"{one}/return", {"amount": "100.00", "reason": "补来记录"})
    assert (back["state"], back["returned"]) == ("returned", "100.00")
    total = bureau.get("auditor", "/ledger?institution_id=H1&month=2026-03")["sum"]
    assert (total["issued"], total["deducted"], total["returned"], total["cleared"]) == (
        "1150.00", "300.00", "100.00", "850.00",
    )  # fmt: skip
    fared = {one["rule_id"]: one for one in bureau.get("auditor", "/statistics/overturns")["overturns"]}
    assert (fared["machine-overlap"]["overturned"], fared["line-haemodialysis"]["overturned"]) == (1, 0)
    check_letters(bureau, case)
    check_file(bureau, case)
    check_what_each_role_sees(bureau, case, line["id"])


def check_letters(bureau, case):
    letters = bureau.get("office-1", f"/cases/{case['id']}/letters")["letters"]
    assert [one["kind"] for one in letters] == [
        "notice", "receipt", "opinion", "decision", "deductions", "return",
    ]  # fmt: skip
    assert "可以消除疑点的记录" in letters[0]["html"]
    assert "300.00" in letters[4]["html"]
    assert letters == bureau.get("office-1", f"/cases/{case['id']}/letters")["letters"], "the same bytes"


def check_file(bureau, case):
    took = bureau.ask("office-1", "GET", f"/cases/{case['id']}/bundle")
    file, public = bureau.folder / "case.zip", bureau.folder / "central.pem"
    file.write_bytes(took.body)
    public.write_text(bureau.key.as_pem(private=False).decode())
    assert "nothing was changed" in run("case", "verify", file, "--key", public)
    assert len(bureau.get("auditor", f"/cases/{case['id']}/journal")["entries"]) >= 18
    file.write_bytes(took.body[:-100] + bytes([took.body[-100] ^ 1]) + took.body[-99:])
    run("case", "verify", file, status=1)


def check_what_each_role_sees(bureau, case, doubt):
    """Who of the bureau did what, and the frozen evidence whole, are for the bureau; for nobody else."""
    whole = bureau.ask("auditor", "GET", f"/doubts/{doubt}/evidence")
    hashed = bureau.get("auditor", f"/doubts/{doubt}")["evidence_sha256"]
    for who in ("auditor", "reviewer", "expert-1", "approver"):
        assert bureau.ask(who, "GET", f"/doubts/{doubt}/evidence").body == whole.body
        assert {one["account"] for one in bureau.get(who, f"/doubts/{doubt}")["opinions"]} == {
            "reviewer", "reviewer-2", "approver",
        }  # fmt: skip
    assert hashlib.sha256(whole.body).hexdigest() == hashed
    for who in ("office-1", "doctor-1"):
        part = bureau.get(who, f"/doubts/{doubt}/evidence")
        assert (part["of"], part["form"]) == (hashed, "renzheng evidence for its institution v1")
        seen = bureau.get(who, f"/doubts/{doubt}")
        assert {one["account"] for one in seen["opinions"]} == {None}
        assert seen["opinions"][0]["reason"] == "部分"
    for who in ("office-2", "doctor-2"):
        assert bureau.ask(who, "GET", f"/doubts/{doubt}/evidence").status == 404
    for who in ("finance", "admin"):
        assert bureau.ask(who, "GET", f"/doubts/{doubt}/evidence").status == 403
    path = f"/cases/{case['id']}"
    assert bureau.get("office-1", path)["members"] == []
    assert len(bureau.get("auditor", path)["members"]) == 3
    assert bureau.ask("doctor-1", "GET", f"{path}/journal").status == 404
    told = bureau.ask("office-1", "GET", f"{path}/journal").body.decode()
    named = [one for one, (role, _) in PEOPLE.items() if role in {"auditor", "reviewer", "panel", "approver"}]
    assert not [one for one in named if f'account\\":\\"{one}\\"' in told]
    assert 'account\\":\\"office-1' in told


def test_who_may_what_and_whose_rows_are_whose(bureau):
    case = issued(bureau)
    doubt = case["doubts"][0]["id"]
    assert bureau.ask("", "GET", "/cases").status == 401
    assert bureau.ask("admin", "GET", f"/cases/{case['id']}").status == 403
    assert (
        bureau.refused("office-1", f"/doubts/{doubt}/review", {"decision": "clear", "reason": "x"})[0] == 403
    )
    for path in (f"/cases/{case['id']}", f"/doubts/{doubt}", f"/cases/{case['id']}/journal"):
        assert bureau.ask("office-2", "GET", path).status == 404
        assert bureau.ask("office-1", "GET", path).status == 200
    assert bureau.refused("office-2", f"/doubts/{doubt}/submit", {"position": "accept"})[0] == 404
    assert bureau.get("office-2", "/cases")["total"] == 0
    assert bureau.get("office-1", "/cases?month=2026-03&state=issued")["total"] == 1
    assert bureau.get("doctor-1", "/doubts")["total"] == 0
    with bureau.database.reading() as connection:
        person = bureau.get("office-1", f"/cases/{case['id']}")["doubts"][1]["person_id"]
        _, looked = access_log.read(connection, Wanted(person_id=person))
    assert {"auditor", "office-1"} <= {entry["account"] for entry in looked}
    assert case["doubts"][1]["person_id"].startswith(f"{ending(person)}~"), "an auditor sees its end"
    wanted = urlencode({"person_id": case["doubts"][1]["person_id"]})
    assert bureau.get("auditor", f"/doubts?{wanted}")["total"] == 1, "and goes on with the handle"
    assert bureau.get("auditor", f"/doubts?{urlencode({'person_id': person})}")["total"] == 0, "by it alone"
    firsts = {}
    for one in sorted(bureau.get("auditor", "/doubts")["doubts"], key=lambda one: one["id"]):
        firsts.setdefault(one["person_id"], one["id"])
    in_order = [one["person_id"] for one in bureau.get("auditor", "/doubts?sort=person_id")["doubts"]]
    assert list(dict.fromkeys(in_order)) == list(firsts), "the order of persons tells nothing of numbers"
    assert bureau.get("office-1", "/doubts?sort=person_id")["total"] == len(in_order)
    for path, status in (("journal", 403), ("letters", 200), ("bundle", 403)):
        answer = bureau.ask("finance", "GET", f"/cases/{case['id']}/{path}")
        assert answer.status == status, path
        assert person not in answer.body.decode(errors="replace"), path
    assert bureau.ask("finance", "GET", f"/doubts/{case['doubts'][1]['id']}/evidence").status == 403
    assert bureau.ask("auditor", "GET", f"/cases/{case['id']}/bundle").status == 200


def test_comments_are_for_ones_own_side_and_the_journal_holds_their_hash(bureau):
    case = issued(bureau)
    bureau.post("office-1", f"/cases/{case['id']}/receive")
    doubt = f"/doubts/{case['doubts'][1]['id']}"
    ours = bureau.post("auditor", f"{doubt}/comments", {"text": "去年同样"})
    theirs = bureau.post("office-1", f"{doubt}/comments", {"text": "请吴医生看"})
    before = bureau.get("auditor", doubt)["version"]
    assert bureau.get("reviewer", f"{doubt}/comments")["comments"] == [ours]
    assert bureau.get("office-1", f"{doubt}/comments")["comments"] == [theirs]
    assert bureau.ask("doctor-1", "GET", f"{doubt}/comments").status == 404, "it is not assigned to them"
    bureau.post("office-1", f"{doubt}/assign", {"doctor": "doctor-1"})
    assert bureau.get("doctor-1", f"{doubt}/comments")["comments"] == [theirs]
    assert bureau.get("auditor", doubt)["version"] == before + 1, "of the assignment alone"
    for who in ("office-2", "doctor-2"):
        assert bureau.ask(who, "GET", f"{doubt}/comments").status == 404
        assert bureau.refused(who, f"{doubt}/comments", {"text": "x"})[0] == 404
    assert bureau.refused("auditor", f"{doubt}/comments", {"text": " "})[0] == 422
    assert bureau.refused("auditor", f"{doubt}/comments", {"text": "x" * 2001})[0] == 422
    told = bureau.ask("auditor", "GET", f"/cases/{case['id']}/journal").body.decode()
    assert (ours["sha256"] in told, theirs["sha256"] in told, "吴医生" in told) == (True, True, False)
    shown = bureau.ask("office-1", "GET", f"/cases/{case['id']}/journal").body.decode()
    assert ours["sha256"] not in shown
    for who in ("auditor", "office-1"):
        (bureau.folder / "case.zip").write_bytes(bureau.ask(who, "GET", f"/cases/{case['id']}/bundle").body)
        run("case", "verify", bureau.folder / "case.zip")
    bureau.post("office-1", f"{doubt}/submit", {"position": "contest", "text": "x"})
    bureau.post("reviewer", f"{doubt}/review", {"decision": "uphold", "reason": "x", "medical": True})
    bureau.post("reviewer-2", f"{doubt}/review", {"decision": "uphold", "reason": "x"})
    assert bureau.get("expert-1", f"{doubt}/comments")["comments"] == [], "before the votes are in"
    assert bureau.get("approver", f"{doubt}/comments")["comments"] == [ours]


def test_an_institution_is_not_told_what_was_withdrawn_before_it_was_issued_nor_what_was_referred(bureau):
    drafted = bureau.post("auditor", "/cases/draft", {"month": "2026-03", "institution_id": "H1"})
    (case,) = drafted["cases"]
    first, second = (one["id"] for one in case["doubts"])
    bureau.post("auditor", f"/doubts/{first}/withdraw", {"reason": "看错"})
    bureau.post("auditor", f"/doubts/{second}/confirm", {"reason": "内部备注"})
    bureau.post("auditor", f"/doubts/{second}/refer", {"to": "police", "reason": "疑似欺诈"})
    bureau.post("auditor", f"/cases/{case['id']}/issue")
    bureau.post("office-1", f"/cases/{case['id']}/receive")
    assert bureau.ask("office-1", "GET", f"/doubts/{first}").status == 404
    assert [one["id"] for one in bureau.get("office-1", "/doubts")["doubts"]] == [second]
    assert bureau.get("office-1", f"/doubts/{second}")["referrals"] == []
    assert bureau.get("auditor", f"/doubts/{second}")["referrals"][0]["to"] == "police"
    told = [bureau.ask("office-1", "GET", f"/cases/{case['id']}/{path}") for path in ("journal", "bundle")]
    hidden = (first, "police", "看错", "内部备注", "疑似欺诈")
    assert [one.status for one in told] == [200, 200]
    assert not [one for one in hidden for answer in told if one.encode() in answer.body]
    file, config = bureau.folder / "case.zip", bureau.folder / "central.toml"
    config.write_text(f'data_dir = "{bureau.folder}"\n')
    run("case", "bundle", case["id"], "--out", file, "--for-institution", "--config", config)
    assert "by their hash" in run("case", "verify", file)


def test_a_refused_step_is_a_problem_document_and_a_version_is_an_etag(bureau):
    drafted = bureau.post("auditor", "/cases/draft", {"month": "2026-03", "institution_id": "H1"})
    (case,) = drafted["cases"]
    doubt = f"/doubts/{case['doubts'][0]['id']}"
    answer = bureau.ask("auditor", "POST", f"{doubt}/drop", {"reason": ""})
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status, json.loads(answer.body)["guard"]) == (409, "reason_missing")
    confirmed = bureau.ask("auditor", "POST", f"{doubt}/confirm", {}, **{"if-match": '"1"'})
    assert (confirmed.status, confirmed.headers["etag"]) == (200, '"2"')
    assert bureau.refused("auditor", f"{doubt}/drop", {"reason": "x"}, **{"if-match": '"1"'}) == (
        412,
        "stale",
    )
    assert bureau.refused("auditor", f"/cases/{case['id']}/issue")[0] == 409
    assert bureau.refused("auditor", f"{doubt}/overdue") == (409, "state")
    for body, status in (
        (b"[1]", 422), (b"{", 422), (b'{"amount":1.5}', 422), (b'{"reason":"a","reason":"b"}', 400),
    ):  # fmt: skip
        assert bureau.ask("auditor", "POST", f"{doubt}/withdraw", body).status == status
    assert bureau.refused("auditor", f"{doubt}/vanish")[0] == 404
    assert bureau.ask("office-1", "POST", "/attachments", b"MZ program").status == 422


def test_what_a_step_names_is_there_and_its_institutions_own(bureau):
    case = issued(bureau)
    one = f"/doubts/{case['doubts'][0]['id']}"
    assert bureau.ask("finance", "POST", f"{one}/finalise", {"amount": "x"}).status == 403, "role before body"
    assert bureau.ask("office-2", "POST", f"{one}/submit", {"amount": "x"}).status == 404
    for doctor in ("nobody", "office-1", "doctor-2", "auditor"):
        assert bureau.refused("office-1", f"{one}/assign", {"doctor": doctor})[0] == 422
    theirs = json.loads(bureau.ask("office-2", "POST", "/attachments", b"%PDF-1.7 of H2").body)["id"]
    for attachment in (theirs, "nothing"):
        sent = {"position": "contest", "attachments": [attachment]}
        assert bureau.refused("office-1", f"{one}/submit", sent)[0] == 422
    assert bureau.refused("office-1", f"{one}/submit", {"position": "contest", "text": "a\0b"})[0] == 422
    bureau.post("office-1", f"/cases/{case['id']}/receive")
    bureau.post("office-1", f"{one}/submit", {"position": "contest", "text": "他来过"})
    for who in ("reviewer", "reviewer-2"):
        bureau.post(who, f"{one}/review", {"decision": "uphold", "reason": "没有记录", "medical": True})
    bureau.post("auditor", f"/cases/{case['id']}/panel", {"members": ["expert-1", "expert-2", "expert-3"]})
    bureau.post("expert-1", f"{one}/vote", {"decision": "clear", "reason": "x"})
    with bureau.database.writing() as connection:
        accounts.disable(connection, "expert-3", bureau.now)
    again = {"members": ["expert-1", "expert-2", "expert-4"]}
    assert bureau.post("auditor", f"/cases/{case['id']}/panel", again)["members"] == again["members"]
    for who in ("expert-2", "expert-4"):
        done = bureau.post(who, f"{one}/vote", {"decision": "clear", "reason": "x"})
    assert done["state"] == "final"
    check_replay(bureau, case)


def check_replay(bureau, case):
    kept = bureau.get("auditor", f"/cases/{case['id']}/journal")["entries"]
    read = [journal.Kept(one["entry"].encode(), one["hash"], one["signature"].encode()) for one in kept]
    assert journal.replay(journal.verify(case["id"], read, [bureau.key])).case is not None


def test_lists_refuse_what_they_cannot_mean_and_take_days_and_pages(bureau):
    issued(bureau)
    for path in (
        "/cases?month=2026-13", "/doubts?month=x", "/ledger?month=2026-3", "/statistics/overturns?month=0",
        "/doubts?state=nowhere", "/cases?due_before=soon", "/doubts?due_before=soon",
        "/ledger?sort=luck", "/ledger?limit=0",
    ):  # fmt: skip
        assert bureau.ask("auditor", "GET", path).status == 422, path
    assert bureau.get("auditor", "/cases?due_before=2026-12-31")["total"] == 1
    assert bureau.get("auditor", "/cases?due_before=2026-04-01")["total"] == 0
    ledger = bureau.get("auditor", "/ledger?limit=1&sort=-at_stake")
    assert (len(ledger["ledger"]), ledger["total"]) == (1, 1)
    assert bureau.get("auditor", "/ledger?offset=1")["ledger"] == []


def test_one_step_on_many_doubts_names_each_that_is_refused(bureau):
    (case,) = bureau.post("auditor", "/cases/draft", {"month": "2026-03", "institution_id": "H1"})["cases"]
    first, second = case["doubts"]
    bureau.post("auditor", f"/doubts/{first['id']}/confirm")
    wanted = {first["id"]: 2, second["id"]: 1, "no-such": None}
    told = bureau.post("auditor", "/doubts/confirm", {"doubts": wanted})
    assert [(one["id"], one["version"]) for one in told["done"]] == [(second["id"], 2)]
    assert [(one["id"], one.get("guard"), one["status"]) for one in told["refused"]] == [
        (first["id"], "state", 409),
        ("no-such", None, 404),
    ]
    told = bureau.post("auditor", "/doubts/drop", {"doubts": {second["id"]: 1}, "reason": "x"})
    assert [one["guard"] for one in told["refused"]] == ["stale"]
    assert bureau.refused("auditor", "/doubts/confirm", {"doubts": []}) == (422, None)
    assert bureau.refused("auditor", "/doubts/confirm", {"doubts": {"x": "1"}}) == (422, None)
    assert bureau.refused("reviewer", "/doubts/confirm", {"doubts": ["x"]}) == (403, None)
    bureau.post("auditor", f"/cases/{case['id']}/issue")


def test_a_doctor_takes_no_journal_nor_others_files(bureau):
    case = issued(bureau)
    one = f"/doubts/{case['doubts'][1]['id']}"
    file = json.loads(bureau.ask("office-1", "POST", "/attachments", b"%PDF-1.7 others").body)["id"]
    for path in (f"/cases/{case['id']}/journal", f"/cases/{case['id']}/bundle", f"/attachments/{file}"):
        assert bureau.ask("doctor-1", "GET", path).status == 404
        assert bureau.ask("office-2", "GET", path).status == 404
        assert bureau.ask("office-1", "GET", path).status == 200
    bureau.post("office-1", f"{one}/assign", {"doctor": "doctor-1"})
    bureau.post("doctor-1", f"{one}/answer", {"text": "三号机", "attachments": [file]})
    assert bureau.ask("doctor-1", "GET", f"/attachments/{file}").status == 200


def test_what_a_later_audit_says_stands_beside_a_doubt_and_changes_nothing_of_it(bureau):
    case = issued(bureau)
    one = next(doubt for doubt in case["doubts"] if doubt["line_ids"] == ["L2"])
    assert one["newest_audit"] == {"verdict": "contradicted", "lines": {"contradicted": 1}, "clears": False}
    verdicts = schema.verdicts
    with bureau.database.writing() as connection:
        connection.execute(
            sa.update(verdicts)
            .where(verdicts.c.line_id == "L2")
            .values(verdict="supported", reason="billed_late")
        )
    again = bureau.get("auditor", f"/doubts/{one['id']}")
    assert again["newest_audit"] == {"verdict": "supported", "lines": {"supported": 1}, "clears": True}
    kept = ("verdict", "reason", "state", "version", "evidence_sha256")
    assert [again[name] for name in kept] == [one[name] for name in kept]
    listed = bureau.get("office-1", "/doubts?rule_id=line-haemodialysis")["doubts"]
    assert [doubt["newest_audit"]["clears"] for doubt in listed] == [True]


NAMES = (
    "doctor", "to", "period", "decision", "position", "month", "institution_id", "version", "source", "party",
    "degree", "outcome", "reference", "amount",
)  # fmt: skip
LISTS = ("attachments", "members", "line_ids", "doubts")


def long_bodies():
    """Yield bodies in which one text is as long as no name is, and does not get shorter by being packed."""
    text = base64.b64encode(random.Random(17).randbytes(4_500)).decode()
    for body in (
        *({name: text} for name in NAMES),
        *({name: [text]} for name in LISTS),
        {"conflicts": {text: text}},
        {"officers": {text: text}},
        {"doctor": "\0"},
    ):
        yield {"reason": "x", "text": "x", "decision": "uphold", "position": "contest", **body}


@pytest.mark.postgresql
def test_a_text_that_no_index_of_postgresql_takes_is_refused_at_the_door(
    tmp_path, postgresql_server, migrated_database
):
    bureau = Bureau(tmp_path, postgresql_server.new_database(migrated_database))
    case = issued(bureau)
    bureau.post("office-1", f"/cases/{case['id']}/receive")
    doubt = case["doubts"][0]["id"]
    paths = {
        "office-1": (f"/doubts/{doubt}/assign", f"/doubts/{doubt}/submit", "/self-corrections"),
        "auditor": (
            "/cases/draft", f"/doubts/{doubt}/refer", "/doubts/withdraw", "/penalties",
            f"/cases/{case['id']}/panel", f"/patient-questions/{doubt}/calls",
        ),
        "approver": ("/rules/line-haemodialysis/restore",),
        "finance": ("/self-corrections/none/receipt", f"/doubts/{doubt}/deduct"),
    }  # fmt: skip
    answers = {
        (who, path, tuple(body)): bureau.ask(who, "POST", path, body).status
        for body in long_bodies()
        for who, of_them in paths.items()
        for path in of_them
    }
    assert {status for status in answers.values() if status >= 500} == set(), answers
    doors = {
        (path.rpartition("/")[2], fields[-1])
        for (_, path, fields), status in answers.items()
        if status == 422
    }
    assert doors >= {
        ("assign", "doctor"), ("refer", "to"), ("draft", "month"), ("penalties", "source"),
        ("penalties", "doubts"), ("self-corrections", "line_ids"), ("panel", "members"),
        ("panel", "conflicts"), ("calls", "outcome"), ("restore", "version"), ("receipt", "reference"),
        ("deduct", "period"), ("submit", "attachments"),
    }  # fmt: skip
    bureau.database.close()


def test_no_address_of_anything_of_a_case_answers_another_institution(bureau):
    """Every route, with the ids of what there really is: pages, letters, evidence, attachments, steps."""
    case = issued(bureau)
    bureau.post("office-1", f"/cases/{case['id']}/receive")
    doubt = case["doubts"][1]["id"]
    sheet = json.loads(bureau.ask("office-1", "POST", "/attachments", b"%PDF-1.7 a sheet").body)["id"]
    bureau.post("office-1", f"/doubts/{doubt}/assign", {"doctor": "doctor-1"})
    bureau.post("doctor-1", f"/doubts/{doubt}/answer", {"text": "三号机", "attachments": [sheet]})
    real = {
        "case_id": case["id"], "doubt_id": doubt, "attachment_id": sheet, "kind": "letter", "form": "pdf",
        "act": "submit", "penalty_id": "none", "correction_id": "none",
    }  # fmt: skip
    told = (doubt, sheet, case["id"], "三号机", case["doubts"][1]["line_ids"][0] + '"')

    def places():
        for method, path, _ in routes(bureau.app):
            names = set(re.findall(r"\{(\w+)", path))
            if names & {"case_id", "doubt_id", "attachment_id"}:
                yield method, re.sub(r"\{(\w+)(:path)?\}", lambda found: real[found[1]], path)

    async def answers():
        found = []
        for who in ("office-2", "doctor-2"):
            caller = Asking(bureau.app, bureau.people[who])
            for method, path in places():
                answer = await caller.ask(method, path, b"{}", {"content-type": "application/json"})
                shows = [one for one in told if one in answer.text.replace(path, "")]
                if answer.status not in (403, 404, 422) or shows:
                    found.append((who, method, path, answer.status, shows))
        return found

    async def opened():
        office = Asking(bureau.app, bureau.people["office-1"])
        asked = [(path, (await office.ask("GET", path)).status) for way, path in places() if way == "GET"]
        return [path for path, status in asked if status == 200]

    assert asyncio.run(answers()) == []
    assert len(asyncio.run(opened())) >= 9, "its own they open"


def test_summonses_over_the_api_and_for_whom(bureau, monkeypatch):
    share = SimpleNamespace(value=0.33, low=0.23, high=0.46)
    rate = SimpleNamespace(
        call=Call.SUMMON, share=share, counts={RateCategory.PRESENT: 20}, answered=60, threshold=0.6
    )
    monkeypatch.setattr(case_summonses, "rates", lambda *_: [SimpleNamespace(institution_id="H1", rate=rate)])
    asked = {"institution_id": "H1", "first": "2026-01-01", "last": "2026-03-31"}
    assert bureau.refused("auditor", "/summonses", {**asked, "first": "2026-04-31"})[0] == 422
    assert bureau.refused("auditor", "/summonses", {**asked, "first": "2026-04-01"})[0] == 422
    answer = bureau.ask("auditor", "POST", "/summonses", asked)
    assert answer.status == 201
    path = f"/summonses/{json.loads(answer.body)['id']}"
    for who, status in (
        ("office-1", 200), ("reviewer", 200), ("office-2", 404), ("doctor-1", 404), ("admin", 403), ("", 401),
    ):  # fmt: skip
        assert bureau.ask(who, "GET", path).status == status, who
    assert bureau.post("office-1", f"{path}/receive")["state"] == "received"
    assert bureau.post("office-1", f"{path}/answer", {"text": "在放射科"})["issued_by"] is None
    assert bureau.post("reviewer", f"{path}/release", {"reason": "相符"})["decided_by"] == "reviewer"
    assert bureau.get("office-2", "/summonses")["summonses"] == []
    seen = bureau.get("office-1", path)
    assert ("journal" in seen, seen["decided_by"], seen["reason"]) == (False, None, "相符")
    entries = bureau.get("auditor", path)["journal"]
    assert json.loads(entries[-1]["entry"])["act"] == "release"
