"""The first page: what is new since yesterday, which devices are blind, what is due."""

import pytest
import sqlalchemy as sa
from parts.listed import listed_console

from renzheng.bench.pages.store import Size
from renzheng.central.store import schema
from renzheng.central.store.times import to_us
from renzheng.contracts.events import utc_now

HOUR_US = 3_600_000_000
DOUBT = {
    "institution_id": "H001",
    "month": "2026-03",
    "run_id": "run-2026-03",
    "rule_id": "never-seen",
    "rule_version": "1",
    "reason": "no_session",
    "version": 1,
    "at_stake_fen": 1_234_500,
    "amount_fen": 1_234_500,
    "billed_fen": 1_234_500,
    "issued": 1,
    "contested": 0,
    "accepted_fen": 0,
    "deducted_fen": 0,
    "returned_fen": 0,
    "record": b"{}",
}


def stretch(now_us, device, hours_ago, hours, state):
    begin = now_us - hours_ago * HOUR_US
    told = {"institution_id": "H001", "purpose": "dialysis", "received_at": begin, "sequence": hours_ago}
    return {**told, "device_id": device, "from_at": begin, "to_at": begin + hours * HOUR_US, "state": state}


@pytest.fixture(scope="module")
def console(tmp_path_factory):
    size = Size(lines=60, months=1, institutions=2, persons=5)
    with listed_console(tmp_path_factory.mktemp("morning"), size) as found:
        yield found


@pytest.fixture(scope="module")
def page(console):
    now_us = to_us(utc_now())
    device = {"institution_id": "H001", "shard": "0", "purpose": "dialysis", "label": "", "registered_at": 0}
    device |= {"head_sequence": 0, "head_hash": "0"}
    with console.database.writing() as connection:
        devices = [{**device, "device_id": one} for one in ("k-sees", "k-poor", "k-night")]
        connection.execute(sa.insert(schema.devices), devices)
        told = [
            stretch(now_us, "k-sees", 25, 24, "up"),
            stretch(now_us, "k-sees", 1, 1, "down"),
            stretch(now_us, "k-poor", 24, 6, "up"),
            stretch(now_us, "k-poor", 18, 18, "degraded"),
            stretch(now_us, "k-night", 48, 24, "down"),
            stretch(now_us, "k-night", 24, 9, "up"),
        ]
        connection.execute(sa.insert(schema.coverage), told)
        case = {"case_id": "C1", "institution_id": "H001", "month": "2026-03"}
        columns = {column.name: column for column in schema.cases.columns}
        filled = {
            name: b"{}" if isinstance(column.type, sa.LargeBinary) else 0 if "INT" in str(column.type) else ""
            for name, column in columns.items()
            if not column.nullable and name not in case
        }
        connection.execute(sa.insert(schema.cases).values(**case, **filled))
        doubts = [
            ("D1", "issued", -1),
            ("D2", "issued", 24),
            ("D3", "submitted", 200),
            ("D4", "drafted", None),
        ]
        for doubt, state, hours in doubts:
            at = None if hours is None else now_us + hours * HOUR_US
            connection.execute(
                sa.insert(schema.doubts).values(**DOUBT, case_id="C1", doubt_id=doubt, state=state, due_at=at)
            )
        connection.execute(sa.update(schema.audit_runs).values(finished_at=now_us - HOUR_US))
    return console.get("/?lang=en")[1]


def test_a_device_that_saw_little_over_the_last_day_is_blind(page):
    assert "k-poor" in page
    assert "up for only 25% of the last 24 hours" in page
    assert "k-sees" not in page
    assert "k-night" not in page


def test_doubts_that_are_due_soon_are_counted_by_state_with_those_that_are_late(page):
    (row,) = [part.partition("</tr>")[0] for part in page.split("<tr>") if "/doubts?state=" in part]
    assert "/doubts?state=issued&amp;sort=due" in row
    assert '<td class="n">2</td><td class="n"><span class="chip contradicted">1</span></td>' in row
    assert "¥24,690.00" in row


def test_days_answered_since_yesterday_lead_to_their_lines_and_findings(page):
    assert page.count('<td><a href="/lines?from=2026-03-') == 7
    assert "No new verdicts since yesterday" not in page
