"""The national platform's tables (`--format platform`): a bureau's extract, as CSV or XLSX, in many files.

Which table a file or sheet is, its name says, else its columns. All files are read first; then the tables are
joined (`platform_sql`), for a fee line needs its settlement to say whether it was billed and what the fund
paid, and become claim lines, persons, stays, institutions, diagnoses and operations at once.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from renzheng.central.claims import platform_sql as sql
from renzheng.central.claims.delimited import BadLine, HeaderError, Table, open_table
from renzheng.central.claims.files import literal
from renzheng.central.claims.mapped import sheets_of
from renzheng.central.claims.mapping_file import PlatformSettings, read_settings
from renzheng.central.claims.nhsa_lines import MED_TYPES
from renzheng.central.claims.platform_tables import KINDS, KNOWN, TABLES, PlatformTable, is_heading, table_of
from renzheng.central.claims.rejects import Problem, Reason, RowPlace, RowProblem, shown
from renzheng.central.claims.rows import Draft, ZoneOf
from renzheng.central.claims.settlements import SETTLEMENTS, TOLD
from renzheng.central.claims.source import (
    Advance,
    ColumnsError,
    Counted,
    Ignored,
    InputFile,
    Item,
    Missing,
    Options,
)
from renzheng.central.claims.staging import Spool, database
from renzheng.central.claims.typing_habits import RowNormaliser
from renzheng.central.claims.values import ValueProblem, read_time
from renzheng.central.claims.withdrawn import LineWithdrawal
from renzheng.contracts.ids import normalised_id, tidy_id

_ROWS = 5_000
_UPPER = frozenset({"mdtrt_id", "psn_no", "fixmedins_code"})
_TIDY = frozenset({"bkkp_sn", "setl_id", "init_setl_id", "init_feedetl_sn", "vali_flag", "refd_setl_flag"})
_NULLS = frozenset({"\\n", "null", "(null)", "<null>"})
"""How Hive and SQL clients write that a cell has no value."""
_SEXES = {"1": "M", "2": "F", "男": "M", "女": "F", "M": "M", "F": "F"}
_TRUE, _FALSE = {"1", "是", "Y"}, {"0", "2", "否", "N"}


class PlatformSource:
    """A folder of the platform's tables."""

    tables: Sequence[str] = ("institutions", "persons", "stays", "claim_lines", "diagnoses", "operations")
    sources: Mapping[str, str] = {
        "line_id": "bkkp_sn",
        "reverses_line_id": "init_feedetl_sn",
        "institution_id": "fixmedins_code",
        "person_id": "psn_no",
    }
    fills = frozenset({"persons", "institutions"})
    replaces_stays = True
    scratch: Path
    """Where rows wait; set by the importer."""

    def __init__(self, options: Options) -> None:
        settings = read_settings(options.mapping, "platform", PlatformSettings)
        self._options = options
        self._med_types = {**MED_TYPES, **settings.med_type}
        self._tables: dict[str, PlatformTable] = {}
        self._spools: dict[str, Spool] = {}
        self._row = 0

    def check(self, files: Sequence[InputFile]) -> list[InputFile]:
        """Find out which table each file or sheet is, and name every column that any of them lacks."""
        missing, every = Missing(), [sheet for file in files for sheet in sheets_of(file)]
        for file in every:
            try:
                columns = self._open(file, lambda _: None).columns
            except HeaderError:
                continue
            table = table_of(file.name, columns)
            if table is not None:
                self._tables[file.name] = table
                missing.add(file.name, [name for name in table.needed if name not in columns])
        missing.raise_if_any("Export the missing columns under the platform's own names.")
        if not self._tables:
            raise ColumnsError(
                "None of the files is one of the platform's tables.",
                why="A file is known by its name, or by its columns.",
                do="; ".join(f"{table.name}: {', '.join(table.needed)}" for table in TABLES.values()),
            )
        return every

    def read(self, file: InputFile, zone_of: ZoneOf, advance: Advance) -> Iterator[Item]:
        """Read one file into the rows that wait; only what cannot be read at all is yielded now."""
        del zone_of  # rows are typed later
        table = self._tables.get(file.name)
        if table is None:
            yield Ignored(f"file {file.name}")
            return
        spool = self._spool(table)
        for row, problems in RowNormaliser(self._open(file, advance), KINDS).rows():
            if isinstance(row, BadLine):
                yield RowProblem(table.target, row.place, row.problem)
            elif is_heading(table, row.fields):
                yield Counted("heading rows")
            else:
                self._row += 1
                found = json.dumps([[one.field, one.reason.value, one.value] for one in problems])
                cells = (_plain(name, row.fields.get(name, "")) for name in table.used)
                place = (self._row, row.place.file, row.place.line)
                spool.add((*cells, found if problems else None, *place))

    def _open(self, file: InputFile, advance: Callable[[int], None]) -> Table:
        return open_table(
            file.path,
            encoding=self._options.encoding,
            advance=advance,
            name=file.name,
            known=KNOWN,
            sheet=file.sheet,
        )

    def _spool(self, table: PlatformTable) -> Spool:
        if table.name not in self._spools:
            texts = [pa.field(name, pa.string()) for name in (*table.used, "_problems")]
            places = [
                pa.field("_row", pa.int64()),
                pa.field("_file", pa.string()),
                pa.field("_line", pa.int64()),
            ]
            path = self.scratch / f"{table.name}.platform.parquet"
            self._spools[table.name] = Spool(path, pa.schema([*texts, *places]))
        return self._spools[table.name]

    def rest(self, zone_of: ZoneOf) -> Iterator[Item]:
        """Join what was read, and yield the rows that follow from it."""
        del zone_of  # rows are typed later
        for table in TABLES.values():
            self._spool(table).close()
        with database(self.scratch) as connection:
            self._join(connection)
            yield from self._drafts(connection, sql.INSTITUTIONS, _institution)
            yield from self._drafts(connection, sql.PERSONS, _person)
            yield from self._drafts(connection, sql.STAYS, self._stay)
            yield from self._drafts(connection, sql.LINES, self._line)
            for name, draft in (("setl_list_diag_d", _diagnosis), ("setl_list_oprn_d", _operation)):
                yield from self._drafts(connection, sql.OF_SETTLEMENTS.format(name=name), draft)
            if self._has("fee_list_d"):
                yield from _differing(connection)
            for place, line_id, settlement_id, *at in connection.execute(sql.WITHDRAWN).fetchall():
                yield LineWithdrawal(RowPlace(*at), place, line_id, settlement_id)
            for kind, rows in connection.execute(sql.COUNTS).fetchall():
                yield Counted(kind, rows)

    def _join(self, connection: duckdb.DuckDBPyConnection) -> None:
        for table in TABLES.values():
            path = literal(self._spools[table.name].path)
            connection.execute(f"CREATE VIEW raw_{table.name} AS FROM read_parquet({path})")
            own = "fixmedins_code" in table.used
            connection.execute(
                sql.LATEST.format(
                    name=table.name,
                    key=table.key,
                    place=", fixmedins_code" if own else "",
                    place_of=", r.fixmedins_code" if own else "",
                    place_is=" AND repeated.fixmedins_code = r.fixmedins_code" if own else "",
                )
            )
        for statement in (sql.VISITS, sql.SETTLEMENTS, sql.FEES):
            connection.execute(statement)

    def _drafts(
        self,
        connection: duckdb.DuckDBPyConnection,
        query: str,
        draft: Callable[[Mapping[str, Any]], Draft | None],
    ) -> Iterator[Draft]:
        for batch in connection.sql(query).to_arrow_reader(_ROWS):
            yield from (one for row in batch.to_pylist() if (one := draft(row)) is not None)

    def _visit_type(self, code: str | None, *, has_bed: bool) -> tuple[str, tuple[Problem, ...]]:
        """Return a visit's type; of a kind that is not configured, by its first two digits or its bed."""
        known = self._med_types.get(code or "")
        if known is not None:
            return known, ()
        guessed = self._med_types.get((code or "")[:2], "inpatient" if has_bed else "outpatient")
        return guessed, (Problem("med_type", Reason.UNKNOWN_MED_TYPE, shown(code or "")),)

    def _stay(self, row: Mapping[str, Any]) -> Draft | None:
        code = (row["med_type"] or "").strip()
        bed = row["adm_bed"] or row["wardarea_bed"]
        visit_type, remarks = self._visit_type(code, has_bed=bool(bed))
        if visit_type != "inpatient":
            return None
        values = {
            "visit_id": row["mdtrt_id"],
            "institution_id": row["fixmedins_code"],
            "person_id": row["psn_no"],
            "admitted_at": row["begntime"],
            "discharged_at": row["endtime"],
            "department": row["adm_dept_name"] or row["adm_dept_codg"],
            "ward": row["wardarea_bed"],
            "bed": row["adm_bed"],
        }
        return Draft("stays", _place(row), values, _STAY, (*_problems(row, _STAY.values()), *remarks))

    def _line(self, row: Mapping[str, Any]) -> Draft:
        visit_type, remarks = self._visit_type(row["kind"], has_bed=row["has_bed"])
        code, zeros = _item_code(row)
        found = [*_problems(row, _LINE.values()), *remarks, *zeros]
        if not row["has_visit"] and self._has("mdtrt_d"):
            found.append(Problem("mdtrt_id", Reason.NO_VISIT, shown(row["mdtrt_id"])))
        if not row["has_settlement"] and self._has("setl_d"):
            found.append(Problem("setl_id", Reason.NO_SETTLEMENT, shown(row["setl_id"])))
        values = {
            "line_id": row["bkkp_sn"],
            "institution_id": row["fixmedins_code"],
            "visit_id": row["mdtrt_id"],
            "settlement_id": row["setl_id"],
            "person_id": row["psn_no"],
            "visit_type": visit_type,
            "item_code": code,
            "item_name": row["hilist_name"] or row["medins_list_name"],
            "service_time": row["fee_ocur_time"],
            "quantity": row["cnt"],
            "amount": row["det_item_fee_sumamt"],
            "reverses_line_id": row["reverses"],
            "doctor_id": row["bilg_dr_code"],
            "department": row["bilg_dept_name"] or row["bilg_dept_codg"],
            "fund_amount": row["fund_amount"],
        }
        return Draft("claim_lines", _place(row), values, _LINE, tuple(found))

    def _has(self, name: str) -> bool:
        return any(table.name == name for table in self._tables.values())


