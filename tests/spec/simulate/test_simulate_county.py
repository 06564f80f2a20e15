"""The simulated county: deterministic, canonical, whole, and true to what AUDIT.md says of evidence."""

import hashlib
from collections import Counter

import numpy as np
import pyarrow.parquet as pq
import pytest

from renzheng.bench.simulate.allows import DIALYSIS_ITEMS, of_session
from renzheng.bench.simulate.billing import Habit, habits_of
from renzheng.bench.simulate.county import KINDS, simulate_county
from renzheng.bench.simulate.coverage import DeviceLife, Gap, covered_share
from renzheng.bench.simulate.evasions import TRICKS
from renzheng.bench.simulate.ledger import DAY, HOUR, MINUTE, Event, MachineSession, Session
from renzheng.bench.simulate.world import build_county
from renzheng.contracts.errors import UsageError
from renzheng.contracts.tables import INPUT_TABLES, arrow_schema
from renzheng.deploy.command import assemble

SIMULATED = [*(name for name, table in INPUT_TABLES.items() if not table.optional), "person_aliases"]


@pytest.fixture(scope="module")
def county(tmp_path_factory):
    out = tmp_path_factory.mktemp("county")
    summary = simulate_county(7, 14, out, people=800)
    return out, summary


def _rows(out, name):
    return pq.read_table(out / f"{name}.parquet").to_pylist()


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        simulate_county(3, 5, tmp_path / name, people=200)
    digests = [
        {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (tmp_path / name).iterdir()}
        for name in ("a", "b")
    ]
    assert digests[0] == digests[1]
    assert digests[0].keys() == {f"{name}.parquet" for name in (*SIMULATED, "truth", "evasions")}
    simulate_county(4, 5, tmp_path / "c", people=200)
    assert (
        digests[0]["attendance.parquet"]
        != hashlib.sha256((tmp_path / "c" / "attendance.parquet").read_bytes()).hexdigest()
    )


@pytest.mark.parametrize("name", SIMULATED)
def test_every_table_is_canonical(county, name):
    table = pq.read_table(county[0] / f"{name}.parquet")
    assert table.schema.equals(arrow_schema(INPUT_TABLES[name]))
    assert table.num_rows == county[1].rows[name] > 0
    canon = INPUT_TABLES[name]
    for row in table.to_pylist():
        for column in canon.columns:
            value = row[column.name]
            assert value is not None or column.nullable or column.may_be_absent, column.name
            assert not column.choices or value is None or value in column.choices
        for interval in canon.intervals:
            assert row[interval.end] is None or row[interval.start] <= row[interval.end]
    keys = [tuple(row[one] for one in canon.key) for row in table.to_pylist()]
    assert not canon.key or len(set(keys)) == len(keys)


def test_references_between_tables_hold(county):
    out, _ = county
    persons = {row["person_id"] for name in ("persons", "person_aliases") for row in _rows(out, name)}
    institutions = {row["institution_id"] for row in _rows(out, "institutions")}
    for name in ("claim_lines", "attendance", "stays", "leaves", "spot_checks", "prescriptions"):
        for row in _rows(out, name):
            assert row["person_id"] in persons
            assert row["institution_id"] in institutions
    stays = {row["visit_id"] for row in _rows(out, "stays")}
    assert {row["visit_id"] for row in _rows(out, "leaves") + _rows(out, "spot_checks")} <= stays
    lines = {row["line_id"] for row in _rows(out, "claim_lines")}
    assert {row["reverses_line_id"] for row in _rows(out, "claim_lines")} - {None} <= lines


def test_truth_has_exactly_the_lines_in_scope(county):
    out, summary = county
    classes = {row["item_code"]: row["item_class"] for row in _rows(out, "item_catalogue")}
    lines = {row["line_id"]: row for row in _rows(out, "claim_lines")}
    net = {line_id: row["quantity"] for line_id, row in lines.items() if row["reverses_line_id"] is None}
    for row in lines.values():
        if row["reverses_line_id"]:
            net[row["reverses_line_id"]] += row["quantity"]
    in_scope = {
        line_id
        for line_id, quantity in net.items()
        if quantity > 0 and classes[lines[line_id]["item_code"]] not in {"other", "peritoneal_dialysis"}
    }
    truth = _rows(out, "truth")
    assert {row["line_id"] for row in truth} == in_scope
    assert len(truth) == len(in_scope)
    assert Counter(f"{row['truth']}/{row['allows']}" for row in truth) == summary.truths
    assert {row["allows"] for row in truth} == {"supported", "contradicted", "insufficient"}


