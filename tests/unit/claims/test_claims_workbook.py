"""XLSX: cells as text, in bounded memory, and nothing that is decoded before its size was looked at."""

import re
import zipfile
from datetime import date, datetime

import pytest
import xlsxwriter

from renzheng.central.claims import workbook
from renzheng.central.claims.workbook import WorkbookError, is_workbook, rows, sheets


def _book(path, cells, **options):
    """Write cells as a workbook; a dict of sheets, or the cells of one."""
    book = xlsxwriter.Workbook(path, options)
    day = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
    for name, content in (cells if isinstance(cells, dict) else {"s": cells}).items():
        sheet = book.add_worksheet(name)
        for row, values in enumerate(content):
            for column, value in enumerate(values):
                if isinstance(value, datetime | date):
                    sheet.write_datetime(row, column, value, day)
                elif value is not None:
                    sheet.write(row, column, value)
    book.close()
    return path


def _with(path, part, change):
    """Rewrite one part of a workbook."""
    with zipfile.ZipFile(path) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    parts[part] = change(parts[part])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name, content in parts.items():
            new.writestr(name, content)
    return path


SHEET = "xl/worksheets/sheet1.xml"


def test_cells_are_text_as_they_are_meant(tmp_path):
    moment = datetime(2026, 3, 4, 10, 20, 30)  # noqa: DTZ001 - a wall clock
    cells = [
        ["编号", "时间", "金额"],
        ["0012", moment, 400.3],
        ["3110000100000", date(2026, 3, 4), 0.1 + 0.2],
        [110101195001011000, None, -7],
        [46085.5, True, "  "],
    ]
    assert list(rows(_book(tmp_path / "a.xlsx", cells))) == [
        (1, ["编号", "时间", "金额"]),
        (2, ["0012", "2026-03-04 10:20:30", "400.3"]),
        (3, ["3110000100000", "2026-03-04", "0.3"]),
        (4, ["1.10101195001011E+17", "", "-7"]),
        (5, ["46085.5", "true", "  "]),
    ]


@pytest.mark.parametrize("in_1904", [False, True])
def test_every_second_of_a_day_comes_back(tmp_path, in_1904):
    moments = [datetime(2026, 3, 4, n // 3600, n // 60 % 60, n % 60) for n in range(0, 86400, 7)]  # noqa: DTZ001
    path = _book(tmp_path / "a.xlsx", [[one] for one in moments], date_1904=in_1904)
    assert [cells[0] for _, cells in rows(path)] == [
        one.isoformat(" ").removesuffix(" 00:00:00") for one in moments
    ]


def test_rows_are_the_same_however_they_are_cut(tmp_path, monkeypatch):
    cells = [["a", "b"], *([f"x{n}", n] for n in range(500)), [], [], ["last", None]]
    path = _book(tmp_path / "a.xlsx", cells)
    whole = list(rows(path))
    monkeypatch.setattr(workbook, "_CHUNK_ROWS", 7)
    monkeypatch.setattr(workbook, "_CHUNK_BYTES", 300)
    monkeypatch.setattr(workbook, "_READ", 1500)
    monkeypatch.setattr(workbook, "_CHUNK_GAP", 1)
    assert [(number, cells[:1]) for number, cells in rows(path)] == [(n, cells[:1]) for n, cells in whole]
    assert whole[-1] == (504, ["last", ""])


def test_rich_text_hints_and_texts_in_the_cell_are_read(tmp_path):
    path = _book(tmp_path / "a.xlsx", [["血液", "x"]])

    def richer(content):
        return content.replace(
            "<t>血液</t>".encode(),
            "<r><t>血</t></r><r><t>液</t></r><rPh sb='0' eb='1'><t>けつ</t></rPh>".encode(),
        )

    _with(path, "xl/sharedStrings.xml", richer)
    _with(
        path,
        SHEET,
        lambda text: re.sub(
            rb'<c r="B1"[^>]*><v>1</v></c>', b'<c r="B1" t="inlineStr"><is><t>in</t></is></c>', text
        ),
    )
    assert list(rows(path)) == [(1, ["血液", "in"])]


def test_tags_may_have_a_prefix(tmp_path):
    path = _book(tmp_path / "a.xlsx", [["a", 1], ["b", 2]])

    def prefixed(content):
        text = re.sub(rb"<(/?)(?=[a-zA-Z])", rb"<\1x:", content)
        return text.replace(b"xmlns=", b"xmlns:x=")

    _with(path, SHEET, prefixed)
    assert [cells for _, cells in rows(path)] == [["a", "1"], ["b", "2"]]


def test_only_visible_sheets_with_rows_are_listed(tmp_path):
    path = _book(tmp_path / "a.xlsx", {"one": [["a"]], "none": [], "two": [["b"]], "three": [["c"]]})
    _with(
        path,
        "xl/workbook.xml",
        lambda text: text.replace(b'name="three"', b'name="three" state="hidden"'),
    )
    assert [one.name for one in sheets(path)] == ["one", "two"]
    assert list(rows(path, "two")) == [(1, ["b"])]
    with pytest.raises(WorkbookError, match="three"):
        list(rows(path, "three"))


def test_columns_of_no_interest_are_blank(tmp_path):
    path = _book(tmp_path / "a.xlsx", [["a", "b", "c"], ["1", "2", "3"]])
    assert list(rows(path, keep=lambda: [1])) == [(1, ["", "b", ""]), (2, ["", "2", ""])]


def test_progress_adds_up_to_about_the_file(tmp_path):
    path = _book(tmp_path / "a.xlsx", [[f"text {n}", n] for n in range(3000)])
    told = []
    list(rows(path, advance=told.append))
    assert 0 < sum(told) <= path.stat().st_size


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = _book(tmp_path / "a.xlsx", [["a"]])
    with (
        zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive,
        archive.open("xl/worksheets/sheet2.xml", "w", force_zip64=True) as part,
    ):
        for _ in range(300):
            part.write(bytes(1 << 20))
    with pytest.raises(WorkbookError, match="unpack to"):
        sheets(path)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (rb'r="A1"', b'r="XFD1"', "column XFD"),
        (rb'<row r="1"', b'<row r="9999999"', "row 9,999,999"),
        (rb"<sheetData>", b"<sheetDatum>", "no rows"),
        (rb"</row>", b"", "cannot be read|no rows"),
        (rb"<worksheet ", b'<!DOCTYPE x [<!ENTITY a "b">]><worksheet ', "document type"),
        (rb"<v>0</v>", b"<v>99</v>", "is not there"),
    ],
)
def test_what_no_spreadsheet_writes_is_refused_by_name(tmp_path, old, new, says):
    path = _with(_book(tmp_path / "a.xlsx", [["a"]]), SHEET, lambda text: re.sub(old, new, text))
    try:
        found = list(rows(path))
    except WorkbookError as error:
        assert re.search(says, str(error))  # noqa: PT017 - one of the cases has rows left, which is as well
    else:
        assert (old, found) == (rb"</row>", [])


