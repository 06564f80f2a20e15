"""Checks a device's own file: its structure, its chain, its changes of key."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from renzheng.contracts.log import Head
from renzheng.edge.device.keyring import key_at
from renzheng.edge.device.log import DeviceLog
from renzheng.edge.device.store.database import Store, damaged


@dataclass(frozen=True, slots=True)
class Checked:
    """A file that holds: its entries follow `base`, up to `head`; central lacks the last `waiting`."""

    base: Head
    head: Head
    waiting: int


def check_file(path: Path, device_id: str) -> Checked:
    """Check a device's file.

    Raises:
        StoreError: the file is damaged, or holds another device's log.
        LogError: an entry is missing or altered, or a change of key does not hold.
        SignatureError: a change of key is not signed by both keys.
    """
    with _named_damage():
        store = Store(path)
        try:
            store.check_structure()
            log = DeviceLog(store, device_id)
            base = log.base()
            head = log.verify(key_at(store, base.sequence))
            return Checked(base, head, head.sequence - log.acknowledged())
        finally:
            store.close()


@contextmanager
def _named_damage() -> Iterator[None]:
    """Name what a library says of a value that no device writes: it stands in the file all the same."""
    try:
        yield
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, AssertionError) as error:
        raise damaged(f"a value in it cannot be read ({type(error).__name__})") from error
