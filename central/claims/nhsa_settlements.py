"""NHSA settlements (2207, 2304), their cancellations (2208, 2305, 2601), and settlement lists (4101).

A settlement's answer carries its number and what the fund paid of it. A 2207 settles one charging batch of a
visit (`chrg_bchno`), a 2304 the visit, or the days from `setl_begn_date` to `setl_end_date`.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from renzheng.central.claims.nhsa_fields import Fields, filled
from renzheng.central.claims.nhsa_lines import line_id_of
from renzheng.central.claims.nhsa_medicines import Settled, settled_box, settlement_returned
from renzheng.central.claims.rejects import Problem, Reason, RowPlace, RowProblem, shown
from renzheng.central.claims.source import Ignored, Item
from renzheng.central.claims.stay_events import (
    LineCode,
    Settlement,
    SettlementCancellation,
    StayEvent,
    StayEventKind,
)

TABLE = "settlements"
"""What remarks on settlements are filed under; the audit reads no table of that name."""
FUND_PARTS = ("hifp_pay", "cvlserv_pay", "hifes_pay", "hifmi_pay", "hifob_pay", "maf_pay", "oth_pay")
_DAY = timedelta(days=1)
_SPLIT = "1"
WITHOUT_TIME = "2207 drug_trac_info: 结算无时间 settlement without a time"


def read_settlement(
    transaction: str,
    read: Fields,
    fields: Mapping[str, object],
    place: RowPlace,
    codes: Iterable[Mapping[str, object]] = (),
) -> Iterator[Item]:
    """Read one 2207 or 2304, with the traceability codes it carries."""
    visit_id, settlement_id = read.code("mdtrt_id"), read.id("setl_id")
    begins, ends = _days(read)
    if read.problems:
        yield from read.remarks(TABLE, place)
        return
    yield Settlement(
        place,
        read.institution_id,
        visit_id,
        settlement_id,
        batch=read.text("chrg_bchno") if transaction == "2207" else None,
        from_at=begins,
        to_at=ends,
        total=read.yuan("medfee_sumamt"),
        fund=_fund(read, fields),
        sent_at=read.sent_at(),
        message_id=read.text("msgid"),
    )
    yield from _codes(read, visit_id, settlement_id, place, codes)


def _days(read: Fields) -> tuple[datetime | None, datetime | None]:
    """Return the first moment that a settlement is about, and the first after it."""
    begins, ends = read.time("setl_begn_date"), read.time("setl_end_date")
    if ends is None and begins is None:
        settled = read.time("setl_time")
        ends = None if settled is None else _midnight(settled, read)
    return begins, None if ends is None else ends + _DAY


def _midnight(moment: datetime, read: Fields) -> datetime:
    return moment.astimezone(read.zone).replace(hour=0, minute=0, second=0, microsecond=0)


def _fund(read: Fields, fields: Mapping[str, object]) -> Decimal | None:
    """Return what the fund paid: the sum as told, else that of its parts."""
    told = read.yuan("fund_pay_sumamt")
    if told is not None or filled(fields, *FUND_PARTS) is None:
        return told
    return sum((read.yuan(name) or Decimal(0) for name in FUND_PARTS), Decimal(0))


def _codes(
    read: Fields, visit_id: str, settlement_id: str, place: RowPlace, codes: Iterable[Mapping[str, object]]
) -> Iterator[Item]:
    """Yield every box of a settlement, and for the claim line the first code of a whole one.

    A split pack is lawfully settled many times, so a claim line never carries its code.
    """
    with_code: set[str] = set()
    at = read.time("setl_time", "setl_end_date") or read.sent_at()
    for record in codes:
        number, code = (
            str(record.get("feedetl_sn") or "").strip(),
            filled(record, "drug_trac_codg", "drug_trac_code"),
        )
        if not number or code is None:
            name = "drug_trac_codg" if number else "feedetl_sn"
            yield RowProblem(TABLE, place, Problem(name, Reason.DESCRIPTION_NOT_READ, shown(code or number)))
            continue
        line_id = line_id_of(read.institution_id, visit_id, number)
        if at is None:
            yield Ignored(WITHOUT_TIME)
        else:
            yield settled_box(read, Settled(settlement_id, line_id, at), record, place)
        if str(record.get("trdn_flag") or "").strip() != _SPLIT and number not in with_code:
            with_code.add(number)
            yield LineCode(place, read.institution_id, line_id, str(code).strip(), settlement_id)


def read_settlement_cancellation(read: Fields, place: RowPlace) -> Iterator[Item]:
    """Read one 2208 or 2305: its own `setl_id` is the settlement that it takes back."""
    settlement_id = read.id("setl_id")
    if read.problems:
        yield from read.remarks(TABLE, place)
    else:
        yield SettlementCancellation(place, read.institution_id, settlement_id=settlement_id)
        if (at := read.time("setl_time") or read.sent_at()) is not None:
            yield settlement_returned(read, settlement_id, at, place)


def read_reversed_message(read: Fields, fields: Mapping[str, object], place: RowPlace) -> Iterator[Item]:
    """Read one 2601, which takes back a whole message: of those, settlements matter."""
    about = str(fields.get("oinfno") or "").strip()
    if about[:4] not in {"2207", "2304"}:
        yield Ignored(f"2601 冲正 message reversed: {about[:6] or '?'}")
        return
    message_id = read.id("omsgid")
    if read.problems:
        yield from read.remarks(TABLE, place)
    else:
        yield SettlementCancellation(place, read.institution_id, message_id=message_id)


def read_settlement_list(read: Fields, fields: Mapping[str, object], place: RowPlace) -> Iterator[Item]:
    """Read the head of one 4101: its settlement's days, and the stay. `hi_no` is no `psn_no`."""
    visit_id, settlement_id = read.code("mdtrt_id"), read.id("setl_id")
    begins, ends = _days(read)
    admitted_at, discharged_at = read.time("adm_time"), read.time("dscg_time")
    person_id = read.person(needed=False)
    if read.problems:
        yield from read.remarks(TABLE, place)
        return
    yield Settlement(place, read.institution_id, visit_id, settlement_id, from_at=begins, to_at=ends)
    if not person_id:
        value = "hi_no" if filled(fields, "hi_no") is not None else ""
        yield RowProblem(TABLE, place, Problem("psn_no", Reason.NO_PERSON, value))
    elif admitted_at is not None:
        yield StayEvent(
            place,
            StayEventKind.SUMMARY,
            read.institution_id,
            visit_id,
            person_id,
            admitted_at,
            discharged_at or admitted_at,
            admitted_at=admitted_at,
            discharged_at=discharged_at,
        )
