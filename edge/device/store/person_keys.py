"""One data key a person, in a file beside the database: what is destroyed when a consent is withdrawn.

References are sealed under a key that is derived from the device's and the person's. Without the person's
file neither a copy of the database nor the device's key opens them, so copies made before a withdrawal die
with it. This folder is in no backup: central keeps the same half apart from its own (`device/privacy.py`).
"""

import hashlib
import secrets
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from renzheng.common.files import shred, write_whole
from renzheng.models.protection import SECRET_BYTES, TemplateKey


class PersonKeys:
    """The folder of these files.

    Args:
        folder: made when it is missing; readable by its owner alone.
        key: the device's.
    """

    def __init__(self, folder: Path, key: TemplateKey) -> None:
        self._folder = folder
        self._key = key
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def find(self, person_id: str) -> TemplateKey | None:
        """The key under which a person's references are sealed; None when there is none (any more)."""
        salt = self.share(person_id)
        return None if salt is None else key_of(salt, self._key)

    def share(self, person_id: str) -> bytes | None:
        """The half of a person's key that is kept apart from backups; nothing opens by it alone."""
        try:
            return self._path(person_id).read_bytes()
        except FileNotFoundError:
            return None

    def find_or_make(self, person_id: str) -> TemplateKey:
        """The same; a person without one gets it.

        Raises:
            OSError: it cannot be written.
        """
        found = self.find(person_id)
        if found is not None:
            return found
        salt = secrets.token_bytes(SECRET_BYTES)
        path = self._path(person_id)
        write_whole(path, salt)
        return key_of(salt, self._key)

    def destroy(self, person_id: str) -> None:
        """Overwrite and delete a person's key; nothing happens when there is none."""
        shred(self._path(person_id))

    def _path(self, person_id: str) -> Path:
        name = hashlib.sha256(self._key.derive(b"person name") + person_id.encode()).hexdigest()
        return self._folder / f"{name}.key"


def key_of(share: bytes, device: TemplateKey) -> TemplateKey:
    """Put a person's key together from its two halves."""
    info = b"renzheng.template.v1.person"
    derived = HKDF(algorithm=hashes.SHA256(), length=SECRET_BYTES, salt=share, info=info)
    return TemplateKey(derived.derive(device.secret))
