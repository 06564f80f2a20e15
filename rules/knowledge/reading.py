"""Read the public libraries' sheets into points: every row becomes one, and none is guessed."""

import datetime as dt
import hashlib
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from renzheng.rules.knowledge import words
from renzheng.rules.knowledge.points import Kind, Limit, Point
from renzheng.rules.knowledge.sheets import Cells, Row, Table, find_table, read_codes

_HINTS: Mapping[Kind, str] = {
    Kind.SEX: r"性别|限(?:男|女)",
    Kind.AGE: r"儿童|年龄|新生儿",
    Kind.INSURANCE: r"险种|保险类型|工伤|生育",
    Kind.VISIT: r"就医方式|就医类型|就诊方式",
    Kind.LEVEL: r"机构等级|机构级别|医院等级|医院级别|医疗机构等级|医疗机构级别",
    Kind.PERIOD: r"疗程|周期",
    Kind.FREQUENCY: r"频次",
    Kind.PAIR: r"主次|切口|重复收费|重复",
    Kind.DIAGNOSIS: r"病种|诊断|适应症",
}
_EXCEPTS = re.compile(r"除外|除|不含|例外|特殊|但|可以?(?:另|同)|仅|不适用")
_BATCH = re.compile(r"第([一二三四五六七八九十]+)批(?:\s*[-—－_]\s*(\d+))?")
_LISTED = 2
_CHARGE_HOURS, _CHARGE_DAYS = frozenset({"小时", "时", "h"}), frozenset({"日", "天"})
_PER_DAY = frozenset({"次/日", "次/天", "次每日", "次每天", "小时/日", "小时/天"})


@dataclass(frozen=True, slots=True)
class FileRead:
    """What one workbook gave.

    Args:
        name: of the file.
        points: one for each row of knowledge.
        notes: place and text of rows that are none.
        headless: sheets in which no headings were found.
    """

    name: str
    points: tuple[Point, ...]
    notes: tuple[tuple[str, str], ...]
    headless: tuple[str, ...]

    def counts(self) -> Mapping[Kind, tuple[int, int]]:
        """Return how many points there are by kind, and of how many the limit or code could not be read."""
        every = Counter(point.kind for point in self.points)
        unread = Counter(point.kind for point in self.points if point.problem)
        return {kind: (every[kind], unread[kind]) for kind in sorted(every)}


def batch_of(name: str) -> str:
    """Return the batch that a file's name gives, such as `8-1` of 第八批-1; empty where it gives none."""
    found = _BATCH.search(unicodedata.normalize("NFKC", name).replace("】", ""))
    if found is None:
        return ""
    return f"{words.number(found[1])}{'-' + found[2] if found[2] else ''}"


def read_file(
    name: str,
    sheets: Iterable[tuple[str, Iterable[tuple[int, Cells]]]],
    *,
    batch: str | None = None,
    valid_from: dt.date | None = None,
    region: str = "",
) -> FileRead:
    """Read a workbook's sheets.

    Args:
        name: of the file; it may give the batch and the kind.
        sheets: name and rows of each, merged cells filled downwards.
        batch: of all its points; None: as the name says.
        valid_from: first service day; None: always.
        region: where the points hold; empty: everywhere.
    """
    tables, headless, notes = {}, [], []
    for sheet, rows in sheets:
        table = find_table(rows)
        if table is None:
            headless.append(sheet)
            continue
        tables[sheet] = table
        notes += [(f"{sheet}:{number}", text) for number, text in table.notes]
    made = _Maker(name, batch_of(name) if batch is None else batch, valid_from, region).points(tables)
    return FileRead(name, tuple(_with_ids(made)), tuple(notes), tuple(headless))


