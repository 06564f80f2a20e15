"""Template protection in the sense of ISO/IEC 24745: encrypted at rest, bound to a person, renewable.

Two layers, both from one secret key that is kept outside of the database:

- a keyed orthogonal transform. Scores stay the same among templates under one key; under different keys the
same
  person's templates score like strangers', so a stolen set is of no use elsewhere, cannot be linked, and is
  revoked by re-issuing the people's templates under a new key, without a new photograph;
- AES-256-GCM with the person's id, the model and the key's id as associated data: a record that was altered,
or moved
  to another person, does not open.

What is not claimed: whoever holds the key can undo the transform, and so can whoever has both the plain and
the transformed templates of as many faces as a template has numbers. The transform limits what a stolen
*database* is worth; the key must not lie beside it.
"""

import os
import stat
from dataclasses import dataclass, replace
from hashlib import shake_256
from pathlib import Path

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from renzheng.common.files import write_new
from renzheng.models.errors import TemplateDamagedError, TemplateKeyError, TemplateMismatchError
from renzheng.models.templates import NO_KEY, KeyId, Template, lengths, parts

SECRET_BYTES = 32
_NONCE_BYTES = 12
_FORM = b"\x01"
_SEPARATOR = b"\0"
_KEY_ID_DIGITS = 16


@dataclass(frozen=True)
class TemplateKey:
    """A secret of 32 bytes from which everything else is derived."""

    secret: bytes

    def __post_init__(self) -> None:
        if len(self.secret) != SECRET_BYTES:
            raise TemplateKeyError(
                f"A template key has {SECRET_BYTES} bytes, not {len(self.secret)}.",
                do="Make one with new_key_file.",
            )

    def __repr__(self) -> str:
        return f"TemplateKey(id={self.id!r})"

    @property
    def id(self) -> KeyId:
        """A name for the key that does not give it away."""
        return KeyId(self.derive(b"id")[: _KEY_ID_DIGITS // 2].hex())

    def derive(self, purpose: bytes) -> bytes:
        """Return 32 bytes for one purpose (HKDF-SHA-256)."""
        info = b"renzheng.template.v1." + purpose
        return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=info).derive(self.secret)


def new_key_file(path: Path) -> TemplateKey:
    """Make a key and write it to a new file that only its owner may read.

    Raises:
        TemplateKeyError: the file exists: overwriting a key loses every template under it.
    """
    secret = os.urandom(SECRET_BYTES)
    try:
        write_new(path, secret)
    except FileExistsError:
        raise TemplateKeyError(
            f"{path} exists already.",
            why="Overwriting a key would lose every template under it.",
            do="Choose another file, or read this one.",
        ) from None
    return TemplateKey(secret)


def read_key_file(path: Path) -> TemplateKey:
    """Read a key.

    Raises:
        TemplateKeyError: there is none, others may read it, or it has another length.
    """
    try:
        mode = path.stat().st_mode
        secret = path.read_bytes()
    except OSError as error:
        raise TemplateKeyError(f"The template key {path} cannot be read.", why=str(error)) from error
    if stat.S_IMODE(mode) & 0o077:
        raise TemplateKeyError(
            f"The template key {path} can be read by others (mode {stat.S_IMODE(mode):o}).",
            do=f"chmod 600 {path}",
        )
    return TemplateKey(secret)


def transform(template: Template, key: TemplateKey) -> Template:
    """Put a plain template under a key.

    Raises:
        TemplateMismatchError: it is under a key already.
    """
    if template.key != NO_KEY:
        raise TemplateMismatchError(f"The template is under key {template.key} already.", do="Use reissue.")
    return replace(template, values=_apply(template, key, inverse=False), key=key.id)


def reissue(template: Template, old: TemplateKey, new: TemplateKey) -> Template:
    """Revoke a template's key: take the template to a new one, without a new photograph.

    Raises:
        TemplateMismatchError: it is not under the old key.
    """
    if template.key != old.id:
        raise TemplateMismatchError(f"The template is under key {template.key or 'none'}, not {old.id}.")
    return transform(replace(template, values=_apply(template, old, inverse=True), key=NO_KEY), new)


def seal(template: Template, key: TemplateKey, person_id: str) -> bytes:
    """Encrypt a template for storage, bound to a person."""
    nonce = os.urandom(_NONCE_BYTES)
    head = _head(key, person_id)
    return _FORM + nonce + AESGCM(key.derive(b"seal")).encrypt(nonce, template.to_bytes(), head)


def unseal(data: bytes, key: TemplateKey, person_id: str) -> Template:
    """Decrypt what `seal` wrote.

    Raises:
        TemplateDamagedError: another key, another person, or altered bytes.
    """
    start = len(_FORM) + _NONCE_BYTES
    if not data.startswith(_FORM) or len(data) <= start:
        raise TemplateDamagedError("The bytes are no sealed template.", do="Restore them, or enrol again.")
    try:
        plain = AESGCM(key.derive(b"seal")).decrypt(
            data[len(_FORM) : start], data[start:], _head(key, person_id)
        )
    except InvalidTag:
        raise TemplateDamagedError(
            "A sealed template does not open.",
            why="It is under another key, belongs to another person, or was altered.",
            do="Check the key file; else restore the record or enrol the person again.",
        ) from None
    return Template.from_bytes(plain)


def _head(key: TemplateKey, person_id: str) -> bytes:
    return _SEPARATOR.join((_FORM, key.id.encode(), person_id.encode()))


def _apply(template: Template, key: TemplateKey, *, inverse: bool) -> NDArray[np.float32]:
    moved = []
    for index, (part, length) in enumerate(
        zip(parts(template.values, template.model), lengths(template.model), strict=True)
    ):
        matrix = orthogonal(key.derive(b"transform.%d" % index), length)
        moved.append((matrix.T if inverse else matrix) @ part.astype(np.float64))
    return np.concatenate(moved).astype(np.float32)


def orthogonal(seed: bytes, length: int) -> NDArray[np.float64]:
    """Return an orthogonal matrix (length, length), uniformly distributed over all of them, from a seed.

    Normal numbers from SHAKE-256, then QR with the signs fixed: the same on every machine to rounding.
    """
    stream = shake_256(seed).digest(16 * length * length)
    drawn = (np.frombuffer(stream, dtype="<u8").astype(np.float64) + 0.5) / 2.0**64
    radius, angle = drawn[: length * length], drawn[length * length :]
    normal = np.sqrt(-2 * np.log(radius)) * np.cos(2 * np.pi * angle)
    q, r = np.linalg.qr(normal.reshape(length, length))
    matrix: NDArray[np.float64] = q * np.sign(np.diag(r))
    return matrix
