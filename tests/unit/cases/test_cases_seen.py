"""What an institution may have of the evidence and journal that speak against it."""

import copy
import io
import zipfile
from dataclasses import replace

import orjson
import pytest
from parts.case_bundle import NOW, a_line_case, evidence_of
from parts.cases import PEOPLE, a_doubt

from renzheng.central.cases import acts, bundle, freezing, journal, judging, records, seen_evidence
from renzheng.central.cases.doubts import Case
from renzheng.central.cases.due import WorkingDays, due_after
from renzheng.central.cases.errors import BundleError
from renzheng.central.cases.guards import Body, Step
from renzheng.contracts import keys

CENTRAL, DEVICE = keys.generate_key(), keys.generate_key()
SECRETS = (
    "elsewhere-2",
    "城东医院",
    "K-elsewhere-2",
    "E-elsewhere-2",
    "inspector-7",
    "P1-elsewhere",
    "V-elsewhere-2",
    "M-elsewhere-2",
    "sum of all",
)
BUREAU = ("auditor", "reviewer", "approver", "finance", "doctor-a", "doctor-b", "doctor-c")


def _row(place, **values):
    return {"institution_id": place, "person_id": "P1", **values}


def a_document():
    """Frozen evidence of one line, with rows of another hospital in every place where one can stand."""
    document, proofs = evidence_of(DEVICE, CENTRAL)
    document = orjson.loads(records.canonical(document))
    line = document["lines"][0]
    attendance = [
        _row("H1", event_id="E", device_id="K1"),
        _row("elsewhere-2", event_id="E-elsewhere-2", device_id="K-elsewhere-2"),
    ]
    checks = [
        _row("H1", check_id="C", inspector_id="inspector-7"),
        _row("elsewhere-2", check_id="C-elsewhere-2"),
    ]
    line["around"] = {
        "line": _row("H1", line_id="L1", fund_amount=None),
        "attendance": attendance,
        "spot_checks": checks,
        "machine_sessions": [_row("elsewhere-2", machine_id="M-elsewhere-2")],
        "coverage": [],
        "leaves": [_row("elsewhere-2")],
        "stays": [_row("elsewhere-2", visit_id="V-elsewhere-2", ward="ward of elsewhere-2")],
        "names": {"H1": "县医院", "elsewhere-2": "城东医院"},
        "days": [{"day": "2026-03-04", "evidence": '["E-elsewhere-2","E"]'}],
    }
    line["verdict"] |= {
        "evidence": ["E", "E-elsewhere-2"],
        "devices": '["K1","K-elsewhere-2"]',
        "ward": "ward of elsewhere-2",
        "institution_id": "H1",
    }
    tables = line["judged"]["tables"]
    tables["attendance"] = [
        _row(
            "elsewhere-2",
            event_id="E-elsewhere-2",
            device_id="K-elsewhere-2",
            event_type="sign_in",
            purpose="dialysis",
            occurred_at="2026-03-04T02:00:00Z",
            received_at="2026-03-04T02:00:01Z",
            outcome="match",
            comparison_score=None,
            threshold=None,
            pad="bona_fide",
            witness_id=None,
            session_id=None,
            clock_trusted=True,
        )
    ]
    tables["institutions"].append({"institution_id": "elsewhere-2", "name": "城东医院"})
    tables["person_aliases"] = [{"person_id": "P1-elsewhere", "alias_of": "P1", "since": None}]
    tables["persons"] = [{"person_id": "P1-elsewhere", "sex": None, "birth_date": None, "death_date": None}]
    other = {"device_id": "K-elsewhere-2", "institution_id": "elsewhere-2", "sha256": "f" * 64}
    document["batches"].append({**document["batches"][0], **other})
    document["keys"].append({**document["keys"][0], "device_id": "K-elsewhere-2"})
    document["covered"].append({**document["covered"][0], "device_id": "K-elsewhere-2", "index": 2})
    document["log"].append({**document["log"][0], "device_id": "K-elsewhere-2", "event_id": "E-elsewhere-2"})
    document |= {
        "doubt": "D1",
        "institution_id": "H1",
        "rule": {},
        "line_rules": [],
        "checkpoint": None,
        "run": {"run_id": "run", "summary": {"elsewhere-2": "sum of all"}},
        "finding": {
            "line_ids": ["L1", "V-elsewhere-2"],
            "evidence": ["E", "E-elsewhere-2"],
            "parameters": {"at": "elsewhere-2"},
            "explanation_zh": "同日在城东医院（elsewhere-2）签到",
            "explanation_en": "also at elsewhere-2, not at elsewhere-21",
        },
    }
    return document, proofs


DOCUMENT, PROOFS = a_document()
FROZEN = records.canonical(DOCUMENT)


