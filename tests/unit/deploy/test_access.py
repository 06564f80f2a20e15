"""The access rule: a device has its own topics, central the other ends, nobody else anything."""

import pytest

from renzheng.deploy.broker.access import Access, Action

ACCESS = Access({"central": "c", "k1": "p"})


@pytest.mark.parametrize(
    ("user", "topic", "action", "allowed"),
    [
        ("k1", "renzheng/v1/s0/k1/up/log", "publish", True),
        ("k1", "renzheng/v1/s0/k1/up/status", "publish", True),
        ("k1", "renzheng/v1/s0/k1/down/ack", "subscribe", True),
        ("k1", "renzheng/v1/s0/k1/down/ack", "receive", True),
        ("k1", "renzheng/v1/s0/k1/down/ack", "publish", False),
        ("k1", "renzheng/v1/s0/k2/up/log", "publish", False),
        ("k1", "renzheng/v1/s0/k2/down/ack", "subscribe", False),
        ("k1", "renzheng/v1/s0/+/up/log", "subscribe", False),
        ("k1", "#", "subscribe", False),
        ("k1", "$SYS/#", "subscribe", False),
        ("central", "renzheng/v1/s0/+/up/log", "subscribe", True),
        ("central", "renzheng/v1/+/+/up/status", "subscribe", True),
        ("central", "#", "subscribe", False),
        ("central", "renzheng/v1/s0/k1/up/log", "receive", True),
        ("central", "renzheng/v1/s0/k1/down/ack", "publish", True),
        ("central", "renzheng/v1/s0/k1/up/log", "publish", False),
        (None, "renzheng/v1/s0/k1/up/log", "publish", False),
        ("k1", None, "publish", False),
    ],
)
def test_who_may_do_what(user, topic, action, allowed):
    assert ACCESS.allows(user, topic, Action(action)) is allowed


@pytest.mark.parametrize(
    ("topic", "action", "allowed"),
    [
        ("renzheng/v1/s0/+/up/log", "subscribe", True),
        ("renzheng/v1/s1/+/up/log", "subscribe", False),
        ("renzheng/v1/+/+/up/log", "subscribe", False),
        ("renzheng/v1/s0/k1/up/log", "receive", True),
        ("renzheng/v1/s1/k1/up/log", "receive", False),
        ("renzheng/v1/s0/k1/down/ack", "publish", True),
        ("renzheng/v1/s1/k1/down/ack", "publish", False),
    ],
)
def test_a_shards_consumer_has_its_shard(topic, action, allowed):
    assert ACCESS.allows("central-s0", topic, Action(action)) is allowed


@pytest.mark.parametrize(
    ("user", "client_id", "admitted"),
    [
        ("k1", "k1", True),
        ("k1", "k2", False),
        ("k1", "central-0", False),
        ("k1", "", False),
        ("k1", None, False),
        (None, "k1", False),
        ("central", "central-0", True),
        ("central-0", "central-0", True),
        ("central-0", "central-1", False),
    ],
)
def test_a_client_id_is_the_users_own(user, client_id, admitted):
    assert ACCESS.admits_client(user, client_id) is admitted


@pytest.mark.parametrize(
    ("user", "topic", "admitted"),
    [
        ("k1", "renzheng/v1/s0/k1/up/status", True),
        ("k1", "renzheng/v1/s0/k1/up/log", False),
        ("k1", "renzheng/v1/s0/k2/up/status", False),
        ("k1", "renzheng/v1/s0/k2/down/command", False),
        ("k1", "nonsense", False),
        ("k1", None, False),
        ("central", "renzheng/v1/s0/k1/down/command", False),
        (None, "renzheng/v1/s0/k1/up/status", False),
    ],
)
def test_a_last_will_is_for_the_own_status_only(user, topic, admitted):
    assert ACCESS.admits_will(user, topic) is admitted


def test_only_the_right_password_admits():
    assert ACCESS.admits("k1", "p")
    assert not ACCESS.admits("k1", "c")
    assert not ACCESS.admits("k2", "p")
    assert not ACCESS.admits(None, None)


def test_a_revoked_device_has_nothing_left():
    access = Access({"k1": "p"}, revoked={"k1"})
    assert not access.admits("k1", "p")
    assert not access.admits_certificate("k1")
    assert not access.allows("k1", "renzheng/v1/s0/k1/up/log", Action.PUBLISH)
