"""Who may do what on the broker; pure, so that the embedded broker and Mosquitto's ACL follow one rule.

A device publishes under its own ``.../<device>/up/`` and reads its own ``.../<device>/down/``; central does
the opposite for every device; nobody else does anything.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from renzheng.contracts.topics import ROOT, Channel, TopicError, parse_topic

CENTRAL_USER = "central"
_UP = (Channel.LOG, Channel.STATUS)
_DOWN = (Channel.ACK, Channel.COMMAND)
_DEPTH = 6


class Action(StrEnum):
    """What a client asks the broker for."""

    PUBLISH = "publish"
    SUBSCRIBE = "subscribe"
    RECEIVE = "receive"


@dataclass(slots=True)
class Access:
    """Known users with their passwords, and those that are revoked.

    Args:
        passwords: user name to password, for loopback without TLS; with TLS the certificate's common name is
            the user and no password is asked.
        revoked: users refused from now on, whatever they show.
    """

    passwords: Mapping[str, str] = field(default_factory=dict, repr=False)
    revoked: set[str] = field(default_factory=set)

    def admits(self, user: str | None, password: str | None) -> bool:
        """Tell whether this user may connect with this password."""
        expected = self.passwords.get(user or "")
        if user is None or password is None or expected is None or user in self.revoked:
            return False
        return hmac.compare_digest(expected.encode(), password.encode())

    def admits_certificate(self, common_name: str | None) -> bool:
        """Tell whether the holder of a certificate, already verified against the site's CA, may connect."""
        return common_name is not None and common_name not in self.revoked

    def admits_client(self, user: str | None, client_id: str | None) -> bool:
        """Tell whether `user` may call itself `client_id`, which ends the session of whoever did before."""
        if user is None or client_id is None:
            return False
        return client_id == user or (user == CENTRAL_USER and client_id.startswith(f"{CENTRAL_USER}-"))

    def admits_will(self, user: str | None, topic: str | None) -> bool:
        """Tell whether `user` may leave a last will on `topic`: a device on its own status, nobody else."""
        return not is_central(user) and self.allows(user, topic, Action.PUBLISH) and _is_status(topic)

    def allows(self, user: str | None, topic: str | None, action: Action) -> bool:
        """Tell whether `user` may publish to, subscribe to or receive from `topic`."""
        if user is None or topic is None or user in self.revoked:
            return False
        own = _DOWN if is_central(user) else _UP
        channels = own if action is Action.PUBLISH else (_DOWN if own is _UP else _UP)
        if action is Action.SUBSCRIBE and is_central(user):
            return _is_central_filter(topic, _shard_of(user))
        try:
            parsed = parse_topic(topic)
        except TopicError:
            return False
        if is_central(user):
            return parsed.channel in channels and _shard_of(user) in (None, parsed.shard)
        return parsed.channel in channels and user == parsed.device_id


def is_central(user: str | None) -> bool:
    """Tell whether a user is central, or the consumer of one of its shards (``central-SHARD``)."""
    return user is not None and (user == CENTRAL_USER or user.startswith(f"{CENTRAL_USER}-"))


def _shard_of(user: str) -> str | None:
    return user.removeprefix(f"{CENTRAL_USER}-") if user != CENTRAL_USER else None


def _is_status(topic: str | None) -> bool:
    return topic is not None and parse_topic(topic).channel is Channel.STATUS


def _is_central_filter(topic: str, shard: str | None) -> bool:
    levels = topic.split("/")
    return (
        len(levels) == _DEPTH
        and "/".join(levels[:2]) == ROOT
        and shard in (None, levels[2])
        and levels[3] == "+"
        and "/".join(levels[4:]) in _UP
    )