def test_the_institutions_form_tells_of_nobody_else_and_names_what_was_frozen():
    made = seen_evidence.evidence_for_institution(FROZEN, ["elsewhere-2", "城东医院"])
    assert made == seen_evidence.evidence_for_institution(FROZEN, ["城东医院", "elsewhere-2"])
    assert all(one in FROZEN.decode() for one in SECRETS), "the frozen evidence holds what is looked for"
    text = made.decode()
    assert not [one for one in SECRETS if one in text.replace("elsewhere-21", "")]
    seen = orjson.loads(made)
    assert seen["of"] == freezing.sha256(FROZEN)
    (line,) = seen["lines"]
    assert [one["event_id"] for one in line["around"]["attendance"]] == ["E"]
    assert line["around"]["spot_checks"] == [
        {"institution_id": "H1", "person_id": "P1", "check_id": "C", "inspector_id": None}
    ]
    assert (line["verdict"]["evidence"], line["verdict"]["devices"]) == (["E"], '["K1"]')
    assert seen["finding"]["explanation_en"] == "also at ***, not at elsewhere-21"
    assert [one["event_id"] for one in seen["log"]] == ["E"]
    assert {one["device_id"] for one in (*seen["batches"], *seen["keys"], *seen["covered"])} == {"K1"}


def test_what_rests_on_rows_of_others_says_what_the_rest_comes_to():
    judged = orjson.loads(seen_evidence.evidence_for_institution(FROZEN))["lines"][0]["judged"]
    again = judging.judge_again("H1", "L1", judged)
    assert judged["comes_to"] == {"verdict": again.verdict, "reason": again.reason}
    untouched = copy.deepcopy(DOCUMENT)
    untouched["lines"][0]["judged"] = orjson.loads(records.canonical(evidence_of(DEVICE, CENTRAL)[0]))[
        "lines"
    ][0]["judged"]
    seen = orjson.loads(seen_evidence.evidence_for_institution(records.canonical(untouched)))
    frozen = untouched["lines"][0]["judged"]["comes_to"]
    assert seen["lines"][0]["judged"]["comes_to"] == frozen


def test_evidence_without_rows_to_judge_by_is_shown_too():
    bare = copy.deepcopy(DOCUMENT)
    bare["lines"][0] |= {"around": None, "judged": None, "verdict": None}
    bare |= {"finding": None, "run": None}
    seen = orjson.loads(seen_evidence.evidence_for_institution(records.canonical(bare)))
    assert (seen["log"], seen["finding"], seen["run"]) == ([], None, None)


class Written:
    """A case with its journal: steps are done, and kept as entries."""

    def __init__(self, *doubts):
        self.case = Case("C1", "H1", "2026-03")
        self.doubts = {one.doubt_id: one for one in doubts}
        self.kept = []
        drafted = {"case": records.plain(self.case), "doubts": [records.plain(one) for one in doubts]}
        self.write("auditor", "draft", more=drafted, after=journal.outcome(self.case))

    def write(self, who, act, *, doubt="", body=None, more=None, after):
        previous = self.kept[-1].hash if self.kept else journal.NOTHING
        actor = who if not isinstance(who, str) else replace(PEOPLE[who], ties=frozenset({"tied-elsewhere"}))
        said, number = records.said(body) if body else {}, len(self.kept) + 1
        entry = journal.Entry(number, NOW, actor, act, doubt, said, more or {}, after, previous)
        self.kept.append(journal.keep("C1", entry, CENTRAL))

    def do(self, who, act, doubt_id="D1", more=None, **sent):
        doubt, one, body = self.doubts[doubt_id], acts.ACTS[act], Body(**sent)
        hashed = (more or {}).get("evidence_sha256", doubt.evidence_sha256)
        actor = replace(PEOPLE[who], ties=frozenset({"tied-elsewhere"}))
        step = Step(
            act, one.duty(doubt), one.origins, self.case, doubt, actor, body, NOW, evidence_sha256=hashed
        )
        after = self.doubts[doubt_id] = acts.take(step)
        self.write(who, act, doubt=doubt_id, body=body, more=more, after=journal.outcome(after))

    def panel(self, *members):
        """Seat a panel whose votes are sealed until the last."""
        step = Step(
            "panel",
            "",
            acts.ACTS["vote"].origins,
            self.case,
            self.doubts["D1"],
            PEOPLE["auditor"],
            Body(members=members),
            NOW,
        )
        self.case, seated = acts.panel(step, list(self.doubts.values()))
        self.doubts |= {one.doubt_id: one for one in seated}
        self.write("auditor", "panel", body=Body(members=members), after=journal.outcome(self.case))
        opened, votes = [], []
        for place, who in enumerate(members):
            body, doubt = Body(decision="uphold", reason="同意"), self.doubts["D1"]
            step = Step(
                "vote",
                "panel",
                acts.ACTS["vote"].origins,
                self.case,
                doubt,
                PEOPLE[who],
                body,
                NOW,
                evidence_sha256=doubt.evidence_sha256,
                votes=tuple(votes),
            )
            vote, salt = acts.vote_of(step), f"salt {place}"
            opened.append({"vote": records.plain(vote), "salt": salt})
            votes.append(vote)
            after = self.doubts["D1"] = acts.take(step)
            more = {"sealed": journal.seal(vote, salt)}
            if place == len(members) - 1:
                more["opened"] = opened
            self.write(who, "vote", doubt="D1", more=more, after=journal.outcome(after))