@pytest.fixture(scope="module")
def month(tmp_path_factory):
    out = tmp_path_factory.mktemp("month")
    return out, simulate_county(1, 30, out, people=3000)


def test_no_genuine_line_is_contradicted_and_every_fraud_is_there(month):
    truths = month[1].truths
    assert "genuine/contradicted" not in truths
    assert {name.split("/")[0] for name in truths} == {"genuine", *KINDS}
    assert any(name == "hang_bed/supported" for name in truths)


@pytest.mark.parametrize("seed", [7, *(pytest.param(seed, marks=pytest.mark.long) for seed in (10, 13))])
def test_no_genuine_line_is_contradicted_by_any_seed(tmp_path, seed):
    assert "genuine/contradicted" not in simulate_county(seed, 30, tmp_path, people=1500).truths


def test_noise_of_every_kind_is_there(month):
    out, _ = month
    events = _rows(out, "attendance")
    assert {row["outcome"] for row in events} == {
        "match", "non_match", "attack_suspected", "not_acquired", "manual", "declined"
    }  # fmt: skip
    assert any(not row["clock_trusted"] for row in events)
    assert any(row["session_id"] is None and row["event_type"] == "sign_out" for row in events)
    assert any((row["received_at"] - row["occurred_at"]).total_seconds() > HOUR for row in events)
    assert {row["state"] for row in _rows(out, "coverage")} == {"up", "degraded", "down"}
    assert {row["kind"] for row in _rows(out, "leaves")} == {"leave", "examination", "transfer"}
    assert any(row["person_id"] is None for row in _rows(out, "machine_sessions"))
    assert any(row["reverses_line_id"] for row in _rows(out, "claim_lines"))


def test_nobody_is_seen_by_a_device_that_was_dark(county):
    out, _ = county
    up = {}
    for row in _rows(out, "coverage"):
        if row["state"] == "up":
            up.setdefault(row["device_id"], []).append((row["from_at"], row["to_at"]))
    for event in _rows(out, "attendance"):
        if event["clock_trusted"] and event["event_type"] != "sign_in":
            assert any(a <= event["occurred_at"] <= b for a, b in up[event["device_id"]])


def test_a_third_of_the_hospitals_bills_by_the_month_and_a_tenth_days_late(month):
    out, _ = month
    habits = Counter(habits_of(build_county(np.random.default_rng(1), 3000, 30).institutions).values())
    assert habits[Habit.BY_MONTH] >= 20 / 3 - 1
    assert habits[Habit.AFTER_THE_DAY] == 2
    bundled = [row for row in _rows(out, "claim_lines") if row["quantity"] > 2]
    assert {row["item_code"] for row in bundled} >= {"HD", "BED"}
    assert len({row["institution_id"] for row in bundled}) > 3


def test_institutions_that_evade_are_planted_beside_the_county(tmp_path):
    simulate_county(5, 14, tmp_path, people=300, evasions=True)
    planted = {row["evasion"]: row["institution_id"] for row in _rows(tmp_path, "evasions")}
    assert planted.keys() == TRICKS.keys()
    lines = _rows(tmp_path, "claim_lines")
    of = {name: [row for row in lines if row["institution_id"] == at] for name, at in planted.items()}
    assert any(row["item_name"] is None for row in of["blank_names"])
    assert any(row["item_code"] == "331199999" for row in of["unknown_codes"])
    others = {row["line_id"] for row in lines if row["institution_id"] != planted["borrowed_ids"]}
    assert sum(row["line_id"] in others for row in of["borrowed_ids"]) == 14 * 3
    known = {row["line_id"] for row in lines}
    assert any(
        row["reverses_line_id"] and row["reverses_line_id"] not in known for row in of["orphan_reversals"]
    )
    assert any(row["service_time"].year == 2025 for row in of["wrong_years"])
    beds = Counter(
        (row["person_id"], row["service_time"].date())
        for row in of["five_fold_beds"]
        if row["item_code"] == "BED"
    )
    assert set(beds.values()) == {5}


