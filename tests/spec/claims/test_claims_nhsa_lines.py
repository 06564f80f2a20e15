"""NHSA fee lines as CSV: small files, what goes in, what is refused and why."""

import csv
import json
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow.parquet as pq
import pytest

from renzheng.central.claims.importer import Format, NothingReadError, import_claims
from renzheng.central.claims.settle import OutputError
from renzheng.central.claims.source import ColumnsError, Options
from renzheng.contracts.errors import InputError, UsageError
from renzheng.contracts.tables import CLAIM_LINES, arrow_schema
from renzheng.deploy.command import assemble

HEADER = (
    "fixmedins_code,feedetl_sn,mdtrt_id,psn_no,fee_ocur_time,med_list_codg,det_item_fee_sumamt,cnt,"
    "init_feedetl_sn,med_type,medins_list_name"
)
GOOD = "H1,1,V1,P1,2026-03-02 08:00:00,D01,400.00,1,,14,血液透析"


def _write(path, *lines, codec="utf-8", header=HEADER):
    path.write_bytes(("\n".join((header, *lines)) + "\n").encode(codec))
    return path


def _lines(out):
    return pq.read_table(out / "claim_lines.parquet").to_pylist()


def _list(out, folder="rejected"):
    path = out / folder / "claim_lines.csv"
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        return [
            (row["file"], int(row["line"]), row["field"], row["reason"]) for row in csv.DictReader(stream)
        ]


