"""MQTT topics: one function builds each, `parse_topic` takes them apart.

``renzheng/v1/<shard>/<device>/up/log | up/status | down/ack | down/command``
"""

from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from renzheng.contracts.errors import InputError
from renzheng.contracts.ids import DeviceId, Shard, topic_level

ROOT = "renzheng/v1"


class TopicError(InputError):
    """A topic is none of this contract's."""


class Channel(StrEnum):
    """What travels on a topic; `up` is from the device to central."""

    LOG = "up/log"
    STATUS = "up/status"
    ACK = "down/ack"
    COMMAND = "down/command"


class Topic(NamedTuple):
    """A topic taken apart."""

    shard: Shard
    device_id: DeviceId
    channel: Channel

    def __str__(self) -> str:
        """Build the topic."""
        shard = topic_level(self.shard, "shard")
        device = topic_level(self.device_id, "device id")
        return f"{ROOT}/{shard}/{device}/{self.channel.value}"


@lru_cache(maxsize=4096)
def parse_topic(topic: str) -> Topic:
    """Take a topic apart; twin of ``str(Topic(...))``.

    Raises:
        TopicError: it is not one of the four topics of a device.
    """
    levels = topic.split("/")
    if len(levels) == 6 and "/".join(levels[:2]) == ROOT:  # noqa: PLR2004 - root 2, shard, device, channel 2
        try:
            return Topic(
                Shard(topic_level(levels[2], "shard")),
                DeviceId(topic_level(levels[3], "device id")),
                Channel("/".join(levels[4:])),
            )
        except (InputError, ValueError):
            pass
    raise TopicError(
        f"{topic[:120]!r} is not a topic of {ROOT}.",
        why="Only a device's own four topics carry meaning.",
        do="Check the sender's shard and device id.",
    )


def shard_filter(shard: str, channel: Channel) -> str:
    """Build the subscription that takes one channel of every device of a shard."""
    return f"{ROOT}/{topic_level(shard, 'shard')}/+/{channel.value}"