def test_two_far_cells_do_not_span_an_empty_million(tmp_path):
    path = _book(tmp_path / "a.xlsx", [["a"], ["b"]])
    _with(path, SHEET, lambda text: text.replace(b'r="2"', b'r="1048576"').replace(b'"A2"', b'"A1048576"'))
    assert list(rows(path)) == [(1, ["a"]), (1048576, ["b"])]


@pytest.mark.parametrize("part", ["xl/workbook.xml", "xl/_rels/workbook.xml.rels", "xl/sharedStrings.xml"])
def test_an_entity_that_grows_is_refused(tmp_path, part):
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>'
    path = _with(_book(tmp_path / "a.xlsx", [["a"]]), part, lambda text: text.replace(b"?>", b"?>" + bomb, 1))
    with pytest.raises(WorkbookError, match=r"document type|cannot be read"):
        list(rows(path))


@pytest.mark.parametrize("cut", [40, 400, 3000])
def test_a_damaged_workbook_is_an_error_of_its_own(tmp_path, cut):
    path = _book(tmp_path / "a.xlsx", [[f"x{n}"] for n in range(200)])
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(WorkbookError):
        list(rows(path))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "old Excel file"),
        (b"<html><body><table><tr><td>1</td></tr></table>", "web page"),
        (b"\xef\xbb\xbf\r\n<table border=1>", "web page"),
    ],
)
def test_what_only_looks_like_a_workbook_says_what_it_is(tmp_path, content, says):
    (tmp_path / "a.xls").write_bytes(content)
    with pytest.raises(WorkbookError, match=says):
        is_workbook(tmp_path / "a.xls")


def test_a_csv_is_no_workbook(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"a,b\n")
    assert not is_workbook(tmp_path / "a.csv")


def test_any_damage_to_a_sheet_is_rows_or_an_error_of_its_own(tmp_path):
    path = _book(tmp_path / "a.xlsx", [[f"x{n}", n] for n in range(30)])
    with zipfile.ZipFile(path) as archive:
        content = archive.read(SHEET)
    for at in range(0, len(content), 97):
        damaged = content[:at] + b"<" + content[at + 1 :]
        copy = tmp_path / "b.xlsx"
        copy.write_bytes(path.read_bytes())
        _with(copy, SHEET, lambda _, damaged=damaged: damaged)
        try:
            list(rows(copy))
        except WorkbookError:
            continue