@pytest.fixture(scope="module")
def written():
    """A case of two doubts: one contested up to a panel and referred to the police, one dropped."""
    made = Written(a_doubt(1), a_doubt(2))
    made.do("auditor", "confirm", more={"evidence_sha256": freezing.sha256(FROZEN)}, reason="note of our own")
    made.do("auditor", "drop", "D2", reason="no doubt at all")
    due = due_after(NOW, 10, judging_zone(), WorkingDays())
    told = {"due": {"at": due.at, "explained": due.explained}}
    made.case, sent = acts.issue(made.case, list(made.doubts.values()), PEOPLE["auditor"], NOW, due)
    made.doubts |= {one.doubt_id: one for one in sent}
    made.write("auditor", "issue", more=told, after=journal.outcome(made.case))
    made.case = acts.receive(made.case, PEOPLE["office"], NOW, due)
    made.write(PEOPLE["office"], "receive", more=told, after=journal.outcome(made.case))
    made.do("auditor", "refer", to="police", reason="suspected fraud")
    made.do("office", "submit", position="contest", text="他来过")
    made.do("reviewer", "review", decision="uphold", reason="没有记录")
    made.do("reviewer-2", "review", decision="uphold", reason="同意", medical=True)
    made.panel("doctor-a", "doctor-b", "doctor-c")
    made.do("approver", "finalise", reason="同意合议")
    return made


def judging_zone():
    return a_line_case().zone


def the_file(written, place):
    content = bundle.write_for_institution(
        written.case,
        written.kept,
        {"D1": FROZEN, "D2": b"{}"},
        [CENTRAL],
        PROOFS,
        ["elsewhere-2", "城东医院"],
    )
    place.write_bytes(content)
    return content


def test_the_institutions_file_is_checked_alone_and_names_neither_bureau_people_nor_what_it_is_not_told(
    written, tmp_path
):
    content = the_file(written, tmp_path / "case.zip")
    found = bundle.verify(tmp_path / "case.zip", [CENTRAL])
    assert (found.for_institution, found.withheld, list(found.doubts)) == (True, 2, ["D1"])
    doubt = found.doubts["D1"]
    assert (doubt.state, doubt.amount_fen, doubt.referrals) == ("final", 40_000, ())
    assert [one.stage for one in doubt.opinions] == ["first_review", "re_review", *["panel"] * 3, "final"]
    assert len({one.account for one in doubt.opinions}) == 6, "that they were different people can be seen"
    assert (found.log.entries, found.log.signed, found.log.covered, found.log.left_out) == (1, 1, 1, 0)
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        text = "\n".join(packed.read(name).decode() for name in packed.namelist())
    hidden = (
        *SECRETS,
        "tied-elsewhere",
        "police",
        "fraud",
        "note of our own",
        "no doubt at all",
        "salt 0",
        '"D2',
    )
    assert not [one for one in hidden if one in text.replace("elsewhere-21", "")]
    assert not [one for one in BUREAU if f'"account\\":\\"{one}' in text or f'"account":"{one}' in text]


def test_a_changed_entry_of_the_institutions_file_is_refused(written, tmp_path):
    content = the_file(written, tmp_path / "case.zip")
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        files = {name: packed.read(name) for name in packed.namelist()}
    manifest = orjson.loads(files["manifest.json"])

    def check(name, change):
        """Alter a file and let central sign it: only what stands in it can speak."""
        document = orjson.loads(files[name])
        change(document)
        altered = {**files, name: records.canonical(document)}
        named = {**manifest["files"], name: freezing.sha256(altered[name])}
        altered["manifest.json"] = records.canonical({**manifest, "files": named})
        altered["manifest.jws"] = keys.sign(
            records.canonical({"manifest_sha256": freezing.sha256(altered["manifest.json"])}),
            CENTRAL,
            bundle.KIND,
        )
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w") as packed:
            for one, what in sorted(altered.items()):
                packed.writestr(zipfile.ZipInfo(one, (1980, 1, 1, 0, 0, 0)), what)
        (tmp_path / "altered.zip").write_bytes(made.getvalue())
        with pytest.raises(BundleError) as refused:
            bundle.verify(tmp_path / "altered.zip", [CENTRAL])
        return str(refused.value)

    assert "not signed by central" in check("journal.json", lambda rows: rows.pop(4))
    swapped = check("journal.json", lambda rows: rows[5].update(hash=rows[4]["hash"]))
    assert "not signed by central" in swapped
    whole = next(place for place, one in enumerate(orjson.loads(files["journal.json"])) if "entry" in one)
    changed = check(
        "journal.json",
        lambda rows: rows[whole].update(entry=rows[whole]["entry"].replace('t":"office', 't":"offize')),
    )
    assert "not what was written" in changed
    masked = check(
        "journal.json", lambda rows: rows[-1].update(seen=rows[-1]["seen"].replace(":40000", ":30000"))
    )
    assert "comes to something else" in masked
    assert "not the evidence" in check("evidence/D1.json", lambda of: of.update(of="0" * 64))
    assert "cannot be read" in check("journal.json", lambda rows: rows[0].update(more="x"))
