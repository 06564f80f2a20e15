"""The frame of a round: everybody who could be checked at a moment, with weights, under references.

A reference is an HMAC under the round's salt, so that the published frame names no visit and no person, and
yet binds central to whom each one stands for.
"""

import hashlib
import hmac
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from renzheng.central.adt.roster import UNNAMED_WARD
from renzheng.central.draw.documents import canonical
from renzheng.central.draw.risk import Risk, Weighting, countable, weigh
from renzheng.central.errors import DrawError
from renzheng.central.store import schema
from renzheng.central.store.audits import speaks
from renzheng.central.store.times import from_us, to_us
from renzheng.contracts.events import Purpose

LOOKED_BACK = timedelta(days=90)
LONGEST_SESSION = timedelta(hours=12)
"""As in the audit: a sign-in without sign-out is a running session for so long."""
DIALYSIS_WARD = "透析室 dialysis"
_ATTENDED = ("match", "manual", "declined")


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a reference stands for."""

    institution_id: str
    ward: str
    purpose: str
    visit_id: str
    person_id: str

    def ref(self, salt: bytes) -> str:
        """Give the reference under a salt."""
        named = canonical([self.purpose, self.institution_id, self.visit_id])
        return hmac.digest(salt, named, hashlib.sha256).hex()[:32]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Who is to be in a frame.

    Args:
        institutions: at which a device can answer.
        purposes: inpatients in their beds, running dialysis sessions, or both.
        weighting: the numbers of the weights.
        devices: how many devices may hold the sheets.
    """

    institutions: Collection[str]
    purposes: Collection[Purpose]
    weighting: Weighting = field(default_factory=Weighting)
    devices: int = 1


@dataclass(frozen=True, slots=True)
class FrozenFrame:
    """A frame document, and whom its references stand for."""

    document: Mapping[str, Any]
    people: Mapping[str, Person]


