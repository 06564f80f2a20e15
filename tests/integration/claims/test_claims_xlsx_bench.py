"""The bench of XLSX readers: its file is a real workbook, and all readers see the same rows."""

from renzheng.bench.sync.xlsx import COLUMNS, run, write
from renzheng.central.claims.importer import import_claims
from renzheng.central.claims.workbook import rows


def test_every_reader_sees_every_row(tmp_path):
    figures = run(300, lambda _: None)
    assert [(one["reader"], one["rows"]) for one in figures] == [
        ("workbook.rows", 301),
        ("calamine", 301),
        ("openpyxl", 301),
    ]
    assert all(one["peak_mib"] > 0 for one in figures)


def test_the_file_is_one_that_is_imported(tmp_path):
    write(tmp_path / "fee_list_d.xlsx", 50)
    assert {len(cells) for _, cells in rows(tmp_path / "fee_list_d.xlsx")} == {COLUMNS}
    summary = import_claims(tmp_path / "fee_list_d.xlsx", tmp_path / "out", file_format="platform")
    assert (summary.tables["claim_lines"].added, summary.tables["claim_lines"].rejected) == (50, 0)
