"""The audit held against the simulator: a line's verdict is what its evidence allows.

The two know nothing of each other: one assigns sessions to lines by the tables, the other put them there.
"""

from datetime import date, timedelta

import pyarrow.parquet as pq
import pytest

from renzheng.bench.simulate.county import FIRST_DAY, simulate_county
from renzheng.bench.simulate.lake import DAYS, simulate_lake
from renzheng.bench.simulate.rooms import simulate_rooms
from renzheng.central.audit.request import AuditRequest
from renzheng.central.audit.run import run_audit


def _compare(tables, out, last_day: date):
    """Give the lines on which truth and audit differ, as (line, truth, allows, verdict, reason)."""
    run_audit(AuditRequest(tables, FIRST_DAY, last_day, out))
    truth = {row["line_id"]: row for row in pq.read_table(tables / "truth.parquet").to_pylist()}
    columns = ["line_id", "verdict", "reason"]
    verdicts = {
        row["line_id"]: row
        for row in pq.read_table(out / "line_verdicts.parquet", columns=columns).to_pylist()
    }
    assert truth.keys() == verdicts.keys()
    return [
        (line, told["truth"], told["allows"], verdicts[line]["verdict"], verdicts[line]["reason"])
        for line, told in truth.items()
        if told["allows"] != verdicts[line]["verdict"]
    ]


@pytest.mark.parametrize("seed", [2, *(pytest.param(seed, marks=pytest.mark.long) for seed in (9, 12))])
def test_nobody_genuine_is_contradicted_and_nearly_every_verdict_is_what_its_evidence_allows(tmp_path, seed):
    """A fee of another day may take a session that is not its own; the simulator does not know which."""
    simulate_county(seed, 30, tmp_path / "tables", people=1500)
    other = _compare(tmp_path / "tables", tmp_path / "out", FIRST_DAY + timedelta(days=29))
    assert [one for one in other if one[1] == "genuine" and one[3] == "contradicted"] == []
    lines = pq.read_table(tmp_path / "tables" / "truth.parquet").num_rows
    assert len(other) <= lines * 0.03
    assert sum(line.startswith("H001:") for line, *_ in other) <= lines * 0.003, (
        "H001 enters its fees at once"
    )


@pytest.mark.parametrize("lines", [15_000, pytest.param(60_000, marks=pytest.mark.long)])
def test_every_verdict_of_a_lake_is_what_its_evidence_allows(tmp_path, lines):
    simulate_lake(lines, tmp_path / "tables")
    assert _compare(tmp_path / "tables", tmp_path / "out", FIRST_DAY + timedelta(days=DAYS - 1)) == []


def test_who_came_to_a_room_is_not_contradicted_and_who_never_did_is(tmp_path):
    """And of the doctors only the one who was elsewhere is named, not the one who comes from night duty."""
    simulate_rooms(3, 12, tmp_path / "tables", people=20)
    other = _compare(tmp_path / "tables", tmp_path / "out", FIRST_DAY + timedelta(days=11))
    assert [one for one in other if one[1] == "genuine" and one[3] == "contradicted"] == []
    assert [one for one in other if one[2] == "contradicted"] == []
    findings = pq.read_table(tmp_path / "out" / "findings.parquet").to_pylist()
    named = {one["institution_id"] for one in findings if one["rule_id"] == "point-doctor-elsewhere"}
    assert named == {"R11"}