_STAY = {
    "visit_id": "mdtrt_id",
    "institution_id": "fixmedins_code",
    "person_id": "psn_no",
    "admitted_at": "begntime",
    "discharged_at": "endtime",
    "department": "adm_dept_name",
    "ward": "wardarea_bed",
    "bed": "adm_bed",
}
_LINE = {
    "line_id": "bkkp_sn",
    "institution_id": "fixmedins_code",
    "visit_id": "mdtrt_id",
    "settlement_id": "setl_id",
    "person_id": "psn_no",
    "visit_type": "med_type",
    "item_code": "hilist_code",
    "item_name": "hilist_name",
    "service_time": "fee_ocur_time",
    "quantity": "cnt",
    "amount": "det_item_fee_sumamt",
    "reverses_line_id": "init_feedetl_sn",
    "doctor_id": "bilg_dr_code",
    "department": "bilg_dept_name",
    "fund_amount": "fund_pay_sumamt",
}
_PERSON = {"person_id": "psn_no", "sex": "gend", "birth_date": "brdy", "death_date": "die_date"}
_INSTITUTION = {
    "institution_id": "fixmedins_code",
    "name": "fixmedins_name",
    "region_code": "fix_blng_admdvs",
    "level": "hosp_lv",
}
_DIAGNOSIS = {
    "institution_id": "fixmedins_code",
    "visit_id": "mdtrt_id",
    "settlement_id": "setl_id",
    "person_id": "psn_no",
    "diagnosis_code": "diag_code",
    "diagnosis_name": "diag_name",
    "kind": "diag_type",
    "main": "maindiag_flag",
}
_OPERATION = {
    "institution_id": "fixmedins_code",
    "visit_id": "mdtrt_id",
    "settlement_id": "setl_id",
    "person_id": "psn_no",
    "operation_code": "oprn_oprt_code",
    "operation_name": "oprn_oprt_name",
    "operated_at": "oprn_oprt_begntime",
    "ended_at": "oprn_oprt_endtime",
    "main": "main_oprn_flag",
    "doctor_id": "oper_dr_code",
}


