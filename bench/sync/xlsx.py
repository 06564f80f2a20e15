"""What a sheet of many rows costs: the reader that is kept, beside calamine and openpyxl on the same file."""

import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TypedDict

from renzheng.bench.sync.reading import measure
from renzheng.central.claims.platform_tables import FEES, TABLES
from renzheng.contracts.errors import FaultError

COLUMNS = 82
"""As many as `fee_list_d` has."""
_NAMESPACE = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_OPC = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_RELATION = '<Relationship Id="rId{n}" Type="' + _OFFICE + '/{kind}" Target="{target}"/>'
_PARTS = {
    "[Content_Types].xml": f'<Types xmlns="{_OPC}/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    + "".join(
        f'<Override PartName="/xl/{part}.xml" ContentType="{_TYPE}.{kind}+xml"/>'
        for part, kind in (
            ("workbook", "sheet.main"),
            ("worksheets/sheet1", "worksheet"),
            ("sharedStrings", "sharedStrings"),
            ("styles", "styles"),
        )
    )
    + "</Types>",
    "_rels/.rels": f'<Relationships xmlns="{_OPC}/relationships">'
    + _RELATION.format(n=1, kind="officeDocument", target="xl/workbook.xml")
    + "</Relationships>",
    "xl/workbook.xml": f'<workbook {_NAMESPACE} xmlns:r="{_OFFICE}">'
    '<sheets><sheet name="fee_list_d" sheetId="1" r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_OPC}/relationships">'
    + _RELATION.format(n=1, kind="worksheet", target="worksheets/sheet1.xml")
    + _RELATION.format(n=2, kind="sharedStrings", target="sharedStrings.xml")
    + _RELATION.format(n=3, kind="styles", target="styles.xml")
    + "</Relationships>",
    "xl/styles.xml": f"<styleSheet {_NAMESPACE}>"
    '<fonts count="1"><font/></fonts><fills count="1"><fill><patternFill patternType="none"/></fill></fills>'
    '<borders count="1"><border/></borders>'
    '<cellStyleXfs count="1"><xf numFmtId="0"/></cellStyleXfs>'
    '<cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="22" applyNumberFormat="1"/></cellXfs></styleSheet>',
}


class Figure(TypedDict):
    """What one reader took for one file: rows read, processor seconds, peak memory."""

    reader: str
    rows: int
    processor_seconds: float
    peak_mib: int


READERS = {
    "workbook.rows": (
        "from pathlib import Path\n"
        "from renzheng.central.claims.platform_tables import TABLES\n"
        "from renzheng.central.claims.workbook import rows\n"
        "wanted = list(range(len(TABLES['fee_list_d'].used)))\n"
        "n = sum(1 for _ in rows(Path(path), keep=lambda: wanted))\n"
    ),
    "calamine": (
        "import python_calamine\n"
        "n = sum(1 for _ in python_calamine.load_workbook(path).get_sheet_by_index(0).iter_rows())\n"
    ),
    "openpyxl": (
        "import openpyxl\n"
        "sheet = openpyxl.load_workbook(path, read_only=True).worksheets[0]\n"
        "n = sum(1 for _ in sheet.iter_rows(values_only=True))\n"
    ),
}


def run(rows: int, tell: Callable[[str], None]) -> list[Figure]:
    """Write a workbook of so many rows, read it with each reader in a process of its own, and measure."""
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fee_list_d.xlsx"
        write(path, rows)
        tell(f"{rows:,} rows of {COLUMNS} columns, {path.stat().st_size / 1e6:,.0f} MB")
        for name, read in READERS.items():
            tell(name)
            try:
                read_rows, seconds, peak = measure(read, path)
            except FaultError as error:
                tell(f"{name}: {error.what}")
                continue
            figures.append(Figure(reader=name, rows=read_rows, processor_seconds=seconds, peak_mib=peak))
    return figures


def write(path: Path, rows: int) -> None:
    """Write a workbook like a bureau's: texts shared, times as dates, amounts as numbers."""
    texts: dict[str, int] = {}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in _PARTS.items():
            archive.writestr(name, content)
        with archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as part:
            _write_sheet(part, rows, texts)
        with archive.open("xl/sharedStrings.xml", "w", force_zip64=True) as part:
            part.write(f'<sst {_NAMESPACE} count="{len(texts)}" uniqueCount="{len(texts)}">'.encode())
            for text in texts:
                part.write(f"<si><t>{text}</t></si>".encode())
            part.write(b"</sst>")


def _write_sheet(part: IO[bytes], rows: int, texts: dict[str, int]) -> None:
    names = [*TABLES[FEES].used, *(f"further_{n}" for n in range(COLUMNS - len(TABLES[FEES].used)))]
    letters = [chr(65 + n) if n < 26 else chr(64 + n // 26) + chr(65 + n % 26) for n in range(COLUMNS)]  # noqa: PLR2004

    def shared(text: str) -> str:
        return f' t="s"><v>{texts.setdefault(text, len(texts))}</v></c>'

    part.write(f"<worksheet {_NAMESPACE}><sheetData>".encode())
    for number, cells in enumerate(_rows(names, rows, shared), start=1):
        line = "".join(f'<c r="{letter}{number}"{cell}' for letter, cell in zip(letters, cells, strict=True))
        part.write(f'<row r="{number}">{line}</row>'.encode())
    part.write(b"</sheetData></worksheet>")


def _rows(names: list[str], rows: int, shared: Callable[[str], str]) -> Iterator[list[str]]:
    yield [shared(name) for name in names]
    for n in range(rows):
        visit = n // 8
        own = {
            "bkkp_sn": shared(f"B{n:012d}"),
            "mdtrt_id": shared(f"M{visit:010d}"),
            "setl_id": shared(f"S{visit:010d}"),
            "psn_no": shared(f"3711{visit // 3:016d}"),
            "fixmedins_code": shared(f"H371121{visit % 50:05d}"),
            "fee_ocur_time": f' s="1"><v>{46082 + n % 31}.4375</v></c>',
            "cnt": "><v>1</v></c>",
            "det_item_fee_sumamt": f"><v>{n % 1000}.5</v></c>",
            "hilist_code": shared(f"0031100000{n % 300:05d}"),
            "vali_flag": shared("1"),
            "med_type": shared("14"),
        }
        yield [own.get(name) or shared(name) for name in names]
