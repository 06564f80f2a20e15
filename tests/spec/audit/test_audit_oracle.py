"""The engine against the oracle, on generated cases: verdicts, amounts at stake, the ledger."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from parts.audit_worlds import FIRST, LAST, some_worlds, tables_of

from renzheng.central.audit.oracle import Oracle
from renzheng.central.audit.request import AuditRequest
from renzheng.central.audit.run import run_audit
from renzheng.contracts.tables import INPUT_TABLES, REJECTS, arrow_schema


def write(folder, rows):
    folder.mkdir(parents=True)
    for name, found in rows.items():
        schema = arrow_schema(REJECTS if name == "rejects" else INPUT_TABLES[name])
        pq.write_table(pa.Table.from_pylist(found, schema=schema), folder / f"{name}.parquet")


def read(folder, name):
    return pq.read_table(folder / f"{name}.parquet").to_pylist()


def by_engine(folder):
    lines = {
        (row["institution_id"], row["line_id"]): (
            f"{row['verdict']}/{row['reason']}",
            round(row["coverage_ratio"], 9),
            tuple(row["evidence"]),
            row["amount_at_stake"],
        )
        for row in read(folder, "line_verdicts")
    }
    days = {
        (row["institution_id"], row["line_id"], row["day"]): (
            f"{row['verdict']}/{row['reason']}",
            tuple(row["evidence"]),
        )
        for row in read(folder, "day_verdicts")
    }
    boxes = {
        (row["institution_id"], row["box"]): (row["lines"], row["amount"], row["fund_amount"])
        for row in read(folder, "ledger")
        if row["lines"] or row["amount"]
    }
    return lines, days, boxes


def by_oracle(rows):
    found = Oracle(rows, FIRST, LAST).judge()
    lines = {
        key: (f"{a.verdict}/{a.reason}", round(a.coverage_ratio, 9), a.evidence, a.at_stake)
        for key, a in found.lines.items()
    }
    days = {key: (f"{a.verdict}/{a.reason}", a.evidence) for key, a in found.days.items()}
    held = {key: (box.lines, box.amount, box.fund_amount) for key, box in found.ledger.items()}
    boxes = {key: box for key, box in held.items() if box[0] or box[1]}
    return lines, days, boxes


def differences(one, other):
    """Return what differs, by the world that it belongs to."""
    found = {}
    for key in sorted({*one, *other}, key=str):
        if one.get(key) != other.get(key):
            world = int(str(key[0] or key[1]).partition("-")[0].removeprefix("W"))
            found.setdefault(world, []).append((key, one.get(key), other.get(key)))
    return found


# the more worlds, the rarer what is found in them; every reason and box is in the first six hundred
@pytest.fixture(scope="module", params=[600, pytest.param(1600, marks=pytest.mark.long)])
def rows(request):
    return tables_of(some_worlds(request.param))


@pytest.fixture(scope="module")
def answers(rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("oracle")
    write(folder / "tables", rows)
    run_audit(AuditRequest(folder / "tables", FIRST, LAST, folder / "out", only=["overlapping-stays"]))
    return by_engine(folder / "out"), by_oracle(rows)


@pytest.mark.parametrize("place", [0, 1, 2], ids=["lines", "days", "ledger"])
def test_duckdb_says_what_the_oracle_says(answers, place):
    engine, oracle = answers
    assert differences(engine[place], oracle[place]) == {}


def test_the_ledger_closes_to_the_cent(rows, answers):
    sent = {}
    for row in (*rows["claim_lines"], *(row for row in rows["rejects"] if row["table"] == "claim_lines")):
        if row["institution_id"] and row["amount"] is not None:
            sent[row["institution_id"]] = sent.get(row["institution_id"], 0) + row["amount"]
    for boxes in (answers[0][2], answers[1][2]):
        held = dict.fromkeys(sent, 0)
        for (institution, _), (_, amount, _) in boxes.items():
            held[institution] += amount
        assert held == sent


def test_the_worlds_hold_every_reason(answers):
    reasons = {verdict.partition("/")[2] for verdict, *_ in answers[1][0].values()}
    assert reasons >= REASONS
    assert {box for _, box in answers[1][2]} == BOXES


REASONS = {
    "verified_session",
    "corroborated_manual",
    "billed_late",
    "other_day",
    "elsewhere",
    "after_death",
    "too_short",
    "identity_mismatch",
    "no_session",
    "more_lines_than_sessions",
    "manual_uncorroborated",
    "no_sign_out",
    "pad_not_shown",
    "clock_untrusted",
    "coverage_gap",
    "bedside_possible",
    "broken_row",
    "seen",
    "outside_stay",
    "absent_at_check",
    "bed_billed_twice",
    "approved_leave",
    "on_leave",
    "unexplained_absence",
    "not_seen",
}
BOXES = {
    "supported",
    "contradicted",
    "insufficient",
    "out_of_scope",
    "unknown_code",
    "reversed",
    "orphan_reversal",
    "outside_period",
    "rejected_by_import",
    "rejected_by_audit",
}
