"""Canonical CSV and Parquet, and any CSV by a mapping file."""

import csv
import inspect
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from renzheng.central.claims import mapped, mapping_file
from renzheng.central.claims.importer import Format, import_claims
from renzheng.central.claims.mapping_file import MappingError
from renzheng.central.claims.source import ColumnsError, Options
from renzheng.contracts.errors import InputError, UsageError

LINE = {
    "line_id": "L1",
    "institution_id": "H1",
    "visit_id": "V1",
    "settlement_id": None,
    "person_id": "P1",
    "visit_type": "outpatient",
    "item_code": "HD",
    "item_name": "血液透析",
    "service_time": datetime(2026, 3, 2, tzinfo=UTC),
    "quantity": Decimal("1.0000"),
    "amount": Decimal("400.00"),
    "reverses_line_id": None,
    "doctor_id": None,
    "department": None,
    "traceability_code": None,
    "fund_amount": None,
}
ATTENDANCE = (
    "event_id,institution_id,device_id,person_id,event_type,purpose,occurred_at,received_at,outcome,"
    "comparison_score,threshold,pad,witness_id,session_id,clock_trusted\n"
    "E1,H1,K1,P1,sign_in,dialysis,2026-03-02T00:00:00Z,2026-03-02T00:00:01Z,match,0.8,0.6,bona_fide,,S1,true\n"
)


def _csv(path, *rows):
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def _import(path, out, file_format=Format.CSV, mapping=None):
    if mapping is not None:
        (path.parent / "m.toml").write_text(mapping, encoding="utf-8")
    options = Options(mapping=None if mapping is None else path.parent / "m.toml")
    return import_claims(path, out, file_format=file_format, options=options)


def _table(out, name="claim_lines"):
    return pq.read_table(out / f"{name}.parquet").to_pylist()


def _rejected(out, name="claim_lines"):
    with (out / "rejected" / f"{name}.csv").open(encoding="utf-8", newline="") as stream:
        return [(int(row["line"]), row["field"], row["reason"]) for row in csv.DictReader(stream)]


def test_canonical_csv_comes_back_as_it_was(tmp_path):
    _import(_csv(tmp_path / "a.csv", LINE | {"service_time": "2026-03-02T00:00:00Z"}), tmp_path / "out")
    assert _table(tmp_path / "out") == [LINE]


def test_canonical_parquet_comes_back_as_it_was(tmp_path):
    pq.write_table(pa.Table.from_pylist([LINE]), tmp_path / "a.parquet")
    _import(tmp_path / "a.parquet", tmp_path / "out", Format.PARQUET)
    assert _table(tmp_path / "out") == [LINE]


def test_parquet_without_zones_is_utc_and_bad_rows_are_listed_by_number(tmp_path):
    rows = [LINE | {"service_time": datetime(2026, 3, 2)}, LINE | {"line_id": None, "service_time": None}]  # noqa: DTZ001 - no zone is the case
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    _import(tmp_path / "a.parquet", tmp_path / "out", Format.PARQUET)
    assert _table(tmp_path / "out") == [LINE]
    assert _rejected(tmp_path / "out") == [(2, "line_id", "missing"), (2, "service_time", "missing")]


def test_what_is_no_parquet_is_an_input_error(tmp_path):
    (tmp_path / "a.parquet").write_text("line_id\n", encoding="utf-8")
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        _import(tmp_path / "a.parquet", tmp_path / "out", Format.PARQUET)


def test_a_canonical_table_is_known_by_its_columns(tmp_path):
    (tmp_path / "a.csv").write_text(ATTENDANCE, encoding="utf-8")
    _import(tmp_path / "a.csv", tmp_path / "out")
    (event,) = _table(tmp_path / "out", "attendance")
    assert (event["comparison_score"], event["clock_trusted"], event["witness_id"]) == (0.8, True, None)


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"service_time": "2026-03-02 08:00:00"}, "service_time", "time_without_offset"),
        ({"visit_type": "home"}, "visit_type", "unknown_value"),
        ({"item_code": ""}, "item_code", "missing"),
    ],
)
def test_a_bad_canonical_row_is_listed(tmp_path, change, field, reason):
    good = LINE | {"service_time": "2026-03-02T00:00:00Z"}
    _import(_csv(tmp_path / "a.csv", good, good | {"line_id": "L2"} | change), tmp_path / "out")
    assert _rejected(tmp_path / "out") == [(3, field, reason)]


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"comparison_score": "nan"}, "comparison_score", "bad_number"),
        ({"clock_trusted": "perhaps"}, "clock_trusted", "bad_boolean"),
        ({"pad": "maybe"}, "pad", "unknown_value"),
    ],
)
def test_every_type_is_checked(tmp_path, change, field, reason):
    header, line = (text.split(",") for text in ATTENDANCE.strip().split("\n"))
    row = dict(zip(header, line, strict=True))
    _import(_csv(tmp_path / "a.csv", row, row | {"event_id": "E2"} | change), tmp_path / "out")
    assert _rejected(tmp_path / "out", "attendance") == [(3, field, reason)]


def test_missing_canonical_columns_are_named_with_their_table(tmp_path):
    row = {name: value for name, value in LINE.items() if name not in {"amount", "person_id", "department"}}
    with pytest.raises(ColumnsError) as caught:
        _import(_csv(tmp_path / "a.csv", row), tmp_path / "out")
    assert caught.value.attributes["missing"] == {
        "a.csv": ["person_id (of claim_lines)", "amount (of claim_lines)"]
    }


