"""Hashes of entries as the store holds them: whole, or of a pruned entry the beginning."""

SHORT_HASH = 16
"""Hex digits that stay of the hash of a pruned entry: a second history would have to meet 64 bits."""


def same_hash(held: str, digest: str) -> bool:
    """Tell whether what the store holds of an entry's hash, whole or its beginning, is of this one."""
    return held == digest or (len(held) == SHORT_HASH and digest.startswith(held))
