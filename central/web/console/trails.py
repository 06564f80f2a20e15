"""From which list a page was opened, and what stands before and after it there."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import sqlalchemy as sa
from fastapi import Request

from renzheng.central.lists import asked as asking
from renzheng.central.lists.lists import Lists, Row
from renzheng.central.lists.months import Kind

LONGEST_LIST = 2_000
"""Characters of a list's address."""


def trail(
    connection: sa.Connection, lists: Lists, kind: Kind, request: Request, place: tuple[str, str]
) -> Mapping[str, Any] | None:
    """Read from which list a page was opened: its address, and the pages before and after in it.

    Args:
        connection: a transaction that reads.
        lists: the lists of the store.
        kind: of which list.
        request: the page's; `list` in its address is the list's own query.
        place: institution and id of what the page shows.
    """
    query = request.query_params.get("list")
    if query is None:
        return None
    asked, _ = asking.read(kind, parse_qsl(query[:LONGEST_LIST]))
    around = lists.neighbours(connection, asked, *place)

    def address(row: Row | None) -> str | None:
        return page_of(kind, row["institution_id"], row["key"], urlencode(asked.query())) if row else None

    return {
        "address": asked.address(),
        "before": address(around.before),
        "after": address(around.after),
        "query": urlencode(asked.query()),
    }


def page_of(kind: Kind, institution: str, key: str, query: str) -> str:
    """Write the address of a line's or finding's page, opened from a list."""
    own = {"institution": institution} if kind == "lines" else {}
    return f"/{kind}/{quote(key)}?{urlencode({**own, 'list': query})}"
