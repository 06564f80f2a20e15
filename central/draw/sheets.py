"""The sheets of a sample: one an institution, sealed, under labels that do not tell whose they are."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter

from renzheng.central.adt.roster import leaves_of
from renzheng.central.draw.frame import Person
from renzheng.central.store import schema
from renzheng.central.store.times import to_us
from renzheng.contracts.events import Purpose
from renzheng.contracts.rosters import Away
from renzheng.contracts.rounds import Check, Sheet, seal

ENDED = "discharged"
_AWAY: TypeAdapter[tuple[Away, ...]] = TypeAdapter(tuple[Away, ...])


@dataclass(frozen=True, slots=True)
class Sealing:
    """What all sheets of a round have in common."""

    round_id: str
    drawn_at: datetime
    due_at: datetime
    closes_at: datetime
    code: str
    assigned: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SealedFor:
    """A sealed sheet, as JSON, for the device of an institution."""

    institution_id: str
    label: str
    sealed: str


@dataclass(frozen=True, slots=True)
class RoundSheets:
    """The sheets of a round, its checks as rows of the store, and whose stay had ended meanwhile."""

    sheets: Sequence[SealedFor]
    checks: Sequence[Mapping[str, Any]]
    left_out: frozenset[Person]


def make_sheets(connection: sa.Connection, sealing: Sealing, sample: Sequence[Person]) -> RoundSheets:
    """Make and seal the sheets of a sample, with beds and leaves as they are known now.

    Who has been discharged since the frame was frozen stays in the record and out of the sheets: nobody goes
    to look for somebody who has rightly gone home.
    """
    checks: list[dict[str, Any]] = []
    by_institution: dict[str, list[Check]] = {}
    left_out = set()
    stays = _open_stays(connection, sample, to_us(sealing.drawn_at))
    away = leaves_of(connection)
    for person in sample:
        check_id = new_check_id()
        stay = stays.get((person.institution_id, person.visit_id))
        in_bed = person.purpose == Purpose.INPATIENT.value
        ended = in_bed and stay is None
        addressee = sealing.assigned.get(person.institution_id)
        absences = tuple(away.get((person.institution_id, person.visit_id), ())) if in_bed else ()
        row = _row(check_id, person, sealing, ENDED if ended else None, addressee)
        checks.append(row | {"away": away_json(absences)})
        if ended:
            left_out.add(person)
            continue
        check = Check(
            check_id=check_id,
            visit_id=person.visit_id,
            person_id=person.person_id,
            surname=stay["surname"] if stay else "",
            masked_number=stay["masked_number"] if stay else f"…{person.person_id[-4:]}",
            ward=(stay["ward"] if stay else None) or person.ward,
            bed=((stay["bed"] if stay else None) or "")[:40],
            purpose=Purpose(person.purpose),
            away=absences,
        )
        by_institution.setdefault(person.institution_id, []).append(check)
    return RoundSheets(_seal_all(connection, sealing, by_institution), checks, frozenset(left_out))


def away_json(absences: tuple[Away, ...]) -> str:
    """Write down the leaves that are known at a draw."""
    return _AWAY.dump_json(absences).decode()


def read_away(text: str) -> tuple[Away, ...]:
    """Read what `away_json` wrote."""
    return _AWAY.validate_json(text)


def new_check_id() -> str:
    """Make an id of 128 random bits: only who opens the sealed sheet can know it."""
    return f"c-{secrets.token_hex(16)}"


def _row(
    check_id: str, person: Person, sealing: Sealing, left_out: str | None, addressee: str | None
) -> dict[str, Any]:
    return {
        "check_id": check_id,
        "round_id": sealing.round_id,
        "institution_id": person.institution_id,
        "ward": person.ward,
        "visit_id": person.visit_id,
        "person_id": person.person_id,
        "purpose": person.purpose,
        "drawn_at": to_us(sealing.drawn_at),
        "due_at": to_us(sealing.due_at),
        "closes_at": to_us(sealing.closes_at),
        "left_out": left_out,
        "device_id": addressee,
    }


def _open_stays(
    connection: sa.Connection, sample: Sequence[Person], now_us: int
) -> Mapping[tuple[str, str], Mapping[str, Any]]:
    table = schema.stays
    query = sa.select(table).where(
        table.c.institution_id.in_({person.institution_id for person in sample}),
        table.c.discharged_at.is_(None) | (table.c.discharged_at > now_us),
    )
    rows = connection.execute(query).mappings()
    return {(row["institution_id"], row["visit_id"]): dict(row) for row in rows}


def _seal_all(
    connection: sa.Connection, sealing: Sealing, by_institution: Mapping[str, Sequence[Check]]
) -> Sequence[SealedFor]:
    """Seal them in an order and under labels that tell nothing."""
    table = schema.institutions
    names = {row.institution_id: row.name for row in connection.execute(sa.select(table))}
    order = sorted(by_institution)
    secrets.SystemRandom().shuffle(order)
    sheets = []
    for number, institution_id in enumerate(order, start=1):
        sheet = Sheet(
            round_id=sealing.round_id,
            institution_id=institution_id,
            institution_name=names.get(institution_id, institution_id),
            drawn_at=sealing.drawn_at,
            due_at=sealing.due_at,
            closes_at=sealing.closes_at,
            checks=tuple(by_institution[institution_id]),
        )
        label = f"sheet-{number}"
        sealed = seal(sheet, sealing.code, label).model_dump_json()
        sheets.append(SealedFor(institution_id, label, sealed))
    return sheets
