"""What authors and regions do with rules: the page's rule, regions, switches, levels, signatures."""

import datetime as dt
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from renzheng.central.audit.duckdb_engine import SPILLS, DuckDBEngine
from renzheng.central.audit.errors import AuditUsageError
from renzheng.central.audit.findings import MOST_FINDINGS, MOST_MEGABYTES, find
from renzheng.central.audit.readback import read_findings, read_summary
from renzheng.central.audit.request import RULE_SECONDS, AuditRequest
from renzheng.central.audit.rule_examples import check_examples, write_tables
from renzheng.central.audit.rule_tables import misfits, readable_tables
from renzheng.central.audit.rulebook import bureau_keys, readable
from renzheng.central.audit.rules_command import app
from renzheng.central.audit.run import run_audit
from renzheng.central.settings import read_settings
from renzheng.contracts import keys
from renzheng.rules.dialect import offences
from renzheng.rules.docs import write_tables_page
from renzheng.rules.errors import RulePackError, UnsignedPackError
from renzheng.rules.examples import cases
from renzheng.rules.pack import NATIONAL, load_pack

DOCS = Path(__file__).parents[3] / "docs"
FIRST, LAST = dt.date(2026, 3, 1), dt.date(2026, 3, 31)
REGION = "371121"
runner = CliRunner()


def first_rule():
    (text,) = re.findall(r"```sql\n(.*?)```", (DOCS / "first-rule.md").read_text(encoding="utf-8"), re.DOTALL)
    return text


def region_yaml():
    (text,) = re.findall(
        r"```yaml\n(.*?)```", (DOCS / "first-rule.md").read_text(encoding="utf-8"), re.DOTALL
    )
    return text


@pytest.fixture
def own(tmp_path):
    """A region's pack as the page has it, with the page's rule as its own."""
    folder = tmp_path / "own"
    (folder / "regions" / REGION / "knowledge").mkdir(parents=True)
    (folder / "regions" / f"{REGION}.yaml").write_text(region_yaml(), encoding="utf-8")
    rule = folder / "regions" / REGION / "twice-in-two-hours.sql"
    rule.write_text(first_rule(), encoding="utf-8")
    return folder


@pytest.fixture
def few(own):
    """The region's pack with those national rules alone that it says something of: an audit runs no other."""
    (own / "national").mkdir()
    for name in ("weekly-cap", "manual-share", "in-bed-rate"):
        shutil.copy(NATIONAL / f"{name}.sql", own / "national")
    return own


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables") / "t"
    pack = load_pack()
    write_tables(folder, list(cases([pack.rules[name] for name in ("weekly-cap", "manual-share")])))
    return folder


@pytest.fixture(scope="module")
def readable_now():
    """The tables that a rule of the national pack may read, asked of the engine once."""
    return readable_tables(load_pack().for_region(None))


def audited(tables, out, **asked):
    return run_audit(AuditRequest(tables, FIRST, LAST, out, **asked)).summary


def test_the_page_of_the_first_rule_is_true(tmp_path):
    path = tmp_path / "twice-in-two-hours.sql"
    path.write_text(first_rule(), encoding="utf-8")
    assert runner.invoke(app, ["check", str(path)]).exit_code == 0
    pack = load_pack(path)
    assert set(pack.rules) > set(load_pack().rules)
    outcomes = check_examples(pack, rules=path, only=["twice-in-two-hours"])
    assert [one.problems for one in outcomes] == [(), ()]


def test_the_page_of_tables_is_true(readable_now):
    page = (DOCS / "rules-tables.md").read_text(encoding="utf-8")
    assert page == write_tables_page(readable_now), "renzheng rules docs"


def test_tables_are_printed_for_people_and_programs(readable_now, monkeypatch):
    monkeypatch.setattr("renzheng.central.audit.rules_command.readable_tables", lambda _: readable_now)
    (table,) = json.loads(runner.invoke(app, ["tables", "billed_lines", "--json"]).stdout)
    assert {"institution_id", "line_id", "service_day"} <= {one["name"] for one in table["columns"]}
    assert "claim_lines" in runner.invoke(app, ["tables"]).stdout
    assert runner.invoke(app, ["tables", "salaries"]).exit_code != 0


def test_a_file_with_the_id_of_a_national_rule_takes_its_place(tmp_path):
    text = (NATIONAL / "weekly-cap.sql").read_text(encoding="utf-8")
    (tmp_path / "weekly-cap.sql").write_text(text.replace("level: medium", "level: low"), encoding="utf-8")
    pack = load_pack(tmp_path / "weekly-cap.sql")
    assert pack.rules["weekly-cap"].header.level == "low"
    assert set(pack.rules) == set(load_pack().rules)


