"""Rejects are evidence: a table that keeps who, when and how many yuan; corrections settle them."""

import csv
from datetime import date
from decimal import Decimal

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from renzheng.central.claims.command import app
from renzheng.central.claims.importer import NothingReadError, import_claims
from renzheng.central.claims.source import Options
from renzheng.central.strict import with_share
from renzheng.contracts.tables import REJECTS, arrow_schema

HEADER = (
    "line_id,institution_id,visit_id,person_id,visit_type,item_code,item_name,service_time,quantity,amount,"
    "reverses_line_id,doctor_id,department"
)
GOOD = "L1,H1,V1,P1,outpatient,HD,血液透析,2026-03-04T10:00:00+08:00,1,400,,,"
NO_CODE = "L2,H1,V1,P2,outpatient,,血液透析,2026-03-04T20:00:00Z,1,300.50,,,"


def _write(path, *lines):
    path.write_text("\n".join((HEADER, *lines)) + "\n", encoding="utf-8")
    return path


def _import(path, out):
    return import_claims(path, out, file_format="csv")


def _rejects(out):
    table = pq.read_table(out / "rejects.parquet")
    assert [(one.name, one.type) for one in table.schema] == [
        (one.name, one.type) for one in arrow_schema(REJECTS)
    ]
    return table.to_pylist()


def _lines(out, name="claim_lines"):
    return {row["line_id"]: row for row in pq.read_table(out / f"{name}.parquet").to_pylist()}


def test_a_reject_keeps_who_when_and_how_much(tmp_path):
    _import(_write(tmp_path / "a.csv", GOOD, NO_CODE), tmp_path / "out")
    assert _rejects(tmp_path / "out") == [
        {
            "table": "claim_lines",
            "institution_id": "H1",
            "person_id": "P2",
            "visit_id": "V1",
            "day": date(2026, 3, 5),
            "amount": Decimal("300.50"),
            "reason": "missing",
            "file": "a.csv",
            "line": 3,
            "field": "item_code",
        }
    ]


@pytest.mark.parametrize(
    ("line", "known"),
    [
        (NO_CODE.replace("P2", ""), ("H1", None, date(2026, 3, 5), Decimal("300.50"))),
        (NO_CODE.replace("300.50", "much"), ("H1", "P2", date(2026, 3, 5), None)),
        (NO_CODE.replace("T20:00:00Z", " 20:00"), ("H1", "P2", date(2026, 3, 4), Decimal("300.50"))),
        ("too,few", (None, None, None, None)),
    ],
)
def test_what_cannot_be_read_is_blank_and_the_rest_is_kept(tmp_path, line, known):
    _import(_write(tmp_path / "a.csv", GOOD, line), tmp_path / "out")
    (reject,) = _rejects(tmp_path / "out")
    assert tuple(reject[name] for name in ("institution_id", "person_id", "day", "amount")) == known


def test_the_institution_of_a_broken_line_is_known_where_the_mapping_names_it(tmp_path):
    columns = [one for one in HEADER.split(",")[:10] if one != "institution_id"]
    mapping = 'table = "claim_lines"\n[columns]\ninstitution_id = { constant = "h1" }\n'
    (tmp_path / "m.toml").write_text(mapping + "".join(f'{one} = "{one}"\n' for one in columns), "utf-8")
    _write(tmp_path / "a.csv", GOOD, "too,few")
    options = Options(mapping=tmp_path / "m.toml")
    summary = import_claims(tmp_path / "a.csv", tmp_path / "out", file_format="csv", options=options)
    assert [(one.institution_id, one.rows) for one in summary.rejected] == [("H1", 1)]


def test_a_witness_that_cannot_be_read_is_evidence_too(tmp_path):
    (tmp_path / "a.csv").write_text(
        "visit_id,institution_id,person_id,admitted_at,discharged_at,department,ward,bed\n"
        "V1,H1,P1,2026-03-01T00:00:00Z,2026-03-05T00:00:00Z,,,\n"
        "V2,H1,P2,2026-03-01T00:00:00Z,2026-02-05T00:00:00Z,,,\n",
        encoding="utf-8",
    )
    _import(tmp_path / "a.csv", tmp_path / "out")
    (reject,) = _rejects(tmp_path / "out")
    assert (reject["table"], reject["visit_id"], reject["day"]) == ("stays", "V2", date(2026, 3, 1))


