"""Every rule against its own worked examples, and the commands around rules."""

import pytest
from parts.language import wrong_signs, wrong_words
from typer.testing import CliRunner

from renzheng.central.audit.rule_examples import check_examples, known_codes, run_cases
from renzheng.central.audit.rules_command import app
from renzheng.rules.examples import cases
from renzheng.rules.pack import NATIONAL, load_pack

KNOWN_CODES = known_codes(load_pack())


@pytest.fixture(scope="module")
def outcomes():
    return {outcome.case.prefix: outcome for outcome in check_examples(load_pack())}


PREFIXES = [
    f"{rule.id}.{number}{twin}"
    for rule in load_pack().rules.values()
    for number, example in enumerate(rule.header.examples)
    for twin in ("a", "b" if example.neighbour else "")
    if twin
]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_example(outcomes, prefix):
    assert outcomes[prefix].problems == ()


def test_an_explanation_is_in_one_language(outcomes):
    found = {
        (one.explanation_zh, one.explanation_en): frozenset(
            texts_of(outcome.case.rows) | {one.institution_id}
        )
        for outcome in outcomes.values()
        for one in outcome.findings
    }
    assert len(found) > 100
    wrong = [(zh, wrong_words(zh) + wrong_signs(zh, ids=ids)) for (zh, _), ids in found.items()]
    assert [(zh, problems) for zh, problems in wrong if problems] == []
    assert [en for _, en in found if "(s)" in en or "_" in en.replace("~", "")] == []


def texts_of(tables):
    """Return every text of a case's rows: its ids and names."""
    return {
        value for rows in tables.values() for row in rows for value in row.values() if isinstance(value, str)
    }


def test_a_rule_that_finds_too_little_fails_its_example(tmp_path):
    text = (NATIONAL / "weekly-cap.sql").read_text(encoding="utf-8")
    (tmp_path / "weekly-cap.sql").write_text(
        text.replace("HAVING s.billed > max(c.most)", "HAVING s.billed > max(c.most) + 1"), encoding="utf-8"
    )
    wrong = [one for one in check_examples(load_pack(tmp_path), rules=tmp_path) if one.problems]
    assert [one.case.prefix for one in wrong] == ["weekly-cap.0a", "weekly-cap.1a", "weekly-cap.2a"]


def test_a_rule_that_finds_too_much_fails_its_neighbour(tmp_path):
    text = (NATIONAL / "weekly-cap.sql").read_text(encoding="utf-8")
    (tmp_path / "weekly-cap.sql").write_text(
        text.replace("s.billed > max(c.most)", "s.billed >= max(c.most)").replace(
            "so_far > most", "so_far >= most"
        ),
        encoding="utf-8",
    )
    wrong = [one for one in check_examples(load_pack(tmp_path), rules=tmp_path) if one.problems]
    assert [one.case.prefix for one in wrong] == ["weekly-cap.0b", "weekly-cap.1a", "weekly-cap.1b"]


def test_commands():
    runner = CliRunner()
    assert "no problem" in runner.invoke(app, ["check"]).stdout
    assert "0 wrong" in runner.invoke(app, ["test", "--engine", "duckdb", "--rule", "weekly-cap"]).stdout
    assert "sha256" in runner.invoke(app, ["show", "weekly-cap"]).stdout
    assert runner.invoke(app, ["docs", "--check", "--out", "docs/rules.md"]).exit_code == 0


# each example is in one of the halves, and beside it every one of the other half is away
@pytest.mark.parametrize("half", [0, pytest.param(1, marks=pytest.mark.long)])
def test_no_example_sees_another_one(outcomes, half):
    laid_out = list(cases(list(load_pack().rules.values()), KNOWN_CODES))[half::2]
    alone = {outcome.case.prefix: outcome.problems for outcome in run_cases(laid_out)}
    assert alone == {prefix: outcomes[prefix].problems for prefix in alone}


def test_peers_of_an_example_are_its_own_institutions():
    rows = [
        row for case in cases(list(load_pack().rules.values())) for row in case.rows.get("institutions", ())
    ]
    assert all(row["region_code"].split("~")[0] == row["institution_id"].split("~")[0] for row in rows)