def test_a_regions_own_rule_runs_in_that_region_only(own):
    pack = load_pack(own)
    assert "twice-in-two-hours" not in {rule.id for rule in pack.for_region(None).active}
    assert "twice-in-two-hours" in {rule.id for rule in pack.for_region(REGION).active}
    outcomes = check_examples(pack, rules=own, only=["twice-in-two-hours"])
    assert [one.problems for one in outcomes] == [(), ()]


def test_switch_level_and_hashes_of_a_region_are_in_the_result(few, tables, tmp_path):
    plain, summary = (
        audited(tables, tmp_path / "plain", rules=few),
        audited(tables, tmp_path / "own", rules=few, region=REGION),
    )
    assert plain["findings"]["weekly-cap"] > 0
    assert plain["switched_off"] == []
    assert summary["findings"]["weekly-cap"] == 0
    assert [(one["rule_id"], one["from"]) for one in summary["switched_off"]] == [
        ("weekly-cap", "2026-03-01")
    ]
    assert summary["switched_off"][0]["reason_zh"] == "支付政策过渡期"
    found = [one for one in read_findings(tmp_path / "own") if one.rule_id == "manual-share"]
    assert {one.severity for one in found} == {"high"}
    pack = load_pack(few)
    assert {one.parameters["pack_hash"] for one in found} == {pack.content_hash}
    assert {one.parameters["region_pack_hash"] for one in found} == {pack.regions[REGION].content_hash}


def test_a_switch_holds_for_its_days_only(few, tables, tmp_path):
    path = few / "regions" / f"{REGION}.yaml"
    path.write_text(region_yaml().replace("2026-06-30", "2026-03-01"), encoding="utf-8")
    summary = audited(tables, tmp_path / "out", rules=few, region=REGION)
    assert summary["findings"]["weekly-cap"] > 0
    assert summary["switched_off"][0]["to"] == "2026-03-01"


@pytest.mark.parametrize(
    ("caps", "found"),
    [
        ("haemodialysis,week,5,,,,the county's cap", False),
        ("haemodialysis,week,5,,2026-04-01,,not yet", True),
        ("haemodialysis,week,5,,,2026-02-28,no more", True),
        ("haemodialysis,week,5,110000,,,another region's", True),
        ("haemodialysis,week,,,,,no cap here", False),
    ],
)
def test_knowledge_of_a_region_holds_there_on_its_days(few, tables, tmp_path, caps, found):
    (few / "regions" / f"{REGION}.yaml").write_text(region_yaml().split("rules:")[0], encoding="utf-8")
    head = "item_class,period,most,region_code,valid_from,valid_to,reference"
    table = few / "regions" / REGION / "knowledge" / "caps.csv"
    table.write_text(f"{head}\n{caps}\n", encoding="utf-8")
    summary = audited(tables, tmp_path / "out", rules=few, region=REGION)
    assert bool(summary["findings"]["weekly-cap"]) is found


@pytest.mark.parametrize(
    ("swap", "problem"),
    [
        (("weekly-cap:", "no-such-rule:"), "there is no rule no-such-rule"),
        (("weekly-cap:", "line-bed-day:"), "line-bed-day cannot be switched off"),
        (('region: "371121"', 'region: "110000"'), "they must agree"),
        (("to: 2026-06-30", "to: 2025-06-30"), "before"),
        ((", reason: {zh: 支付政策过渡期, en: the payment policy changes}", ""), "reason"),
        (("title:", "title: *a\nother:"), "aliases"),
        (("rules:\n", "rules: {}\nrules:\n"), "comes twice"),
    ],
)
def test_a_regions_file_that_makes_no_sense_is_refused(own, swap, problem):
    text = region_yaml()
    assert swap[0] in text
    (own / "regions" / f"{REGION}.yaml").write_text(text.replace(*swap, 1), encoding="utf-8")
    with pytest.raises(RulePackError, match=problem):
        load_pack(own)


def test_a_region_without_a_file_is_an_error(tables, tmp_path):
    with pytest.raises(AuditUsageError, match="no file for region 990000"):
        audited(tables, tmp_path / "out", region="990000")


@pytest.fixture
def pair(tmp_path):
    """A bureau's key as openssl makes it, and its public half."""
    private, public = tmp_path / "bureau.pem", tmp_path / "bureau.pub.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", private], check=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
    return private, public


def signed(own, private):
    for path in (own / "regions" / REGION, own):
        assert runner.invoke(app, ["sign", str(path), "--key", str(private)]).exit_code == 0