def _plain(name: str, text: str) -> str:
    """Return a cell as the tables are joined by it, else trimmed; a lake's NULL as blank."""
    if text.strip().lower() in _NULLS:
        return ""
    if name in _UPPER:
        return normalised_id(text)
    if name == "updt_time":
        return _sortable(text.strip())
    return tidy_id(text) if name in _TIDY else text.strip()


def _sortable(text: str) -> str:
    """Return a time in a form whose order is that of time; what is no time as it is."""
    try:
        return read_time(text, UTC).isoformat() if text else ""
    except ValueProblem:
        return text


_CODE_DIGITS, _LEADING = 15, "00"


def _item_code(row: Mapping[str, Any]) -> tuple[str | None, tuple[Problem, ...]]:
    """Return the item's national code, else the hospital's own.

    National codes of items have 15 digits, the first two 00: a cell that holds a number has lost these.
    """
    code = row["hilist_code"] or row["med_list_codg"]
    if code and len(code) == _CODE_DIGITS - len(_LEADING) and code.isascii() and code.isdigit():
        return f"{_LEADING}{code}", (Problem("hilist_code", Reason.ZEROS_RESTORED, shown(code)),)
    return code or row["medins_list_codg"], ()


def _differing(connection: duckdb.DuckDBPyConnection) -> Iterator[RowProblem]:
    """Name the settlements whose total is not the sum of their lines."""
    for batch in connection.sql(sql.DIFFERING.format(told=TOLD)).to_arrow_reader(_ROWS):
        for row in batch.to_pylist():
            problem = Problem("medfee_sumamt", Reason.SETTLEMENT_DIFFERS, shown(row["told"]))
            yield RowProblem(SETTLEMENTS, _place(row), problem)


