"""Topics are built by one function and parsed by its twin."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from renzheng.contracts.ids import DeviceId, IdError, Shard
from renzheng.contracts.topics import Channel, Topic, TopicError, parse_topic, shard_filter

LEVEL = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)


@given(LEVEL, LEVEL, st.sampled_from(Channel))
def test_a_topic_survives_the_way_there_and_back(shard, device, channel):
    topic = Topic(Shard(shard), DeviceId(device), channel)
    assert parse_topic(str(topic)) == topic


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "renzheng/v1/s0/k1/up",
        "renzheng/v1/s0/k1/up/log/more",
        "renzheng/v2/s0/k1/up/log",
        "renzheng/v1/s0/k1/up/set",
        "renzheng/v1/s0//up/log",
        "renzheng/v1/+/k1/up/log",
        "renzheng/v1/s0/#/up/log",
        "renzheng/v1/s0/../up/log",
        "$SYS/broker/uptime",
    ],
)
def test_anything_else_is_no_topic(topic):
    with pytest.raises(TopicError):
        parse_topic(topic)


@pytest.mark.parametrize("device", ["", "a/b", "+", "#", "-a", "a" * 65, "设备"])
def test_a_device_that_cannot_stand_in_a_topic_is_refused(device):
    with pytest.raises(IdError):
        str(Topic(Shard("s0"), DeviceId(device), Channel.LOG))


def test_a_shard_is_subscribed_as_a_whole():
    assert shard_filter("s0", Channel.LOG) == "renzheng/v1/s0/+/up/log"