def test_what_the_bureau_signed_runs(few, pair, tables, tmp_path):
    signed(few, pair[0])
    summary = audited(tables, tmp_path / "out", rules=few, region=REGION, rules_key=pair[1])
    assert summary["packs"]["region_signed"] == "yes"
    assert runner.invoke(app, ["check", str(few), "--rules-key", str(pair[1])]).exit_code == 0


def change(own):
    rule = own / "regions" / REGION / "twice-in-two-hours.sql"
    rule.write_text(rule.read_text(encoding="utf-8").replace("120", "121"), encoding="utf-8")


def add(own):
    (own / "regions" / REGION / "knowledge" / "notes.txt").write_text("more", encoding="utf-8")


def take_away(own):
    (own / "regions" / REGION / "twice-in-two-hours.sql").unlink()


def garble(own):
    (own / "regions" / f"{REGION}.jws").write_bytes(b"not an envelope")


def leave_unsigned(own):
    (own / "regions" / f"{REGION}.jws").unlink()


@pytest.mark.parametrize("attack", [change, add, take_away, garble, leave_unsigned])
def test_what_the_bureau_did_not_sign_is_refused(own, pair, attack):
    signed(own, pair[0])
    attack(own)
    with pytest.raises(UnsignedPackError):
        load_pack(own).regions[REGION].require_signature(bureau_keys(pair[1]))


def test_another_key_signs_nothing(own, pair):
    signed(own, pair[0])
    with pytest.raises(UnsignedPackError, match="does not name"):
        load_pack(own).regions[REGION].require_signature([keys.generate_key()])


def test_the_signature_of_a_region_is_none_of_another_one(own, pair):
    signed(own, pair[0])
    other = own / "regions" / "110000.yaml"
    other.write_text(region_yaml().replace(REGION, "110000"), encoding="utf-8")
    other.with_suffix(".jws").write_bytes((own / "regions" / f"{REGION}.jws").read_bytes())
    with pytest.raises(UnsignedPackError):
        load_pack(own).regions["110000"].require_signature(bureau_keys(pair[1]))


def test_a_pack_needs_its_own_signature(own, pair):
    signed(own, pair[0])
    known = bureau_keys(pair[1])
    assert load_pack(own).require_signature(known)
    (own / "pack.jws").unlink()
    with pytest.raises(UnsignedPackError):
        load_pack(own).require_signature(known)


def test_the_audit_asks_for_the_signature(own, pair, tables, tmp_path):
    with pytest.raises(UnsignedPackError):
        audited(tables, tmp_path / "out", rules=own, region=REGION, rules_key=pair[1])
    with pytest.raises(UnsignedPackError):
        audited(tables, tmp_path / "out", region=REGION, rules_key=pair[1])


def test_the_key_and_the_limits_are_in_the_settings(tmp_path):
    path = tmp_path / "central.toml"
    path.write_text(
        'data_dir = "data"\n[audit]\nrules_key_file = "bureau.pub.pem"\nrule_seconds = 60\n', encoding="utf-8"
    )
    asked = read_settings(path).audit
    assert asked.rules_key_file == tmp_path / "bureau.pub.pem"
    assert asked.rule_seconds == 60


def own_rule(name, *swaps):
    """The page's rule under another id, and with other words in it."""
    text = first_rule().replace("id: twice-in-two-hours", f"id: {name}")
    for old, new in swaps:
        assert old in text
        text = text.replace(old, new)
    return text


COPIES = [f"claim_lines c{number}" for number in range(8)]
SUM = " + ".join(f"c{number}.amount" for number in range(8))
EVERY_PAIR = ("b.service_time > a.service_time", "1 = 1")
RUNAWAY = own_rule(
    "runaway",
    (
        "FROM dialysis_lines a\n",
        f"FROM (SELECT sum({SUM}) AS n FROM {', '.join(COPIES)}) z\nJOIN dialysis_lines a ON z.n > 0\n",
    ),
)
MANY = ", ".join(f"claim_lines c{number}" for number in range(5))
IDS = " || ".join(f"c{number}.line_id" for number in range(5))
GREEDY = own_rule(
    "greedy",
    EVERY_PAIR,
    (
        "  (b.service_time - a.service_time) // 60000000 AS minutes\n",
        f"  (SELECT count(*) FROM (SELECT DISTINCT {IDS} AS k FROM {MANY}) z) AS minutes\n",
    ),
)
BULKY = own_rule(
    "bulky",
    EVERY_PAIR,
    (
        "[a.line_id, b.line_id] AS line_ids",
        "(SELECT array_agg(c0.line_id) FROM claim_lines c0, claim_lines c1, claim_lines c2) AS line_ids",
    ),
)
OF_NOBODY = own_rule(
    "of-nobody",
    ("  a.institution_id,\n", "  CAST(NULL AS VARCHAR) AS institution_id,\n"),
    ("a.line_id <> b.line_id", "1 = 1"),
    ("> a.s", ">= a.s"),
)
TROUBLE = {
    "runaway": "stopped after 1 seconds",
    "greedy": "needs more memory",
    "bulky": "takes more than 1 MB",
    "of-nobody": "has no institution_id",
}


