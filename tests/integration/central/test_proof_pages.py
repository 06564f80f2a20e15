"""Pages of a line and of a finding show their proof, in one language."""

import html
import re
import urllib.parse
from dataclasses import replace
from datetime import timedelta

import orjson
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from parts.audited import ZONE, audited_console
from parts.cases import a_doubt
from parts.language import wrong_words

from renzheng.bench.simulate.county import FIRST_DAY, simulate_county
from renzheng.central.cases import freezing
from renzheng.central.cases.doubts import Billed
from renzheng.central.cases.judging import judge_again
from renzheng.central.store import schema
from renzheng.central.texts import texts
from renzheng.rules.pack import load_pack

DAYS = 20
UNIX_TIME = re.compile(r"@\d{9,}")


@pytest.fixture(scope="module")
def county(tmp_path_factory):
    """A console over three weeks of a small county."""
    folder = tmp_path_factory.mktemp("proof")
    simulate_county(5, DAYS, folder / "run" / "tables", people=400, evasions=True)
    days = FIRST_DAY, FIRST_DAY + timedelta(days=DAYS - 1)
    with audited_console(folder / "store", folder / "run", days) as console:
        made = folder / "run" / "result"
        console.findings = pq.read_table(made / "findings.parquet").to_pylist()
        console.verdicts = pq.read_table(made / "line_verdicts.parquet").to_pylist()
        yield console


def one_of_each(rows, *keys):
    return {tuple(row[key] for key in keys): row for row in reversed(rows)}.values()


def read(console, path):
    status, page = console.get(path)
    assert status == 200, path
    assert not UNIX_TIME.search(page), path
    return page


def words_of(page):
    """Return what is read of a page: no tags, no addresses."""
    return html.unescape(re.sub(r"<[^>]+>", " ", page.split("<main", 1)[1]))


def address(row, **more):
    named = {"institution": row["institution_id"], "lang": "zh", **more}
    return f"/lines/{urllib.parse.quote(row['line_id'])}?{urllib.parse.urlencode(named)}"


def test_a_finding_shows_rule_basis_known_errors_and_evidence(county):
    findings = list(one_of_each(county.findings, "rule_id"))
    assert len(findings) >= 8
    for row in findings:
        head = load_pack().rules[row["rule_id"]].header
        for language in ("zh", "en"):
            page = html.unescape(read(county, f"/findings/{row['finding_id']}?lang={language}"))
            other = row["explanation_en" if language == "zh" else "explanation_zh"]
            assert row[f"explanation_{language}"] in page
            assert other not in page
            assert getattr(head.title, language) in page
            assert all(getattr(one, language) in page for one in head.known_false_positives)
            assert texts(language)("no_punishment") in page
            assert not re.search(r'\{"|"\]', words_of(page)), "no JSON"
            if language == "zh":
                assert wrong_words(words_of(page)) == []


def test_every_kind_of_evidence_is_resolved(county):
    named = [row for row in county.findings if row["evidence"]]
    assert named
    for row in one_of_each(named, "rule_id"):
        text = words_of(read(county, f"/findings/{row['finding_id']}?lang=zh"))
        assert texts("zh")("cited.finding") in text or texts("zh")("group.persons") in text, row["rule_id"]


def test_a_line_says_what_would_change_it(county):
    reproduced = 0
    lines = list(one_of_each(county.verdicts, "rule_id", "verdict", "reason"))
    assert len(lines) > 12
    for row in lines:
        page = read(county, address(row))
        assert wrong_words(words_of(page)) == []
        assert 'data-part="/what-if' in page
        named = {"line": row["line_id"], "institution": row["institution_id"], "part": 1, "lang": "zh"}
        part = read(county, f"/what-if?{urllib.parse.urlencode(named)}&x=<main")
        reproduced += texts("zh")("what_if.unknown") not in part
    assert reproduced > len(lines) * 0.8


def test_what_is_not_there_is_answered_so(county):
    assert county.get("/what-if?line=none&institution=none")[0] == 404
    assert county.get("/findings/none")[0] == 404


def test_contradicted_lines_are_judged_again_from_what_a_case_freezes(county):
    again = {}
    rules = load_pack()
    lines = [row for row in county.verdicts if row["verdict"] == "contradicted"]
    with county.database.reading() as connection:
        run = connection.execute(sa.select(schema.audit_runs.c.run_id)).scalar_one()
        for row in one_of_each(lines, "rule_id", "reason"):
            doubt = replace(
                a_doubt(), institution_id=row["institution_id"], rule_id=row["rule_id"], run_id=run,
                rule_version=row["rule_version"], lines=(Billed(row["line_id"], 1),),
            )  # fmt: skip
            frozen = orjson.loads(freezing.freeze(connection, doubt, rules, ZONE).evidence)
            (line,) = frozen["lines"]
            assert line["judged"]["parameters"]
            again[row["reason"]] = judge_again(row["institution_id"], row["line_id"], line["judged"])
            assert again[row["reason"]].verdict == line["judged"]["comes_to"]["verdict"]
    assert len(again) > 3
    assert sum(one.verdict == "contradicted" and one.reason == reason for reason, one in again.items()) > (
        len(again) * 0.8
    )
