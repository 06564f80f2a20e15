"""Evasions and innocent cases that are easily forgotten: each by DuckDB and by the oracle."""

import datetime as dt
from collections import defaultdict

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from parts.audit_tables import (
    CATALOGUE,
    at,
    bed,
    check,
    died,
    few_rules,
    filled,
    leave,
    line,
    machine,
    session,
    sign,
    stay,
    up,
)

from renzheng.central.audit.oracle import Oracle
from renzheng.central.audit.request import AuditRequest
from renzheng.central.audit.run import run_audit
from renzheng.contracts.tables import INPUT_TABLES, arrow_schema

FIRST, LAST = dt.date(2026, 3, 1), dt.date(2026, 3, 31)
NO_SESSION, VERIFIED, LATE = "contradicted/no_session", "supported/verified_session", "supported/billed_late"
TWICE, NOT_SEEN = "contradicted/bed_billed_twice", "insufficient/not_seen"
GAP, DEAD = "insufficient/coverage_gap", "contradicted/after_death"


def back(line_id, clock, target, **more):
    return line(line_id, clock, **{"reverses_line_id": target, "quantity": -1, "amount": -400, **more})


def later(days, clock="04 10:00"):
    return {"service_time": at(clock) + dt.timedelta(days=days)}


PLACE = {"institutions": [{"institution_id": "H1"}]}