def _import(path, out, **options):
    return import_claims(path, out, file_format=Format.NHSA, options=Options(**options))


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "gb18030"])
def test_a_line_becomes_a_canonical_line(tmp_path, codec):
    _import(_write(tmp_path / "a.csv", GOOD, codec=codec), tmp_path / "out")
    assert _lines(tmp_path / "out") == [
        {
            "line_id": "H1:V1:1",
            "institution_id": "H1",
            "visit_id": "V1",
            "settlement_id": None,
            "person_id": "P1",
            "visit_type": "outpatient",
            "item_code": "D01",
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
    ]
    assert pq.read_schema(tmp_path / "out" / "claim_lines.parquet").types == arrow_schema(CLAIM_LINES).types


@pytest.mark.parametrize(
    ("line", "field", "reason"),
    [
        ("H1,2,V1,P1,2026-02-30 08:00:00,D01,400.00,1,,14,x", "fee_ocur_time", "bad_time"),
        ("H1,2,V1,P1,,D01,400.00,1,,14,x", "fee_ocur_time", "missing"),
        ("H1,2,V1,P1,2026-03-02 08:00:00,D01,four,1,,14,x", "det_item_fee_sumamt", "bad_decimal"),
        ("H1,2,V1,P1,2026-03-02 08:00:00,D01,-400.00,1,,14,x", "det_item_fee_sumamt", "amount_sign"),
        ("H1,2,V1,P1,2026-03-02 08:00:00,D01,400.00,,,14,x", "cnt", "missing"),
        ("H1,2,V1,,2026-03-02 08:00:00,D01,400.00,1,,14,x", "psn_no", "missing"),
        ("H1,2,V1,3.7E+17,2026-03-02 08:00:00,D01,400.00,1,,14,x", "psn_no", "spreadsheet_number"),
        ("H1,,V1,P1,2026-03-02 08:00:00,D01,400.00,1,,14,x", "feedetl_sn", "missing"),
        (",2,V1,P1,2026-03-02 08:00:00,D01,400.00,1,,14,x", "fixmedins_code", "missing"),
        ("H1,2,V1,P1,2026-03-02 08:00:00,D01,400.00,1,,14", "", "field_count"),
        ("H1,2,V1,P1,2026-03-02 08:00:00,D01,400.00,1", "", "field_count"),
        ('H1,2,V1,"P1,2026-03-02 08:00:00,D01,400.00,1,,14,x', "psn_no", "replacement_character"),
        ("H1,2,V1,P1\0,2026-03-02 08:00:00,D01,400.00,1,,14,x", "psn_no", "replacement_character"),
        ('H1,"2\n2",V1,P1,2026-03-02 08:00:00,D01,400.00,1,,14,x', "feedetl_sn", "control_character"),
        (GOOD, "feedetl_sn", "duplicate"),
        (GOOD.replace("400.00", "500.00"), "feedetl_sn", "duplicate_differs"),
    ],
)
@pytest.mark.parametrize("codec", ["utf-8", "gb18030"])
def test_a_bad_line_is_listed_and_its_neighbours_go_in(tmp_path, line, field, reason, codec):
    last = "H1,9,V1,P1,2026-03-04 08:00:00,D01,400.00,1,,14,血液透析"
    summary = _import(_write(tmp_path / "a.csv", GOOD, line, last, codec=codec), tmp_path / "out")
    assert [row["line_id"] for row in _lines(tmp_path / "out")] == ["H1:V1:1", "H1:V1:9"]
    assert _list(tmp_path / "out") == [("a.csv", 3, field, reason)]
    counts = summary.tables["claim_lines"]
    assert (counts.read, counts.added, counts.rejected) == (3, 2, 1)
    assert counts.reasons == {reason: 1}


@pytest.mark.parametrize(
    ("line", "field", "reason"),
    [
        ("H1,2,V1,P1,2026-03-02 08:00:00,D01,4.005,1,,14,x", "det_item_fee_sumamt", "rounded"),
        ("H1,2,V1,P1,2026-03-02 08:00:00,D01,400.00,0,,14,x", "cnt", "zero_quantity"),
        ("H1,2,V1,P1,2026-03-02 08:00:00,D01,-400.00,-1,,14,x", "cnt", "negative_without_reversal"),
        ("H1,2,V1,P1,2026-03-02 08:00:00,D01,400.00,1,1,14,x", "cnt", "reversal_not_negative"),
        ("H1,2,V1,P1,2026-03-02 08:00:00,D01,400.00,1,2,14,x", "init_feedetl_sn", "reversal_of_itself"),
        ("H1,2,V1,P1,2026-03-02 08:00:00,D01,400.00,1,0,14,x", "init_feedetl_sn", "reversal_of_itself"),
        ("H1,2,V1,P1,2026-03-02 08:00:00,D01,400.00,1,0000,14,x", "init_feedetl_sn", "reversal_of_itself"),
        ("H1,2,V1,P1,2026-03-02 08:00:00,D01,400.00,1,,9999,x", "med_type", "unknown_med_type"),
        ("H1,2,V1,P1,2026-03-02 08:00:00,D01,400.00,1,,14, ", "medins_list_name", "blank_description"),
        ("H1,2,V1,P1,2026-03-02 08:00:00,D01,400.00,1,,14,\0", "medins_list_name", "description_not_read"),
        ('H1,2,V1,P1,2026-03-02 08:00:00,D01,400.00,1,,14,"x', "medins_list_name", "description_not_read"),
    ],
)
def test_a_line_that_is_billed_is_taken_with_a_remark(tmp_path, line, field, reason):
    summary = _import(_write(tmp_path / "a.csv", GOOD, line), tmp_path / "out")
    assert [row["line_id"] for row in _lines(tmp_path / "out")] == ["H1:V1:1", "H1:V1:2"]
    assert (_list(tmp_path / "out"), _list(tmp_path / "out", "warnings")) == (
        [],
        [("a.csv", 3, field, reason)],
    )
    assert summary.tables["claim_lines"].rejected == 0
    if field == "init_feedetl_sn":
        assert _lines(tmp_path / "out")[1]["reverses_line_id"] is None


def test_blanks_reverse_nothing_without_a_word(tmp_path):
    lines = [
        GOOD.replace("H1,1,", f"H1,{n},").replace(",1,,14", f",1,{blank},14")
        for n, blank in enumerate(("", " ", "　"))
    ]
    _import(_write(tmp_path / "a.csv", *lines), tmp_path / "out")
    assert [row["reverses_line_id"] for row in _lines(tmp_path / "out")] == [None] * 3
    assert _list(tmp_path / "out", "warnings") == []


def test_every_problem_of_a_line_is_named(tmp_path):
    bad = "H1,2,V1,,yesterday,D01,much,some,,14,x"
    _import(_write(tmp_path / "a.csv", GOOD, bad), tmp_path / "out")
    assert {field for _, _, field, _ in _list(tmp_path / "out")} == {
        "psn_no",
        "fee_ocur_time",
        "det_item_fee_sumamt",
        "cnt",
    }


def test_a_number_is_unique_within_its_visit_only(tmp_path):
    other = GOOD.replace(",V1,", ",V2,")
    elsewhere = GOOD.replace("H1,", "H2,")
    _import(_write(tmp_path / "a.csv", GOOD, other, elsewhere), tmp_path / "out")
    assert [row["line_id"] for row in _lines(tmp_path / "out")] == ["H1:V1:1", "H1:V2:1", "H2:V1:1"]


def test_parts_of_an_id_cannot_run_into_each_other(tmp_path):
    one = "H1,b:c,a,P1,2026-03-02 08:00:00,D01,400.00,1,,14,x"
    two = "H1,c,a:b,P1,2026-03-02 08:00:00,D01,400.00,1,,14,x"
    _import(_write(tmp_path / "a.csv", one, two), tmp_path / "out")
    assert len({row["line_id"] for row in _lines(tmp_path / "out")}) == 2


def test_a_reversal_points_at_the_line_of_its_own_visit(tmp_path):
    reversal = "H1,2,V1,P1,2026-03-02 09:00:00,D01,-400.00,-1,1,14,x"
    _import(_write(tmp_path / "a.csv", reversal, GOOD), tmp_path / "out")
    first = _lines(tmp_path / "out")[0]
    assert (first["reverses_line_id"], first["quantity"], first["amount"]) == ("H1:V1:1", -1, -400)
    assert _list(tmp_path / "out", "warnings") == []


def test_a_reversal_of_nothing_is_kept_with_a_warning(tmp_path):
    reversal = "H1,2,V2,P1,2026-03-02 09:00:00,D01,-400.00,-1,1,14,x"
    summary = _import(_write(tmp_path / "a.csv", GOOD, reversal), tmp_path / "out")
    assert len(_lines(tmp_path / "out")) == 2
    assert _list(tmp_path / "out", "warnings") == [("a.csv", 3, "init_feedetl_sn", "reversal_of_nothing")]
    assert (summary.tables["claim_lines"].rejected, summary.tables["claim_lines"].warnings) == (0, 1)


def test_a_positive_amount_of_a_reversal_is_turned_with_a_warning(tmp_path):
    reversal = "H1,2,V1,P1,2026-03-02 09:00:00,D01,400.00,-1,1,14,x"
    _import(_write(tmp_path / "a.csv", GOOD, reversal), tmp_path / "out")
    assert _lines(tmp_path / "out")[1]["amount"] == -400
    assert _list(tmp_path / "out", "warnings") == [("a.csv", 3, "det_item_fee_sumamt", "amount_sign_turned")]


@pytest.mark.parametrize(
    ("fields", "options", "visit_type"),
    [
        ({"med_type": "21"}, {}, "inpatient"),
        ({"med_type": "41"}, {}, "pharmacy"),
        ({"infno": "2301"}, {}, "inpatient"),
        ({"infno": "2301", "med_type": "14"}, {}, "outpatient"),
        ({}, {"transaction": "2301"}, "inpatient"),
        ({}, {"transaction": "2204"}, "outpatient"),
        ({}, {}, "outpatient"),
        ({"drord_no": "7"}, {}, "inpatient"),
        ({"infno": "2301", "med_type": "9999"}, {}, "inpatient"),
        ({"infno": "2204", "med_type": "9999"}, {}, "outpatient"),
        ({"infno": "2204", "fixmedins_code": "P37112100001"}, {}, "pharmacy"),
        ({"infno": "2301A"}, {}, "inpatient"),
    ],
)
def test_the_kind_of_visit_is_what_the_line_says_else_the_transaction(tmp_path, fields, options, visit_type):
    base = dict(zip(HEADER.split(",")[:8], GOOD.split(",")[:8], strict=True)) | fields
    path = _write(tmp_path / "a.csv", ",".join(base.values()), header=",".join(base))
    _import(path, tmp_path / "out", **options)
    assert _lines(tmp_path / "out")[0]["visit_type"] == visit_type


def test_the_institution_may_be_given(tmp_path):
    path = _write(tmp_path / "a.csv", GOOD.removeprefix("H1,"), header=HEADER.removeprefix("fixmedins_code,"))
    _import(path, tmp_path / "out", institution="H7")
    assert _lines(tmp_path / "out")[0]["line_id"] == "H7:V1:1"


def test_local_time_is_the_institutions_own_where_it_is_known(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "institutions.csv").write_text(
        "institution_id,name,region_code,timezone\nH2,b,1,Asia/Urumqi\n", encoding="utf-8"
    )
    _import(_write(tmp_path / "a.csv", GOOD, GOOD.replace("H1,", "H2,")), out)
    assert [row["service_time"].hour for row in _lines(out)] == [0, 2]


def test_importing_again_changes_nothing(tmp_path):
    path = _write(
        tmp_path / "a.csv", GOOD, GOOD, "H1,2,V9,P1,2026-03-02 09:00:00,D01,400.00,-1,1,14,x", "broken"
    )
    first = _import(path, tmp_path / "out").tables["claim_lines"]
    before, rejects, warnings = (
        _lines(tmp_path / "out"),
        *(_list(tmp_path / "out", f) for f in ("rejected", "warnings")),
    )
    again = _import(path, tmp_path / "out").tables["claim_lines"]
    assert (again.added, again.unchanged, again.rejected, again.warnings) == (
        0,
        first.added,
        first.rejected,
        first.warnings,
    )
    assert (_lines(tmp_path / "out"), _list(tmp_path / "out"), _list(tmp_path / "out", "warnings")) == (
        before,
        rejects,
        warnings,
    )


def test_a_second_file_adds_to_the_first_and_its_rejects_to_the_list(tmp_path):
    _import(_write(tmp_path / "a.csv", GOOD, "broken"), tmp_path / "out")
    _import(
        _write(tmp_path / "b.csv", GOOD.replace("H1,1,", "H1,2,"), GOOD.replace("400.00", "1.00"), "broken"),
        tmp_path / "out",
    )
    lines = {row["line_id"]: row["amount"] for row in _lines(tmp_path / "out")}
    assert lines == {"H1:V1:1": Decimal("1.00"), "H1:V1:2": Decimal("400.00")}
    assert [(file, line) for file, line, _, _ in _list(tmp_path / "out")] == [("a.csv", 3), ("b.csv", 4)]
    assert _list(tmp_path / "out", "warnings") == [("b.csv", 3, "feedetl_sn", "replaces_earlier")]


def test_a_mended_file_clears_its_rejects(tmp_path):
    _import(_write(tmp_path / "a.csv", GOOD, "broken"), tmp_path / "out")
    _import(_write(tmp_path / "a.csv", GOOD, GOOD.replace("H1,1,", "H1,2,")), tmp_path / "out")
    assert not (tmp_path / "out" / "rejected" / "claim_lines.csv").exists()


def test_a_folder_is_read_whole(tmp_path):
    folder = tmp_path / "in"
    (folder / "march").mkdir(parents=True)
    _write(folder / "a.csv", GOOD)
    _write(folder / "march" / "b.csv", "broken", GOOD.replace(",V1,", ",V2,"), codec="gb18030")
    summary = _import(folder, tmp_path / "out")
    assert summary.files == 2
    assert _list(tmp_path / "out") == [("march/b.csv", 2, "", "field_count")]


def test_all_missing_columns_are_named_at_once(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    _write(folder / "a.csv", header="feedetl_sn,mdtrt_id,psn_no,med_list_codg,cnt")
    _write(folder / "b.csv", GOOD, header=HEADER.replace("cnt", "count"))
    with pytest.raises(ColumnsError) as caught:
        _import(folder, tmp_path / "out")
    assert caught.value.attributes["missing"] == {
        "a.csv": ["fee_ocur_time", "det_item_fee_sumamt", "fixmedins_code"],
        "b.csv": ["cnt"],
    }
    assert not (tmp_path / "out").exists()


def test_nothing_read_is_an_error_with_the_list_written(tmp_path):
    with pytest.raises(NothingReadError, match="Not one row"):
        _import(_write(tmp_path / "a.csv", "broken"), tmp_path / "out")
    assert _list(tmp_path / "out") == [("a.csv", 2, "", "field_count")]
    with pytest.raises(NothingReadError, match="no rows"):
        _import(_write(tmp_path / "b.csv"), tmp_path / "out")


def test_a_table_in_another_form_is_not_added_to(tmp_path):
    (tmp_path / "out" / "claim_lines").mkdir(parents=True)
    with pytest.raises(OutputError, match="claim_lines"):
        _import(_write(tmp_path / "a.csv", GOOD), tmp_path / "out")


def test_nothing_is_left_behind(tmp_path):
    _import(_write(tmp_path / "a.csv", GOOD), tmp_path / "out")
    left = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert left == ["claim_lines.parquet", "journal", "rejects.parquet"]


def test_a_path_that_is_not_there_and_a_zone_that_is_none(tmp_path):
    with pytest.raises(InputError, match="no file"):
        _import(tmp_path / "none.csv", tmp_path / "out")
    with pytest.raises(UsageError, match="Mars"):
        _import(_write(tmp_path / "a.csv", GOOD), tmp_path / "out", zone="Mars/Olympus")


def test_progress_reaches_the_end(tmp_path):
    steps = []
    path = _write(tmp_path / "a.csv", *(GOOD.replace("H1,1,", f"H1,{n},") for n in range(3000)))
    import_claims(path, tmp_path / "out", file_format="nhsa", progress=steps.append)
    assert steps[-1].done == steps[-1].total == path.stat().st_size
    assert len(steps) > 2


def _command(*arguments):
    return assemble("claims")(["claims", "import", *map(str, arguments)], standalone_mode=False)


def test_the_command_prints_the_summary(tmp_path, capsys):
    path = _write(tmp_path / "a.csv", GOOD, "broken")
    _command(path, "--format", "nhsa", "--out", tmp_path / "out", "--json")
    assert json.loads(capsys.readouterr().out)["tables"]["claim_lines"]["rejected"] == 1
    _command(path, "--out", tmp_path / "out")
    assert "field_count" in capsys.readouterr().out
