"""Numbers and times as people and spreadsheets write them, through a whole import."""

from datetime import UTC, datetime
from decimal import Decimal

import pyarrow.parquet as pq
import pytest
import xlsxwriter

from renzheng.central.claims.importer import NothingReadError, import_claims
from renzheng.central.claims.source import ColumnsError, Options

COLUMNS = (
    *("line_id", "institution_id", "visit_id", "person_id", "visit_type"),
    *("item_code", "item_name", "service_time", "quantity", "amount"),
)
ROW = ("L1", "H1", "V1", "P1", "outpatient", "HD", "血液透析", "2026-03-04 10:00:00", "1", "400")
MAPPING = 'table = "claim_lines"\ntimezone = "Asia/Shanghai"\n[columns]\n' + "".join(
    f'{name} = "{name}"\n' for name in COLUMNS
)


def _row(**change):
    return tuple(dict(zip(COLUMNS, ROW, strict=True), **change).values())


def _csv(path, *rows, separator=","):
    lines = (separator.join(cells) for cells in (COLUMNS, *rows))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _import(tmp_path, path, mapping=MAPPING):
    if mapping is not None:
        (tmp_path / "m.toml").write_text(mapping, encoding="utf-8")
    options = Options(mapping=None if mapping is None else tmp_path / "m.toml")
    return import_claims(path, tmp_path / "out", file_format="csv", options=options)


def _lines(tmp_path):
    return pq.read_table(tmp_path / "out" / "claim_lines.parquet").to_pylist()


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("400,5", "400.50"),
        ("400,50", "400.50"),
        ("1.400,50", "1400.50"),
        ("1,400.50", "1400.50"),
        ("400.5", "400.50"),
        ("-0,5", None),  # an amount of the wrong sign, but read as what it is
        ("400,500", None),
        ("1,234,567", None),
    ],
)
def test_where_semicolons_separate_a_comma_is_no_thousands_mark(tmp_path, text, amount):
    good = _row(line_id="L0")
    _import(tmp_path, _csv(tmp_path / "a.csv", good, _row(amount=text), separator=";"))
    found = [row["amount"] for row in _lines(tmp_path) if row["line_id"] == "L1"]
    assert found == ([] if amount is None else [Decimal(amount)])


def test_the_reason_of_an_ambiguous_comma_is_named(tmp_path):
    with pytest.raises(NothingReadError, match="ambiguous_comma"):
        _import(tmp_path, _csv(tmp_path / "a.csv", _row(amount="400,500"), separator=";"))


def test_elsewhere_a_comma_is_a_thousands_mark(tmp_path):
    _import(tmp_path, _csv(tmp_path / "a.csv", _row(amount='"1,400.50"')))
    assert _lines(tmp_path)[0]["amount"] == Decimal("1400.50")


def test_a_serial_number_among_dates_is_a_date(tmp_path):
    rows = [_row(), _row(line_id="L2"), _row(line_id="L3", service_time="46086.4375")]
    _import(tmp_path, _csv(tmp_path / "a.csv", *rows))
    assert _lines(tmp_path)[2]["service_time"] == datetime(2026, 3, 5, 2, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "rows",
    [
        [_row(service_time="46086.4375")],  # nothing says that it counts from 1900
        [_row(), _row(line_id="L2", service_time="44624.4375")],  # it would be four years from the others
        [_row(), *(_row(line_id=f"L{n}", service_time="46086.4") for n in range(2, 9))],  # too few dates
    ],
)
def test_a_serial_number_that_nothing_makes_plain_is_refused_with_its_reason(tmp_path, rows):
    good = _row(line_id="L0", service_time="2026-03-04 09:00:00")
    _import(tmp_path, _csv(tmp_path / "0.csv", good))
    path = _csv(tmp_path / "a.csv", *rows)
    try:
        summary = _import(tmp_path, path)
    except NothingReadError as error:
        summary = error.attributes["summary"]
    assert summary.tables["claim_lines"].reasons["spreadsheet_date"] > 0
    assert {row["service_time"].year for row in _lines(tmp_path)} == {2026}


def _book(path, sheets):
    book = xlsxwriter.Workbook(path)
    day = book.add_format({"num_format": "yyyy/m/d h:mm"})
    for name, rows in sheets.items():
        sheet = book.add_worksheet(name)
        for number, cells in enumerate(rows):
            for column, cell in enumerate(cells):
                if isinstance(cell, datetime):
                    sheet.write_datetime(number, column, cell, day)
                else:
                    sheet.write(number, column, cell)
    book.close()
    return path


def test_a_workbook_with_titles_dates_and_numbers(tmp_path):
    row = (*_row()[:7], datetime(2026, 3, 4, 10), 1, 400.3, "surplus")  # noqa: DTZ001 - a sheet has no zone
    head = tuple(name.upper() for name in COLUMNS)
    path = _book(tmp_path / "a.xlsx", {"s": [("某医院收费明细",), (), head, row]})
    _import(tmp_path, path, None)
    (line,) = _lines(tmp_path)
    assert (line["service_time"], line["quantity"], line["amount"]) == (
        datetime(2026, 3, 4, 2, tzinfo=UTC),
        1,
        Decimal("400.30"),
    )


