"""What could not be read is evidence too: whom a broken row could have cleared, and how much it billed.

`broken_rows` has one row for each row of a witness's table that could not be read or that an importer did not
take, as far as it says whom it is about:

    source, institution_id, person_id?, visit_id?, purpose?, from_day?, to_day?

where `purpose` is that of a sign-in or presence, and the days are those that the row names. A row that could
not have cleared anybody, such as a failed attempt, is not there. `refused_lines` has the billed rows that
were refused, with their box of the ledger; `rejects` is the importers' own table.
"""

# ruff: noqa: S608 - SQL is put together from the names in contracts.tables

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa

from renzheng.central.audit.engine import Engine
from renzheng.central.audit.request import DAY_US, day_number
from renzheng.central.audit.sources import Source
from renzheng.central.audit.spelling import CAPITALS, Speller
from renzheng.contracts.tables import PURPOSES, Table

DAYS: Mapping[str, tuple[str, str]] = {
    "attendance": ("occurred_at", "occurred_at"),
    "machine_sessions": ("started_at", "ended_at"),
    "stays": ("admitted_at", "discharged_at"),
    "leaves": ("left_at", "coalesce(returned_at, due_back_at)"),
    "spot_checks": ("coalesce(answered_at, drawn_at)", "coalesce(answered_at, drawn_at)"),
}
"""The tables of witnesses, and the times from which to which a row of theirs speaks."""
NOT_CLEARING = {
    "event_type": ("sign_out", "identity_check"),
    "outcome": ("non_match", "attack_suspected", "not_acquired"),
}
"""What a readable column of a broken event says when the event could not have shown anybody."""

SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("source", "institution_id", "person_id", "visit_id", "purpose")),
        ("from_day", pa.int64()),
        ("to_day", pa.int64()),
    ]
)
LARGEST = Decimal(10) ** 14


