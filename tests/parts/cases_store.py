"""A store with one audited day of two institutions, from which cases are drafted."""

import datetime as dt

import sqlalchemy as sa

from renzheng.central.store import audits, schema
from renzheng.central.store.times import to_us

DAY = dt.date(2026, 3, 3)
VERDICT = {
    "run_id": "run", "service_day": "2026-03-03", "item_code": "HD", "item_name": "血液透析",
    "service_at": to_us(dt.datetime(2026, 3, 3, 4, tzinfo=dt.UTC)), "quantity": "1", "coverage_ratio": 1.0,
    "evidence": "[]", "rule_id": "line-haemodialysis", "rule_version": "3",
}  # fmt: skip
FINDING = {
    "run_id": "run", "finding_id": "F1", "service_day": "2026-03-03", "rule_id": "machine-overlap",
    "rule_version": "2", "severity": "block", "verdict": "contradicted", "institution_id": "H1",
    "person_id": None, "line_ids": '["L1","L3"]', "amount_fen": 70_000, "from_at": None, "to_at": None,
    "evidence": "[]", "explanation_zh": "同机重叠", "explanation_en": "overlap", "parameters": "{}",
}  # fmt: skip


def lay(database, folder):
    """Lay a run of one day: four contradicted lines of two institutions, one supported, and a finding."""
    lines = [
        ("H1", "L1", 40_000, "contradicted"), ("H1", "L2", 45_000, "contradicted"),
        ("H1", "L3", 30_000, "supported"), ("H2", "L1", 50_000, "contradicted"),
    ]  # fmt: skip
    rows = [
        VERDICT | {
            "institution_id": place, "line_id": line, "person_id": f"P-{place}-{line}", "amount_fen": fen,
            "at_stake_fen": fen, "verdict": verdict, "reason": "no_presence",
        }
        for place, line, fen, verdict in lines
    ]  # fmt: skip
    with database.writing() as connection:
        audits.begin(connection, "run", DAY, DAY, folder=str(folder), now_us=1)
        connection.execute(sa.insert(schema.verdicts), rows)
        connection.execute(sa.insert(schema.findings).values(FINDING))
        audits.publish(connection, "run", DAY, DAY, summary={"parameters": {}}, now_us=2)
