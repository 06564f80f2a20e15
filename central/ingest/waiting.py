"""How much of each device waits for the store: a flood of one takes neither memory nor the others' places.

Messages of QoS 1 are held back by the broker while they are not acknowledged; those of QoS 0 by nobody. What
is over the bound is dropped: a device sends again what central has not acknowledged by its own word.
"""

import threading
from collections import Counter

MOST_OF_ONE_BYTES = 4_000_000
"""Fifteen of the largest messages; a device has four under way at once."""
MOST_BYTES = 128_000_000
MESSAGE_BYTES = 400
"""What an empty message takes in memory."""
_DEVICE_LEVEL = 3


def device_of(topic: str) -> str:
    """Return the device of a topic, or the topic where it has none."""
    levels = topic.split("/")
    return levels[_DEVICE_LEVEL] if len(levels) > _DEVICE_LEVEL else topic


class Waiting:
    """Counts the bytes that wait, all of them and by device."""

    def __init__(self, most: int = MOST_BYTES, most_of_one: int = MOST_OF_ONE_BYTES) -> None:
        self._most, self._most_of_one = most, most_of_one
        self._bytes: Counter[str] = Counter()
        self._all = 0
        self._lock = threading.Lock()

    def take(self, topic: str, payload: bytes) -> bool:
        """Count a message that came; False when there is no room for it."""
        size, device = len(payload) + MESSAGE_BYTES, device_of(topic)
        with self._lock:
            if self._bytes[device] + size > self._most_of_one or self._all + size > self._most:
                return False
            self._bytes[device] += size
            self._all += size
            return True

    def give_back(self, topic: str, payload: bytes) -> None:
        """Count a message that waits no more."""
        size, device = len(payload) + MESSAGE_BYTES, device_of(topic)
        with self._lock:
            self._bytes[device] -= size
            self._all -= size
            if self._bytes[device] <= 0:
                del self._bytes[device]
