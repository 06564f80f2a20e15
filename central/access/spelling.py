"""Under which ids a person's data lies: as they are spelled at the devices, and in the claims.

Claims have every id in capitals (`contracts.ids.normalised_id`); devices keep the case of a site's own
numbers. A request that was typed in the other spelling must not be answered with "nothing is held".
"""

from collections.abc import Sequence

import sqlalchemy as sa

from renzheng.central.access.errors import PersonIdError
from renzheng.central.store import schema
from renzheng.contracts.ids import normalised_id, tidy_id

_AT_DEVICES = (schema.consents, schema.attendance, schema.withdrawals)


def find(connection: sa.Connection, asked: str) -> str:
    """Return a person's id as the devices spell it; as it was typed, tidied, when none has it.

    Raises:
        PersonIdError: no person is named, or several ids differ from this one in their case only.
    """
    typed, capitals = tidy_id(asked), normalised_id(asked)
    if not typed:
        raise PersonIdError("No person is named.", do="Give the person's id, as in the claims.")
    known = _known(connection, capitals)
    if typed in known or not known:
        return typed if typed in known else capitals
    if len(known) > 1:
        raise PersonIdError(
            "Several people have this number.",
            why="Their ids differ in small and capital letters only.",
            do="Type the id as the device of the site shows it.",
        )
    return next(iter(known))


def of(connection: sa.Connection, person_id: str) -> Sequence[str]:
    """Return the ids under which a person's rows lie: the devices', then the claims' where it differs."""
    capitals = normalised_id(person_id)
    alone = _known(connection, capitals) <= {person_id}
    return (person_id, capitals) if alone and capitals != person_id else (person_id,)


def aliases(connection: sa.Connection, person_id: str) -> Sequence[tuple[str, str]]:
    """Return other numbers of a person that merge messages have told of, each with the hospital that did."""
    table = schema.person_aliases
    there = sa.select(table.c.alias_of.label("other"), table.c.institution_id).where(
        table.c.person_id == person_id
    )
    back = sa.select(table.c.person_id.label("other"), table.c.institution_id).where(
        table.c.alias_of == person_id
    )
    return sorted({(row.other, row.institution_id) for row in connection.execute(sa.union(there, back))})


def _known(connection: sa.Connection, capitals: str) -> set[str]:
    """Return the spellings of an id that devices have told of."""
    found: set[str] = set()
    for table in _AT_DEVICES:
        query = sa.select(table.c.person_id).where(sa.func.upper(table.c.person_id) == capitals).distinct()
        found.update(connection.execute(query).scalars())
    return found
