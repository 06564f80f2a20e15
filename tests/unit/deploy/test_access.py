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
