"""The national platform's tables as a bureau extracts them: which columns are read, how a file is known.

Column names are those of the platform (`fee_list_d` and so on); every other column is passed over.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from renzheng.contracts.tables import ColumnType

FEES, VISITS, SETTLEMENTS, DIAGNOSES, OPERATIONS = (
    *("fee_list_d", "mdtrt_d", "setl_d"),
    *("setl_list_diag_d", "setl_list_oprn_d"),
)
_VERSION = ("vali_flag", "updt_time", "pt")
_PLACE = ("fixmedins_code", "fixmedins_name", "poolarea_no")
_PERSON = ("psn_no", "gend", "brdy")


@dataclass(frozen=True, slots=True)
class PlatformTable:
    """One table of the platform.

    Args:
        name: its name there.
        target: the canonical table that its rows are for.
        key: the column that tells its rows apart.
        needed: columns that it cannot do without.
        used: all columns that are read.
    """

    name: str
    target: str
    key: str
    needed: tuple[str, ...]
    used: tuple[str, ...]


TABLES: Mapping[str, PlatformTable] = {
    table.name: table
    for table in (
        PlatformTable(
            FEES,
            "claim_lines",
            "bkkp_sn",
            (
                *("bkkp_sn", "mdtrt_id", "psn_no", "fixmedins_code"),
                *("fee_ocur_time", "cnt", "det_item_fee_sumamt", "hilist_code"),
            ),
            (
                *("bkkp_sn", "mdtrt_id", "setl_id", "psn_no", *_PLACE, "fee_ocur_time", "med_type"),
                *("cnt", "det_item_fee_sumamt", "hilist_code", "hilist_name", "med_list_codg"),
                *("medins_list_codg", "medins_list_name", "bilg_dept_codg", "bilg_dept_name", "bilg_dr_code"),
                *("init_feedetl_sn", *_VERSION),
            ),
        ),
        PlatformTable(
            VISITS,
            "stays",
            "mdtrt_id",
            ("mdtrt_id", "psn_no", "fixmedins_code", "med_type", "begntime"),
            (
                *("mdtrt_id", *_PERSON, *_PLACE, "hosp_lv", "fix_blng_admdvs", "med_type"),
                *("begntime", "endtime", "adm_dept_codg", "adm_dept_name", "wardarea_bed", "adm_bed"),
                *("dscg_way", "die_date", *_VERSION),
            ),
        ),
        PlatformTable(
            SETTLEMENTS,
            "claim_lines",
            "setl_id",
            ("setl_id", "psn_no", "fixmedins_code", "fund_pay_sumamt"),
            (
                *("setl_id", "mdtrt_id", "init_setl_id", *_PERSON, *_PLACE, "hosp_lv", "fix_blng_admdvs"),
                *("med_type", "medfee_sumamt", "fund_pay_sumamt", "refd_setl_flag", *_VERSION),
            ),
        ),
        PlatformTable(
            DIAGNOSES,
            "diagnoses",
            "setl_list_diag_id",
            ("psn_no", "diag_code"),
            (
                *("setl_list_diag_id", "setl_id", "mdtrt_id", "psn_no", "diag_type", "maindiag_flag"),
                *("diag_code", "diag_name", *_VERSION),
            ),
        ),
        PlatformTable(
            OPERATIONS,
            "operations",
            "setl_list_oprn_id",
            ("psn_no", "oprn_oprt_code", "main_oprn_flag"),
            (
                *("setl_list_oprn_id", "setl_id", "mdtrt_id", "psn_no", "main_oprn_flag"),
                *("oprn_oprt_code", "oprn_oprt_name", "oprn_oprt_date", "oper_dr_code"),
                *("oprn_oprt_begntime", "oprn_oprt_endtime", *_VERSION),
            ),
        ),
    )
}
KNOWN: Collection[str] = frozenset(name for table in TABLES.values() for name in table.used)
KINDS: Mapping[str, ColumnType] = {
    "fee_ocur_time": ColumnType.TIMESTAMP,
    "begntime": ColumnType.TIMESTAMP,
    "endtime": ColumnType.TIMESTAMP,
    "oprn_oprt_date": ColumnType.TIMESTAMP,
    "oprn_oprt_begntime": ColumnType.TIMESTAMP,
    "oprn_oprt_endtime": ColumnType.TIMESTAMP,
    "brdy": ColumnType.DATE,
    "die_date": ColumnType.DATE,
    "cnt": ColumnType.QUANTITY,
    "det_item_fee_sumamt": ColumnType.AMOUNT,
    "medfee_sumamt": ColumnType.AMOUNT,
    "fund_pay_sumamt": ColumnType.AMOUNT,
}
"""Columns whose habits of typing are made plain, with the type that is read from them."""

_BY_LENGTH = sorted(TABLES, key=len, reverse=True)
_OWN = {FEES: "bkkp_sn", VISITS: "begntime", SETTLEMENTS: "fund_pay_sumamt", DIAGNOSES: "diag_code"}
_CHINESE = re.compile("[\u3400-\u9fff]")


def table_of(name: str, columns: Sequence[str]) -> PlatformTable | None:
    """Return which table a file or sheet is: the one that its name says, else the one that its columns fit.

    A name does not hold against the columns: a file whose columns are wholly another table's is that table.
    """
    present = frozenset(columns)
    plain = name.lower().replace("-", "_").replace(" ", "_")
    named = next((TABLES[one] for one in _BY_LENGTH if one in plain), None)
    fitting = [
        table
        for table in TABLES.values()
        if present.issuperset(table.needed) and _OWN.get(table.name, table.needed[1]) in present
    ]
    if named is not None and (named in fitting or not fitting):
        return named
    return max(fitting, key=lambda table: len(present & set(table.used)), default=None)


def is_heading(table: PlatformTable, fields: Mapping[str, str]) -> bool:
    """Return whether a row repeats the headings, in Chinese or as they are, and holds no data."""
    cells = [(name, fields.get(name, "").strip()) for name in table.needed]
    repeated = sum(cell.lower() == name for name, cell in cells)
    chinese = sum(bool(_CHINESE.search(cell)) and not any(map(str.isdigit, cell)) for _, cell in cells)
    return max(repeated, chinese) > len(cells) // 2