def _event(at_minutes, event_type="sign_in", outcome="match", pad="bona_fide", trusted=True):
    at = 8 * HOUR + at_minutes * MINUTE
    return Event("E", "H", "K", "P", event_type, "dialysis", at, at, outcome, pad, 0.8, None, "S", trusted)


def _run(start, end, person="P"):
    return MachineSession("H", "M", person, 8 * HOUR + start * MINUTE, 8 * HOUR + end * MINUTE)


@pytest.mark.parametrize(
    ("sign_in", "sign_out", "presences", "machines", "allows"),
    [
        (_event(0), _event(240, "sign_out"), [], [], "supported"),
        (_event(0), _event(119, "sign_out"), [], [], "contradicted"),
        (_event(0), _event(119, "sign_out"), [], [_run(10, 200)], "supported"),
        (_event(0), _event(119, "sign_out"), [], [_run(10, 200, None)], "contradicted"),
        (_event(0), None, [], [], "insufficient"),
        (_event(0), None, [], [_run(10, 200)], "supported"),
        (_event(0), None, [_event(130, "presence")], [], "supported"),
        (_event(0), None, [_event(59, "presence")], [], "insufficient"),
        (_event(0), _event(240, "sign_out", trusted=False), [], [], "insufficient"),
        (_event(0, trusted=False), _event(240, "sign_out"), [], [_run(10, 200)], "insufficient"),
        (_event(0, pad="not_shown"), _event(240, "sign_out"), [], [], "insufficient"),
        (_event(0, outcome="manual"), _event(240, "sign_out"), [], [], "insufficient"),
        (_event(0, outcome="manual"), None, [], [_run(10, 200)], "supported"),
        (_event(0, outcome="declined"), None, [_event(100, "presence")], [], "supported"),
        (_event(0, outcome="declined"), None, [], [_run(10, 200, None)], "insufficient"),
    ],
)
def test_what_a_session_allows(sign_in, sign_out, presences, machines, allows):
    assert of_session(Session("H", "P", 120, sign_in, sign_out, presences, machines)) == allows


def test_a_day_is_covered_by_all_devices_together():
    dark = Gap(10 * HOUR, 12 * HOUR, "down")
    one = DeviceLife("a", "H", "dialysis", 1, [dark])
    other = DeviceLife("b", "H", "dialysis", 1, [Gap(11 * HOUR, 13 * HOUR, "degraded")])
    assert covered_share([one], 0) == pytest.approx(17 / 19)
    assert covered_share([one, other], 0) == pytest.approx(18 / 19)
    assert covered_share([one, DeviceLife("c", "H", "dialysis", 1)], 0) == 1
    assert covered_share([], 0) == 0
    assert [row[3:] for row in one.rows()] == [
        (0, 10 * HOUR, "up"),
        (10 * HOUR, 12 * HOUR, "down"),
        (12 * HOUR, DAY, "up"),
        (DAY, 2 * DAY, "up"),
    ]


@pytest.mark.parametrize("wrong", [{"days": 0}, {"people": 99}, {"seed": -1}])
def test_a_county_that_cannot_be_is_refused(tmp_path, wrong):
    arguments = {"seed": 1, "days": 1, "people": 100} | wrong
    with pytest.raises(UsageError, match="cannot be simulated"):
        simulate_county(arguments["seed"], arguments["days"], tmp_path, people=arguments["people"])


def test_the_command_writes_a_county(tmp_path, capsys):
    assemble("simulate")(
        ["simulate", "county", "--seed", "1", "--days", "2", "--people", "100", "--out", str(tmp_path)],
        standalone_mode=False,
    )
    assert "claim_lines" in capsys.readouterr().out
    assert (tmp_path / "truth.parquet").exists()
    assert {row["item_code"] for row in _rows(tmp_path, "item_catalogue")} >= DIALYSIS_ITEMS
