"""The audit on the command line: forms of input, bad input, rejects, exit statuses, determinism."""

import datetime as dt
import json
import random
import shutil
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest
from parts.audit_tables import few_rules
from typer.testing import CliRunner

from renzheng.central.audit.command import app
from renzheng.central.audit.errors import TablesUnusableError
from renzheng.central.audit.readback import read_findings, read_verdicts
from renzheng.central.audit.request import AuditRequest
from renzheng.central.audit.rule_examples import write_tables
from renzheng.central.audit.run import run_audit
from renzheng.contracts.errors import RenzhengError
from renzheng.contracts.tables import CLAIM_LINES, INPUT_TABLES, arrow_schema
from renzheng.rules.examples import cases
from renzheng.rules.pack import load_pack

FIRST, LAST = dt.date(2026, 3, 1), dt.date(2026, 3, 31)


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """All worked examples of all rules: every verdict and finding, in one set of tables."""
    folder = tmp_path_factory.mktemp("tables")
    pack = load_pack()
    write_tables(folder, list(cases(list(pack.rules.values()))))
    return folder


@pytest.fixture
def copied(tables, tmp_path):
    """The same, to be broken."""
    folder = tmp_path / "tables"
    folder.mkdir()
    for path in tables.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


@pytest.fixture(scope="module")
def plain(tables, tmp_path_factory):
    """The folder with the result of all examples as they are."""
    out = tmp_path_factory.mktemp("plain") / "out"
    run_audit(AuditRequest(tables, FIRST, LAST, out))
    return out


def answers(out):
    return list(read_verdicts(out)), list(read_findings(out))


def audit(folder, out, **more):
    run_audit(AuditRequest(folder, FIRST, LAST, out, **more))
    return answers(out)


def verdicts_of(folder, out):
    """Audit for the verdicts alone."""
    return audit(folder, out, rules=few_rules(out.with_name(f"{out.name}-rules")))[0]


