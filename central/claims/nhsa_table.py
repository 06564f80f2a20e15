"""The transactions of the NHSA institution interface that a hospital's log can hold, as a table.

The specification is not public. Numbers, names and nodes are those in which independent hospital systems
agree (the table in docs/importing.md names them); a letter behind a number (2203A, 4101A, 3505A) is another
edition of the same transaction.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class TransactionUse(Enum):
    """What the importer does with a transaction."""

    PERSON = "person"
    REGISTRATION = "registration"
    VISIT = "visit"
    LINES = "lines"
    LINE_CANCELLATION = "line_cancellation"
    SETTLEMENT = "settlement"
    SETTLEMENT_CANCELLATION = "settlement_cancellation"
    SETTLEMENT_LIST = "settlement_list"
    STAY = "stay"
    REVERSED_MESSAGE = "reversed_message"
    MEDICINES = "medicines"
    COUNTED = "counted"
    """Nothing but count it: the audit has no table for it."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """One transaction.

    Args:
        number: without a letter behind it.
        name: in Chinese and English, for the list of what was not used.
        use: what becomes of it.
        nodes: the nodes of `input`, the one that matters first.
        needs: the fields it cannot do without, and `fixmedins_code`, unless that is given.
        answer: where a field that only the answer has is to be looked for.
    """

    number: str
    name: str
    use: TransactionUse
    nodes: tuple[str, ...] = ("data",)
    needs: tuple[str, ...] = ()
    answer: tuple[str, ...] = ()


_LINE = ("feedetl_sn", "mdtrt_id", "psn_no", "fee_ocur_time", "med_list_codg", "det_item_fee_sumamt", "cnt")
_VISIT = ("mdtrt_id", "psn_no")
_MEDICINE = ("med_list_codg", "fixmedins_bchno")
_STOCK = {
    "3501": ("商品盘存 stock count", ("invinfo", "invinfodetail")),
    "3502": ("库存变更 stock change", ("invinfo", "invinfodetail")),
    "3503": ("商品采购 purchase", ("purcinfo", "purcinfodetail")),
    "3504": ("采购退货 purchase returned", ("purcinfo", "purcinfodetail")),
    "3505": ("商品销售 sale", ("selinfo", "selinfodetail")),
    "3506": ("销售退货 sale returned", ("selinfo", "selinfodetail")),
}

_ALL = (
    Transaction("1101", "人员信息 person", TransactionUse.PERSON, answer=("baseinfo",), needs=("psn_no",)),
    Transaction(
        "2201", "挂号 registration", TransactionUse.REGISTRATION, answer=("data", "result"), needs=_VISIT
    ),
    Transaction("2202", "挂号撤销 registration cancelled", TransactionUse.COUNTED),
    Transaction("2203", "门诊就诊 outpatient visit", TransactionUse.VISIT, ("mdtrtinfo", "diseinfo"), _VISIT),
    Transaction("2204", "门诊费用明细 outpatient lines", TransactionUse.LINES, ("feedetail",), _LINE),
    Transaction(
        "2205",
        "门诊费用明细撤销 outpatient lines cancelled",
        TransactionUse.LINE_CANCELLATION,
        needs=(*_VISIT, "chrg_bchno"),
    ),
    Transaction("2206", "门诊预结算 outpatient trial settlement", TransactionUse.COUNTED),
    Transaction(
        "2207",
        "门诊结算 outpatient settlement",
        TransactionUse.SETTLEMENT,
        ("data", "drug_trac_info"),
        ("setl_id", "mdtrt_id"),
        ("setlinfo",),
    ),
    Transaction(
        "2208",
        "门诊结算撤销 outpatient settlement cancelled",
        TransactionUse.SETTLEMENT_CANCELLATION,
        needs=("setl_id",),
    ),
    Transaction("2301", "住院费用明细 inpatient lines", TransactionUse.LINES, ("feedetail",), _LINE),
    Transaction(
        "2302",
        "住院费用明细撤销 inpatient lines cancelled",
        TransactionUse.LINE_CANCELLATION,
        needs=(*_VISIT, "feedetl_sn"),
    ),
    Transaction("2303", "住院预结算 inpatient trial settlement", TransactionUse.COUNTED),
    Transaction(
        "2304",
        "住院结算 inpatient settlement",
        TransactionUse.SETTLEMENT,
        ("data", "drug_trac_info"),
        ("setl_id", "mdtrt_id"),
        ("setlinfo",),
    ),
    Transaction(
        "2305",
        "住院结算撤销 inpatient settlement cancelled",
        TransactionUse.SETTLEMENT_CANCELLATION,
        needs=("setl_id",),
    ),
    Transaction(
        "2401",
        "入院登记 admission",
        TransactionUse.STAY,
        ("mdtrtinfo", "diseinfo", "agnterinfo"),
        (*_VISIT, "begntime"),
        ("result", "data"),
    ),
    Transaction(
        "2402", "出院登记 discharge", TransactionUse.STAY, ("dscginfo", "diseinfo"), (*_VISIT, "endtime")
    ),
    Transaction(
        "2403", "住院信息变更 amendment of a stay", TransactionUse.STAY, ("adminfo", "diseinfo"), _VISIT
    ),
    Transaction("2404", "入院撤销 admission cancelled", TransactionUse.STAY, needs=(*_VISIT, "inf_time")),
    Transaction("2405", "出院撤销 discharge cancelled", TransactionUse.STAY, needs=(*_VISIT, "inf_time")),
    Transaction("2601", "冲正 message reversed", TransactionUse.REVERSED_MESSAGE, needs=("omsgid",)),
    Transaction(
        "4101",
        "结算清单 settlement list",
        TransactionUse.SETTLEMENT_LIST,
        ("setlinfo", "payinfo", "opspdiseinfo", "diseinfo", "iteminfo", "oprninfo", "icuinfo", "bldinfo"),
        ("setl_id", "mdtrt_id"),
    ),
    Transaction(
        "4205",
        "自费病人明细 lines of a patient who pays himself",
        TransactionUse.LINES,
        ("feedetail", "mdtrtinfo", "diseinfo"),
        _LINE,
    ),
    *(
        Transaction(number, name, TransactionUse.MEDICINES, nodes, _MEDICINE)
        for number, (name, nodes) in _STOCK.items()
    ),
)

TRANSACTIONS: Mapping[str, Transaction] = {one.number: one for one in _ALL}
SELF_PAID = "4205"

_COUNTED_FAMILIES = frozenset(
    {
        *("11", "12", "13", "16", "19", "25", "31", "32", "33", "35", "41", "42", "43", "44"),
        *("45", "46", "47", "51", "52", "53", "54", "61", "62", "70", "71", "72", "90", "91"),
    }
)
"""Queries, dictionaries, filings, checks, reconciliation, records, sign-in: nothing in them is billed."""


def find(number: str) -> Transaction | None:
    """Return the transaction of a number in its plain form; None when it is none of the interface's."""
    if number in TRANSACTIONS:
        return TRANSACTIONS[number]
    if len(number) == 4 and number.isdigit() and number[:2] in _COUNTED_FAMILIES:  # noqa: PLR2004 - NHSA's form
        return Transaction(number, "", TransactionUse.COUNTED, ())
    return None


def plain_number(value: object) -> str:
    """Return a transaction number as text without letters behind it: 2203 for 2203A, 2203a, 2203.0.

    What is no such number comes back as it is, trimmed.
    """
    text = str("" if value is None else value).strip().upper().removesuffix(".0")
    digits = text.rstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    return digits if digits.isdigit() and len(digits) == 4 else text  # noqa: PLR2004 - NHSA's form
