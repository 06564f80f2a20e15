"""What a line entered late may take, and what it may not, as small tables: engine and oracle say the same.

The other points of version 2 are in test_audit_oracle_v2.py, which asks both for each.
"""

import datetime as dt

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from renzheng.central.audit.oracle import Oracle
from renzheng.central.audit.readback import read_verdicts
from renzheng.central.audit.request import AuditRequest
from renzheng.central.audit.run import run_audit
from renzheng.contracts.tables import INPUT_TABLES, arrow_schema
from renzheng.rules.examples import CATALOGUE, expand

FIRST, LAST = dt.date(2026, 3, 1), dt.date(2026, 3, 31)


def line(name, day, code="HD", **more):
    return {"line_id": name, "item_code": code, "service_time": f"2026-03-{day:02} 17:00", **more}


def session(day):
    return [
        {"event_id": f"I{day}", "occurred_at": f"2026-03-{day:02} 08:00"},
        {"event_id": f"O{day}", "event_type": "sign_out", "occurred_at": f"2026-03-{day:02} 12:00"},
    ]


# name: (lines, days with a session, verdicts)
CASES = {
    "a fee two days late": ([line("L1", 6)], [4], {"L1": "supported/billed_late"}),
    "a fee thirty-two days late": ([line("L1", 31)], [], {"L1": "contradicted/no_session"}),
    "a month in one line": (
        [line("L1", 31, quantity=4, amount=1600)],
        [6, 13, 20, 27],
        {"L1": "supported/billed_late"},
    ),
    "a month in one line, and one session too many": (
        [line("L1", 31, quantity=5, amount=2000)],
        [6, 13, 20, 27],
        {"L1": "contradicted/more_lines_than_sessions"},
    ),
    "the session of a line of the class is not free": (
        [line("L1", 4), line("L2", 6)],
        [4],
        {"L1": "supported/verified_session", "L2": "contradicted/no_session"},
    ),
    "nor is one that filtration had": (
        [line("L1", 4, "HDF"), line("L2", 6)],
        [4],
        {"L1": "supported/verified_session", "L2": "contradicted/no_session"},
    ),
    "perfusion may be added later": (
        [line("L1", 4), line("L2", 6, "HP")],
        [4],
        {"L1": "supported/verified_session", "L2": "supported/billed_late"},
    ),
    "two kinds that were entered together share it": (
        [line("L1", 6), line("L2", 6, "HDF")],
        [4],
        {"L1": "supported/billed_late", "L2": "supported/billed_late"},
    ),
}
PLACES = {name: f"H{number}" for number, name in enumerate(CASES)}


@pytest.fixture(scope="module")
def rows():
    found = {"item_catalogue": [{"item_code": code, "item_class": kind} for code, kind in CATALOGUE.items()]}
    for name, (lines, days, _) in CASES.items():
        place = {"institution_id": PLACES[name], "person_id": f"P-{PLACES[name]}"}
        found.setdefault("institutions", []).append({"institution_id": PLACES[name]})
        found.setdefault("claim_lines", []).extend({**one, **place} for one in lines)
        found.setdefault("attendance", []).extend(
            {**event, **place, "event_id": f"{PLACES[name]}-{event['event_id']}"}
            for day in days
            for event in session(day)
        )
        found.setdefault("coverage", []).append(
            {
                "institution_id": PLACES[name],
                "device_id": f"K-{PLACES[name]}",
                "from_at": "2026-01-01 00:00",
                "to_at": "2026-04-02 00:00",
            }
        )
    return {name: list(expand(name, table)) for name, table in found.items()}


@pytest.fixture(scope="module")
def on_duckdb(rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("late")
    (folder / "tables").mkdir()
    for name, found in rows.items():
        table = pa.Table.from_pylist(found, schema=arrow_schema(INPUT_TABLES[name]))
        pq.write_table(table, folder / "tables" / f"{name}.parquet")
    run_audit(AuditRequest(folder / "tables", FIRST, LAST, folder / "out"))
    return {(one.institution_id, one.line_id): one for one in read_verdicts(folder / "out")}


def told(answers, name):
    return {
        key[1]: f"{answer.verdict}/{answer.reason}"
        for key, answer in answers.items()
        if key[0] == PLACES[name]
    }


@pytest.mark.parametrize("name", CASES)
def test_duckdb_says(on_duckdb, name):
    assert told(on_duckdb, name) == CASES[name][2]


def test_the_oracle_says_the_same(rows):
    tables = {name: rows.get(name, []) for name in INPUT_TABLES}
    answers = Oracle(tables, FIRST, LAST).answers()
    assert {name: told(answers, name) for name in CASES} == {
        name: wanted for name, (_, _, wanted) in CASES.items()
    }