def renzheng(*arguments):
    command = [str(Path(sys.executable).with_name("renzheng")), "audit", "run", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def status(*arguments):
    """Return what the command would end with, without a process of its own."""
    done = CliRunner().invoke(app, ["run", *map(str, arguments)])
    return done.exception.exit_status if isinstance(done.exception, RenzhengError) else done.exit_code


def period(folder, out):
    return "--tables", folder, "--from", FIRST, "--to", LAST, "--out", out


def change(folder, name, changed):
    path = folder / f"{name}.parquet"
    pq.write_table(changed(pq.read_table(path)), path)


def test_the_output_is_as_documented(plain):
    verdicts, findings = answers(plain)
    keys = [(one.institution_id, one.line_id) for one in verdicts]
    assert keys == sorted(set(keys))
    assert [one.finding_id for one in findings] == sorted({one.finding_id for one in findings})
    assert all(0 <= one.coverage_ratio <= 1 for one in verdicts)
    assert all(list(one.evidence) == sorted(one.evidence) for one in [*verdicts, *findings])
    assert all(one.explanation_zh and one.explanation_en for one in findings)
    assert all("content_hash" in one.parameters for one in findings)
    summary = json.loads((plain / "summary.json").read_text(encoding="utf-8"))
    assert sum(row["lines"] for row in summary["verdicts"]) == len(verdicts)
    assert summary["findings"]["weekly-cap"] == sum(one.rule_id == "weekly-cap" for one in findings)
    assert summary["missing_tables"] == []
    assert summary["rows"]["claim_lines"]["rejected"] == 0
    assert set(summary["seconds"]) > {"load", "write", "weekly-cap"}
    schema = pq.read_schema(plain / "findings.parquet")
    assert schema.field("amount").type == pa.decimal128(16, 2)


def as_text(column):
    """A column as CSV has it, its times on a clock of Shanghai."""
    if not pa.types.is_timestamp(column.type):
        return pa.array(column.cast(pa.string()).to_pylist(), pa.string())
    china = dt.timezone(dt.timedelta(hours=8))
    times = [None if at is None else at.astimezone(china).isoformat() for at in column.to_pylist()]
    return pa.array(times, pa.string())


def test_csv_in_another_order_on_one_thread_says_the_same(plain, tables, tmp_path):
    (tmp_path / "csv").mkdir()
    order = random.Random(7)
    for path in tables.iterdir():
        table = pq.read_table(path)
        rows = list(range(table.num_rows))
        order.shuffle(rows)
        table = table.take(pa.array(rows, pa.int64()))
        text = pa.table([as_text(column) for column in table.columns], names=table.column_names)
        pacsv.write_csv(text, tmp_path / "csv" / f"{path.stem}.csv")
    assert audit(tmp_path / "csv", tmp_path / "b", threads=1) == answers(plain)


def test_partitioned_folders_on_four_threads_say_the_same(plain, tables, tmp_path):
    for path in tables.iterdir():
        table, folder = pq.read_table(path), tmp_path / "parts" / path.stem
        folder.mkdir(parents=True)
        if path.stem == "claim_lines":
            by = {"partitioning": ["institution_id"], "partitioning_flavor": "hive"}
            pads.write_dataset(table, folder, format="parquet", **by)
        else:
            half = table.num_rows // 2
            pq.write_table(table[:half], folder / "part-0.parquet", row_group_size=11)
            pq.write_table(table[half:], folder / "part-1.parquet")
    assert audit(tmp_path / "parts", tmp_path / "c", threads=4) == answers(plain)


def test_a_missing_table_counts_as_empty_and_is_named(copied, tmp_path):
    (copied / "spot_checks.parquet").unlink()
    verdicts_of(copied, tmp_path / "out")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    assert summary["missing_tables"] == ["spot_checks"]


def test_without_any_stay_no_bed_is_outside_of_one(copied, tmp_path):
    (copied / "stays.parquet").unlink()
    verdicts = verdicts_of(copied, tmp_path / "out")
    assert "outside_stay" not in {one.reason for one in verdicts}


def test_every_wrong_column_is_named_at_once(copied, tmp_path):
    change(copied, "claim_lines", lambda t: t.drop_columns(["person_id", "department"]))
    change(
        copied,
        "attendance",
        lambda t: t.set_column(
            t.schema.get_field_index("occurred_at"), "occurred_at", t["occurred_at"].cast(pa.string())
        ),
    )
    change(copied, "institutions", lambda t: t.set_column(0, "institution_id", pa.array(range(t.num_rows))))
    with pytest.raises(TablesUnusableError) as caught:
        audit(copied, tmp_path / "out")
    told = caught.value.what
    for place in (
        "claim_lines.person_id",
        "claim_lines.department",
        "attendance.occurred_at",
        "institutions.institution_id",
    ):
        assert place in told
    assert f"{pq.read_metadata(copied / 'claim_lines.parquet').num_rows:,} rows" in told
    assert not (tmp_path / "out" / "summary.json").exists()


def test_a_column_without_any_value_may_have_any_type(copied, tmp_path):
    change(
        copied,
        "claim_lines",
        lambda t: t.set_column(t.schema.get_field_index("doctor_id"), "doctor_id", pa.nulls(t.num_rows)),
    )
    verdicts_of(copied, tmp_path / "out")


def test_an_extension_column_may_be_left_out(copied, tmp_path):
    change(copied, "claim_lines", lambda t: t.drop_columns(["traceability_code"]))
    (copied / "drug_sales.parquet").unlink()
    _, findings = audit(copied, tmp_path / "out", only=["traceability-twice"])
    assert "traceability-twice" not in {one.rule_id for one in findings}


def line(line_id, **more):
    at = dt.datetime(2026, 3, 4, 2, tzinfo=dt.UTC)
    usual = {
        "line_id": line_id,
        "institution_id": "H1",
        "visit_id": "V",
        "person_id": "P1",
        "visit_type": "outpatient",
        "item_code": "HD",
        "item_name": "HD",
        "service_time": at,
        "quantity": Decimal(1),
        "amount": Decimal(400),
    }
    return {column.name: {**usual, **more}.get(column.name) for column in CLAIM_LINES.columns}


def write(folder, name, rows):
    folder.mkdir(exist_ok=True)
    table = pa.Table.from_pylist(rows, schema=arrow_schema(INPUT_TABLES[name]))
    pq.write_table(table, folder / f"{name}.parquet")


def test_rows_that_break_a_constraint_are_kept_with_their_reason(tmp_path):
    folder = tmp_path / "tables"
    write(
        folder,
        "claim_lines",
        [
            line("L1"),
            line("L1", amount=Decimal(1)),
            line(None),
            line(""),
            line("L2", service_time=None),
            line("L3", visit_type="teleport"),
            line("L4", quantity=Decimal(-1)),
            line("L5", quantity=Decimal(-1), amount=Decimal(-400), reverses_line_id="L0"),
        ],
    )
    write(folder, "item_catalogue", [{"item_code": "HD", "item_class": "haemodialysis"}])
    verdicts = verdicts_of(folder, tmp_path / "out")
    assert [one.line_id for one in verdicts] == ["L1"]
    rejected = pq.read_table(tmp_path / "out" / "rejected" / "claim_lines.parquet").to_pylist()
    reasons = sorted((row["line_id"] or "", row["reason"]) for row in rejected)
    assert reasons == [
        ("", "line_id is empty"),
        ("", "line_id is empty"),
        ("L1", "another row with the same institution_id, line_id is kept"),
        ("L2", "service_time is empty"),
        ("L3", "visit_type is none of the known values: teleport"),
        ("L4", "negative quantity without a reversal"),
    ]
    summary = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    assert summary["rows"]["claim_lines"] == {"read": 8, "rejected": 6}


def test_csv_rows_that_cannot_be_read_are_kept_with_their_reason(tmp_path):
    folder = tmp_path / "tables"
    folder.mkdir()
    (folder / "coverage.csv").write_text(
        "institution_id,device_id,purpose,from_at,to_at,state\n"
        "H1,K1,dialysis,2026-03-04T00:00:00+08:00,2026-03-05T00:00:00+08:00,up\n"
        "H1,K1,dialysis,yesterday,2026-03-05T00:00:00+08:00,up\n"
        "H1,K1,dialysis,2026-03-04 00:00:00,2026-03-05T00:00:00Z,up\n"
        "H1,K1,dialysis,2026-03-06T00:00:00Z,2026-03-05T00:00:00Z,up\n",
        encoding="utf-8",
    )
    write(folder, "claim_lines", [line("L1")])
    write(folder, "item_catalogue", [{"item_code": "HD", "item_class": "haemodialysis"}])
    verdicts = verdicts_of(folder, tmp_path / "out")
    assert [(one.verdict, one.reason) for one in verdicts] == [("contradicted", "no_session")]
    rejected = pq.read_table(tmp_path / "out" / "rejected" / "coverage.parquet").to_pylist()
    assert sorted(row["reason"].split(":")[0] for row in rejected) == [
        "from_at is not a UTC timestamp (in CSV",
        "from_at is not a UTC timestamp (in CSV",
        "to_at is before from_at",
    ]
    assert any("yesterday" in row["reason"] for row in rejected)


def test_a_csv_column_of_which_nothing_can_be_read_stops_the_run(tmp_path):
    folder = tmp_path / "tables"
    folder.mkdir()
    (folder / "persons.csv").write_text(
        "person_id,sex,birth_date,death_date\nP1,M,01/02/1950,\nP2,F,03/04/1960,\n", encoding="utf-8"
    )
    with pytest.raises(TablesUnusableError, match=r"persons\.birth_date"):
        verdicts_of(folder, tmp_path / "out")


def test_a_broken_row_about_a_person_forbids_to_conclude_from_silence(tmp_path):
    folder = tmp_path / "tables"
    write(folder, "claim_lines", [line("L1"), line("L2", person_id="P2")])
    write(folder, "item_catalogue", [{"item_code": "HD", "item_class": "haemodialysis"}])
    day = dt.datetime(2026, 3, 3, 16, tzinfo=dt.UTC)
    up = {
        "device_id": "K1",
        "purpose": "dialysis",
        "state": "up",
        "from_at": day,
        "to_at": day + dt.timedelta(days=1),
    }
    write(folder, "coverage", [{"institution_id": "H1", **up}])
    broken = {
        "event_id": "E1",
        "institution_id": "H1",
        "device_id": "K1",
        "person_id": "P1",
        "event_type": "sign_in",
        "purpose": "dialysis",
        "received_at": day,
        "outcome": "match",
        "pad": "bona_fide",
        "clock_trusted": True,
    }
    write(folder, "attendance", [broken])
    verdicts = verdicts_of(folder, tmp_path / "out")
    assert [one.reason for one in verdicts] == ["broken_row", "no_session"]


def test_days_are_those_of_the_institutions_own_clock(tmp_path):
    folder = tmp_path / "tables"
    # half past eleven at night in Lisbon, where summer time began two days before; in Shanghai it is April
    late = dt.datetime(2026, 3, 31, 22, 30, tzinfo=dt.UTC)
    write(
        folder,
        "institutions",
        [
            {"institution_id": "H1", "name": "a", "region_code": "0", "timezone": "Europe/Lisbon"},
            {"institution_id": "H2", "name": "b", "region_code": "0"},
        ],
    )
    write(
        folder,
        "claim_lines",
        [line("L1", service_time=late), line("L2", institution_id="H2", service_time=late)],
    )
    write(folder, "item_catalogue", [{"item_code": "HD", "item_class": "haemodialysis"}])
    verdicts = verdicts_of(folder, tmp_path / "out")
    assert [one.line_id for one in verdicts] == ["L1"]


def test_an_empty_folder_is_audited_to_nothing(tmp_path):
    (tmp_path / "tables").mkdir()
    assert status(*period(tmp_path / "tables", tmp_path / "out")) == 0
    assert list(read_verdicts(tmp_path / "out")) == []
    assert list(read_findings(tmp_path / "out")) == []
    assert len(json.loads((tmp_path / "out" / "summary.json").read_text())["missing_tables"]) == sum(
        not table.optional for table in INPUT_TABLES.values()
    )


def test_exit_statuses(tables, copied, tmp_path):
    change(copied, "claim_lines", lambda t: t.drop_columns(["person_id"]))
    bad = renzheng(*period(copied, tmp_path / "bad"))
    assert bad.returncode == 1
    assert "claim_lines.person_id" in bad.stderr
    turned = ("--tables", tables, "--from", LAST, "--to", FIRST, "--out", tmp_path / "x")
    assert status(*turned) == 2
    assert status(*period(tmp_path / "nowhere", tmp_path / "x")) == 2
    assert status(*period(tables, tmp_path / "x"), "--engine", "abacus") == 2
    assert status(*period(tables, tmp_path / "x"), "--rules", tmp_path / "nowhere") == 2
    (copied / "attendance.parquet").write_bytes(b"not parquet")
    assert status(*period(copied, tmp_path / "x")) == 1


def test_a_failed_run_leaves_the_earlier_result(plain, copied, tmp_path):
    shutil.copytree(plain, tmp_path / "out")
    change(copied, "claim_lines", lambda t: t.drop_columns(["person_id"]))
    with pytest.raises(TablesUnusableError):
        audit(copied, tmp_path / "out")
    assert answers(tmp_path / "out") == answers(plain)
    assert [path.name for path in (tmp_path / "out").iterdir() if path.name.startswith(".")] == []


def test_a_regions_override_holds_from_its_date_when_the_region_is_named(tmp_path):
    few_rules(tmp_path / "pack" / "national")
    pack = tmp_path / "pack" / "regions"
    pack.mkdir()
    (pack / "110000.yaml").write_text(
        "region: '110000'\ntitle: {zh: 试, en: trial}\n"
        "parameters:\n  line-haemodialysis:\n    coverage_needed:\n"
        "      - {from: 2026-03-05, value: 0.10, reference: test}\n",
        encoding="utf-8",
    )
    folder = tmp_path / "tables"
    morning = dt.datetime(2026, 3, 4, 2, tzinfo=dt.UTC)
    days = [morning, morning + dt.timedelta(days=1)]
    lines = [line(f"L{n}", service_time=day) for n, day in enumerate(days)]
    # of somebody else, who may have come on the day before: that day asks for the share that held on it
    lines.append(line("L2", service_time=days[1], person_id="P2"))
    write(folder, "claim_lines", lines)
    write(folder, "item_catalogue", [{"item_code": "HD", "item_class": "haemodialysis"}])
    up = {"institution_id": "H1", "device_id": "K1", "purpose": "dialysis", "state": "up"}
    write(folder, "coverage", [{**up, "from_at": day, "to_at": day + dt.timedelta(hours=6)} for day in days])
    national, _ = audit(folder, tmp_path / "a", rules=tmp_path / "pack")
    regional, _ = audit(folder, tmp_path / "b", rules=tmp_path / "pack", region="110000")
    assert [one.reason for one in national] == ["coverage_gap"] * 3
    assert [one.reason for one in regional] == ["coverage_gap", "no_session", "coverage_gap"]


def test_lines_of_a_csv_that_are_no_rows_are_rejects_too(tmp_path):
    folder = tmp_path / "tables"
    folder.mkdir()
    (folder / "persons.csv").write_bytes(
        b"\xef\xbb\xbfperson_id,sex,birth_date,death_date\r\nP1,M,1950-01-01,\r\nP2,F\r\n"
        b"P3,F,1960-01-01,,more\r\nP\xff4,M,,\r\n"
    )
    verdicts_of(folder, tmp_path / "out")
    rejected = pq.read_table(tmp_path / "out" / "rejected" / "persons.parquet").to_pylist()
    assert [row["reason"].split(":")[:2] for row in rejected] == [
        ["line 3", " missing columns"],
        ["line 4", " too many columns"],
        ["line 5", " invalid encoding"],
    ]
    summary = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    assert summary["rows"]["persons"] == {"read": 4, "rejected": 3}