def test_a_citizen_number_kept_as_a_number_is_refused(tmp_path):
    row = (*_row()[:3], 110101195001011234, *_row()[4:7], datetime(2026, 3, 4, 10), 1, 400)  # noqa: DTZ001
    path = _book(tmp_path / "a.xlsx", {"s": [COLUMNS, row]})
    with pytest.raises(NothingReadError, match="spreadsheet_number"):
        _import(tmp_path, path, None)


def test_several_sheets_are_read_and_those_without_the_columns_counted(tmp_path):
    path = _book(
        tmp_path / "a.xlsx",
        {"1月": [COLUMNS, _row()], "说明": [("填报说明",)], "2月": [COLUMNS, _row(line_id="L2")]},
    )
    summary = _import(tmp_path, path)
    assert {row["line_id"] for row in _lines(tmp_path)} == {"L1", "L2"}
    assert (summary.files, summary.ignored) == (1, {"sheet without the columns that are needed": 1})


def test_a_workbook_that_lacks_a_column_says_which(tmp_path):
    path = _book(tmp_path / "a.xlsx", {"s": [COLUMNS[:-1], _row()[:-1]]})
    with pytest.raises(ColumnsError, match="no column amount"):
        _import(tmp_path, path)


@pytest.mark.parametrize("codec", ["utf-16", "utf-8-sig", "gb18030"])
def test_the_same_rows_in_any_encoding_and_case(tmp_path, codec):
    text = "sep=;\r\n" + "\r\n".join(";".join(cells) for cells in ([one.upper() for one in COLUMNS], _row()))
    (tmp_path / "a.csv").write_bytes(text.encode(codec))
    _import(tmp_path, tmp_path / "a.csv")
    assert _lines(tmp_path)[0]["item_name"] == "血液透析"


def test_a_column_of_the_mapping_may_stand_in_capitals(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(",".join(COLUMNS).upper() + "\n" + ",".join(_row()) + "\n", encoding="utf-8")
    _import(tmp_path, path)
    assert len(_lines(tmp_path)) == 1


WITH_DOCTOR = (*COLUMNS, "doctor_id", "department")
DOCTOR_MAPPING = MAPPING + 'doctor_id = "doctor_id"\ndepartment = "department"\n'
GOOD = (*ROW, "D1", "HD room")


def _moved(columns, rows, tmp_path, mapping=DOCTOR_MAPPING):
    """Import rows as they stand, without quotes: what was taken, and why the others were not."""
    text = "\n".join(",".join(cells) for cells in (columns, *rows)) + "\n"
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    summary = _import(tmp_path, tmp_path / "a.csv", mapping)
    return {row["line_id"]: row["amount"] for row in _lines(tmp_path)}, summary.tables["claim_lines"].reasons


CUT = ("1", "200.50")


@pytest.mark.parametrize(
    "tail",
    [
        (*CUT, "D1", "HD room"),  # one cell more than the header
        (*CUT, "", ""),  # the surplus cell is blank: 200.50 would be the doctor, and 1 the amount
        (*CUT, "D1"),  # the last cell left out: as many cells as the header
        (*CUT, ""),
        CUT[:2],
        ("1", "200", "D1"),
        ("1", "234", "567.00", "", ""),
    ],
    ids=["surplus", "blank", "short", "short-blank", "shorter", "whole", "millions"],
)
def test_an_unquoted_thousands_mark_is_never_a_wrong_amount(tmp_path, tail):
    bad = ("L2", *ROW[1:-1], *tail)
    taken, reasons = _moved(WITH_DOCTOR, [GOOD, bad, ("L3", *GOOD[1:])], tmp_path)
    assert taken == {"L1": Decimal(400), "L3": Decimal(400)}
    assert set(reasons) == {"unquoted_thousands" if len(bad) >= len(WITH_DOCTOR) else "field_count"}


def test_an_unquoted_thousands_mark_is_seen_beside_doctors_who_are_numbers(tmp_path):
    doctors = [(f"L{n}", *ROW[1:], str(70_000 + n), "") for n in range(3, 6)]
    bad = ("L2", *ROW[1:-1], *CUT, "")
    taken, reasons = _moved(WITH_DOCTOR, [*doctors, bad], tmp_path)
    assert set(taken) == {"L3", "L4", "L5"}
    assert reasons["unquoted_thousands"] == 1


def test_an_unquoted_thousands_mark_does_not_flow_into_a_column_without_a_name(tmp_path):
    rows = [(*ROW, "", ""), ("L2", *ROW[1:-1], *CUT, "")]
    taken, reasons = _moved((*COLUMNS, "", ""), rows, tmp_path, MAPPING)
    assert (set(taken), reasons["unquoted_thousands"]) == ({"L1"}, 1)


@pytest.mark.parametrize("doctor", ["200", "123", "D1", ""])
def test_small_amounts_beside_short_numbers_are_not_taken_for_cut_ones(tmp_path, doctor):
    rows = [(f"L{n}", *ROW[1:-1], "5", doctor or "301", "ward") for n in range(3)]
    rows += [(f"L{n}", *ROW[1:-1], "12345", "301", "ward") for n in range(3, 7)]
    taken, _ = _moved(WITH_DOCTOR, rows, tmp_path)
    assert len(taken) == 7