class _Maker:
    """Makes points of tables, all of one file."""

    def __init__(self, name: str, batch: str, valid_from: dt.date | None, region: str) -> None:
        self._name, self._batch, self._from, self._region = name, batch, valid_from, region
        self._hint = _hint(name)

    def points(self, tables: Mapping[str, Table]) -> Iterator[Point]:
        """Make the points of every table; a list of names is joined with the list of codes."""
        listed = {sheet: table for sheet, table in tables.items() if _is_name_list(table)}
        names: dict[str, list[Row]] = defaultdict(list)
        for row in (row for table in listed.values() for row in table.rows):
            names[words.plain(row.get("name"))].append(row)
        used: set[str] = set()
        for sheet, table in tables.items():
            joined = bool(listed) and not _has_limit(table)
            for row in table.rows if sheet not in listed else ():
                key = words.plain(row.get("name"))
                used |= {key} if joined else set()
                yield self._listed(sheet, row, names[key]) if joined else self._of(sheet, row, table)
        for sheet, table in listed.items():
            left = (row for row in table.rows if words.plain(row.get("name")) not in used)
            yield from (self._item(sheet, row, table.columns) for row in left)

    def _of(self, sheet: str, row: Row, table: Table) -> Point:
        paired = {"main_code", "sub_code"} & table.columns
        return self._pair(sheet, row) if paired else self._item(sheet, row, table.columns)

    def _listed(self, sheet: str, row: Row, of_name: Sequence[Row]) -> Point:
        """Make the point of a code whose limit stands beside its name in the other sheet."""
        own = [one for one in of_name if _type(one) == _type(row)] if len(of_name) > 1 else of_name
        said = {words.plain(one.get("limit")) for one in own or of_name}
        if len(said) != 1:
            problem = "name_not_listed" if not said else "limits_differ"
            told = "; ".join(dict.fromkeys(one.get("limit") for one in of_name)) or row.get("limit_type")
            return self._point(sheet, row, Limit(self._kind(row), None, problem=problem), told)
        first = (own or of_name)[0]
        joined = Row(row.number, {**first.cells, **{k: v for k, v in row.cells.items() if v.strip()}})
        return self._item(sheet, joined, frozenset(joined.cells))

    def _item(self, sheet: str, row: Row, columns: frozenset[str]) -> Point:
        hint = self._kind_hint(row)
        if {"most", "cycle"} <= columns:
            limit, told = _cycle(row)
            days = words.number(re.sub(r"(?:天|日)$", "", words.plain(row.get("cycle"))))
            return self._point(sheet, row, limit, told, within_days=days if limit.value else None)
        if "count" in columns:
            return self._point(sheet, row, *_count(row))
        told = row.get("limit") or row.get("remark") or row.get("each")
        if hint is Kind.PAIR:
            return self._point(sheet, row, Limit(Kind.PAIR, None, problem="same_incision"), told)
        return self._point(sheet, row, words.read(told, hint), told)

    def _pair(self, sheet: str, row: Row) -> Point:
        main, main_problem = read_codes(row.get("main_code"))
        sub, sub_problem = read_codes(row.get("sub_code"))
        found = words.window(row.get("each"))
        problem = main_problem or sub_problem or ("" if len(main) == 1 else "several_mains")
        problem = problem or ("" if found else "words_not_read")
        kept = {"name": f"{row.get('main_name')} / {row.get('sub_name')}", "items": (*main, *sub)}
        value, unit = found or (None, "")
        return self._made(
            sheet,
            row,
            Limit(Kind.PAIR, value, unit, problem),
            row.get("each"),
            None,
            **kept,  # type: ignore[arg-type]
        )

    def _point(self, sheet: str, row: Row, limit: Limit, told: str, within_days: int | None = None) -> Point:
        codes, problem = read_codes(row.get("code"))
        if problem:
            told = f"{told} [{row.get('code')}]" if row.get("code") else told
            limit = replace(limit, problem=problem)
        return self._made(sheet, row, limit, told, within_days, name=row.get("name"), items=codes)

    def _made(
        self, sheet: str, row: Row, limit: Limit, told: str, within_days: int | None,
        *, name: str, items: tuple[str, ...],
    ) -> Point:  # fmt: skip
        remark = row.get("remark")
        excepted = remark != told and bool(_EXCEPTS.search(remark))
        return Point(
            id="",
            kind=limit.kind,
            items=items,
            name=name,
            value=limit.value,
            unit=limit.unit,
            within_days=within_days,
            words=f"{told}; {remark}" if excepted else told,
            basis=row.get("note") or ("" if excepted or remark == told else remark),
            source=f"{self._name}:{sheet}:{row.number}",
            batch=self._batch,
            valid_from=self._from,
            region=self._region,
            problem=limit.problem or ("remark_not_read" if excepted else ""),
        )

    def _kind(self, row: Row) -> Kind:
        return self._kind_hint(row) or Kind.UNREAD

    def _kind_hint(self, row: Row) -> Kind | None:
        return _hint(row.get("limit_type")) or self._hint


def _hint(text: str) -> Kind | None:
    """Return the one kind that a heading or a file's name speaks of; None where it is none, or several."""
    found = [kind for kind, pattern in _HINTS.items() if re.search(pattern, text)]
    return found[0] if len(found) == 1 else None


def _is_name_list(table: Table) -> bool:
    return "code" not in table.columns and "main_code" not in table.columns and "limit" in table.columns


def _has_limit(table: Table) -> bool:
    return bool({"limit", "count", "most", "remark", "each"} & table.columns)


def _type(row: Row) -> str:
    return words.plain(row.get("limit_type"))


def _count(row: Row) -> tuple[Limit, str]:
    """Read a most and its unit: 24 小时 are hours of one day, 1 日 is once a day; n 日 could be either."""
    told = f"{row.get('count')} {row.get('count_unit')}".strip()
    most, unit = words.number(words.plain(row.get("count"))), words.plain(row.get("count_unit")).lower()
    if most and (unit in _CHARGE_HOURS or unit in _PER_DAY or (unit in _CHARGE_DAYS and most == 1)):
        return Limit(Kind.FREQUENCY, most, "day"), told
    return Limit(Kind.FREQUENCY, None, problem="words_not_read"), told


def _cycle(row: Row) -> tuple[Limit, str]:
    """Read at most so many times in so many days."""
    told = f"{row.get('most')} / {row.get('cycle')}"
    most = words.number(re.sub(r"次$", "", words.plain(row.get("most"))))
    days = words.number(re.sub(r"(?:天|日)$", "", words.plain(row.get("cycle"))))
    if most and days:
        return Limit(Kind.PERIOD, most, "time"), told
    return Limit(Kind.PERIOD, None, problem="words_not_read"), told


def _with_ids(points: Iterable[Point]) -> Iterator[Point]:
    """Give each point its id: from batch, kind and items; what repeats another is told apart."""
    seen: dict[str, str] = {}
    for point in points:
        about = (
            "-".join(point.items[:_LISTED])
            or hashlib.sha256(f"{point.name}|{point.words}".encode()).hexdigest()[:12]
        )
        if len(point.items) > _LISTED:
            about += "-" + hashlib.sha256("|".join(point.items).encode()).hexdigest()[:6]
        plain = "-".join(part for part in (point.batch, point.region, point.kind.value, about) if part)
        name, number = plain, 1
        while name in seen:
            number += 1
            own = "" if seen[plain] == point.version else f"-{point.version[:6]}"
            name = f"{plain}{own}" if own and f"{plain}{own}" not in seen else f"{plain}{own}-{number}"
        seen[name] = point.version
        yield replace(point, id=name)
