"""The report of a run: what bills and rules say is shown as text, whatever it is."""

import datetime as dt
from decimal import Decimal

from renzheng.central.nightly.report import MOST_IDS, render

NASTY = "<script>alert(1)</script>&\"'"
AT = dt.datetime(2026, 3, 2, 10, tzinfo=dt.UTC)


def values(**more):
    line = {
        "amount": Decimal("420.50"),
        "reason": "no_session",
        "coverage_ratio": 0.97,
        "item_name": NASTY,
        "service_time": AT,
        "line_id": NASTY,
        "institution": NASTY,
        "person_id": NASTY,
        "evidence": [],
        "all_rows": 1,
    }
    finding = {
        **line,
        "verdict": "suspicious",
        "severity": "high",
        "rule_id": "weekly-cap",
        "rule_version": "1.0",
        "line_ids": [f"L{number}" for number in range(MOST_IDS + 3)],
        "explanation_zh": NASTY,
        "explanation_en": NASTY,
    }
    box = {"institution_id": NASTY, "institution": NASTY, "box": "unknown_code", "amount": Decimal("400.00")}
    rejected = {"institution": NASTY, "institution_id": NASTY, "table": NASTY, "rows": 2, "amount": None}
    empty = {"totals": [], "institutions": [], "coverage": [], "findings": [finding], "lines": [line]}
    day = {"day": "2026-03-02", "lines": 1, "contradicted": Decimal("4.5"), "coverage": 0.5}
    cell = {"institution_id": NASTY, "institution": NASTY, "reason": NASTY, "amount": Decimal("4.5")}
    empty |= {"boxes": [box], "rejected": [rejected], "days": [day], "cells": [cell]}
    summary = {"from": "2026-03-02", "to": "2026-03-03", "region": NASTY, "rows": {}, "missing_tables": []}
    summary |= {"failed_rules": {}, "switched_off": [], "packs": {"pack_hash": "ab" * 32}, "rules": {"a": {}}}
    empty |= {"facts": [], "rules": {"weekly-cap": {"zh": "周次超限", "en": NASTY}}}
    return {**empty, "run_id": NASTY, "made_at": AT, "summary": summary, **more}


def test_what_bills_say_never_becomes_markup():
    page = render(values())
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_long_lists_of_ids_are_cut_and_say_by_how_many():
    assert "+3" in render(values())


def test_each_institution_has_its_ledger_with_a_sum():
    page = render(
        values(
            boxes=[
                {
                    "institution_id": "H1",
                    "institution": "甲",
                    "box": "supported",
                    "amount": Decimal("400.10"),
                },
                {"institution_id": "H1", "institution": "甲", "box": "reversed", "amount": Decimal("-0.05")},
            ]
        )
    )
    assert "¥400.05" in page
    assert "编码不在目录" in page


def test_a_run_without_lines_says_so_in_both_languages():
    page = render(values(findings=[], lines=[]))
    assert "没有疑点" in page
    assert "No findings." in page


def test_a_rule_that_failed_or_was_switched_off_is_told_with_the_packs():
    off = {"rule_id": "weekly-cap", "from": "2026-03-01", "to": "2026-03-31"}
    told = values()["summary"] | {
        "failed_rules": {"one-witness": f"It was stopped after 5 seconds. {NASTY}"},
        "switched_off": [{**off, "reason_zh": "过渡期", "reason_en": "in between"}],
        "packs": {"pack_hash": "ab" * 32, "region_pack_hash": "cd" * 32, "region_signed": None},
    }
    page = render(values(summary=told))
    for text in ("one-witness", "stopped after 5 seconds", "过渡期", "in between", "ab" * 32, "cd" * 32):
        assert text in page
    assert "not signed" in page
    assert "未签名" in page
    assert "<script" not in page
    told["packs"]["region_signed"] = "yes"
    assert "not signed" not in render(values(summary=told))
