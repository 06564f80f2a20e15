"""Comments on doubts: notes from colleague to colleague, which decide nothing and are no statement.

The bureau's are the bureau's, an institution's are its own; neither side sees the other's. While a panel
votes, its members do not see what others have noted. The case's journal holds of each who, when and the
SHA-256 of its words, so that none can be put in, changed or taken out later; the words stand beside it.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from renzheng.central.access.roles import BY_INSTITUTION, Role
from renzheng.central.cases import records
from renzheng.central.cases.doubts import Doubt, State
from renzheng.central.cases.errors import BodyError
from renzheng.central.cases.guards import Actor, says_something
from renzheng.central.store import schema
from renzheng.central.store.times import from_us, to_us
from renzheng.contracts.ids import new_id

TABLE = schema.doubt_comments
ACT = "comment"
LONGEST = 2000
MOST = 500
"""On one doubt."""


@dataclass(frozen=True, slots=True)
class Comment:
    """A note.

    Args:
        comment_id: its id.
        account: whose.
        at: when.
        text: its words.
    """

    comment_id: str
    account: str
    at: datetime
    text: str

    @property
    def sha256(self) -> str:
        """What stands for it in the journal."""
        named = {"comment": self.comment_id, "account": self.account, "text": self.text}
        return hashlib.sha256(records.canonical(named)).hexdigest()


def written(actor: Actor, text: str, now: datetime) -> Comment:
    """Make a comment.

    Raises:
        BodyError: it says nothing, or too much.
    """
    if not says_something(text) or len(text) > LONGEST:
        raise BodyError(
            f"A comment says something, in at most {LONGEST} characters.", do='Send {"text": "..."}.'
        )
    return Comment(new_id(), actor.account, now, text)


def keep(connection: sa.Connection, actor: Actor, doubt: Doubt, comment: Comment) -> None:
    """Keep a comment beside its doubt.

    Raises:
        BodyError: there are too many on it.
    """
    held = sa.select(sa.func.count()).select_from(TABLE).where(TABLE.c.doubt_id == doubt.doubt_id)
    if connection.execute(held).scalar_one() >= MOST:
        raise BodyError(f"A doubt has at most {MOST} comments.")
    values = {
        "comment_id": comment.comment_id,
        "doubt_id": doubt.doubt_id,
        "of_institution": int(_is_of_an_institution(actor)),
        "account_id": comment.account,
        "at": to_us(comment.at),
        "text": comment.text,
    }
    connection.execute(sa.insert(TABLE).values(values))


def seen(connection: sa.Connection, actor: Actor, doubt: Doubt) -> Sequence[Comment]:
    """Read the comments of the actor's own side, the oldest first; an actor who sees the doubt."""
    if doubt.state is State.PANEL and actor.account in doubt.members:
        return ()
    if doubt.state is State.PANEL and actor.roles == {Role.PANEL}:
        return ()
    side = TABLE.c.of_institution == int(_is_of_an_institution(actor))
    query = sa.select(TABLE).where(TABLE.c.doubt_id == doubt.doubt_id, side)
    rows = connection.execute(query.order_by(TABLE.c.at, TABLE.c.comment_id))
    return [Comment(row.comment_id, row.account_id, from_us(row.at), row.text) for row in rows]


def _is_of_an_institution(actor: Actor) -> bool:
    return bool(actor.roles & BY_INSTITUTION)
