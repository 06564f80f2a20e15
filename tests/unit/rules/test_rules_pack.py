"""Rule packs: what loads, what is refused and where, what a parameter is worth on a day."""

import datetime as dt
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from renzheng.rules import dialect, syntax
from renzheng.rules.dialect import bound, offences, placeholders, write_readings
from renzheng.rules.docs import write_docs
from renzheng.rules.errors import RulePackError
from renzheng.rules.examples import expand
from renzheng.rules.header import DatedValue
from renzheng.rules.pack import NATIONAL, load_pack
from renzheng.rules.parameters import resolve, segments
from renzheng.rules.reading import as_text, read_yaml
from renzheng.rules.syntax import parse

FIRST_PACK = {
    "overlapping-stays",
    "dialysis-during-stay-elsewhere",
    "machine-capacity",
    "weekly-cap",
    "monthly-cap",
    "beyond-prescription",
    "in-bed-rate",
    "manual-share",
    "one-witness",
    "sign-in-burst",
    "sign-in-far-from-machine",
    "leave-after-draw",
    "sex-limited-item",
    "age-limited-item",
    "traceability-twice",
    "medicine-beyond-pack",
    "medicine-expired",
    "medicine-other-product",
    "medicine-self-paid-then-fund",
    "medicine-sold-before-bought",
    "medicine-two-places",
    "medicine-unscanned",
    "claims-after-death",
    "line-haemodialysis",
    "line-bed-day",
}


def changed(folder, name, *swaps):
    text = (NATIONAL / f"{name}.sql").read_text(encoding="utf-8")
    for old, new in swaps:
        assert old in text
        text = text.replace(old, new)
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.sql"
    path.write_text(text, encoding="utf-8")
    return folder


def test_the_national_pack_has_every_rule_and_all_are_stable():
    pack = load_pack()
    assert set(pack.rules) >= FIRST_PACK
    assert {rule.header.status for rule in pack.rules.values()} == {"stable"}


@pytest.mark.parametrize(
    ("swaps", "told"),
    [
        ([("level: high", "level: high\nmood: grim")], "mood: Extra inputs are not permitted"),
        ([("known_false_positives:", "examples_not:")], "known_false_positives"),
        ([("id: claims-after-death", "id: claims-after-life")], "must agree"),
        ([("$to_day", "current_date")], "CurrentDate"),
        ([("FROM persons WHERE", "FROM persons WHERE WHERE")], "not valid SQL"),
        ([("*/", "")], "no header"),
        ([("    neighbour:", "  - title: {zh: 空, en: none}\n    tables:")], "a stable rule needs"),
    ],
)
def test_a_broken_rule_is_refused_with_its_place(tmp_path, swaps, told):
    folder = changed(tmp_path / "pack", "claims-after-death", *swaps)
    if told == "a stable rule needs":
        path = folder / "claims-after-death.sql"
        text = path.read_text(encoding="utf-8")
        path.write_text(text.split("examples:")[0] + "*/\nSELECT 1 AS x", encoding="utf-8")
    with pytest.raises(RulePackError) as caught:
        load_pack(folder)
    assert "claims-after-death.sql" in caught.value.what
    assert told in caught.value.what


def test_all_problems_are_told_at_once(tmp_path):
    folder = changed(tmp_path / "pack", "claims-after-death", ("level: high", "level: extreme"))
    changed(folder, "weekly-cap", ("stage: after", "stage: never"))
    with pytest.raises(RulePackError) as caught:
        load_pack(folder)
    assert "claims-after-death.sql" in caught.value.what
    assert "weekly-cap.sql" in caught.value.what


def test_a_region_cannot_set_what_no_rule_knows(tmp_path):
    regions = tmp_path / "pack" / "regions"
    regions.mkdir(parents=True)
    (regions / "110000.yaml").write_text(
        "region: '110000'\ntitle: {zh: 试, en: trial}\nparameters:\n  in-bed-rate:\n    mood:\n"
        "      - {from: 2026-01-01, value: 1, reference: test}\n",
        encoding="utf-8",
    )
    changed(tmp_path / "pack", "in-bed-rate")
    with pytest.raises(RulePackError, match=r"no parameter in-bed-rate\.mood"):
        load_pack(tmp_path / "pack")


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("SELECT array_agg(a ORDER BY b) AS x FROM t", "ordered list"),
        ("SELECT CAST(a AS TIMESTAMP) AS x FROM t", "times are whole numbers"),
        ("SELECT date_diff('hour', a, b) AS x FROM t", "DateDiff"),
        ("SELECT hash(a) AS x FROM t", "outside of the dialect"),
        ("SELECT * FROM a ASOF JOIN b ON a.x >= b.x", "outside of the dialect"),
        ("SELECT quantile_cont(a, 0.5) AS x FROM t", "outside of the dialect"),
        ("DROP TABLE t", "exactly one query"),
        ("SELECT 1; SELECT 2", "exactly one query"),
    ],
)
def test_what_engines_do_not_share_is_outside_of_the_dialect(sql, told):
    assert any(told in offence for offence in offences(sql)), list(offences(sql))


