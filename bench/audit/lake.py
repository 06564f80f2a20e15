"""Write a nation's night to Parquet, for the benchmark alone: proportions and key lengths, not life.

The simulator makes the lakes on which verdicts are judged; this one only has to be as big, quickly.
"""

# ruff: noqa: E501, S608 - one row of a table a line; SQL is put together from whole numbers and quoted paths

from pathlib import Path

from renzheng.central.audit.connection import connect
from renzheng.central.audit.sources import quoted

DAYS = 7
FIRST = "TIMESTAMPTZ '2026-03-02 00:00:00+08'"

_EVENT_ID = "'01900000-0000-7000-8000-' || lpad(to_hex({number}), 12, '0')"


def write_lake(folder: Path, lines: int) -> None:
    """Write all input tables for `lines` claim lines: a tenth dialysis, four tenths bed days.

    As many attendance rows; of the dialysis lines one in 50 has no session and one in 50 shares one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with connect() as connection:
        connection.execute("SET preserve_insertion_order = false")
        for name, sql in _tables(lines).items():
            connection.execute(f"COPY ({sql}) TO '{quoted(folder / (name + '.parquet'))}' (FORMAT parquet)")


def _tables(lines: int) -> dict[str, str]:
    dialysis, beds, others = lines // 10, lines * 4 // 10, lines - lines // 10 - lines * 4 // 10
    institutions = max(20, lines // 2000)
    stays = beds // DAYS
    patients = dialysis // 3
    # a dialysis patient comes on days 0, 2 and 4; line i belongs to patient i // 3
    dialysis_at = f"{FIRST} + to_hours(24 * 2 * (i % 3) + 7 + (i // 3) % 9) + to_minutes(i // 3 % 50) + to_seconds(i // 3 % 59)"
    place = f"lpad(CAST({{}} % {institutions} AS VARCHAR), 8, '0')"
    d_there, b_there = f"'H' || {place.format('(i // 3)')}", f"'H' || {place.format('(i // 7)')}"
    d_person = "'PD' || lpad(CAST(i // 3 AS VARCHAR), 16, '0')"
    b_person = "'PB' || lpad(CAST(i // 7 AS VARCHAR), 16, '0')"
    null = "CAST(NULL AS VARCHAR)"
    claim = "settlement_id, '{kind}' AS visit_type, '{code}' AS item_code, '{code}' AS item_name"
    bed_at = f"{FIRST} + to_hours(24 * (i % 7) + 8)"
    tail = f"CAST(1 AS DECIMAL(16,4)) AS quantity, CAST(400 AS DECIMAL(16,2)) AS amount, {null} AS reverses_line_id, 'D1' AS doctor_id, 'ward' AS department"
    event = (
        "'bona_fide' AS pad, 'match' AS outcome, 0.7 AS comparison_score, 0.5 AS threshold, "
        f"{null} AS witness_id, {null} AS session_id, true AS clock_trusted"
    )
    return {
        "institutions": (
            f"SELECT 'H' || {place.format('i')} AS institution_id, 'H' AS name, '371121' AS region_code, "
            "'Asia/Shanghai' AS timezone, CAST(200 AS BIGINT) AS dialysis_machines, CAST(900 AS BIGINT) AS beds "
            f"FROM range({institutions}) t(i)"
        ),
        "persons": (
            f"SELECT {d_person} AS person_id, 'M' AS sex, DATE '1950-01-01' AS birth_date, CAST(NULL AS DATE) AS death_date "
            f"FROM range(0, {patients} * 3, 3) t(i) UNION ALL SELECT {b_person}, 'F', DATE '1960-01-01', "
            f"CASE WHEN i % 700000 = 0 THEN DATE '2026-03-04' END FROM range(0, {stays} * 7, 7) t(i)"
        ),
        "item_catalogue": (
            "SELECT * FROM (VALUES ('HD', 'haemodialysis'), ('BED', 'bed_day'), ('DRUG', 'other')) t(item_code, item_class), "
            f"(SELECT {null} AS sex_limit, CAST(NULL AS BIGINT) AS min_age_years, CAST(NULL AS BIGINT) AS max_age_years) l"
        ),
        "claim_lines": (
            f"SELECT 'LD' || lpad(CAST(i AS VARCHAR), 18, '0') AS line_id, {d_there} AS institution_id, "
            f"'VD' || CAST(i AS VARCHAR) AS visit_id, {null} AS {claim.format(kind='outpatient', code='HD')}, "
            f"{d_person} AS person_id, {dialysis_at} + to_hours(2) AS service_time, {tail} FROM range({dialysis}) t(i) "
            f"UNION ALL BY NAME SELECT 'LB' || lpad(CAST(i AS VARCHAR), 18, '0') AS line_id, {b_there} AS institution_id, "
            f"'VB' || CAST(i // 7 AS VARCHAR) AS visit_id, {null} AS {claim.format(kind='inpatient', code='BED')}, "
            f"{b_person} AS person_id, {bed_at} AS service_time, {tail} FROM range({beds}) t(i) "
            f"UNION ALL BY NAME SELECT 'LO' || lpad(CAST(i AS VARCHAR), 18, '0') AS line_id, {b_there} AS institution_id, "
            f"'VB' || CAST(i // 7 % {stays} AS VARCHAR) AS visit_id, {null} AS {claim.format(kind='inpatient', code='DRUG')}, "
            f"'PB' || lpad(CAST(i // 7 % {stays} AS VARCHAR), 16, '0') AS person_id, {bed_at} AS service_time, {tail} "
            f"FROM range({others}) t(i)"
        ),
        "prescriptions": (
            f"SELECT {d_person} AS person_id, {d_there} AS institution_id, DATE '2026-01-01' AS valid_from, "
            "CAST(NULL AS DATE) AS valid_to, 'haemodialysis' AS modality, 3.0 AS sessions_per_week, "
            f"CAST(240 AS BIGINT) AS session_minutes FROM range(0, {patients} * 3, 3) t(i)"
        ),
        "stays": (
            f"SELECT 'VB' || CAST(i // 7 AS VARCHAR) AS visit_id, {b_there} AS institution_id, {b_person} AS person_id, "
            f"{FIRST} - to_hours(24 - i // 7 % 12) AS admitted_at, {FIRST} + to_hours(24 * 8) AS discharged_at, "
            f"'ward' AS department, '3' AS ward, '12' AS bed FROM range(0, {stays} * 7, 7) t(i)"
        ),
        "leaves": (
            f"SELECT 'VB' || CAST(i // 7 AS VARCHAR) AS visit_id, {b_there} AS institution_id, {b_person} AS person_id, "
            f"'leave' AS kind, {FIRST} + to_hours(24 * (i // 7 % 5) + 9) AS left_at, "
            f"{FIRST} + to_hours(24 * (i // 7 % 5) + 17) AS due_back_at, "
            f"{FIRST} + to_hours(24 * (i // 7 % 5) + 16) AS returned_at, 'D1' AS approved_by, "
            f"{FIRST} + to_hours(24 * (i // 7 % 5) + 8) AS recorded_at FROM range(0, {stays} * 7, 70) t(i)"
        ),
        "attendance": (
            f"SELECT {_EVENT_ID.format(number='2 * i')} AS event_id, {d_there} AS institution_id, 'K1' AS device_id, "
            f"{d_person} AS person_id, 'sign_in' AS event_type, 'dialysis' AS purpose, {dialysis_at} AS occurred_at, "
            f"{dialysis_at} AS received_at, {event} FROM range({dialysis}) t(i) WHERE i % 50 <> 7 "
            f"UNION ALL BY NAME SELECT {_EVENT_ID.format(number='2 * i + 1')} AS event_id, {d_there} AS institution_id, "
            f"'K1' AS device_id, {d_person} AS person_id, 'sign_out' AS event_type, 'dialysis' AS purpose, "
            f"{dialysis_at} + to_hours(4) AS occurred_at, {dialysis_at} AS received_at, {event} "
            f"FROM range({dialysis}) t(i) WHERE i % 50 <> 7 AND i % 50 <> 9 "
            f"UNION ALL BY NAME SELECT {_EVENT_ID.format(number=f'4 * {lines} + i')} AS event_id, {b_there} AS institution_id, "
            f"'C' || CAST(i % 3 AS VARCHAR) AS device_id, {b_person} AS person_id, 'presence' AS event_type, "
            f"'inpatient' AS purpose, {FIRST} + to_hours(24 * (i % 7) + 7) + to_minutes(i % 600) AS occurred_at, "
            f"{bed_at} AS received_at, {event} FROM range({beds}) t(i) WHERE i % 40 <> 3 "
            f"UNION ALL BY NAME SELECT {_EVENT_ID.format(number=f'8 * {lines} + i')} AS event_id, {b_there} AS institution_id, "
            f"'C' || CAST(i % 3 AS VARCHAR) AS device_id, {b_person} AS person_id, 'presence' AS event_type, "
            f"'inpatient' AS purpose, {FIRST} + to_hours(24 * (i % 7) + 14) + to_minutes(i % 400) AS occurred_at, "
            f"{bed_at} AS received_at, {event} FROM range({beds}) t(i) WHERE i % 40 <> 3"
        ),
        "spot_checks": (
            f"SELECT 'C' || CAST(i AS VARCHAR) AS check_id, 'R1' AS round_id, {b_there} AS institution_id, "
            f"'VB' || CAST(i // 7 AS VARCHAR) AS visit_id, {b_person} AS person_id, {bed_at} AS drawn_at, "
            f"{bed_at} + to_minutes(30) AS due_at, {bed_at} + to_minutes(9) AS answered_at, "
            f"CASE WHEN i % 3 = 0 THEN 'absent' ELSE 'present' END AS result, 'I1' AS inspector_id "
            f"FROM range(0, {beds}, 40) t(i)"
        ),
        "coverage": (
            f"SELECT 'H' || {place.format('i')} AS institution_id, 'K' || CAST(k AS VARCHAR) AS device_id, "
            "CASE WHEN k = 1 THEN 'dialysis' ELSE 'inpatient' END AS purpose, "
            f"{FIRST} + to_hours(24 * d + 12 * h) AS from_at, {FIRST} + to_hours(24 * d + 12 * h + 12) AS to_at, "
            f"'up' AS state FROM range({institutions}) t(i), range({DAYS}) u(d), range(2) v(h), range(1, 4) w(k)"
        ),
        "machine_sessions": (
            f"SELECT {d_there} AS institution_id, 'M' || CAST(i // 3 // {institutions} AS VARCHAR) AS machine_id, {d_person} AS person_id, "
            f"{dialysis_at} + to_minutes(10) AS started_at, {dialysis_at} + to_minutes(235) AS ended_at "
            f"FROM range({dialysis}) t(i) WHERE i % 50 <> 7"
        ),
    }
