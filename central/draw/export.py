"""The checks as the audit reads them, and as the rate counts them: from rounds, answers, leaves and stays."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from renzheng.central.adt import renaming
from renzheng.central.adt.roster import Visit, leaves_of
from renzheng.central.draw.answers import (
    Answer,
    Discharge,
    DrawnCheck,
    RateCategory,
    SettledCheck,
    settle_checks,
)
from renzheng.central.draw.sheets import read_away
from renzheng.central.store import schema
from renzheng.contracts import tables as canonical
from renzheng.contracts.events import Purpose, SpotCheckResult

CHECKS, ANSWERS, STAYS = schema.round_checks, schema.spot_checks, schema.stays


def read_settled(
    connection: sa.Connection, now_us: int, *, round_id: str = "", institution_id: str = ""
) -> list[SettledCheck]:
    """Read the checks of opened rounds, each with how it counts now."""
    query = sa.select(CHECKS).order_by(CHECKS.c.due_at, CHECKS.c.round_id, CHECKS.c.check_id)
    for column, value in ((CHECKS.c.round_id, round_id), (CHECKS.c.institution_id, institution_id)):
        if value:
            query = query.where(column == value)
    checks = [_drawn_check(row) for row in connection.execute(query).mappings()]
    discharged = _discharges(connection)
    leaves = dict(leaves_of(connection, institution_id or None))
    for drawn, now in _renumbered(connection, checks).items():
        leaves[drawn] = leaves.get(now, ())
        if now in discharged:
            discharged[drawn] = discharged[now]
    return settle_checks(checks, _answers(connection, round_id), leaves, discharged, now_us)


def spot_checks(connection: sa.Connection) -> pa.Table:
    """Give the canonical table `spot_checks`: answers that count, and what was left unanswered.

    Of a check that central drew, round, institution, person and moments are the draw's own, whatever a device
    says; void checks are left out, and so are checks in dialysis sessions, which are not bed checks: their
    answers reach the audit as presences. Answers to checks that nobody drew are not in it.
    """
    drawn = read_settled(connection, 0)  # a round that is still open has no unanswered checks yet
    published = set(
        connection.execute(
            sa.select(schema.rounds.c.round_id).where(schema.rounds.c.state == "published")
        ).scalars()
    )
    rows = [_row(one) for one in drawn if _is_told(one, published)]
    return _table(rows, canonical.arrow_schema(canonical.SPOT_CHECKS))


def _drawn_check(row: Mapping[Any, Any]) -> DrawnCheck:
    away = row["away"]
    return DrawnCheck(**{**row, "away": None if away is None else read_away(away)})


def _renumbered(connection: sa.Connection, checks: Sequence[DrawnCheck]) -> dict[Visit, Visit]:
    """Return the visits that were drawn under a number that has given way to another since."""
    renames = schema.visit_renames
    names = sa.select(renames.c.institution_id, renames.c.visit_id, renames.c.visit_now)
    following = {(at, number): now for at, number, now in connection.execute(names)}
    found = {}
    for at, number in {(check.institution_id, check.visit_id) for check in checks}:
        now = renaming.follow(lambda before, at=at: following.get((at, before)), number)  # type: ignore[misc]
        if now != number:
            found[at, number] = (at, now)
    return found


def _discharges(connection: sa.Connection) -> dict[tuple[str, str], Discharge]:
    """Read the end of each stay, with the moment at which the word on it that holds came."""
    query = sa.select(
        STAYS.c.institution_id, STAYS.c.visit_id, STAYS.c.discharged_at, STAYS.c.discharge_recorded_at
    ).where(STAYS.c.discharged_at.is_not(None), STAYS.c.discharge_recorded_at.is_not(None))
    return {
        (institution, visit): Discharge(ended, told_at)
        for institution, visit, ended, told_at in connection.execute(query)
    }


def _answers(connection: sa.Connection, round_id: str) -> list[Answer]:
    """Read the answers of entitled devices, given by inspectors whom the bureau knows.

    Whoever drew a round inspects no bed of it: such an answer does not count.
    """
    known, drew = schema.inspectors, schema.duties_done
    by_officer = sa.exists().where(
        drew.c.thing == sa.literal("round:").concat(ANSWERS.c.round_id),
        drew.c.account_id.in_((known.c.inspector_id, known.c.name)),
    )
    by_inspector = (
        (known.c.inspector_id == ANSWERS.c.inspector_id)
        & (known.c.since <= ANSWERS.c.answered_at)
        & (known.c.until.is_(None) | (known.c.until >= ANSWERS.c.answered_at))
    )
    addressed = (CHECKS.c.check_id == ANSWERS.c.check_id) & (CHECKS.c.device_id == ANSWERS.c.device_id)
    query = sa.select(ANSWERS).join(CHECKS, addressed).join(known, by_inspector).where(~by_officer)
    if round_id:
        query = query.where(ANSWERS.c.round_id == round_id)
    return [
        Answer(
            row.check_id,
            row.answered_at,
            SpotCheckResult(row.result),
            row.inspector_id,
            (row.device_id, row.sequence),
            row.received_at,
        )
        for row in connection.execute(query)
    ]


def _is_told(one: SettledCheck, published: set[str]) -> bool:
    if one.check.purpose != Purpose.INPATIENT.value or one.standing is RateCategory.VOID:
        return False
    return one.answer is not None or one.check.round_id in published


def _row(one: SettledCheck) -> dict[str, Any]:
    check, answer = one.check, one.answer
    return {
        "check_id": check.check_id,
        "round_id": check.round_id,
        "institution_id": check.institution_id,
        "visit_id": check.visit_id,
        "person_id": check.person_id,
        "drawn_at": check.drawn_at,
        "due_at": check.due_at,
        "answered_at": answer.answered_at if answer else None,
        "result": (answer.result if answer else SpotCheckResult.UNANSWERED).value,
        "inspector_id": answer.inspector_id if answer else None,
        "sent_to_device_id": check.device_id,
        "answered_by_device_id": answer.place[0] if answer else None,
    }


def _table(rows: Sequence[dict[str, Any]], shape: pa.Schema) -> pa.Table:
    arrays = []
    for field in shape:
        values = [row[field.name] for row in rows]
        is_time = pa.types.is_timestamp(field.type)
        arrays.append(
            pa.array(values, pa.int64()).cast(field.type) if is_time else pa.array(values, field.type)
        )
    return pa.Table.from_arrays(arrays, schema=shape)
