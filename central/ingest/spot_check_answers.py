"""Which answers to spot checks count: only the one entitled may answer, known is not enough.

An answer is entitled when it comes from the device to which the check's sheet was addressed, for the drawn
person, visit and institution, and was received no earlier than the check was due. An answer to a check that
nobody drew is kept apart. Anything else is a foreign answer: it makes no row, and an alarm.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from renzheng.central.store import bulk, refusals, schema
from renzheng.central.store.bulk import Rows

FOREIGN = "foreign_answer"
"""The alarm of such an answer, and how the flaw of its entry begins."""
CHECKS = schema.round_checks
_NAMES = tuple(schema.spot_checks.columns.keys())
_DRAWN = ("round_id", "institution_id", "visit_id", "person_id")


@dataclass(frozen=True, slots=True)
class ForeignAnswer:
    """An answer that somebody gave who was not entitled to."""

    device_id: str
    sequence: int
    why: str


@dataclass(slots=True)
class SortedAnswers:
    """Answers by what becomes of them; rows in the order of `spot_checks`."""

    entitled: list[tuple[Any, ...]] = field(default_factory=list)
    undrawn: list[tuple[Any, ...]] = field(default_factory=list)
    foreign: list[ForeignAnswer] = field(default_factory=list)


def why_foreign(check: Mapping[str, Any], answer: Mapping[str, Any]) -> str | None:
    """Return why an answer to a drawn check is foreign; None when it is entitled.

    Args:
        check: the check as drawn, with `device_id`, the addressee; None there in rounds of earlier versions.
        answer: a row of `spot_checks`.
    """
    if check["device_id"] is None or answer["device_id"] != check["device_id"]:
        return "the check's sheet was addressed to another device"
    for name in _DRAWN:
        if answer[name] != check[name]:
            return f"{name} is not that of the drawn check"
    received = answer["received_at"]
    if received is not None and received < check["due_at"]:
        return "it was received before the check was due"
    return None


def sort_out(connection: sa.Connection, rows: Rows) -> SortedAnswers:
    """Sort answers by who was entitled to give them.

    Args:
        connection: the transaction that writes them.
        rows: rows of `spot_checks`.
    """
    checks = _checks(connection, {row[_NAMES.index("check_id")] for row in rows})
    sorted_out = SortedAnswers()
    for row in rows:
        answer = dict(zip(_NAMES, row, strict=True))
        check = checks.get(answer["check_id"])
        why = why_foreign(check, answer) if check is not None else None
        if check is None:
            sorted_out.undrawn.append(row)
        elif why is None:
            sorted_out.entitled.append(row)
        else:
            sorted_out.foreign.append(ForeignAnswer(answer["device_id"], answer["sequence"], why))
    return sorted_out


def adopt(connection: sa.Connection, check_ids: set[str], now_us: int) -> None:
    """Look again at answers that came before central had opened the round of their checks.

    Until then nobody but the device knew these ids: the answers stand among the undrawn ones.
    """
    undrawn, entries = schema.undrawn_checks, schema.log_entries
    mine = undrawn.c.check_id.in_(sorted(check_ids))
    found = sort_out(connection, [tuple(row) for row in connection.execute(sa.select(undrawn).where(mine))])
    connection.execute(sa.delete(undrawn).where(mine))
    bulk.append_rows(connection, schema.spot_checks, found.entitled)
    for one in found.foreign:
        place = (entries.c.device_id == one.device_id) & (entries.c.sequence == one.sequence)
        connection.execute(sa.update(entries).where(place).values(flaw=f"{FOREIGN}: {one.why}."))
        refusals.raise_alarm(connection, one.device_id, FOREIGN, one.why, now_us, sequence=one.sequence)


def _checks(connection: sa.Connection, ids: set[str]) -> Mapping[str, Mapping[str, Any]]:
    listed: Sequence[str] = sorted(ids)
    found: dict[str, Mapping[str, Any]] = {}
    for start in range(0, len(listed), 500):
        query = sa.select(CHECKS).where(CHECKS.c.check_id.in_(listed[start : start + 500]))
        found.update({row["check_id"]: dict(row) for row in connection.execute(query).mappings()})
    return found