def test_the_same_file_again_changes_nothing(tmp_path):
    path = _write(tmp_path / "a.csv", GOOD, NO_CODE, "too,few")
    _import(path, tmp_path / "out")
    before = _rejects(tmp_path / "out"), _lines(tmp_path / "out")
    summary = _import(path, tmp_path / "out")
    assert (_rejects(tmp_path / "out"), _lines(tmp_path / "out")) == before
    assert (summary.tables["claim_lines"].added, summary.tables["claim_lines"].unchanged) == (0, 1)


def test_a_second_file_extends_the_rejects(tmp_path):
    _import(_write(tmp_path / "a.csv", GOOD, NO_CODE), tmp_path / "out")
    _import(_write(tmp_path / "b.csv", NO_CODE.replace("L2", "L3"), GOOD), tmp_path / "out")
    assert [(row["file"], row["line"]) for row in _rejects(tmp_path / "out")] == [("a.csv", 3), ("b.csv", 2)]


def test_a_row_corrected_in_another_file_is_settled_and_stays_so(tmp_path):
    bad = _write(tmp_path / "a.csv", GOOD, NO_CODE)
    _import(bad, tmp_path / "out")
    _import(_write(tmp_path / "b.csv", NO_CODE.replace("outpatient,,", "outpatient,HD,")), tmp_path / "out")
    assert _rejects(tmp_path / "out") == []
    _import(bad, tmp_path / "out")
    assert _rejects(tmp_path / "out") == []
    assert set(_lines(tmp_path / "out")) == {"L1", "L2"}


def test_a_broken_row_under_the_number_of_a_line_that_is_there_does_not_vanish(tmp_path):
    _import(_write(tmp_path / "a.csv", GOOD, NO_CODE.replace("L2", "L1")), tmp_path / "out")
    assert [row["amount"] for row in _rejects(tmp_path / "out")] == [Decimal("300.50")]


def test_another_institutions_line_of_the_same_number_settles_nothing(tmp_path):
    _import(_write(tmp_path / "a.csv", GOOD, NO_CODE), tmp_path / "out")
    _import(_write(tmp_path / "b.csv", GOOD.replace("L1,H1", "L2,H2")), tmp_path / "out")
    assert len(_rejects(tmp_path / "out")) == 1


def test_two_contents_under_one_number_in_one_file_leave_the_second_as_evidence(tmp_path):
    _import(_write(tmp_path / "a.csv", GOOD, GOOD.replace(",400,", ",900,")), tmp_path / "out")
    (reject,) = _rejects(tmp_path / "out")
    assert (reject["reason"], reject["amount"], reject["day"]) == (
        "duplicate_differs",
        Decimal("900.00"),
        date(2026, 3, 4),
    )
    assert _lines(tmp_path / "out")["L1"]["amount"] == 400


def test_the_same_row_twice_is_listed_but_no_yuan_of_it_is_missing(tmp_path):
    summary = _import(_write(tmp_path / "a.csv", GOOD, GOOD), tmp_path / "out")
    assert (_rejects(tmp_path / "out"), summary.refused_share) == ([], 0)
    assert summary.tables["claim_lines"].reasons == {"duplicate": 1}


def test_two_institutions_may_number_their_lines_alike(tmp_path):
    _import(_write(tmp_path / "a.csv", GOOD, GOOD.replace(",H1,", ",H2,")), tmp_path / "out")
    assert pq.read_table(tmp_path / "out" / "claim_lines.parquet").num_rows == 2


def test_a_later_file_corrects_a_line_and_both_are_kept(tmp_path):
    first = _write(tmp_path / "a.csv", GOOD)
    _import(first, tmp_path / "out")
    second = _write(tmp_path / "b.csv", GOOD.replace(",400,", ",380,"))
    summary = _import(second, tmp_path / "out")
    assert summary.tables["claim_lines"].replaced == 1
    assert _lines(tmp_path / "out")["L1"]["amount"] == 380
    (old,) = pq.read_table(tmp_path / "out" / "history" / "claim_lines.parquet").to_pylist()
    assert (old["amount"], old["replaced_by_file"], old["replaced_by_line"]) == (400, "b.csv", 2)
    for path in (first, second, first):
        _import(path, tmp_path / "out")
    assert _lines(tmp_path / "out")["L1"]["amount"] == 380
    assert pq.read_table(tmp_path / "out" / "history" / "claim_lines.parquet").num_rows == 1


