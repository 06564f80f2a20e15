"""What is billed: reversals netted out, codes looked up, every row put down for the ledger."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from math import floor

from renzheng.central.audit.oracle.case import Case
from renzheng.central.audit.oracle.sessions import Session
from renzheng.central.audit.oracle.values import FAMILY, SCOPE, LineKey, Row

PERFUSION = "haemoperfusion"
"""What may be added to a session of another kind."""


@dataclass
class Line:
    """A billed line, net of its reversals."""

    row: Row
    quantity: Decimal
    amount: Decimal
    service_day: dt.date
    item_class: str | None
    """None for a code that no catalogue row explains on that day."""
    unit: str | None
    taken_back: bool
    """Nothing of it is left to be paid."""
    day: dt.date
    """The day that is judged: the service day, but for lines posted after a death."""
    fund_back: Decimal | None = None
    """What reversals add to the fund's part, mostly below zero; None where nobody knows that part."""
    choices: list[Session] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)
    late: list[Session] = field(default_factory=list)

    @property
    def key(self) -> LineKey:
        """Return what the line is known by."""
        return self.institution, str(self.row["line_id"])

    @property
    def institution(self) -> str:
        """Return the billing institution."""
        return str(self.row["institution_id"])

    @property
    def person(self) -> str:
        """Return the person's one number."""
        return str(self.row["person_id"])

    @property
    def at(self) -> dt.datetime:
        """Return the time of the fee."""
        at: dt.datetime = self.row["service_time"]
        return at

    @property
    def order(self) -> tuple[dt.datetime, str, str]:
        """Return the place among lines: the earliest first."""
        return self.at, self.institution, str(self.row["line_id"])

    @property
    def hourly(self) -> bool:
        """Return whether a quantity of 1 is an hour of treatment."""
        return self.unit == "hour" and self.quantity > 0

    @property
    def needed(self) -> int:
        """Return the number of sessions that a line of sessions needs; parts of a body share one."""
        return 1 if self.unit == "part" else max(1, int(self.quantity))

    @property
    def alone(self) -> bool:
        """Return whether other treatment is not added to its session on another day."""
        return self.item_class != PERFUSION

    @property
    def is_dialysis(self) -> bool:
        """Return whether it is of the haemodialysis family."""
        return self.item_class in FAMILY

    @property
    def in_scope(self) -> bool:
        """Return whether it is to be judged."""
        return self.item_class in SCOPE and not self.taken_back


@dataclass(frozen=True)
class Billed:
    """All claim lines, sorted out."""

    lines: Sequence[Line]
    """Bills, whatever their class and day."""
    reversals: Sequence[tuple[Row, Row]]
    """Rows that take back a line that is here, each with that line."""
    orphans: Sequence[Row]
    """Negative rows that take back nothing that is here."""


@dataclass(frozen=True)
class ReversalLoss:
    """What one reversal adds to a line, mostly below zero; it need not say what the fund gets back."""

    quantity: Decimal
    amount: Decimal
    fund_amount: Decimal | None


def _loss(row: Row, depth: int) -> ReversalLoss:
    """Return what a row adds to its root: a reversal lowers whatever its sign, the next adds as written."""
    quantity, amount, fund = row["quantity"], row["amount"], row["fund_amount"]
    if depth % 2:
        quantity, amount, fund = -abs(quantity), -abs(amount), None if fund is None else -abs(fund)
    return ReversalLoss(quantity, amount, fund)


def _fund_back(row: Row, losses: Sequence[ReversalLoss]) -> Decimal | None:
    """Return what reversals add to the fund's part of a bill.

    One that does not say takes the fund's share of the bill with it. The fund paid at least nothing of what
    is left, and at most all of it.
    """
    paid: Decimal | None = row["fund_amount"]
    billed: Decimal = row["amount"]
    if paid is None:
        return None
    told = sum((one.fund_amount for one in losses if one.fund_amount is not None), Decimal(0))
    untold = sum((one.amount for one in losses if one.fund_amount is None), Decimal(0))
    share = Fraction(paid) * Fraction(untold) / Fraction(billed) if billed else Fraction(0)
    rest = billed + sum((one.amount for one in losses), Decimal(0))
    left = paid + told + Decimal(floor(100 * share + Fraction(1, 2))) / 100
    return max(Decimal(0), min(rest, left)) - paid


