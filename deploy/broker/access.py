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

    def allows(self, user: str | None, topic: str | None, action: Action) -> bool:
        """Tell whether `user` may publish to, subscribe to or receive from `topic`."""
        if user is None or topic is None or user in self.revoked:
            return False
        own = _UP if user != CENTRAL_USER else _DOWN
        channels = own if action is Action.PUBLISH else (_DOWN if own is _UP else _UP)
        if action is Action.SUBSCRIBE and user == CENTRAL_USER:
            return _is_central_filter(topic)
        try:
            parsed = parse_topic(topic)
        except TopicError:
            return False
        return parsed.channel in channels and (user in (CENTRAL_USER, parsed.device_id))


def _is_central_filter(topic: str) -> bool:
    levels = topic.split("/")
    return (
        len(levels) == _DEPTH
        and "/".join(levels[:2]) == ROOT
        and levels[3] == "+"
        and "/".join(levels[4:]) in _UP
    )