def as_text(moment: datetime) -> str:
    """Write a moment as published documents hold it, to the second."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def freeze(
    connection: sa.Connection, round_id: str, salt: bytes, wanted: Wanted, now: datetime
) -> FrozenFrame:
    """Freeze the frame of a round at this moment.

    Raises:
        DrawError: there is nobody to check.
    """
    people = {person.ref(salt): person for person in _present(connection, wanted, now)}
    if not people:
        raise DrawError(
            "There is nobody to draw from.",
            why="No inpatient and no running session is known at the institutions of this round.",
            do="See the page of inpatients; register stays by ADT, file or form first.",
        )
    weights = _weights(connection, people, wanted, now)
    units: dict[tuple[str, str, str], list[tuple[str, int]]] = {}
    for ref, person in sorted(people.items()):
        place = (person.purpose, person.institution_id, person.ward)
        units.setdefault(place, []).append((ref, weights[ref]))
    document = {
        "version": 2,
        "round_id": round_id,
        "moment": as_text(now),
        "devices": wanted.devices,
        "units": [
            {
                "purpose": purpose,
                "institution_id": institution,
                "ward": ward,
                "candidates": [list(pair) for pair in candidates],
            }
            for (purpose, institution, ward), candidates in sorted(units.items())
        ],
    }
    return FrozenFrame(document, people)


def _present(connection: sa.Connection, wanted: Wanted, now: datetime) -> Iterator[Person]:
    if Purpose.INPATIENT in wanted.purposes:
        yield from _inpatients(connection, wanted, now)
    if Purpose.DIALYSIS in wanted.purposes:
        yield from _running_sessions(connection, wanted, now)


def _inpatients(connection: sa.Connection, wanted: Wanted, now: datetime) -> Iterator[Person]:
    table, now_us = schema.stays, to_us(now)
    query = sa.select(table).where(
        table.c.institution_id.in_(wanted.institutions),
        table.c.admitted_at <= now_us,
        table.c.discharged_at.is_(None) | (table.c.discharged_at > now_us),
    )
    for row in connection.execute(query):
        ward = row.ward or UNNAMED_WARD
        yield Person(row.institution_id, ward, Purpose.INPATIENT.value, row.visit_id, row.person_id)


def _running_sessions(connection: sa.Connection, wanted: Wanted, now: datetime) -> Iterator[Person]:
    """Find sessions that were signed into and not out of; one a person, the latest."""
    table = schema.attendance
    query = (
        sa.select(table)
        .where(
            table.c.institution_id.in_(wanted.institutions),
            table.c.purpose == Purpose.DIALYSIS.value,
            table.c.event_type.in_(("sign_in", "sign_out")),
            table.c.outcome.in_(_ATTENDED),
            table.c.occurred_at.between(to_us(now - LONGEST_SESSION), to_us(now)),
        )
        .order_by(table.c.occurred_at, table.c.device_id, table.c.sequence)
    )
    running: dict[tuple[str, str], Person] = {}
    for row in connection.execute(query):
        key = (row.institution_id, row.person_id)
        if row.event_type == "sign_out":
            running.pop(key, None)
        else:
            visit = row.session_id or row.event_id
            running[key] = Person(
                row.institution_id, DIALYSIS_WARD, Purpose.DIALYSIS.value, visit, row.person_id
            )
    yield from running.values()


def _weights(
    connection: sa.Connection,
    people: Mapping[str, Person],
    wanted: Wanted,
    now: datetime,
) -> Mapping[str, int]:
    amounts, findings = _amounts(connection, now), _findings(connection, now)
    checked = _last_checks(connection)
    returned, sent, withheld = _returned(connection, now), _sent(connection, now), _withheld(connection, now)
    at_stake = [amounts.get(institution, 0) for institution in wanted.institutions]
    largest = max(at_stake, default=0)
    weights = {}
    for ref, person in people.items():
        last = checked.get((person.institution_id, person.person_id))
        risk = Risk(
            amounts.get(person.institution_id, 0),
            findings.get(person.institution_id, 0),
            None if last is None else (now - from_us(last)).days,
            returned.get(person.institution_id, 0)
            + countable(
                withheld.get(person.institution_id, 0),
                amounts.get(person.institution_id, 0),
                wanted.weighting,
            ),
            sent.get(person.institution_id, 0),
        )
        weights[ref] = weigh(risk, largest, wanted.weighting)
    return weights


def _spoken(table: sa.Table, now: datetime) -> tuple[sa.FromClause, sa.ColumnElement[bool]]:
    """Join to the runs that speak for the days looked back on."""
    return table.join(schema.audit_days, speaks(table)), table.c.service_day >= (
        now - LOOKED_BACK
    ).date().isoformat()


def _amounts(connection: sa.Connection, now: datetime) -> Mapping[str, int]:
    table = schema.verdicts
    source, recent = _spoken(table, now)
    query = sa.select(table.c.institution_id, sa.func.sum(table.c.amount_fen)).select_from(source)
    rows = connection.execute(query.where(recent).group_by(table.c.institution_id))
    return {institution: int(amount or 0) for institution, amount in rows}


def _findings(connection: sa.Connection, now: datetime) -> Mapping[str, int]:
    table = schema.findings
    source, recent = _spoken(table, now)
    query = sa.select(table.c.institution_id, sa.func.count(sa.distinct(table.c.finding_id)))
    rows = connection.execute(query.select_from(source).where(recent).group_by(table.c.institution_id))
    return {institution: int(count) for institution, count in rows}


def _returned(connection: sa.Connection, now: datetime) -> Mapping[str, int]:
    """Add up by institution what it has found and returned itself, where the return is proven."""
    table = schema.self_corrections
    recent = table.c.proof.is_not(None) & (table.c.proven_at >= to_us(now - LOOKED_BACK))
    query = sa.select(table.c.institution_id, sa.func.sum(table.c.amount_fen)).where(recent)
    return {place: int(fen) for place, fen in connection.execute(query.group_by(table.c.institution_id))}


def _withheld(connection: sa.Connection, now: datetime) -> Mapping[str, int]:
    """Add up by institution what it took back before it submitted it, where the claims bear that out."""
    table = schema.withheld_lines
    recent = table.c.proven_at >= to_us(now - LOOKED_BACK)
    query = sa.select(table.c.institution_id, sa.func.sum(table.c.amount_fen)).where(recent)
    return {place: int(fen) for place, fen in connection.execute(query.group_by(table.c.institution_id))}


def _sent(connection: sa.Connection, now: datetime) -> Mapping[str, int]:
    """Add up by institution what the bureau has found and sent, of the months looked back on."""
    table = schema.doubts
    recent = (table.c.issued == 1) & (table.c.month >= (now - LOOKED_BACK).strftime("%Y-%m"))
    query = sa.select(table.c.institution_id, sa.func.sum(table.c.at_stake_fen)).where(recent)
    return {place: int(fen) for place, fen in connection.execute(query.group_by(table.c.institution_id))}


def _last_checks(connection: sa.Connection) -> Mapping[tuple[str, str], int]:
    table = schema.spot_checks
    query = sa.select(table.c.institution_id, table.c.person_id, sa.func.max(table.c.answered_at))
    rows = connection.execute(query.group_by(table.c.institution_id, table.c.person_id))
    return {(institution, person): int(last) for institution, person, last in rows}