EVASIONS = {
    "two lines under ids that differ in their case only": (
        {
            "claim_lines": [line("l1", "04 10:00"), line("L1", "04 10:00")],
            "attendance": session("04 08:00", "04 12:00"),
            "coverage": [up()],
        },
        {"L1": VERIFIED, "l1": "contradicted/more_lines_than_sessions"},
    ),
    "a letter of another alphabet makes another person, who was never here": (
        {
            "claim_lines": [line("L1", "04 10:00", person_id="\u0420" + "1")],
            "attendance": session("04 08:00", "04 12:00"),
            "coverage": [up()],
        },
        {"L1": NO_SESSION},
    ),
    "more bed days in one line than the stay has": (
        {
            "claim_lines": [bed("L1", "05 08:00", quantity=9)],
            "stays": [stay("01 09:00", "05 10:00")],
        },
        {"L1": "contradicted/outside_stay"},
    ),
    "a bill that takes back a reversal of nothing": (
        {
            "claim_lines": [
                back("R1", "04 09:00", "NONE", amount="-0.01"),
                line("L1", "04 10:00", reverses_line_id="R1"),
            ],
            "coverage": [up()],
        },
        {"L1": NO_SESSION},
    ),
    "a bill of minus one treatment": (
        {
            "claim_lines": [line("L1", "04 10:00", quantity=-1, reverses_line_id="NONE")],
            "coverage": [up()],
        },
        {"L1": NO_SESSION},
    ),
    "a reversal that was taken back in another month": (
        {
            "claim_lines": [
                line("L1", "04 10:00"),
                {**back("R1", "04 10:00", "L1"), **later(35)},
                {**back("R2", "04 10:00", "R1", quantity=1, amount=400), **later(70)},
            ],
            "coverage": [up()],
        },
        {"L1": NO_SESSION},
    ),
    "one session, billed as two halves": (
        {
            "claim_lines": [line("L1", "04 10:00", quantity="0.5"), line("L2", "04 10:00", quantity="0.5")],
            "attendance": session("04 08:00", "04 12:00"),
            "coverage": [up()],
        },
        {"L1": VERIFIED, "L2": "contradicted/more_lines_than_sessions"},
    ),
    "coverage that overlaps is counted once": (
        {
            "claim_lines": [line("L1", "20 10:00")],
            "coverage": [
                up("01 00:00", "20 13:00"),
                up("20 05:00", "20 13:00", device_id="K2"),
                up("20 20:00", "20 20:00"),
            ],
        },
        {"L1": GAP},
    ),
    "a coverage of no length beside one of the whole day": (
        {"claim_lines": [line("L1", "20 10:00")], "coverage": [up(), up("20 12:00", "20 12:00")]},
        {"L1": NO_SESSION},
    ),
    "a prescription of ten minutes over the right one": (
        {
            "claim_lines": [line("L1", "04 10:00")],
            "prescriptions": [{}, {"session_minutes": 10, "valid_to": dt.date(2026, 12, 31)}],
            "attendance": session("04 08:00", "04 08:25"),
            "coverage": [up()],
        },
        {"L1": "contradicted/too_short"},
    ),
    "a prescription that ended before": (
        {
            "claim_lines": [line("L1", "04 10:00")],
            "prescriptions": [{}, {"session_minutes": 60, "valid_to": dt.date(2026, 3, 3)}],
            "attendance": session("04 08:00", "04 09:00"),
            "coverage": [up()],
        },
        {"L1": "contradicted/too_short"},
    ),
    "another institution in small letters is the same one": (
        PLACE
        | {
            "claim_lines": [line("L1", "04 10:00"), line("L2", "04 10:00", institution_id="h1")],
            "attendance": session("04 08:00", "04 12:00"),
            "coverage": [up()],
        },
        {"L1": VERIFIED, "L2": "contradicted/more_lines_than_sessions"},
    ),
    "an alias circle bills one session under each of its numbers": (
        {
            "claim_lines": [line("L1", "04 10:00"), line("L2", "04 10:00", person_id="P2")],
            "person_aliases": [
                {"person_id": "P1", "alias_of": "P2"},
                {"person_id": "P2", "alias_of": "P1"},
            ],
            "attendance": session("04 08:00", "04 12:00"),
            "coverage": [up()],
        },
        {"L1": VERIFIED, "L2": "contradicted/more_lines_than_sessions"},
    ),
    "the day after death, a minute after midnight": (
        {
            "claim_lines": [line("L1", "05 00:01"), line("L2", "06 00:01")],
            "persons": [died(4)],
            "coverage": [up()],
        },
        {"L1": NO_SESSION, "L2": DEAD},
    ),
    "a bed of both institutions on one day, in one stay each": (
        {
            "claim_lines": [bed("L1", "04 08:00"), bed("L2", "04 09:00", institution_id="H2", visit_id="V2")],
            "stays": [
                stay("01 09:00", "08 10:00"),
                stay("01 09:00", "08 10:00", institution_id="H2", visit_id="V2"),
            ],
        },
        {"L1": NOT_SEEN, "L2": TWICE},
    ),
}
INNOCENTS = {
    "the ids of every other table in full-width letters": (
        {
            "claim_lines": [line("L1", "04 10:00"), bed("L2", "06 08:00"), bed("L3", "07 08:00")],
            "attendance": [
                sign("04 08:00", session_id="Ｓ１", person_id="ｐ１", event_id="Ｅ１"),
                sign("04 12:00", "sign_out", session_id="S1", event_id="Ｅ2"),
            ],
            "machine_sessions": [machine("04 08:10", "04 11:50", person_id="p１")],
            "stays": [stay("05 09:00", "08 10:00", visit_id="ｖ1")],
            "spot_checks": [
                check("06 10:00", "absent", person_id="Ｐ1", visit_id="v1"),
                check("07 10:00", "present", person_id="p1"),
            ],
            "leaves": [leave("06 09:00", "06 12:00", "examination", person_id="ｐ1", visit_id="Ｖ１")],
            "coverage": [up()],
        },
        {"L1": VERIFIED, "L2": "supported/approved_leave", "L3": "supported/seen"},
    ),
    "seen under an alias of an alias, while the bed is billed under the number": (
        {
            "claim_lines": [bed("L1", "06 08:00", person_id="P3")],
            "person_aliases": [
                {"person_id": "P1", "alias_of": "P2"},
                {"person_id": "P2", "alias_of": "P3"},
            ],
            "stays": [stay("05 09:00", "08 10:00")],
            "spot_checks": [check("06 10:00", "present", person_id="P2")],
        },
        {"L1": "supported/seen"},
    ),
    "most of a long stay in one line, from before the period": (
        {
            "claim_lines": [bed("L1", "20 08:00", quantity=25)],
            "stays": [
                {
                    "admitted_at": at("01 08:00") - dt.timedelta(days=9),
                    "discharged_at": at("01 08:00") + dt.timedelta(days=40),
                }
            ],
        },
        {"L1": NOT_SEEN},
    ),
    "every id in full-width letters, on one side only": (
        PLACE
        | {
            "claim_lines": [
                line("L1", "04 10:00", institution_id="Ｈ１", person_id="Ｐ１ ", item_code="ｈｄ")
            ],
            "attendance": session("04 08:00", "04 12:00"),
            "coverage": [up()],
        },
        {"L1": VERIFIED},
    ),
    "a reversal that names its line in full-width letters": (
        {
            "claim_lines": [line("L1", "04 10:00"), back("R1", "04 11:00", "Ｌ１")],
            "coverage": [up()],
        },
        {},
    ),
    "a session over midnight, billed before and after": (
        {
            "claim_lines": [line("L1", "04 23:59"), line("L2", "06 00:01")],
            "attendance": [*session("04 23:30", "05 03:30"), *session("05 23:30", "06 03:30")],
            "coverage": [up()],
        },
        {"L1": VERIFIED, "L2": VERIFIED},
    ),
    "the clocks go forward during the treatment": (
        {
            "institutions": [{"institution_id": "H1", "timezone": "America/New_York"}],
            # 2026-03-08 01:30 to 04:30 by the wall, two hours
            "claim_lines": [line("L1", "08 14:30")],
            "attendance": session("08 14:30", "08 16:30"),
            "prescriptions": [{"session_minutes": 240}],
            "coverage": [up()],
        },
        {"L1": VERIFIED},
    ),
    "the unit of the item changes inside the period": (
        {
            "item_catalogue": [
                *CATALOGUE,
                {"item_code": "CRRT", "item_class": "haemofiltration", "valid_to": dt.date(2026, 3, 9)},
                {
                    "item_code": "CRRT",
                    "item_class": "haemofiltration",
                    "unit": "hour",
                    "valid_from": dt.date(2026, 3, 10),
                },
            ],
            "claim_lines": [
                line("L1", "09 10:00", "CRRT"),
                line("L2", "10 10:00", "CRRT", quantity=4),
            ],
            "attendance": [*session("09 08:00", "09 12:00"), *session("10 08:00", "10 12:00")],
            "coverage": [up()],
        },
        {"L1": VERIFIED, "L2": VERIFIED},
    ),
    "a treatment on the day of death, entered two days later": (
        {
            "claim_lines": [line("L1", "06 10:00")],
            "persons": [died(4)],
            "attendance": session("04 19:00", "04 23:00"),
            "coverage": [up()],
        },
        {"L1": LATE},
    ),
    "a bed of the day of death, entered after the weekend": (
        {
            "claim_lines": [bed("L1", "09 08:00")],
            "persons": [died(6)],
            "stays": [stay("01 09:00", "06 23:59")],
        },
        {"L1": NOT_SEEN},
    ),
    "two reversals of a quarter each": (
        {
            "claim_lines": [
                line("L1", "04 10:00"),
                back("R1", "05 10:00", "L1", quantity="-0.25", amount=-100),
                back("R2", "06 10:00", "L1", quantity="-0.25", amount=-100),
            ],
            "attendance": session("04 08:00", "04 12:00"),
        },
        {"L1": VERIFIED},
    ),
    "a stay over both ends of the period, a bed a day": (
        {
            "claim_lines": [
                bed(f"L{number}", "01 08:00", service_time=at("01 08:00") + dt.timedelta(days=number))
                for number in (-2, -1, 0, 30, 31, 32)
            ],
            "stays": [
                {
                    "admitted_at": at("01 08:00") - dt.timedelta(days=9),
                    "discharged_at": at("01 08:00") + dt.timedelta(days=40),
                }
            ],
        },
        {"L0": NOT_SEEN, "L30": NOT_SEEN},
    ),
    "discharged and admitted again on one day, a bed each": (
        {
            "claim_lines": [bed("L1", "04 08:00"), bed("L2", "04 18:00", visit_id="V2")],
            "stays": [stay("01 09:00", "04 09:00"), stay("04 15:00", "08 09:00", visit_id="V2")],
        },
        {"L1": NOT_SEEN, "L2": NOT_SEEN},
    ),
    "a machine log of a minute does not shorten the treatment": (
        {
            "claim_lines": [line("L1", "04 10:00")],
            "attendance": session("04 08:00", "04 12:00"),
            "machine_sessions": [machine("04 08:00", "04 08:01"), machine("04 08:10", "04 11:50")],
        },
        {"L1": VERIFIED},
    ),
    "signed in twice, at two devices, before one sign-out": (
        {
            "claim_lines": [line("L1", "04 10:00")],
            "attendance": [
                sign("04 08:00"),
                sign("04 08:03", device_id="K2", event_id="E9"),
                sign("04 12:00", "sign_out", event_id="E10"),
            ],
        },
        {"L1": VERIFIED},
    ),
}
CASES = EVASIONS | INNOCENTS


