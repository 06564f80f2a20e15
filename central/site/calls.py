"""Who calls at the door: a device's signed call, held against the keys that central has of it."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from renzheng.central.store import schema
from renzheng.central.store.database import Database
from renzheng.contracts import keys
from renzheng.contracts.requests import FRESH, RequestError, open_request, signer

logger = logging.getLogger(__name__)
MOST_NONCES = 200_000
"""Calls remembered at once; beyond them the door refuses rather than forgets."""
MOST_NONCES_OF_ONE = 600
"""Calls of one device within `FRESH` either way: one a second. More are its own to wait for."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A device whose call holds."""

    device_id: str
    institution_id: str


@dataclass(frozen=True, slots=True)
class Call:
    """One call as it came over the wire; `target` is path and query, as sent."""

    authorization: str | None
    method: str
    target: str
    body: bytes


class Callers:
    """Knows the devices by their keys; each signed call is good once.

    Args:
        database: the store.
        clock: the door's clock.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock
        self._nonces: dict[tuple[str, str], datetime] = {}
        self._lock = threading.Lock()

    def admit(self, call: Call) -> Caller:
        """Say whose call this is.

        Raises:
            RequestError: unsigned, with no key in use, for another call, stale or repeated.
        """
        key_id = signer(call.authorization)
        with self._database.reading() as connection:
            found = connection.execute(_active(key_id)).first()
        if found is None:
            raise RequestError(
                "No device in use signs with this key.",
                why="The key is unknown, was replaced, or its device was revoked.",
                do="See: renzheng central devices",
            )
        now = self._clock()
        public = keys.load_public_key(found.public_pem)
        said = open_request(call.authorization or "", public, call.method, call.target, call.body, now)
        self._use_once((key_id, said.nonce), said.at + FRESH, now)
        return Caller(found.device_id, found.institution_id)

    def _use_once(self, nonce: tuple[str, str], until: datetime, now: datetime) -> None:
        with self._lock:
            for old in [one for one, end in self._nonces.items() if end < now]:
                del self._nonces[old]
            if nonce in self._nonces:
                raise RequestError("This call was made before.", do="Sign each call anew.")
            mine = sum(key_id == nonce[0] for key_id, _ in self._nonces)
            if mine >= MOST_NONCES_OF_ONE or len(self._nonces) >= MOST_NONCES:
                raise RequestError("This device calls too often.", do="Call again in ten minutes.")
            self._nonces[nonce] = until


def _active(key_id: str) -> sa.Select[tuple[str, str, str]]:
    """Ask for a key that may sign now: neither revoked nor followed by another, of a device in use."""
    device_keys, devices = schema.device_keys, schema.devices
    return (
        sa.select(device_keys.c.public_pem, devices.c.device_id, devices.c.institution_id)
        .join(devices, devices.c.device_id == device_keys.c.device_id)
        .where(
            device_keys.c.key_id == key_id,
            device_keys.c.revoked_at.is_(None),
            device_keys.c.until_sequence.is_(None),
            devices.c.revoked_at.is_(None),
        )
    )
