"""A month of a county: whoever evades is named, and no honest institution for its share of anything."""

from datetime import timedelta

import pyarrow.parquet as pq
import pytest
from parts.language import wrong_signs, wrong_words

from renzheng.bench.simulate.county import FIRST_DAY, simulate_county
from renzheng.central.audit.request import AuditRequest
from renzheng.central.audit.run import run_audit

ABOUT_INSTITUTIONS = {
    "broken-rows",
    "checks-not-answered",
    "coverage-just-short",
    "declined-share",
    "manual-share",
    "never-signs-out",
    "orphan-reversal",
    "outages-with-bills",
    "outside-period",
    "scope-drop",
    "shielded-lines",
    "unit-price",
    "unknown-code",
    "untrusted-clock-share",
    "weak-evidence-share",
}
"""Rules that name an institution for a habit, not for a line of one person."""


@pytest.fixture(scope="module")
def month(tmp_path_factory):
    folder = tmp_path_factory.mktemp("county")
    simulate_county(3, 30, folder / "tables", people=1500, evasions=True)
    last = FIRST_DAY + timedelta(days=29)
    run_audit(AuditRequest(folder / "tables", FIRST_DAY, last, folder / "out"))
    return folder


def _rows(path, *columns):
    return pq.read_table(path, columns=list(columns) or None).to_pylist()


def test_every_institution_that_evades_is_named(month):
    evading = {row["institution_id"] for row in _rows(month / "tables" / "evasions.parquet")}
    found = _rows(month / "out" / "findings.parquet", "institution_id")
    lines = _rows(month / "out" / "line_verdicts.parquet", "institution_id", "verdict")
    named = {row["institution_id"] for row in found}
    named |= {row["institution_id"] for row in lines if row["verdict"] == "contradicted"}
    assert len(evading) == 10
    assert evading <= named


def test_no_honest_institution_is_named_for_a_habit(month):
    evading = {row["institution_id"] for row in _rows(month / "tables" / "evasions.parquet")}
    found = _rows(month / "out" / "findings.parquet", "rule_id", "institution_id", "explanation_en")
    wrong = [
        row for row in found if row["institution_id"] not in evading and row["rule_id"] in ABOUT_INSTITUTIONS
    ]
    assert wrong == []


def test_machines_and_inpatients_of_honest_institutions_are_left_in_peace(month):
    evading = {row["institution_id"] for row in _rows(month / "tables" / "evasions.parquet")}
    rules = {"machine-overlap", "more-at-once-than-machines", "nights-never-seen", "long-examination"}
    found = _rows(month / "out" / "findings.parquet", "rule_id", "institution_id", "explanation_en")
    wrong = [row for row in found if row["institution_id"] not in evading and row["rule_id"] in rules]
    assert wrong == []


NAMING = {
    "institutions": ("institution_id", "name"),
    "attendance": ("device_id",),
    "machine_sessions": ("machine_id",),
    "claim_lines": ("item_code", "item_name", "doctor_id"),
}
"""What may stand in an explanation as it is: ids and names."""


def test_a_county_is_explained_in_one_language(month):
    found = _rows(month / "out" / "findings.parquet", "explanation_zh")
    texts = {row["explanation_zh"] for row in found}
    ids = frozenset(
        value
        for table, columns in NAMING.items()
        for row in _rows(month / "tables" / f"{table}.parquet", *columns)
        for value in row.values()
        if value
    )
    assert len(texts) > 50
    wrong = {text: problems for text in texts if (problems := wrong_words(text) + wrong_signs(text, ids=ids))}
    assert wrong == {}