def is_negative(row: Row) -> bool:
    """Return whether a row takes something back: money, or where it is about none, a treatment."""
    return bool(row["amount"] < 0 or (row["amount"] == 0 and row["quantity"] < 0))


def billed(case: Case) -> Billed:
    """Sort out the claim lines of a case."""
    rows = case.rows("claim_lines")
    roots = _roots(rows)
    by_key = {_key(row): row for row in rows}
    loses: dict[LineKey, list[ReversalLoss]] = defaultdict(list)
    for row in rows:
        if _key(row) in roots:
            root, depth = roots[_key(row)]
            loses[root].append(_loss(row, depth))
    alone = [row for row in rows if _key(row) not in roots]
    return Billed(
        [_line(case, row, loses.get(_key(row), ())) for row in alone if not is_negative(row)],
        [(row, by_key[roots[_key(row)][0]]) for row in rows if _key(row) in roots],
        [row for row in alone if is_negative(row)],
    )


def _key(row: Row) -> LineKey:
    return row["institution_id"], row["line_id"]


def _roots(rows: Sequence[Row]) -> dict[LineKey, tuple[LineKey, int]]:
    """Return for each reversal the bill it leads to, and over how many steps."""
    by_key = {_key(row): row for row in rows}
    found = {}
    for row in rows:
        chain = list(_chain(row, by_key))
        end = chain[-1]
        if len(chain) > 1 and not is_negative(end) and _reversed_by(end, by_key) is None:
            found[_key(row)] = _key(end), len(chain) - 1
    return found


def _chain(row: Row, by_key: Mapping[LineKey, Row]) -> Iterator[Row]:
    """Follow a row to what it takes back, and on; a circle ends where it would begin once more."""
    seen = set()
    here: Row | None = row
    while here is not None and _key(here) not in seen:
        yield here
        seen.add(_key(here))
        here = _reversed_by(here, by_key)


def _reversed_by(row: Row, by_key: Mapping[LineKey, Row]) -> Row | None:
    """Return the row of the same institution and person that this one says it takes back.

    Where none has the very id, the only one that differs from it in the case of letters is meant.
    """
    if row["reverses_line_id"] is None:
        return None
    exact = by_key.get((row["institution_id"], row["reverses_line_id"]))
    if exact is not None:
        return exact if exact["person_id"] == row["person_id"] else None
    place = row["institution_id"], row["person_id"], row["reverses_line_id"].upper()
    alike = [
        o for o in by_key.values() if (o["institution_id"], o["person_id"], o["line_id"].upper()) == place
    ]
    return alike[0] if len(alike) == 1 else None


def _line(case: Case, row: Row, lost: Sequence[ReversalLoss]) -> Line:
    quantity, amount = row["quantity"], row["amount"]
    taken_back = False
    if lost:
        quantity, amount = (
            quantity + sum(one.quantity for one in lost),
            amount + sum(one.amount for one in lost),
        )
        taken_back = amount <= 0
        quantity = quantity if quantity > 0 else Decimal(1)
    day = case.day(row["institution_id"], row["service_time"])
    item = _item(case, row, day)
    kind, unit = (item["item_class"], item["unit"]) if item is not None else (None, None)
    fund = _fund_back(row, lost) if lost else None
    return Line(row, quantity, amount, day, kind, unit, taken_back, day, fund)


def _item(case: Case, row: Row, day: dt.date) -> Row | None:
    """Return the catalogue's row for a line: of the nearest region, then the latest."""
    regions = _regions(case.regions.get(row["institution_id"]))
    valid = [
        item
        for item in case.items.get(row["item_code"], ())
        if item["region_code"] in regions and (item["valid_from"] or day) <= day <= (item["valid_to"] or day)
    ]
    valid.sort(key=lambda item: (-regions.index(item["region_code"]), item["valid_from"] or dt.date.min))
    return valid[-1] if valid else None


def _regions(code: str | None) -> list[str | None]:
    """Return the regions whose catalogue holds for an institution: its own, the city, the province, all."""
    if code is None:
        return [None]
    return [code, code[:4] + "00", code[:2] + "0000", None]
