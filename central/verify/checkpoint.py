"""Checkpoints: central binds itself to the heads of all devices, in a form that outsiders can keep.

The heads form an append-only Merkle tree (RFC 6962, section 2.1): each checkpoint adds a leaf for every
device whose log has grown (`Leaf`). The checkpoint is a C2SP tlog-checkpoint in a C2SP signed-note: origin,
size, root, and an Ed25519 signature. Who keeps yesterday's can show that central has since changed, dropped
or forked anything under it.
"""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from joserfc.jwk import OKPKey

from renzheng.contracts.errors import InputError
from renzheng.contracts.log import Head

_ED25519 = b"\x01"
_DASH = "\u2014"
_KEY_HASH_BYTES = 4
_NOTE_LINES = 3


class CheckpointError(InputError):
    """A note is no checkpoint of this log, or what central holds does not agree with it."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """The head of one device at the moment of a checkpoint."""

    device_id: str
    head: Head

    def hash(self) -> bytes:
        """Hash as a leaf of the tree (RFC 6962)."""
        text = f"renzheng head v1\n{self.device_id}\n{self.head.sequence}\n{self.head.hash}\n"
        return hashlib.sha256(b"\x00" + text.encode()).digest()


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a note says: whose tree, how many leaves, and their root hash."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Write the note's text, without signatures."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


class Tree:
    """A Merkle tree (RFC 6962) that grows at its end: it keeps the roots of its full parts only.

    Args:
        size: leaves so far.
        peaks: roots of the full subtrees of decreasing size, one for each 1 in `size` written in binary.

    Raises:
        CheckpointError: so many peaks do not belong to a tree of that size.
    """

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        if len(peaks) != size.bit_count():
            raise CheckpointError(
                f"{len(peaks)} peaks are none of a tree of {size} leaves.",
                why="The store's record of its own promises was changed.",
                do="Compare with the notes that outsiders keep; restore the backup before the change.",
            )
        self.size = size
        self.peaks = list(peaks)

    def add(self, leaf_hash: bytes) -> None:
        """Add a leaf: as many neighbours join as `size` ends in ones."""
        ones = self.size
        while ones % 2:
            leaf_hash = _join(self.peaks.pop(), leaf_hash)
            ones //= 2
        self.peaks.append(leaf_hash)
        self.size += 1

    def root(self) -> bytes:
        """Compute the root; the empty tree's is the hash of nothing."""
        if not self.peaks:
            return hashlib.sha256(b"").digest()
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = _join(peak, root)
        return root


def root_of(leaf_hashes: Iterable[bytes]) -> bytes:
    """Compute the root of the tree over these leaves."""
    tree = Tree()
    for one in leaf_hashes:
        tree.add(one)
    return tree.root()


def path_to(leaf_hashes: Sequence[bytes], index: int) -> list[bytes]:
    """Return the audit path of a leaf (RFC 6962, section 2.1.1), the nearest neighbour first."""
    if len(leaf_hashes) <= 1:
        return []
    left = 1 << (len(leaf_hashes) - 1).bit_length() - 1
    if index < left:
        return [*path_to(leaf_hashes[:left], index), root_of(leaf_hashes[left:])]
    return [*path_to(leaf_hashes[left:], index - left), root_of(leaf_hashes[:left])]


def root_by(leaf_hash: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """Return the root that a leaf and its audit path come to; None for a path of another length.

    Args:
        leaf_hash: of the leaf.
        index: its place, from 0.
        size: leaves of the tree.
        path: as `path_to` gives it.
    """
    if size <= 1:
        return leaf_hash if (size, index, len(path)) == (1, 0, 0) else None
    if not path or not 0 <= index < size:
        return None
    left = 1 << (size - 1).bit_length() - 1
    if index < left:
        below = root_by(leaf_hash, index, left, path[:-1])
        return below and _join(below, path[-1])
    below = root_by(leaf_hash, index - left, size - left, path[:-1])
    return below and _join(path[-1], below)


def _join(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def sign_note(checkpoint: Checkpoint, key: OKPKey) -> str:
    """Sign a checkpoint as a note; the signature's name is the origin."""
    private = key.get_op_key("sign")
    assert isinstance(private, Ed25519PrivateKey)
    text = checkpoint.text()
    signature = _key_hash(checkpoint.origin, private.public_key()) + private.sign(text.encode())
    return f"{text}\n{_DASH} {checkpoint.origin} {base64.b64encode(signature).decode()}\n"


def read_note(note: str, key: OKPKey) -> Checkpoint:
    """Verify and read a note.

    Raises:
        CheckpointError: it is no checkpoint, or not signed by `key`.
    """
    text, _, signatures = note.partition("\n\n")
    lines = text.split("\n")
    try:
        origin, size, root = lines[0], int(lines[1]), base64.b64decode(lines[2], validate=True)
    except (IndexError, ValueError):
        raise CheckpointError("That is no checkpoint.", do="Give the note as central published it.") from None
    found = Checkpoint(origin, size, root)
    public = key.get_op_key("verify")
    assert isinstance(public, Ed25519PublicKey)
    if len(lines) == _NOTE_LINES and any(_signed(found, line, public) for line in signatures.splitlines()):
        return found
    raise CheckpointError(
        "The checkpoint is not signed by this key.",
        why="Then it says nothing about what central held.",
        do="Check that it is central's note, and central's key.",
    )


def verifier_key(origin: str, key: OKPKey) -> str:
    """Write the key as tools for signed notes take it: ``name+hash+key``."""
    public = key.get_op_key("verify")
    assert isinstance(public, Ed25519PublicKey)
    encoded = base64.b64encode(_ED25519 + public.public_bytes_raw()).decode()
    return f"{origin}+{_key_hash(origin, public).hex()}+{encoded}"


def _signed(checkpoint: Checkpoint, line: str, public: Ed25519PublicKey) -> bool:
    parts = line.split(" ")
    if len(parts) != 3 or parts[:2] != [_DASH, checkpoint.origin]:  # noqa: PLR2004 - dash, name, signature
        return False
    try:
        signature = base64.b64decode(parts[2], validate=True)
        public.verify(signature[_KEY_HASH_BYTES:], checkpoint.text().encode())
    except (ValueError, InvalidSignature):
        return False
    return signature[:_KEY_HASH_BYTES] == _key_hash(checkpoint.origin, public)


def _key_hash(name: str, public: Ed25519PublicKey) -> bytes:
    material = name.encode() + b"\n" + _ED25519 + public.public_bytes_raw()
    return hashlib.sha256(material).digest()[:_KEY_HASH_BYTES]
