"""`renzheng audit explain` and `score`, a backtest, and the benchmark's rivals."""

import datetime as dt
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from parts.audit_tables import few_rules
from typer.testing import CliRunner

from renzheng.bench.audit.command import Limit, measure
from renzheng.bench.audit.lake import write_lake
from renzheng.bench.audit.rivals import by_pandas, by_sqlite
from renzheng.central.audit.backtest import RuleChange, backtest
from renzheng.central.audit.command import app
from renzheng.central.audit.readback import read_verdicts
from renzheng.central.audit.request import AuditRequest
from renzheng.central.audit.rule_examples import write_tables
from renzheng.central.audit.run import run_audit
from renzheng.central.audit.score import share_of
from renzheng.central.audit.steps import COMPUTED, STEPS, last_uses, read_step
from renzheng.rules.dialect import offences
from renzheng.rules.examples import cases
from renzheng.rules.pack import NATIONAL, load_pack

runner = CliRunner()
FIRST, LAST = dt.date(2026, 3, 1), dt.date(2026, 3, 31)


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    folder = tmp_path_factory.mktemp("audited")
    write_tables(folder / "tables", list(cases(list(load_pack().rules.values()))))
    run_audit(AuditRequest(folder / "tables", FIRST, LAST, folder / "out", only=["weekly-cap"]))
    return folder


@pytest.mark.parametrize("name", STEPS)
def test_every_step_keeps_to_the_dialect_and_says_what_it_is_for(name):
    step = read_step(name, load_pack())
    assert step.purpose
    if name not in COMPUTED:
        assert list(offences(step.sql)) == []


def test_explain_prints_steps_for_either_engine():
    names = runner.invoke(app, ["explain", "--names"]).stdout.split()
    assert names[: len(STEPS)] == list(STEPS)
    assert "weekly-cap" in names
    assert "ANTI JOIN" in runner.invoke(app, ["explain", "bed_unseen"]).stdout
    assert "DIV" in runner.invoke(app, ["explain", "session_machines", "--engine", "spark"]).stdout
    assert runner.invoke(app, ["explain", "nonsense"]).exit_code != 0


def test_a_table_that_a_rule_reads_is_not_let_go_of(tmp_path):
    text = (NATIONAL / "leave-after-draw.sql").read_text(encoding="utf-8")
    assert "session_choices" in {used for gone in last_uses(load_pack()).values() for used in gone}
    rule = text.replace(
        "GROUP BY c.institution_id",
        "AND c.check_id NOT IN (SELECT line_id FROM session_choices)\nGROUP BY c.institution_id",
    )
    (tmp_path / "leave-after-draw.sql").write_text(rule, encoding="utf-8")
    kept = load_pack(tmp_path)
    assert "session_choices" not in {used for gone in last_uses(kept).values() for used in gone}


def test_score(audited, tmp_path):
    told = list(read_verdicts(audited / "out"))
    accused = [one for one in told if one.verdict == "contradicted"]
    truth = [
        {
            "institution_id": one.institution_id,
            "line_id": one.line_id,
            "truth": "phantom_dialysis" if one.verdict == "contradicted" and one != accused[0] else "genuine",
            "allows": one.verdict if one != told[-1] else "supported",
        }
        for one in told
    ]
    truth.append(
        {"institution_id": "unknown", "line_id": "unknown", "truth": "genuine", "allows": "supported"}
    )
    pq.write_table(pa.Table.from_pylist(truth), tmp_path / "truth.parquet")
    call = ["score", "--verdicts", str(audited / "out"), "--truth", str(tmp_path / "truth.parquet"), "--json"]
    figures = json.loads(runner.invoke(app, call).stdout)
    assert figures["false_accusation"]["hits"] == 1
    assert figures["false_accusation"]["trials"] == len(told) - len(accused) + 1
    assert figures["kinds"]["phantom_dialysis"]["allowed"]["share"] == 1
    assert float(figures["kinds"]["phantom_dialysis"]["yuan_found"]) > 0
    assert figures["without_verdict"] == 1
    assert 0 < figures["insufficient"]["coverage_gap"] < 1


def test_the_interval_is_wilsons():
    # Wilson 1927 for 0 of 100 and 10 of 100, as in Newcombe 1998
    assert share_of(0, 100).high == pytest.approx(0.0370, abs=1e-4)
    assert (share_of(10, 100).low, share_of(10, 100).high) == pytest.approx((0.0552, 0.1744), abs=1e-4)
    assert share_of(0, 0).share is None
    assert (share_of(0, 0).low, share_of(0, 0).high) == (0, 1)


def test_backtest_says_what_would_change(audited, tmp_path):
    text = (NATIONAL / "weekly-cap.sql").read_text(encoding="utf-8")
    changed = tmp_path / "pack"
    changed.mkdir()
    (changed / "weekly-cap.sql").write_text(
        text.replace("HAVING s.billed > max(c.most)", "HAVING s.billed > max(c.most) + 2"), encoding="utf-8"
    )
    lines = [one.line_id for one in read_verdicts(audited / "out") if one.verdict == "contradicted"]
    (tmp_path / "cases.csv").write_text(
        f"id,decision\n{lines[0]},upheld\nnobody,overturned\n", encoding="utf-8"
    )
    so_far = few_rules(tmp_path / "so-far", "weekly-cap", "manual-share")
    request = AuditRequest(audited / "tables", FIRST, LAST, tmp_path / "unused", rules=so_far)
    result = backtest(request, changed, tmp_path / "cases.csv")
    (cap,) = [one for one in result.rules if one.rule_id == "weekly-cap"]
    assert (cap.gained, cap.lost > 0) == (0, True)
    assert RuleChange("line-bed-day", 0, 0, 0) in result.rules
    assert result.verdicts == {}
    assert result.cases == {("upheld", "found"): 1, ("overturned", "not found"): 1}
    assert not (tmp_path / "unused").exists()


def test_the_rivals_of_the_benchmark_say_what_the_audit_says(tmp_path):
    write_lake(tmp_path / "lake", 4000)
    first, last = dt.date(2026, 3, 2), dt.date(2026, 3, 8)
    run_audit(AuditRequest(tmp_path / "lake", first, last, tmp_path / "out", only=["weekly-cap"]))
    expected = {one.line_id: one.reason for one in read_verdicts(tmp_path / "out")}
    assert len(set(expected.values())) >= 4
    for rival in (by_sqlite, by_pandas):
        table = rival(tmp_path / "lake")
        found = dict(zip(table["line_id"].to_pylist(), table["reason"].to_pylist(), strict=True))
        assert found == expected


# `long`: a measurement on the side
@pytest.mark.long
def test_a_rival_beyond_a_limit_is_reported_as_not_finished():
    told = []
    runs = measure([500], [500], Limit(seconds=600, gigabytes=0.001), None, told.append)
    assert [(one.who, one.finished, one.stopped_by) for one in runs] == [
        ("renzheng (DuckDB)", True, None),
        ("pandas", False, "memory"),
        ("sqlite", False, "memory"),
    ]
    assert "dialysis_sessions" in runs[0].step_seconds
    assert any("stopped by memory" in line for line in told)
