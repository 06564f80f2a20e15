"""What every kind of step on casework stands on: store, key, rules, time, and one writer at a time."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from joserfc.jwk import OKPKey

from renzheng.central.cases import journal
from renzheng.central.cases.guards import Actor
from renzheng.central.store.database import Database
from renzheng.central.store.locks import CLASS, NUMBERS
from renzheng.rules.pack import Pack

_LOCK = sa.text("SELECT pg_advisory_xact_lock(:class, :number)")


class Steps:
    """Takes steps of one kind.

    Args:
        database: the store.
        key: central's signing key.
        pack: the rules, with the numbers of case work; their text is frozen with evidence.
        zone: the site's; days are counted in it, and institutions without one of their own use it.
        clock: when it is.
        region: whose numbers and working days hold; None for the national ones.
    """

    def __init__(  # noqa: PLR0917 - what every step needs
        self,
        database: Database,
        key: Callable[[], OKPKey],
        pack: Callable[[], Pack],
        zone: ZoneInfo,
        clock: Callable[[], datetime],
        region: str | None = None,
    ) -> None:
        self._database, self._key, self._pack = database, key, pack
        self._zone, self._clock, self._region = zone, clock, region

    def numbers(self, now: datetime | None = None) -> Mapping[str, Decimal]:
        """Return the time limits, thresholds and multiples of a moment's day; of now without one."""
        return self._pack().casework(self._region, (now or self._now()).astimezone(self._zone).date())

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        """Open a transaction for one step; on PostgreSQL others wait, as they do on SQLite by itself."""
        with self._database.writing() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(_LOCK, {"class": CLASS, "number": NUMBERS["cases"]})
            yield connection

    def _append(
        self,
        connection: sa.Connection,
        of: sa.Column[str],
        owner: str,
        *,
        actor: Actor,
        act: str,
        after: Mapping[str, Any],
        now: datetime,
        doubt_id: str = "",
        body: Mapping[str, Any] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        """Add a signed entry behind the last one of a journal.

        Args:
            connection: in the transaction of the step.
            of: the column that says whose journal it is, of a table like `schema.case_journal`.
            owner: the id of the case or file.
            actor: who.
            act: what.
            after: what it came to.
            now: when, in UTC.
            doubt_id: on which doubt, of a case's journal.
            body: what was sent with it.
            more: what the step rested on beyond that.
        """
        table = of.table
        query = sa.select(table.c.number, table.c.hash).where(of == owner).order_by(table.c.number.desc())
        last = connection.execute(query.limit(1)).first()
        entry = journal.Entry(
            at=now,
            actor=actor,
            act=act,
            doubt_id=doubt_id,
            body=body or {},
            more=more or {},
            after=after,
            **journal.following(last),
        )
        kept = journal.keep(owner, entry, self._key())
        values = {of.key: owner, "number": entry.number, "entry": kept.entry, "hash": kept.hash}
        connection.execute(sa.insert(table).values(**values, signature=kept.signature))

    def _now(self) -> datetime:
        return self._clock().astimezone(UTC)


def kept_entries(connection: sa.Connection, of: sa.Column[str], owner: str) -> list[journal.Kept]:
    """Read a journal as it is kept; arguments as of `Steps._append`."""
    query = sa.select(of.table).where(of == owner).order_by(of.table.c.number)
    return [journal.Kept(row.entry, row.hash, row.signature) for row in connection.execute(query)]
