"""NHSA cancellations of fee uploads: 2205 (outpatient, by charging batch) and 2302 (inpatient, by line).

Both carry `mdtrt_id` and `psn_no`; 2205 names a `chrg_bchno`, 2302 a `feedetl_sn`, and `0000` in that field
means every line of the visit that is not settled yet.
"""

from collections.abc import Iterator, Mapping

from renzheng.central.claims.nhsa_fields import Fields
from renzheng.central.claims.nhsa_lines import line_id_of
from renzheng.central.claims.rejects import RowPlace
from renzheng.central.claims.source import Item
from renzheng.central.claims.stay_events import LineCancellation

LINE_CANCELLATIONS: Mapping[str, str] = {"2205": "chrg_bchno", "2302": "feedetl_sn"}
"""Transaction to the field that says what is cancelled."""
TABLE = "cancellations"
"""What remarks on cancellations are filed under: they are no billed rows."""
ALL = "0000"


def read_cancellation(transaction: str, read: Fields, place: RowPlace) -> Iterator[Item]:
    """Read one 2205 or 2302."""
    named = LINE_CANCELLATIONS[transaction]
    visit_id = read.code("mdtrt_id")
    read.person()
    what = read.id(named)
    if read.problems:
        yield from read.remarks(TABLE, place)
        return
    visit, sent_at = (read.institution_id, visit_id), read.sent_at()
    if what == ALL:
        yield LineCancellation(place, *visit, sent_at=sent_at)
    elif named == "feedetl_sn":
        yield LineCancellation(place, *visit, line_id=line_id_of(*visit, what), sent_at=sent_at)
    else:
        yield LineCancellation(place, *visit, batch=what, sent_at=sent_at)