def _place(row: Mapping[str, Any]) -> RowPlace:
    return RowPlace(row["_file"], row["_line"])


def _problems(row: Mapping[str, Any], fields: Any) -> tuple[Problem, ...]:
    """Return what was found when the row was read, of the fields that are used."""
    found = json.loads(row["_problems"]) if row.get("_problems") else []
    wanted = set(fields)
    return tuple(Problem(name, Reason(reason), value) for name, reason, value in found if name in wanted)


def _person(row: Mapping[str, Any]) -> Draft:
    values = {
        "person_id": row["psn_no"],
        "sex": _SEXES.get((row["gend"] or "").strip().upper(), "U"),
        "birth_date": row["brdy"],
        "death_date": row["die_date"],
    }
    return Draft("persons", _place(row), values, _PERSON)


def _institution(row: Mapping[str, Any]) -> Draft:
    values = {
        "institution_id": row["fixmedins_code"],
        "name": row["name"],
        "region_code": row["region"],
        "level": row["level"],
    }
    return Draft("institutions", _place(row), values, _INSTITUTION)


def _flag(text: str | None) -> object:
    """Return a flag of the platform as true or false; one that is neither is named when it is typed."""
    cell = (text or "").strip().upper()
    return True if cell in _TRUE else False if cell in _FALSE else cell or None


def _diagnosis(row: Mapping[str, Any]) -> Draft:
    values = {
        "institution_id": row["fixmedins_code"],
        "visit_id": row["visit"],
        "settlement_id": row["setl_id"],
        "person_id": row["psn_no"],
        "diagnosis_code": row["diag_code"],
        "diagnosis_name": row["diag_name"],
        "kind": row["diag_type"],
        "main": _flag(row["maindiag_flag"]),
    }
    return Draft("diagnoses", _place(row), values, _DIAGNOSIS, _problems(row, _DIAGNOSIS.values()))


def _operation(row: Mapping[str, Any]) -> Draft:
    values = {
        "institution_id": row["fixmedins_code"],
        "visit_id": row["visit"],
        "settlement_id": row["setl_id"],
        "person_id": row["psn_no"],
        "operation_code": row["oprn_oprt_code"],
        "operation_name": row["oprn_oprt_name"],
        "operated_at": row["oprn_oprt_begntime"] or row["oprn_oprt_date"],
        "ended_at": row["oprn_oprt_endtime"],
        "main": _flag(row["main_oprn_flag"]),
        "doctor_id": row["oper_dr_code"],
    }
    return Draft("operations", _place(row), values, _OPERATION, _problems(row, _OPERATION.values()))