def test_a_correction_may_be_taken_back_by_a_new_file(tmp_path):
    for name, amount in (("a", 400), ("b", 380), ("c", 400)):
        _import(
            _write(tmp_path / f"{name}.csv", GOOD.replace(",400,", f",{amount},"), f"X{name}" + GOOD[2:]),
            tmp_path / "out",
        )
    assert _lines(tmp_path / "out")["L1"]["amount"] == 400
    history = pq.read_table(tmp_path / "out" / "history" / "claim_lines.parquet").to_pylist()
    assert [row["amount"] for row in history] == [400, 380]


def test_of_several_files_in_one_import_the_last_holds(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for name, amount in (("1.csv", "400"), ("2.csv", "380"), ("3.csv", "390")):
        _write(folder / name, GOOD.replace(",400,", f",{amount},"))
    summary = _import(folder, tmp_path / "out")
    counts = summary.tables["claim_lines"]
    assert (counts.read, counts.added, counts.replaced, counts.rejected) == (3, 1, 2, 0)
    assert _lines(tmp_path / "out")["L1"]["amount"] == 390
    history = pq.read_table(tmp_path / "out" / "history" / "claim_lines.parquet").to_pylist()
    assert sorted(row["amount"] for row in history) == [380, 400]


def test_what_a_device_witnessed_is_not_replaced(tmp_path):
    header = (
        "event_id,institution_id,device_id,person_id,event_type,purpose,occurred_at,received_at,outcome,"
        "comparison_score,threshold,pad,witness_id,session_id,clock_trusted\n"
    )
    event = (
        "E1,H1,K1,P1,sign_in,dialysis,2026-03-02T00:00:00Z,2026-03-02T00:00:01Z,match,,,bona_fide,,,true\n"
    )
    (tmp_path / "a.csv").write_text(header + event, encoding="utf-8")
    (tmp_path / "b.csv").write_text(header + event.replace("P1", "P2") + event.replace("E1", "E2"), "utf-8")
    _import(tmp_path / "a.csv", tmp_path / "out")
    _import(tmp_path / "b.csv", tmp_path / "out")
    events = pq.read_table(tmp_path / "out" / "attendance.parquet").to_pylist()
    assert {row["event_id"]: row["person_id"] for row in events} == {"E1": "P1", "E2": "P1"}
    assert [row["reason"] for row in _rejects(tmp_path / "out")] == ["duplicate_differs"]


def test_a_blank_name_is_a_remark(tmp_path):
    summary = _import(
        _write(tmp_path / "a.csv", GOOD.replace("血液透析", ""), GOOD.replace("L1", "L2")[:-1] + "3.7E+17,"),
        tmp_path / "out",
    )
    assert summary.tables["claim_lines"].reasons == {"blank_description": 1, "description_not_read": 1}
    assert [row["item_name"] for row in _lines(tmp_path / "out").values()] == [None, "血液透析"]


@pytest.mark.parametrize(("name", "kept"), [("透" * 600, "透" * 500), ("血\ufffd透析", "血\ufffd透析")])
def test_a_damaged_name_still_says_what_was_billed(tmp_path, name, kept):
    summary = _import(_write(tmp_path / "a.csv", GOOD.replace("血液透析", name)), tmp_path / "out")
    assert _lines(tmp_path / "out")["L1"]["item_name"] == kept
    assert summary.tables["claim_lines"].reasons == {"description_not_read": 1}


@pytest.mark.parametrize("codec", ["utf-8", "gb18030"])
@pytest.mark.parametrize(
    "cut",
    [lambda name: name[:-1], lambda name: b"\0" + name, lambda name: name + b",x", lambda name: b'"' + name],
    ids=["cut within a character", "a NUL", "a separator", "an open quote"],
)
def test_damage_within_a_name_costs_the_name_only(tmp_path, codec, cut):
    """Exports cut a name by bytes, or write a separator in it bare: no yuan leaves the import for it."""
    name = "血液透析".encode(codec)
    good = GOOD.encode(codec)
    damaged = good.replace(b"L1", b"L2").replace(name, cut(name))
    header = (HEADER + "\n").encode()
    rows = (good, damaged, good.replace(b"L1", b"L3"))
    (tmp_path / "a.csv").write_bytes(header + b"\n".join(rows) + b"\n")
    summary = _import(tmp_path / "a.csv", tmp_path / "out")
    assert [str(row["amount"]) for row in _lines(tmp_path / "out").values()] == ["400.00"] * 3
    assert summary.tables["claim_lines"].reasons == {"description_not_read": 1}


def test_ids_and_codes_have_one_spelling(tmp_path):
    _import(
        _write(
            tmp_path / "a.csv",
            "a1,h１,v 1,11010119500101101x,outpatient,hd\u200b,x,2026-03-04T10:00:00+08:00,1,400,,d1,",
            "A1,H1,V1,11010119500101101X,outpatient,HD,x,2026-03-04T10:00:00+08:00,1,400,,D1,",
            "b,H1,V1,110101500101101,outpatient,HD,x,2026-03-04T10:00:00+08:00,1,400,,D1,",
        ),
        tmp_path / "out",
    )
    lines = _lines(tmp_path / "out")
    assert set(lines) == {"a1", "A1", "b"}
    for name, value in (
        ("institution_id", "H1"),
        ("visit_id", "V1"),
        ("item_code", "HD"),
        ("doctor_id", "D1"),
    ):
        assert {row[name] for row in lines.values()} == {value}
    assert {row["person_id"] for row in lines.values()} == {"11010119500101101X", "110101500101101"}


@pytest.mark.parametrize(
    ("person", "taken"),
    [
        ("110101195001011000", False),  # 15 digits and zeros; the check digit is wrong
        ("110101195001011009", True),
        ("370101199012310000", False),
        ("202603010000001000", True),  # no citizen number: 0000 is no month and day
    ],
)
def test_what_excel_left_of_a_citizen_number_is_refused(tmp_path, person, taken):
    _import(
        _write(tmp_path / "a.csv", GOOD.replace("L1", "L0"), GOOD.replace("P1", person)), tmp_path / "out"
    )
    assert ("L1" in _lines(tmp_path / "out")) is taken
    assert [row["reason"] for row in _rejects(tmp_path / "out")] == ([] if taken else ["spreadsheet_number"])


def test_rows_and_yuan_are_told_by_institution(tmp_path):
    summary = _import(
        _write(tmp_path / "a.csv", GOOD, NO_CODE, NO_CODE.replace("H1", "H2").replace("300.50", "-7"), "x"),
        tmp_path / "out",
    )
    assert [(one.institution_id, one.rows, one.amount) for one in summary.rejected] == [
        ("H1", 1, Decimal("300.50")),
        ("H2", 1, Decimal(7)),
        ("", 1, Decimal(0)),
    ]
    assert summary.to_json()["rejected"][0] == {"institution_id": "H1", "rows": 1, "amount": "300.50"}


def test_rejects_are_written_even_where_nothing_could_be_taken(tmp_path):
    with pytest.raises(NothingReadError):
        _import(_write(tmp_path / "a.csv", NO_CODE), tmp_path / "out")
    assert len(_rejects(tmp_path / "out")) == 1


@pytest.mark.parametrize(
    ("lines", "arguments", "status"),
    [
        ((GOOD, NO_CODE), (), 0),
        ((GOOD, NO_CODE), ("--strict",), 4),
        ((GOOD, NO_CODE), ("--strict", "0.5"), 0),
        ((GOOD, NO_CODE), ("--strict", "0.4"), 4),
        ((GOOD,), ("--strict", "0"), 0),
        ((GOOD, "too,few"), ("--strict",), 4),
        ((GOOD, GOOD), ("--strict",), 0),
    ],
)
def test_strict_ends_with_4_when_too_many_yuan_are_refused(tmp_path, lines, arguments, status):
    path = _write(tmp_path / "a.csv", *lines)
    call = ["import", *arguments, str(path), "--format", "csv", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, call)
    assert getattr(done.exception, "exit_status", done.exit_code) == status


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (["--strict", "in.csv"], ["--strict", "0.001", "in.csv"]),
        (["in.csv", "--strict"], ["in.csv", "--strict", "0.001"]),
        (["--strict", "0.01", "in.csv"], ["--strict", "0.01", "in.csv"]),
        (["in.csv"], ["in.csv"]),
    ],
)
def test_strict_may_stand_alone(given, read):
    assert with_share(given) == read


def test_the_list_names_the_same_rows_as_the_table(tmp_path):
    _import(_write(tmp_path / "a.csv", GOOD, NO_CODE, "too,few"), tmp_path / "out")
    with (tmp_path / "out" / "rejected" / "claim_lines.csv").open(encoding="utf-8", newline="") as stream:
        listed = {(row["file"], int(row["line"]), row["reason"]) for row in csv.DictReader(stream)}
    assert listed == {(row["file"], row["line"], row["reason"]) for row in _rejects(tmp_path / "out")}