@pytest.fixture(scope="module")
def by_duckdb(tmp_path_factory):
    folder = tmp_path_factory.mktemp("forgotten")
    together = defaultdict(list)
    for number, (tables, _) in enumerate(CASES.values()):
        for name, rows in filled(tables, f"C{number}-").items():
            together[name] += [row for row in rows if name != "item_catalogue" or row not in together[name]]
    (folder / "tables").mkdir()
    for name in INPUT_TABLES:
        table = pa.Table.from_pylist(together[name], schema=arrow_schema(INPUT_TABLES[name]))
        pq.write_table(table, folder / "tables" / f"{name}.parquet")
    rules = few_rules(folder / "rules")
    run_audit(AuditRequest(folder / "tables", FIRST, LAST, folder / "out", rules=rules))
    found = defaultdict(dict)
    for row in pq.read_table(folder / "out" / "line_verdicts.parquet").to_pylist():
        case, _, line_id = row["line_id"].partition("-")
        found[int(case.removeprefix("C"))][line_id] = f"{row['verdict']}/{row['reason']}"
    found["days"] = pq.read_table(folder / "out" / "day_verdicts.parquet").to_pylist()
    return found


@pytest.mark.parametrize("name", CASES)
def test_duckdb_says(name, by_duckdb):
    assert by_duckdb[list(CASES).index(name)] == CASES[name][1]


def test_every_day_of_the_long_line_is_judged(by_duckdb):
    number = list(CASES).index("most of a long stay in one line, from before the period")
    days = [row["day"] for row in by_duckdb["days"] if row["line_id"] == f"C{number}-L1"]
    assert sorted(days) == [dt.date(2026, 2, 24) + dt.timedelta(days=n) for n in range(25)]


@pytest.mark.parametrize("name", CASES)
def test_the_oracle_says(name):
    judged = Oracle(filled(CASES[name][0]), FIRST, LAST).judge()
    assert {key[1]: f"{one.verdict}/{one.reason}" for key, one in judged.lines.items()} == CASES[name][1]