class BrokenRows:
    """Collects the broken rows of every witness's table.

    Args:
        engine: where the tables are.
        speller: spells the ids of rows that are in no table of the engine.
    """

    def __init__(self, engine: Engine, speller: Speller) -> None:
        self._engine = engine
        self._speller = speller
        self._queries: list[str] = []

    def note(self, table: Table, offset_us: int) -> None:
        """Note that a table has broken rows, in `broken_NAME`; `offset_us` is local time less UTC."""
        if table.name not in DAYS:
            return
        begin, end = (f"{self._day(at, offset_us)}" for at in DAYS[table.name])
        known = ", ".join(f"'{purpose}'" for purpose in PURPOSES)
        purpose, condition = "CAST(NULL AS STRING)", ""
        if table.name == "attendance":
            purpose = f"CASE WHEN purpose IN ({known}) THEN purpose END"
            condition = "".join(
                f" AND ({column} IS NULL OR {column} NOT IN ({', '.join(repr(one) for one in values)}))"
                for column, values in NOT_CLEARING.items()
            )
        visit = "visit_id" if "visit_id" in table.by_name else "CAST(NULL AS STRING)"
        self._queries.append(
            f"SELECT '{table.name}' AS source, institution_id, nullif(person_id, '') AS person_id, "
            f"nullif({visit}, '') AS visit_id, {purpose} AS purpose, {begin} AS from_day, {end} AS to_day "
            f"FROM broken_{table.name} WHERE institution_id <> ''{condition}"
        )

    def _day(self, time: str, offset_us: int) -> str:
        biased = f"{self._engine.micros(time)} + {offset_us + 100_000 * DAY_US}"
        return f"({biased}) // {DAY_US} - 100000"

    def load(
        self, rejects: Sequence[Mapping[str, Any]], sources: Mapping[str, Source], roots: Mapping[str, str]
    ) -> None:
        """Make `rejects`, `broken_rows` and, for who only asks whether there is any, `doubts`."""
        self._engine.add("rejects", self._imported(rejects, roots))
        rest = [*self._rejected(rejects), *self._torn(sources)]
        self._engine.add("broken_elsewhere", pa.Table.from_pylist(rest, schema=SCHEMA))
        united = " UNION ALL ".join([*self._queries, "SELECT * FROM broken_elsewhere"])
        person, join = "b.person_id", ""
        if roots:
            person, join = "coalesce(a.root, b.person_id)", "LEFT JOIN alias_roots a ON b.person_id = a.alias"
        backwards = "b.to_day < b.from_day"
        self._engine.table(
            "broken_rows",
            f"SELECT b.source, b.institution_id, {person} AS person_id, b.visit_id, b.purpose, "
            f"CASE WHEN NOT coalesce({backwards}, false) THEN b.from_day END AS from_day, "
            f"CASE WHEN NOT coalesce({backwards}, false) THEN b.to_day END AS to_day "
            f"FROM ({united}) b {join} WHERE b.person_id IS NOT NULL OR b.visit_id IS NOT NULL",
        )
        self._engine.view(
            "doubts",
            "SELECT DISTINCT institution_id, person_id, "
            "CASE WHEN source = 'attendance' THEN from_day END AS day "
            "FROM broken_rows WHERE person_id IS NOT NULL",
        )

    def _imported(self, rejects: Sequence[Mapping[str, Any]], roots: Mapping[str, str]) -> pa.Table:
        texts = ("table", "institution_id", "person_id", "visit_id", "reason", "file", "field")
        schema = pa.schema(
            [
                *((name, pa.string()) for name in texts),
                ("day", pa.int64()),
                ("amount", pa.decimal128(16, 2)),
                ("line", pa.int64()),
            ]
        )
        rows = []
        for row in rejects:
            spelled = self._spelled(row)
            person = spelled["person_id"]
            rows.append({**row, **spelled, "person_id": roots.get(person or "", person), "day": _number(row)})
        return pa.Table.from_pylist(rows, schema=schema)

    def _spelled(self, row: Mapping[str, Any]) -> dict[str, str | None]:
        return {
            "institution_id": self._speller.spell_institution(row.get("institution_id")),
            "person_id": self._speller.spell(CAPITALS, row.get("person_id")),
            "visit_id": self._speller.spell(CAPITALS, row.get("visit_id")),
        }

    def _rejected(self, rejects: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        for row in rejects:
            spelled = self._spelled(row)
            if row["table"] in DAYS and spelled["institution_id"]:
                day = _number(row)
                yield {"source": row["table"], **spelled, "purpose": None, "from_day": day, "to_day": day}

    def _torn(self, sources: Mapping[str, Source]) -> Iterator[dict[str, Any]]:
        """Yield what torn lines of CSV files still tell; their days are taken as unknown."""
        for name in DAYS:
            for row in sources[name].torn_rows if name in sources else ():
                spelled = self._spelled(row)
                if spelled["institution_id"] and _may_clear(row):
                    purpose = row.get("purpose")
                    yield {
                        "source": name,
                        **spelled,
                        "purpose": purpose if purpose in PURPOSES else None,
                        "from_day": None,
                        "to_day": None,
                    }


def refused_lines(
    rejects: Iterable[Mapping[str, Any]], torn: Iterable[Mapping[str, str]], speller: Speller
) -> pa.Table:
    """List the billed rows that an importer did not take, or that were torn, as far as they can be read."""
    rows = [
        _refused("rejected_by_import", row, row.get("amount"), None, speller)
        for row in rejects
        if row["table"] == "claim_lines"
    ]
    for text in torn:
        fund = _amount(text.get("fund_amount"))
        rows.append(_refused("rejected_by_audit", text, _amount(text.get("amount")), fund, speller))
    schema = pa.schema(
        [
            ("institution_id", pa.string()),
            ("box", pa.string()),
            ("amount", pa.decimal128(16, 2)),
            ("fund_amount", pa.decimal128(16, 2)),
        ]
    )
    whole = [row for row in rows if row["institution_id"] and row["amount"] is not None]
    return pa.Table.from_pylist(whole, schema=schema)


def _refused(
    box: str, row: Mapping[str, Any], amount: Decimal | None, fund: Decimal | None, speller: Speller
) -> dict[str, Any]:
    institution = speller.spell_institution(row.get("institution_id"))
    return {"institution_id": institution, "box": box, "amount": amount, "fund_amount": fund}


def _amount(text: str | None) -> Decimal | None:
    """Read an amount to the cent; None when it is none."""
    try:
        amount = Decimal(text or "").quantize(Decimal("0.01"))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and abs(amount) < LARGEST else None


def _may_clear(row: Mapping[str, str]) -> bool:
    return not any(row.get(column) in values for column, values in NOT_CLEARING.items())


def _number(row: Mapping[str, Any]) -> int | None:
    day = row.get("day")
    return day_number(day) if isinstance(day, dt.date) else None
