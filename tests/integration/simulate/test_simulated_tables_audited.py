"""The audit held against the simulator: each line's verdict is what its evidence allows.

The two know nothing of each other: one assigns sessions to lines by the tables, the other put them there.
"""

from datetime import date, timedelta

import pyarrow.parquet as pq
import pytest

from renzheng.central.audit.request import AuditRequest
from renzheng.central.audit.run import run_audit
from renzheng.central.simulate.county import FIRST_DAY, simulate_county
from renzheng.central.simulate.lake import DAYS, simulate_lake


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


@pytest.mark.xfail(
    reason="the simulator's own reading does not know yet which session a fee of another day can take",
    strict=False,
)
@pytest.mark.parametrize("seed", [2, 6, 12])
def test_every_verdict_of_a_county_is_what_its_evidence_allows(tmp_path, seed):
    simulate_county(seed, 30, tmp_path / "tables", people=1500)
    assert _compare(tmp_path / "tables", tmp_path / "out", FIRST_DAY + timedelta(days=29)) == []


def test_every_verdict_of_a_lake_is_what_its_evidence_allows(tmp_path):
    simulate_lake(60_000, tmp_path / "tables")
    assert _compare(tmp_path / "tables", tmp_path / "out", FIRST_DAY + timedelta(days=DAYS - 1)) == []
