"""What central holds of a device when a message of it comes: plain values."""

from collections.abc import Mapping
from dataclasses import dataclass

from joserfc.jwk import OKPKey

from renzheng.contracts.log import Head


@dataclass(frozen=True, slots=True)
class DeviceKey:
    """One of a device's public keys, whether it still counts, and which entries it may sign."""

    public: OKPKey
    revoked: bool
    from_sequence: int = 1
    until_sequence: int | None = None

    def may_sign(self, first: int, last: int) -> bool:
        """Say whether the entries `first` to `last` are its to sign."""
        return first >= self.from_sequence and (self.until_sequence is None or last <= self.until_sequence)


@dataclass(frozen=True, slots=True)
class DeviceState:
    """What central holds of a device: who it is, its keys, and the head of its chain.

    `safe` is the last entry that the device may let go of; `reassigned_us` is since when it belongs to
    `shard`, nothing for one that was never moved.
    """

    device_id: str
    institution_id: str
    revoked: bool
    keys: Mapping[str, DeviceKey]
    head: Head
    purpose: str
    safe: int = 0
    shard: str = ""
    reassigned_us: int | None = None

    def has_left(self, shard: str) -> bool:
        """Whether it was moved, and that shard is not its own any more."""
        return self.reassigned_us is not None and shard != self.shard
