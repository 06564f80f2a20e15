"""Central's signed word on which entries of a device lie in an archive, and where the log begins after it.

A store's row alone could be written by whoever has the store's password, to hide that entries were deleted.
The word is signed when the archive is made, from entries and signatures that were checked at that moment.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Self

import orjson
import sqlalchemy as sa
from joserfc.jwk import OKPKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from renzheng.central.errors import ArchiveError
from renzheng.central.store import archived
from renzheng.central.verify.check import BadEntry, Fault, Start
from renzheng.contracts import keys
from renzheng.contracts.errors import InputError
from renzheng.contracts.log import Head, genesis
from renzheng.contracts.once import loads_once

KIND = "application/vnd.renzheng.archived.v1"
Place = Annotated[int, Field(ge=0)]


class Signed(BaseModel):
    """What central signs about an archive; it is written in one form only."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def read(cls, payload: bytes) -> Self:
        """Read what was signed.

        Raises:
            ArchiveError: it has another form.
        """
        try:
            return cls.model_validate(loads_once(payload))
        except (ValidationError, ValueError):
            raise ArchiveError(
                "What was signed about an archive has another form.", do="Use the version that made it."
            ) from None

    def to_json(self) -> bytes:
        """Write it, members in order."""
        return orjson.dumps(self.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2)


class ArchiveNote(Signed):
    """Entries `base` + 1 to `upto` of a device lie in an archive.

    Args:
        base_keys: keys that the log itself has brought until `base`, and from which entry on each signs.
        upto_keys: the same until `upto`.
    """

    store_id: str
    archive_id: str
    year: int
    device_id: str
    base: Place
    base_hash: str
    base_keys: dict[str, int]
    upto: Place
    upto_hash: str
    upto_keys: dict[str, int]

    @property
    def begins(self) -> Start:
        """Where the archived piece begins."""
        return Start(Head(self.base, self.base_hash), self.base_keys)

    @property
    def ends(self) -> Start:
        """Where it ends, and what comes later begins."""
        return Start(Head(self.upto, self.upto_hash), self.upto_keys)


def sign_word(word: ArchiveNote, key: OKPKey) -> str:
    """Sign a word with central's key."""
    return keys.sign(word.to_json(), key, KIND).decode()


def open_word(envelope: str, by: Sequence[OKPKey]) -> ArchiveNote:
    """Verify and read a word.

    Args:
        envelope: the word as signed.
        by: every key with which central has signed.

    Raises:
        ArchiveError: none of them signed it, or it is no word of this kind.
    """
    for key in by:
        with suppress(InputError):
            return ArchiveNote.read(keys.open_signed(envelope.encode(), key, KIND))
    raise ArchiveError(
        "The word on what lies in an archive is not signed by central's key.",
        why="Then nothing shows that entries were archived and not just deleted.",
        do="Look for the archive, and keep the store as it is.",
    )


def pruned_start(connection: sa.Connection, device_id: str, by: Sequence[OKPKey]) -> Start | BadEntry | None:
    """Return where a device's log begins in the store; None when nothing of it was pruned.

    Every archive from the first on must have its word, each going on where the one before ends.
    """
    reached = Start(genesis(device_id), {})
    rows = archived.rows_of(connection, device_id, pruned=True)
    for row in rows:
        try:
            word = open_word(row.word, by)
        except ArchiveError as error:
            return BadEntry(device_id, reached.head.sequence + 1, Fault.ARCHIVE, error.what)
        says = (word.device_id, word.archive_id, word.upto, word.upto_hash)
        if says != (device_id, row.archive_id, row.upto_sequence, row.upto_hash) or word.begins != reached:
            detail = f"The word on entries up to {row.upto_sequence} in an archive is another's."
            return BadEntry(device_id, reached.head.sequence + 1, Fault.ARCHIVE, detail)
        reached = word.ends
    return reached if rows else None
