"""Central's signing key over its life: how one follows another, so that devices follow too.

The old key signs for the new one; devices that still know an older key are sent these words, oldest first,
when they say who they are. Public halves of former keys stay: checkpoints and commitments from their time are
held against them. A former private key is destroyed, as nobody needs it any more.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from joserfc.jwk import OKPKey
from pydantic import ValidationError

from renzheng.central.errors import SiteError
from renzheng.central.settings import Settings
from renzheng.central.store import schema
from renzheng.central.store.database import Database
from renzheng.central.store.identity import FormerKeys
from renzheng.common.files import write_whole
from renzheng.contracts import keys
from renzheng.contracts.messages import (
    CentralKey,
    Moved,
    open_central_key,
    read_kept_moved,
    sign_central_key,
    sign_moved,
)

FOLDER = "former"
MOVED = "moved.jws"
"""The word on where the broker is to be found, beside the key that signed it."""
_WRAPPED = ("drawn", "open")
"""States of a round whose code lies wrapped under the key that signed when it was drawn."""


def rotate(database: Database, key_file: Path, now: datetime) -> OKPKey:
    """Make a new signing key, for which the one until now vouches; central uses it once it starts again.

    Whatever a crash leaves, either key signs, and the words that lead from one to the other are there first.

    Raises:
        SiteError: there is no key, or a round is under way whose code is wrapped under it.
    """
    if not key_file.exists():
        raise SiteError(f"There is no key at {key_file}.", do="Restore it: renzheng central restore")
    _must_hold_no_round(database)
    old, new = keys.load_private_key(key_file.read_bytes()), keys.generate_key()
    folder = key_file.parent / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    number = len(list(folder.glob("*.jws"))) + 1
    word = sign_central_key(CentralKey(new_key=keys.public_pem(new), since=now), old)
    write_whole(folder / f"{number:04}.pem", keys.public_pem(old).encode())
    write_whole(folder / f"{number:04}.jws", word)
    write_whole(key_file, keys.private_pem(new))
    (key_file.parent / MOVED).unlink(missing_ok=True)  # signed by the old key; to be told again
    write_whole(key_file.with_suffix(".public.pem"), keys.public_pem(new).encode())
    return new


def tell_move(key_file: Path, moved: Moved | None) -> None:
    """Keep the word on where the broker is to be found, or take it away again.

    Devices are told once central is started again.

    Raises:
        SiteError: there is no key that could sign it.
    """
    path = key_file.parent / MOVED
    if moved is None:
        path.unlink(missing_ok=True)
        return
    if not key_file.exists():
        raise SiteError(f"There is no key at {key_file}.", do="Restore it: renzheng central restore")
    write_whole(path, sign_moved(moved, keys.load_private_key(key_file.read_bytes())))


def make_move(host: str, port: int, door: str | None, now: datetime) -> Moved:
    """Make the word on where broker and door are to be found.

    Raises:
        SiteError: one of the addresses is none.
    """
    try:
        return Moved(host=host, port=port, door=door and door.rstrip("/"), since=now)
    except ValidationError:
        raise SiteError(
            f"{host!r} and {door or 'no door'!r} are no place that devices could go to.",
            do="Write --host NAME and, if the door moves too, --door https://NAME:8701.",
        ) from None


def read_move(key_file: Path) -> Moved | None:
    """Read where devices are told that the broker is; None while they are told nothing."""
    path = key_file.parent / MOVED
    return read_kept_moved(path.read_bytes()) if path.exists() else None


def must_be_settled(settings: Settings) -> None:
    """See that a move is over: who joins from now on is sent by the settings.

    Raises:
        SiteError: they still name the old place.
    """
    moved, site = read_move(settings.key_file), settings.site
    if moved is not None and (moved.host, moved.port) != (site.broker_host, site.broker_port):
        raise SiteError(
            f"The settings still send devices that join to {site.broker_host}:{site.broker_port}.",
            why="Devices that join after this would look for the broker where it is no more.",
            do=f'Set broker_host = "{moved.host}" and broker_port = {moved.port} in the section site.',
        )


def read_former(key_file: Path) -> FormerKeys:
    """Read the keys that signed before, and the words that lead from the oldest to the one that signs now.

    A word that a crash left without the key that it names leads nowhere and is passed over.

    Raises:
        SiteError: they do not follow one another.
    """
    known: dict[str, OKPKey] = {}
    successions: list[bytes] = []
    reached: OKPKey | None = None
    for path in sorted((key_file.parent / FOLDER).glob("*.jws")):
        old = keys.load_public_key(path.with_suffix(".pem").read_bytes())
        if reached is not None and keys.key_id(reached) != keys.key_id(old):
            successions.pop()  # its new key never came into use
        known[keys.key_id(old)] = old
        successions.append(path.read_bytes())
        reached = open_central_key(successions[-1], old)
    now = keys.load_private_key(key_file.read_bytes())
    known.pop(keys.key_id(now), None)
    if reached is not None and keys.key_id(reached) != keys.key_id(now):
        successions.pop()
    moved = key_file.parent / MOVED
    return FormerKeys(known, successions, moved.read_bytes() if moved.exists() else None)


def verifying_keys(key_file: Path) -> Sequence[OKPKey]:
    """Return every key with which central has signed, the present one first."""
    return [keys.load_private_key(key_file.read_bytes()), *read_former(key_file).public.values()]


def _must_hold_no_round(database: Database) -> None:
    with database.reading() as connection:
        query = sa.select(schema.rounds.c.round_id).where(schema.rounds.c.state.in_(_WRAPPED))
        found = connection.execute(query).scalars().all()
    if found:
        raise SiteError(
            f"The round {found[0]} is under way.",
            why="The code that opens its sheets lies wrapped under the present key.",
            do="Change the key once the round is published.",
        )
