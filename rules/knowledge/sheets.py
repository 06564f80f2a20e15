"""Find the table in a sheet of the public libraries: its headings, its rows, and what is only a note.

Headings differ by batch and by whoever saved the file again; what a column means does not.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from renzheng.contracts.ids import normalised_id

Cells = Sequence[str]
HEADINGS: Mapping[str, str] = {
    "main_name": r"主项(?:项目)?名称?|主项目名称",
    "main_code": r"主项(?:项目)?(?:国家)?(?:医保)?(?:编码|代码)|主项目(?:编码|代码)",
    "sub_name": r"(?:从|次|子)项(?:项目)?名称?|从项目名称",
    "sub_code": r"(?:从|次|子)项(?:项目)?(?:国家)?(?:医保)?(?:编码|代码)|从项目(?:编码|代码)",
    "code": r"(?:国家)?(?:医保)?(?:药品|项目|诊疗项目|医疗服务项目|国标|国家)?(?:编码|代码)",
    "name": r"药品通用名称?|通用名称?|药品名称|(?:诊疗|医疗服务|收费)?项目名称|名称",
    "note": r"(?:药品|项目)?(?:说明|内涵)",
    "limit_type": r"(?:限定|限制)(?:类型|类别)",
    "limit": r"(?:限定|限制)(?:对象|值域|性别|年龄|范围|内容|条件|险种|保险类型|就医方式|等级|频次"
    r"|机构(?:等级|级别)|(?:支付)?疗程)",
    "each": r"频度|频率",
    "count": r"(?:限制|限定)(?:数量|次数)",
    "count_unit": r"(?:数量)?(?:单位|计量单位)",
    "most": r"频次(?:上限|限制)|(?:最高|最大|最多)(?:频次|次数)",
    "cycle": r"(?:疗程)?周期",
    "remark": r"备注",
    "number": r"序号|编号|no\.?",
}
"""What a heading means, by what it may be called once spaces, widths and brackets are off."""
_NOTE = re.compile(r"(?:合计|总计|小计|备注|注[:：\d一二三]|注$|说明[:：]|填表|制表|数据来源|以上|以下为)")
_SEARCHED = 20


@dataclass(frozen=True, slots=True)
class Row:
    """One row below the headings: its number in the sheet, and its cells by what they mean."""

    number: int
    cells: Mapping[str, str]

    def get(self, name: str) -> str:
        """Return a cell without spaces around it; empty where the sheet has no such column."""
        return self.cells.get(name, "").strip()


@dataclass(frozen=True, slots=True)
class Table:
    """What a sheet holds.

    Args:
        columns: what its columns mean.
        rows: below the headings, without notes.
        notes: number and text of rows that hold no knowledge.
    """

    columns: frozenset[str]
    rows: tuple[Row, ...]
    notes: tuple[tuple[int, str], ...]


def heading(text: str) -> str | None:
    """Return what a heading means; None where nothing here says."""
    bare = re.sub(r"\(.*?\)|[\s*:：、/]", "", unicodedata.normalize("NFKC", text)).lower()
    return next((name for name, pattern in HEADINGS.items() if re.fullmatch(pattern, bare)), None)


def find_table(rows: Iterable[tuple[int, Cells]]) -> Table | None:
    """Find the headings among a sheet's first rows and read what stands below; None without headings.

    Headings may take two rows, such as 主项 above 名称 and 编码.
    """
    every = [(number, list(cells)) for number, cells in rows]
    for at, (_, cells) in enumerate(every[:_SEARCHED]):
        columns, taken = _columns(cells, every[at + 1][1] if at + 1 < len(every) else ())
        names = set(columns.values())
        if {"code", "main_code", "name"} & names and len(names) > 1:
            found = list(_below(every[at + taken :], columns))
            kept = tuple(one for one in found if isinstance(one, Row))
            return Table(frozenset(names), kept, tuple(one for one in found if not isinstance(one, Row)))
    return None


def _columns(cells: Cells, below: Cells) -> tuple[Mapping[int, str], int]:
    """Return what each column means, and how many rows say so."""
    plain = _first_of_each({at: heading(text) for at, text in enumerate(cells)})
    group, joined = "", {}
    for at in range(max(len(cells), len(below))):
        above = cells[at].strip() if at < len(cells) else ""
        under = below[at].strip() if at < len(below) else ""
        group = above or group
        joined[at] = heading(f"{group}{under}") if under else heading(above)
    both = _first_of_each(joined)
    if {"main_code", "sub_code"} <= set(both.values()) and not {"main_code", "sub_code"} <= set(
        plain.values()
    ):
        return both, 2
    return plain, 1


def _first_of_each(found: Mapping[int, str | None]) -> dict[int, str]:
    columns: dict[int, str] = {}
    for at, name in found.items():
        if name is not None and name not in columns.values():
            columns[at] = name
    return columns


def _below(rows: Sequence[tuple[int, Cells]], columns: Mapping[int, str]) -> Iterator[Row | tuple[int, str]]:
    heads = set(columns.values())
    for number, cells in rows:
        row = Row(number, {name: cells[at] for at, name in columns.items() if at < len(cells)})
        texts = list(dict.fromkeys(text.strip() for text in cells if text.strip()))
        if not texts:
            continue
        if len(texts) > 1 and {heading(text) for text in texts} & heads == heads:
            continue  # the headings again, on a new page
        if _is_note(row, texts):
            yield number, " ".join(texts)
        else:
            yield row


def _is_note(row: Row, texts: Sequence[str]) -> bool:
    """Return whether a row is text about the table: no code, and one text alone or one that begins so."""
    coded = any(is_code(row.get(name)) for name in ("code", "main_code", "sub_code"))
    if coded:
        return False
    spoken = [text for text in texts if not re.fullmatch(r"[\d.]+", text)]
    return len(spoken) < 2 or bool(_NOTE.match(unicodedata.normalize("NFKC", spoken[0])))  # noqa: PLR2004


def is_code(text: str) -> bool:
    """Return whether a cell holds codes, or what was one before a spreadsheet rounded it."""
    codes, problem = read_codes(text)
    return bool(codes) or problem == "code_rounded"


_DRUG = re.compile(r"[XZT][A-Z0-9]{8,29}")
_LOCAL = re.compile(r"[A-Z]{0,3}\d[\dA-Z.-]{4,29}")
_ITEM_DIGITS = 15


def read_codes(text: str) -> tuple[tuple[str, ...], str]:
    """Read item codes of a cell: normalised, with the leading zeros that a number has lost.

    Returns:
        the codes, and why there are none, as a code: `no_code`, `code_rounded` (a spreadsheet has lost its
        last digits) or `code_not_read`.
    """
    parts = [normalised_id(one) for one in re.split(r"[、,，;；/\n]", text.replace("'", "").replace("`", ""))]
    parts = [one for one in parts if one]
    if not parts:
        return (), "no_code"
    codes = []
    for part in parts:
        code, problem = _code(part)
        if problem:
            return (), problem
        codes.append(code)
    return tuple(dict.fromkeys(codes)), ""


def _code(part: str) -> tuple[str, str]:
    power = re.fullmatch(r"(\d)(?:\.(\d+))?E\+?(\d{1,2})", part)
    if power:
        digits = power[1] + (power[2] or "")
        if len(digits) != int(power[3]) + 1:
            return "", "code_rounded"
        part = digits
    part = re.sub(r"^(\d+)\.0+$", r"\1", part)
    if re.fullmatch(r"[1-9]\d{11,13}", part):
        part = part.zfill(_ITEM_DIGITS)
    return (part, "") if _DRUG.fullmatch(part) or _LOCAL.fullmatch(part) else ("", "code_not_read")
