"""Sign the files of a pack, and hold them against their signature.

A signature is one envelope (JWS, Ed25519) beside the files. It names each file with its SHA-256, so that none
can be changed, added or taken away, and the pack, so that one region's is none of another.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence

from joserfc.jwk import OKPKey

from renzheng.contracts import keys
from renzheng.contracts.ids import KeyId

KIND = "application/vnd.renzheng.rules.v1+json"
_BEGIN = b"-----BEGIN"


def content_hash(files: Mapping[str, bytes]) -> str:
    """Return one SHA-256, in hex, for the names and contents of files."""
    return hashlib.sha256(_manifest("", files)).hexdigest()


def sign(subject: str, files: Mapping[str, bytes], key: OKPKey) -> bytes:
    """Return the envelope for the files of a pack; `subject` names the pack."""
    return keys.sign(_manifest(subject, files), key, KIND)


def signer(subject: str, files: Mapping[str, bytes], envelope: bytes, known: Sequence[OKPKey]) -> KeyId:
    """Return the key that signed exactly these files for this pack.

    Raises:
        ValueError: none of the known keys did.
    """
    try:
        named = keys.read_header(envelope.strip()).get("kid")
        key = next((one for one in known if keys.key_id(one) == named), None)
        if key is None:
            raise ValueError("it is signed by a key that the bureau does not name")
        signed = keys.open_signed(envelope.strip(), key, KIND)
    except keys.SignatureError as error:
        raise ValueError(error.what) from error
    if signed != _manifest(subject, files):
        raise ValueError("its files are not those that were signed")
    return keys.key_id(key)


def read_keys(pem: bytes) -> list[OKPKey]:
    """Read one or more public keys (PEM), one after the other: while a key is replaced both hold."""
    return [keys.load_public_key(_BEGIN + part) for part in pem.split(_BEGIN)[1:]]


def _manifest(subject: str, files: Mapping[str, bytes]) -> bytes:
    listed = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    return json.dumps({"pack": subject, "files": listed}, sort_keys=True, separators=(",", ":")).encode()
