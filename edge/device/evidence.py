"""The crops behind the decisions: one encrypted file an event, on this device and nowhere else.

AES-256-GCM with a key of this device; the event's id is authenticated with it, so that a crop cannot be put
under another event. A crop that is not there (never taken, shed for space, past its retention) is an answer,
not a fault.
"""

import logging
import secrets
from datetime import UTC, datetime
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from renzheng.common.files import write_new, write_whole
from renzheng.contracts.ids import EventId
from renzheng.edge.device import credentials

LOGGER = logging.getLogger(__name__)
_NONCE_BYTES = 12
_KEY_BYTES = 32
_SUFFIX = ".crop"


class Evidence:
    """The device's crops.

    Args:
        data_dir: crops lie in its folder ``evidence``, the key beside it unless systemd hands one over.
    """

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "evidence"
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handed = credentials.find(credentials.EVIDENCE_KEY)
        self._cipher = AESGCM(handed.read_bytes() if handed else _own_key(data_dir))

    def put(self, event_id: EventId, crop: bytes) -> None:
        """Keep a crop (JPEG) under its event's id.

        Raises:
            OSError: the disk would not take it; the event stands without.
        """
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, crop, event_id.encode())
        write_whole(self._path(event_id), sealed, synced=False)

    def get(self, event_id: EventId) -> bytes | None:
        """Read a crop; None when there is none, or when it is damaged or another event's."""
        path = self._path(event_id)
        if not path.exists():
            return None
        sealed = path.read_bytes()
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], event_id.encode())
        except (InvalidTag, ValueError):
            LOGGER.exception("the crop of event %s does not hold", event_id)
            return None

    def oldest_first(self) -> list[tuple[EventId, datetime, int]]:
        """Every crop: its event, when it was taken, its size; UUIDv7 names sort by time."""
        found = []
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            event_id = EventId(path.name.removesuffix(_SUFFIX))
            found.append((event_id, taken_at(event_id), path.stat().st_size))
        return found

    def delete(self, event_id: EventId) -> None:
        """Delete a crop; nothing happens when there is none."""
        self._path(event_id).unlink(missing_ok=True)

    def _path(self, event_id: EventId) -> Path:
        return self._folder / f"{event_id}{_SUFFIX}"


def taken_at(event_id: str) -> datetime:
    """Read the time out of a UUIDv7 (RFC 9562: its first 48 bits are milliseconds)."""
    return datetime.fromtimestamp(int(event_id.replace("-", "")[:12], 16) / 1000, tz=UTC)


def _own_key(data_dir: Path) -> bytes:
    path = data_dir / credentials.EVIDENCE_KEY
    credentials.tell_if_beside(path, data_dir)
    return _read_or_make_key(path)


def _read_or_make_key(path: Path) -> bytes:
    if path.exists():
        return path.read_bytes()
    key = secrets.token_bytes(_KEY_BYTES)
    write_new(path, key)
    return key
