"""The simulated lake: deterministic, canonical, partitioned, in proportion, and whole in its truth."""

import hashlib

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from renzheng.bench.simulate import lake as lake_module
from renzheng.bench.simulate.lake import simulate_lake
from renzheng.contracts.errors import UsageError
from renzheng.contracts.tables import INPUT_TABLES, arrow_schema
from renzheng.deploy.command import assemble

LINES = 30_000


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    out = tmp_path_factory.mktemp("lake") / "lake"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lake_module, "LINES_A_REGION", 10_000)
        patch.setattr(lake_module, "DEAD_SHARE", 0.01)
        summary = simulate_lake(LINES, out, seed=5)
    return out, summary


def _table(out, name):
    return pq.read_table(out / name, partitioning=None)


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    def digests(name, seed):
        simulate_lake(2000, tmp_path / name, seed=seed)
        return {
            path.relative_to(tmp_path / name): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in (tmp_path / name).rglob("*.parquet")
        }

    assert digests("a", 1) == digests("b", 1)
    assert digests("c", 2) != digests("a2", 1)


@pytest.mark.parametrize("name", [name for name, table in INPUT_TABLES.items() if not table.optional])
def test_every_table_is_canonical(lake, name):
    table = _table(lake[0], name)
    canon = INPUT_TABLES[name]
    assert table.schema.equals(arrow_schema(canon))
    assert table.num_rows == lake[1].rows[name] > 0
    for column in canon.columns:
        values = table[column.name]
        assert values.null_count == 0 or column.nullable or column.may_be_absent, column.name
        assert not column.choices or set(pc.unique(values).to_pylist()) <= {*column.choices, None}
    for interval in canon.intervals:
        assert pc.all(pc.less_equal(table[interval.start], table[interval.end])).as_py() in {True, None}
    if canon.key:
        keyed = table.group_by(list(canon.key)).aggregate([])
        assert keyed.num_rows == table.num_rows


def test_lines_are_partitioned_by_the_service_day_and_region_they_are_of(lake):
    parts = sorted((lake[0] / "claim_lines").rglob("*.parquet"))
    assert len(parts) == 7 * lake[1].regions == 21
    for part in parts:
        region, day = part.parent.name.split("=")[1], part.parent.parent.name.split("=")[1]
        table = pq.read_table(part, partitioning=None)
        assert pc.all(pc.starts_with(table["institution_id"], f"H{region}-")).as_py()
        local = pc.local_timestamp(table["service_time"].cast(pa.timestamp("us", "Asia/Shanghai")))
        assert set(pc.unique(pc.strftime(local, "%Y-%m-%d")).to_pylist()) == {day}


def test_proportions_are_those_of_a_nations_night(lake):
    out, summary = lake
    codes = pc.value_counts(_table(out, "claim_lines")["item_code"]).to_pylist()
    by_code = {one["values"]: one["counts"] for one in codes}
    assert by_code["HD"] == pytest.approx(LINES * 0.1, rel=0.05)
    assert by_code["BED"] == pytest.approx(LINES * 0.4, rel=0.01)
    assert summary.rows["claim_lines"] == pytest.approx(LINES, rel=0.01)
    assert summary.rows["attendance"] == pytest.approx(LINES, rel=0.05)


def test_truth_has_exactly_the_lines_in_scope(lake):
    out, summary = lake
    lines = _table(out, "claim_lines")
    taken_back = set(lines["reverses_line_id"].to_pylist()) - {None}
    in_scope = {
        line
        for line, code, quantity in zip(
            *(lines[name].to_pylist() for name in ("line_id", "item_code", "quantity")), strict=True
        )
        if code in {"HD", "BED"} and quantity > 0 and line not in taken_back
    }
    truth = pq.read_table(out / "truth.parquet")
    assert set(truth["line_id"].to_pylist()) == in_scope
    assert truth.num_rows == len(in_scope) == sum(summary.truths.values())
    assert "genuine/contradicted" not in summary.truths
    assert {kind.split("/")[0] for kind in summary.truths} == {
        "genuine",
        "after_death",
        "hang_bed",
        "impersonation",
        "lent_card",
        "padded_session",
        "phantom_dialysis",
        "witness_collusion",
    }


def test_a_lake_too_small_or_on_top_of_another_is_refused(tmp_path):
    with pytest.raises(UsageError, match="too few"):
        simulate_lake(10, tmp_path / "a")
    simulate_lake(1000, tmp_path / "b")
    with pytest.raises(UsageError, match="holds institutions"):
        simulate_lake(1000, tmp_path / "b")


def test_the_command_writes_a_lake(tmp_path, capsys):
    assemble("simulate")(
        ["simulate", "lake", "--lines", "1000", "--out", str(tmp_path / "lake"), "--json"],
        standalone_mode=False,
    )
    assert '"regions": 1' in capsys.readouterr().out
