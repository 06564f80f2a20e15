"""What closed cases have decided: the truth against which a changed rule is held."""

from collections.abc import Mapping

import orjson
import sqlalchemy as sa

from renzheng.central.store import schema


def decisions(connection: sa.Connection) -> Mapping[str, str]:
    """Return `upheld` or `overturned` by the id of the finding, or of each line, of every decided doubt.

    A line that several institutions number alike and that fared differently is left out: the id alone does
    not say which is meant.
    """
    doubts = schema.doubts
    query = sa.select(doubts.c.record, doubts.c.amount_fen).where(doubts.c.decided_at.is_not(None))
    found: dict[str, set[str]] = {}
    for row in connection.execute(query):
        record = orjson.loads(row.record)
        decision = "upheld" if row.amount_fen else "overturned"
        ids = [record["finding_id"]] if record["finding_id"] else [one["line_id"] for one in record["lines"]]
        for one in ids:
            found.setdefault(one, set()).add(decision)
    return {one: decided.pop() for one, decided in found.items() if len(decided) == 1}
