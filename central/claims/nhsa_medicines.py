"""Boxes of medicines out of NHSA messages: sold, returned, in stock (3501 to 3506), settled (2207, 2304).

The fields are those in which public hospital and pharmacy systems agree (docs/importing.md). `drugtracinfo`
comes as a list of records, one record, a list of texts or one text with several codes, in the record or
beside it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from renzheng.central.claims.nhsa_fields import Fields, filled
from renzheng.central.claims.nhsa_messages import records_of
from renzheng.central.claims.rejects import RowPlace
from renzheng.central.claims.rows import Draft

SALES, STOCK = "drug_sales", "drug_stock"
_STOCK_KINDS = {"3501": "count", "3502": "change", "3503": "purchase", "3504": "purchase_return"}
_FLAGS = {"1": True, "0": False}
_PAID_BY = {"1": "fund", "2": "self"}
"""`mdtrt_setl_type`: 1 insured, 2 paid by oneself."""
_SEVERAL = re.compile(r"[,;|\s，；、]+")
_COMMON: Mapping[str, str] = {
    "item_code": "med_list_codg",
    "batch": "manu_lotnum",
    "expires_on": "expy_end",
}
_SALE: Mapping[str, str] = {
    **_COMMON,
    "sale_id": "fixmedins_bchno",
    "settlement_id": "setl_id",
    "person_id": "psn_no",
    "units": "sel_retn_cnt",
    "split": "trdn_flag",
    "sold_at": "sel_retn_time",
    "code": "drug_trac_codg",
}
_ROW: Mapping[str, str] = {
    **_COMMON,
    "quantity": "purc_retn_cnt",
    "pack_units": "pac_cnt",
    "recorded_at": "purc_retn_stoin_time",
    "code": "drug_trac_codg",
}
_COUNTED: Mapping[str, str] = {**_ROW, "quantity": "inv_cnt", "recorded_at": "invdate"}
_CHANGED: Mapping[str, str] = {**_ROW, "quantity": "cnt", "recorded_at": "inv_chg_time"}
_SOURCES = {"3501": _COUNTED, "3502": _CHANGED, "3503": _ROW, "3504": _ROW}


@dataclass(frozen=True, slots=True)
class Settled:
    """One line of a settlement: the settlement, the claim line, and when it was settled (aware)."""

    settlement_id: str
    line_id: str
    at: datetime


def read_medicines(
    number: str, read: Fields, fields: Mapping[str, object], codes: Sequence[str], place: RowPlace
) -> Iterator[Draft]:
    """Read one record of 3501 to 3506: a row for each code, one without where none was scanned."""
    for code in codes or [""]:
        yield (
            _sale(number, read, fields, code, place)
            if number not in _STOCK_KINDS
            else _stock(number, read, fields, code, place)
        )


def table_of(number: str) -> str:
    """Return the table that a transaction's records go into."""
    return STOCK if number in _STOCK_KINDS else SALES


def codes_of(record: Mapping[str, Any], body: Mapping[str, Any], *, alone: bool) -> list[str]:
    """Return the codes of a record, each once.

    Args:
        record: the record.
        body: the message's nodes: with one record the codes may stand beside it.
        alone: whether it is the only record.
    """
    node = record.get("drugtracinfo") or record.get("drug_trac_info")
    if not node and alone:
        node = body.get("drugtracinfo") or body.get("drug_trac_info")
    if isinstance(node, list) and all(isinstance(one, str) for one in node):
        found = [str(one) for one in node]
    elif isinstance(node, str):
        found = _SEVERAL.split(node)
    else:
        found = [str(filled(one, "drug_trac_codg", "drug_trac_code") or "") for one in records_of(node)]
    if not any(found):
        found = [str(filled(record, "drug_trac_codg", "drug_trac_code") or "")]
    return list(dict.fromkeys(one.strip() for one in found if one.strip()))


def settled_box(read: Fields, settled: Settled, record: Mapping[str, object], place: RowPlace) -> Draft:
    """Return the box of one line of a settlement (2207, 2304)."""
    values = {
        "sale_id": f"{settled.settlement_id}:{record.get('feedetl_sn')}",
        "institution_id": read.institution_id,
        "kind": "sale",
        "line_id": settled.line_id,
        "settlement_id": settled.settlement_id,
        "person_id": read.person(needed=False),
        "code": filled(record, "drug_trac_codg", "drug_trac_code"),
        "split": _flag(record),
        "paid_by": "fund",
        "sold_at": settled.at,
    }
    return Draft(SALES, place, values, _SALE)


def settlement_returned(read: Fields, settlement_id: str, at: datetime, place: RowPlace) -> Draft:
    """Return the row that takes back every box of a cancelled settlement (2208, 2305)."""
    values = {
        "sale_id": settlement_id,
        "institution_id": read.institution_id,
        "kind": "return",
        "settlement_id": settlement_id,
        "sold_at": at,
    }
    return Draft(SALES, place, values, _SALE)


def box_of_line(
    line: Mapping[str, object], fields: Mapping[str, object], place: RowPlace, *, self_paid: bool
) -> Iterator[Draft]:
    """Yield the box that a fee line (2204, 2301, 4205) names itself; one that takes back sells none."""
    if str(line.get("quantity") or "").strip().startswith("-"):
        return
    values = {
        **{name: line.get(name) for name in ("institution_id", "line_id", "settlement_id", "person_id")},
        "sale_id": line.get("line_id"),
        "kind": "sale",
        "item_code": line.get("item_code"),
        "units": line.get("quantity"),
        "code": line.get("traceability_code"),
        "split": _flag(fields),
        "paid_by": "self" if self_paid else "fund",
        "sold_at": line.get("service_time"),
    }
    yield Draft(SALES, place, values, _SALE)


def _sale(number: str, read: Fields, fields: Mapping[str, object], code: str, place: RowPlace) -> Draft:
    returned = number == "3506"
    paid = _PAID_BY.get(str(filled(fields, "mdtrt_setl_type") or "").strip())
    values: dict[str, object] = {
        **{name: filled(fields, source) for name, source in _SALE.items()},
        "institution_id": read.institution_id,
        "kind": "return" if returned else "sale",
        "code": code,
        "split": _flag(fields),
        "paid_by": "fund" if filled(fields, "setl_id") else paid,
        "returned_of": filled(fields, "medins_prod_sel_no", "fixmedins_bchno") if returned else None,
    }
    return Draft(SALES, place, values, _SALE)


def _stock(number: str, read: Fields, fields: Mapping[str, object], code: str, place: RowPlace) -> Draft:
    sources = _SOURCES[number]
    values: dict[str, object] = {
        **{name: filled(fields, source) for name, source in sources.items()},
        "institution_id": read.institution_id,
        "kind": _STOCK_KINDS[number],
        "code": code,
    }
    return Draft(STOCK, place, values, sources)


def _flag(fields: Mapping[str, object]) -> bool | None:
    return _FLAGS.get(str(filled(fields, "trdn_flag") or "").strip().removesuffix(".0"))