@pytest.fixture(scope="module")
def troubled(tables, tmp_path_factory):
    """A night's result with four rules that fail, each in its own way, and a national one."""
    folder = tmp_path_factory.mktemp("troubled")
    rules = folder / "rules"
    rules.mkdir()
    shutil.copy(NATIONAL / "weekly-cap.sql", rules)
    for name, text in zip(TROUBLE, (RUNAWAY, GREEDY, BULKY, OF_NOBODY), strict=True):
        (rules / f"{name}.sql").write_text(text, encoding="utf-8")

    def soon(engine, rule, pack, *, seconds, **asked):
        """Only the rule that never ends is short of time, however busy the machine is."""
        return find(engine, rule, pack, seconds=1 if rule.id == "runaway" else seconds, **asked)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("renzheng.central.audit.findings.MOST_MEGABYTES", 1)
        patch.setattr("renzheng.central.audit.run.find", soon)
        summary = audited(tables, folder / "out", rules=rules, memory_limit="150MB", threads=1)
    return summary, folder / "out"


@pytest.mark.parametrize("name", TROUBLE)
def test_a_rule_that_cannot_be_run_to_its_end_is_named(troubled, name):
    summary, _ = troubled
    assert set(summary["failed_rules"]) == set(TROUBLE)
    assert TROUBLE[name] in summary["failed_rules"][name]


def test_beside_rules_that_fail_the_others_are_complete(troubled):
    summary, out = troubled
    assert summary["findings"]["weekly-cap"] > 0
    assert read_summary(out)["failed_rules"] == summary["failed_rules"]
    assert {one.rule_id for one in read_findings(out)} == {"weekly-cap"}


def test_a_rules_room_on_the_disk_is_given_back(tmp_path):
    with DuckDBEngine(tmp_path, memory_limit="100MB", threads=1) as engine:
        shown = "SELECT current_setting('max_temp_directory_size') AS room"
        room = engine.rows(shown).to_pylist()
        with engine.limited(60):
            assert engine.rows(shown).to_pylist() == [{"room": "190.5 MiB"}]
        assert engine.rows(shown).to_pylist() == room


def test_what_was_not_taken_can_be_read_by_a_rule(readable_now, tmp_path):
    for name in ("broken_rows", "coded_lines", "refused_lines", "rejects"):
        (found,) = (one for one in readable_now if one.name == name)
        assert found.purpose
        assert not list(offences(found.example, readable()))
        counted = f"(SELECT count(*) FROM ({found.example}) z) AS minutes"
        rule = f"reads-{name.replace('_', '-')}"
        text = own_rule(rule, ("(b.service_time - a.service_time) // 60000000 AS minutes", counted))
        (tmp_path / f"{rule}.sql").write_text(text, encoding="utf-8")
    pack = load_pack(tmp_path)
    assert len(pack.active) == 4
    assert misfits(pack.for_region(None)) == []


@pytest.mark.parametrize(
    ("swap", "problem"),
    [
        (("{minutes} minutes", "{minutes.__class__} minutes"), "no other braces"),
        (("{minutes} minutes", "{minutes:>999999999} minutes"), "no other braces"),
        (("value: 120", "value: 1e999999"), "less than"),
        (("value: 120", "value: .nan"), "finite"),
        (("fewest_minutes:", "Fewest:"), "pattern"),
        (("{line_id: L1,", "{repeat: 1000000000, line_id: L1,"), "whole number"),
        (("level: medium", "level: medium\nlevel: low"), "comes twice"),
        (("stage: after", "stage: aft\u200ber"), "nobody sees"),
    ],
)
def test_a_header_that_is_a_trap_is_refused(tmp_path, swap, problem):
    assert swap[0] in first_rule()
    path = tmp_path / "twice-in-two-hours.sql"
    path.write_text(first_rule().replace(*swap, 1), encoding="utf-8")
    with pytest.raises(RulePackError, match=problem):
        load_pack(path)


def test_the_page_tells_the_limits():
    page = (DOCS / "first-rule.md").read_text(encoding="utf-8")
    assert f"{MOST_FINDINGS:,}" in page
    assert f"{MOST_MEGABYTES} MB" in page
    assert f"{RULE_SECONDS:.0f} seconds" in page
    assert f"{SPILLS} times the memory limit" in page