MAPPING = """
table = "claim_lines"
timezone = "Asia/Urumqi"
delimiter = ";"
encoding = "gb18030"

[columns]
line_id = { columns = ["医院", "流水号"] }
institution_id = "医院"
visit_id = "就诊号"
person_id = "人员"
visit_type = { column = "类别", values = { "门" = "outpatient", "住" = "inpatient" } }
item_code = "编码"
item_name = "名称"
service_time = { column = "时间", format = "%d/%m/%Y %H时%M分" }
quantity = { constant = "1" }
amount = "金额"
"""
OWN = "医院;流水号;就诊号;人员;类别;编码;名称;时间;金额"


def _own(tmp_path, *rows):
    path = tmp_path / "a.csv"
    path.write_bytes(("\n".join((OWN, *rows)) + "\n").encode("gb18030"))
    return path


def test_any_csv_by_a_mapping_file(tmp_path):
    _import(
        _own(tmp_path, "H1;7;V1;P1;住;HD;血液透析;02/03/2026 08时30分;400"), tmp_path / "out", mapping=MAPPING
    )
    (line,) = _table(tmp_path / "out")
    assert (line["line_id"], line["visit_type"], line["service_time"]) == (
        "H1:7",
        "inpatient",
        datetime(2026, 3, 2, 2, 30, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("row", "field", "reason"),
    [
        ("H1;;V1;P1;住;HD;x;02/03/2026 08时30分;400", "医院+流水号", "missing"),
        ("H1;8;V1;P1;急;HD;x;02/03/2026 08时30分;400", "类别", "unknown_value"),
        ("H1;8;V1;P1;住;HD;x;2026-03-02;400", "时间", "bad_time"),
        ("H1;8;V1;P1;住;HD;x;02/03/2026 08时30分;四百", "金额", "bad_decimal"),
    ],
)
def test_rejects_name_the_files_own_columns(tmp_path, row, field, reason):
    good = "H1;7;V1;P1;住;HD;血液透析;02/03/2026 08时30分;400"
    _import(_own(tmp_path, good, row), tmp_path / "out", mapping=MAPPING)
    assert _rejected(tmp_path / "out") == [(3, field, reason)]


def test_a_column_that_the_mapping_names_must_be_there(tmp_path):
    with pytest.raises(ColumnsError, match="费用"):
        _import(_own(tmp_path), tmp_path / "out", mapping=MAPPING.replace('"金额"', '"费用"'))


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        ("table = ", "Invalid value"),
        ('table = "lines"\n[columns]\n', "'lines' is none of the tables"),
        ('table = "claim_lines"\n[columns]\nline_id = "a"\n', "cannot do without institution_id"),
        (MAPPING.replace("item_code", "item_kode"), "no column item_kode"),
        (MAPPING.replace("Asia/Urumqi", "Mars/Olympus"), "Mars/Olympus"),
        (MAPPING.replace('{ constant = "1" }', '{ constant = "1", column = "x" }'), "exactly one"),
        (MAPPING + "\n[more]\n", "more: Extra inputs"),
    ],
)
def test_a_mapping_file_that_cannot_be_used_says_why(tmp_path, mapping, says):
    with pytest.raises(MappingError, match=says):
        _import(_own(tmp_path), tmp_path / "out", mapping=mapping)


def test_a_mapping_file_that_is_not_there(tmp_path):
    with pytest.raises(MappingError, match="No such file"):
        mapping_file.read_toml(tmp_path / "none.toml")


def test_settings_of_no_format_are_refused(tmp_path):
    (tmp_path / "m.toml").write_text("[nsha]\n", encoding="utf-8")
    with pytest.raises(MappingError, match="nsha"):
        mapping_file.read_settings(tmp_path / "m.toml", "nhsa", mapping_file.NhsaSettings)


@pytest.mark.parametrize("module", [mapped, mapping_file])
def test_the_documented_example_can_be_read(tmp_path, module):
    text = inspect.getdoc(module).split("::\n", 1)[1]
    example = "\n".join(line[4:] for line in text.split("\n") if line.startswith("    ") or not line)
    (tmp_path / "m.toml").write_text(example, encoding="utf-8")
    if module is mapping_file:
        assert mapping_file.read_settings(tmp_path / "m.toml", "nhsa", mapping_file.NhsaSettings).med_type
        assert mapping_file.read_settings(tmp_path / "m.toml", "hl7", mapping_file.Hl7Settings).institutions
    else:
        with pytest.raises(
            MappingError, match="cannot do without visit_id"
        ):  # it shows forms, not every column
            mapped.read_mapping(tmp_path / "m.toml")


def test_the_mapping_files_of_the_manual_can_be_read(tmp_path):
    manual = (Path(__file__).parents[3] / "docs" / "importing.md").read_text("utf-8")
    own, settings = re.findall(r"```toml\n(.*?)```", manual, re.DOTALL)
    (tmp_path / "own.toml").write_text(own, encoding="utf-8")
    (tmp_path / "settings.toml").write_text(settings, encoding="utf-8")
    assert mapped.read_mapping(tmp_path / "own.toml").table == "claim_lines"
    assert mapping_file.read_settings(tmp_path / "settings.toml", "nhsa", mapping_file.NhsaSettings).med_type
    assert mapping_file.read_settings(tmp_path / "settings.toml", "hl7", mapping_file.Hl7Settings).leave_kinds


@pytest.mark.parametrize(
    ("file_format", "option"),
    [("parquet", "encoding"), ("csv", "institution"), ("synthea", "mapping"), ("hl7", "transaction")],
)
def test_an_option_that_the_format_would_pass_over_is_a_wrong_call(tmp_path, file_format, option):
    path = _csv(tmp_path / "a.csv", LINE)
    with pytest.raises(UsageError, match=f"--format {file_format} takes no --{option}"):
        import_claims(path, tmp_path / "out", file_format=file_format, options=Options(**{option: "x"}))
