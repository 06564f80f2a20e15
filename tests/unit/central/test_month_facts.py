"""What machines, devices and witnesses did: by local day and hour, of one institution."""

from zoneinfo import ZoneInfo

import duckdb
import pytest

from renzheng.central.nightly import month_facts
from renzheng.central.nightly.month_facts import Frame
from renzheng.central.pictures.days import Hours, SessionDay

TABLES = {
    # 23:30 to 02:10 in Shanghai, over midnight into the second day; one of three days; one elsewhere
    "machine_sessions": """
        SELECT * FROM (VALUES
            ('H1', 'M1', 'P1', TIMESTAMPTZ '2026-03-01 15:30Z', TIMESTAMPTZ '2026-03-01 18:10Z'),
            ('H1', 'M9', 'P1', TIMESTAMPTZ '2026-03-01 00:00Z', TIMESTAMPTZ '2026-03-04 00:00Z'),
            ('H2', 'M2', 'P2', TIMESTAMPTZ '2026-03-01 15:30Z', TIMESTAMPTZ '2026-03-01 18:10Z'))
        t(institution_id, machine_id, person_id, started_at, ended_at)""",
    "item_catalogue": """
        SELECT 'HD' AS item_code, 'haemodialysis' AS item_class, NULL::VARCHAR AS sex_limit,
            NULL::BIGINT AS min_age_years, NULL::BIGINT AS max_age_years""",
    "claim_lines": """
        SELECT 'L' || i AS line_id, 'H1' AS institution_id, 'V' AS visit_id, NULL::VARCHAR AS settlement_id,
            'P1' AS person_id, 'outpatient' AS visit_type, code AS item_code, code AS item_name,
            moment AS service_time,
            quantity::DECIMAL(16, 4) AS quantity, 400::DECIMAL(16, 2) AS amount,
            NULL::VARCHAR AS reverses_line_id, NULL::VARCHAR AS doctor_id, NULL::VARCHAR AS department,
            NULL::VARCHAR AS traceability_code
        FROM (VALUES (1, 'HD', TIMESTAMPTZ '2026-02-28 16:00Z', 2),
            (2, 'HD', TIMESTAMPTZ '2026-02-28 15:59Z', 1),
            (3, 'DRUG', TIMESTAMPTZ '2026-03-01 01:00Z', 5), (4, 'HD', TIMESTAMPTZ '2026-03-01 15:59Z', -1))
        t(i, code, moment, quantity)""",
    "coverage": """
        SELECT 'H1' AS institution_id, 'k1' AS device_id, purpose, from_at, to_at, state
        FROM (VALUES ('dialysis', TIMESTAMPTZ '2026-03-01 10:00Z', TIMESTAMPTZ '2026-03-01 17:00Z', 'up'),
            ('inpatient', TIMESTAMPTZ '2026-03-01 10:00Z', TIMESTAMPTZ '2026-03-01 12:00Z', 'up'),
            ('dialysis', TIMESTAMPTZ '2026-03-01 17:00Z', TIMESTAMPTZ '2026-03-01 18:00Z', 'down'))
        t(purpose, from_at, to_at, state)""",
    "attendance": """
        SELECT 'e' || i AS event_id, 'H1' AS institution_id, 'k1' AS device_id, 'P1' AS person_id,
            kind AS event_type,
            'dialysis' AS purpose, moment AS occurred_at, moment AS received_at, outcome,
            NULL::DOUBLE AS comparison_score,
            NULL::DOUBLE AS threshold, NULL::VARCHAR AS pad, 'N1' AS witness_id, NULL::VARCHAR AS session_id,
            true AS clock_trusted
        FROM (VALUES (1, 'sign_in', 'manual', TIMESTAMPTZ '2026-03-01 01:00Z'),
            (2, 'sign_out', 'manual', TIMESTAMPTZ '2026-03-01 05:00Z'),
            (3, 'sign_in', 'match', TIMESTAMPTZ '2026-03-02 01:00Z'),
            (4, 'sign_in', 'manual', TIMESTAMPTZ '2026-03-05 01:00Z'))
        t(i, kind, outcome, moment)""",
}


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    for name, query in TABLES.items():
        duckdb.execute(f"COPY ({query}) TO '{folder / name}.parquet' (FORMAT parquet)")
    return folder


def test_facts_are_of_the_days_a_run_speaks_of_in_local_time(tables, tmp_path):
    frames = [
        Frame(tables, ["2026-03-01"]),
        Frame(tables, ["2026-03-02"]),
        Frame(tmp_path / "gone", ["2026-03-03"]),
    ]
    with month_facts.opened(frames, ZoneInfo("Asia/Shanghai")) as reader:
        facts, elsewhere = reader.facts("H1"), reader.facts("H2")
    assert facts.days == ["2026-03-01", "2026-03-02"]
    assert facts.machines == {("M1", "23"): 1, ("M1", "0"): 1, ("M1", "1"): 1, ("M1", "2"): 1}
    first, second = facts.sessions
    assert (first.day, first.billed, first.runs, round(first.hours, 2)) == ("2026-03-01", 1, 1, 2.67)
    assert second == SessionDay("2026-03-02", 0, 0, 0.0)
    assert facts.coverage == {"k1": {"2026-03-01": Hours(up=6.0), "2026-03-02": Hours(up=1.0, down=1.0)}}
    assert facts.vouched == {("N1", "P1"): 1}
    assert {machine for machine, _ in elsewhere.machines} == {"M2"}
    assert not elsewhere.coverage


def test_without_any_tables_there_is_nothing(tmp_path):
    with month_facts.opened([Frame(tmp_path / "gone", ["2026-03-03"])], ZoneInfo("UTC")) as reader:
        assert reader.facts("H1").sessions == []
