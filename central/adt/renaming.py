"""Numbers of persons and visits that gave way to others, as merge messages tell (A40, A47, A50 and kin).

What the journal of stays holds under a former number is put under the present one, and so is what still comes
under the former. A hospital's word changes its own stays only; that the two numbers are one person's, the
audit learns from `person_aliases`.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import sqlalchemy as sa

from renzheng.central.adt.messages import masked
from renzheng.central.claims.stay_events import Rename, StayEvent
from renzheng.central.store import schema
from renzheng.central.store.times import to_us

EVENTS, ALIASES, VISITS = schema.stay_events, schema.person_aliases, schema.visit_renames


def keep(connection: sa.Connection, told: Rename, now_us: int) -> Sequence[str] | None:
    """Keep one pair of numbers and move the journal's events; return the visits to be made anew.

    Args:
        connection: a writing transaction.
        told: the pair.
        now_us: when central received it.

    Returns:
        None when it was kept before.
    """
    return _keep_person(connection, told) if told.of == "person" else _keep_visit(connection, told, now_us)


def present(connection: sa.Connection, event: StayEvent) -> StayEvent:
    """Return an event under the numbers that its visit and its person have now."""
    institution_id = event.institution_id
    visits = sa.select(VISITS.c.visit_now).where(VISITS.c.institution_id == institution_id)
    persons = sa.select(ALIASES.c.alias_of).where(ALIASES.c.institution_id == institution_id)
    persons = persons.order_by(ALIASES.c.since.desc())

    def visit(number: str) -> str | None:
        return connection.execute(visits.where(VISITS.c.visit_id == number)).scalar()

    def person(number: str) -> str | None:
        return connection.execute(persons.where(ALIASES.c.person_id == number).limit(1)).scalar()

    return replace(event, visit_id=follow(visit, event.visit_id), person_id=follow(person, event.person_id))


def follow(next_of: Callable[[str], str | None], number: str) -> str:
    """Follow a number to the one that holds now; one whose way leads back to itself stays what it is."""
    seen, now = {number}, number
    while (found := next_of(now)) is not None:
        if found in seen:
            return number
        seen.add(found)
        now = found
    return now


def _keep_person(connection: sa.Connection, told: Rename) -> Sequence[str] | None:
    same = (ALIASES.c.person_id == told.before) & (ALIASES.c.alias_of == told.now)
    if connection.execute(sa.select(ALIASES.c.person_id).where(same)).first() is not None:
        return None
    row = {"person_id": told.before, "alias_of": told.now, "since": to_us(told.at)}
    connection.execute(sa.insert(ALIASES).values(row | {"institution_id": told.institution_id}))
    here = (EVENTS.c.institution_id == told.institution_id) & (EVENTS.c.person_id == told.before)
    visits = connection.execute(sa.select(EVENTS.c.visit_id).where(here).distinct()).scalars().all()
    masked_number = masked(told.now)
    connection.execute(sa.update(EVENTS).where(here).values(person_id=told.now, masked_number=masked_number))
    return sorted(visits)


def _keep_visit(connection: sa.Connection, told: Rename, now_us: int) -> Sequence[str] | None:
    of_visit = (VISITS.c.institution_id == told.institution_id) & (VISITS.c.visit_id == told.before)
    known = connection.execute(sa.select(VISITS.c.visit_now).where(of_visit)).scalar()
    if known == told.now:
        return None
    connection.execute(sa.delete(VISITS).where(of_visit))
    row = {"institution_id": told.institution_id, "visit_id": told.before, "visit_now": told.now}
    connection.execute(sa.insert(VISITS).values(row | {"since": to_us(told.at)}))
    here = (EVENTS.c.institution_id == told.institution_id) & (EVENTS.c.visit_id == told.before)
    there = (EVENTS.c.institution_id == told.institution_id) & (EVENTS.c.visit_id == told.now)
    joins = connection.execute(sa.select(EVENTS.c.event_number).where(there).limit(1)).first() is not None
    moved = {"visit_id": told.now} | ({"joined_at": now_us} if joins else {})
    connection.execute(sa.update(EVENTS).where(here).values(moved))
    return [told.before, told.now]