def test_a_parameter_is_worth_what_it_was_on_the_service_day():
    header = load_pack().rules["in-bed-rate"].header
    region = {"threshold": [DatedValue(**{"from": dt.date(2026, 3, 10), "value": "0.7", "reference": "x"})]}
    assert resolve(header, {}, dt.date(2026, 3, 15))["threshold"] == Decimal("0.60")
    assert resolve(header, region, dt.date(2026, 3, 9))["threshold"] == Decimal("0.60")
    assert resolve(header, region, dt.date(2026, 3, 10))["threshold"] == Decimal("0.7")
    cut = list(segments(header, region, dt.date(2026, 3, 1), dt.date(2026, 3, 31)))
    assert [(one.first.day, one.last.day) for one in cut] == [(1, 9), (10, 31)]


def test_the_reference_page_says_what_the_rules_say():
    page = Path(__file__).parents[3] / "docs" / "rules.md"
    assert page.read_text(encoding="utf-8") == write_docs(load_pack()), "run `renzheng rules docs`"


def test_examples_refuse_unknown_columns():
    with pytest.raises(ValueError, match="attendance has no column mood"):
        list(expand("attendance", ({"mood": 1},)))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[" * 200_000, "too deeply"),
        ("- " * 200_000, "too deeply"),
        ("? " * 200_000, "too deeply"),
        ("a: &x [1, 2]\nb: *x\n", "aliases"),
        ("a: 1\nb: {c: 1, c: 2}\n", "comes twice"),
        ("a: [", "not YAML"),
    ],
)
def test_yaml_that_unfolds_is_refused_before_anything_is_built(text, problem):
    with pytest.raises(ValueError, match=problem):
        read_yaml(text)


def test_a_file_saved_by_windows_is_read():
    assert as_text("\ufeffa: 1\r\nb: 二\r\n".encode()) == "a: 1\nb: 二\n"
    for content, problem in ((b"\xb9\xe6", "not UTF-8"), ("a: \u202e1".encode(), "U\\+202E")):
        with pytest.raises(ValueError, match=problem):
            as_text(content)


def test_only_placeholders_become_numbers_and_no_sign_makes_a_comment():
    sql = "SELECT $low AS low, -$low AS high, '$low placeholder_low$' AS text FROM claim_lines"
    written = bound(sql, {"low": Decimal("-0.5")})
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE claim_lines AS SELECT 1 AS line")
        found = connection.execute(written).fetchall()
    assert found == [(Decimal("-0.5"), Decimal("0.5"), "$low placeholder_low$")]
    assert bound(sql, {"low": 2}) != written
    with pytest.raises(KeyError, match="low"):
        bound(sql, {})


def test_what_is_shipped_of_the_national_rules_is_what_the_parser_says():
    queries = [rule.sql for rule in load_pack().rules.values()]
    assert write_readings(sorted(queries)) == dialect.READINGS.read_text(encoding="utf-8"), (
        "run `renzheng rules docs`"
    )
    shipped = dialect._shipped()
    assert all(dialect._reading(sql) in shipped.values() for sql in queries)


def test_a_text_that_is_no_shipped_one_to_the_letter_is_parsed(monkeypatch):
    sql = load_pack().rules["weekly-cap"].sql
    read = []
    monkeypatch.setattr(syntax, "parse", lambda text: read.append(text) or parse(text))
    dialect._reading.cache_clear()
    assert not list(offences(sql))
    assert read == []
    changed = sql.replace("capped_lines", "read_csv('/etc/passwd')", 1)
    assert list(offences(changed))
    monkeypatch.setattr(dialect, "_reader", lambda: "another parser")
    dialect._shipped.cache_clear()
    dialect._reading.cache_clear()
    assert not list(offences(sql))
    assert read == [changed, sql]
    dialect._shipped.cache_clear()


def test_a_query_is_parsed_once_however_often_it_is_asked_about(monkeypatch):
    sql = "SELECT line_id FROM claim_lines WHERE service_day = $from_day AND 'asked once' = item_code"
    parsed = []
    monkeypatch.setattr(syntax, "parse", lambda text: parsed.append(text) or parse(text))
    for day in (1, 2):
        assert not list(offences(sql, {"claim_lines"}))
        assert list(offences(sql, {"stays"}))
        assert placeholders(sql) == {"from_day"}
        assert f"CAST({day} AS BIGINT)" in bound(sql, {"from_day": day})
    assert parsed == [sql]
