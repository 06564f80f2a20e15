"""One MQTT connection through paho: callbacks only put what happened into a queue.

A connection object lives for one connection. paho keeps unacknowledged messages in memory and would send them
again, past any window, after reconnecting; so a broken connection is thrown away with all that it held, and
the sender decides anew.
"""

import logging
import queue
import ssl
from dataclasses import dataclass
from typing import Any

from paho.mqtt.client import Client, MQTTMessage, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from renzheng.common.mqtt import release
from renzheng.common.supervised import Worker
from renzheng.contracts.errors import FaultError
from renzheng.contracts.topics import Topic
from renzheng.edge.settings import LinkSettings

LOGGER = logging.getLogger(__name__)
_CLOSE_SECONDS = 5.0
_CONNECT_SECONDS = 12.0
"""How long a broker may take to shake hands. A thousand devices that come back at once wait for each other:
with the library's 5 seconds they gave up and began anew four times each."""


class BrokerUnreachableError(FaultError):
    """No broker answers, or it refuses this device."""


@dataclass(frozen=True, slots=True)
class Connected:
    """The broker took us and the subscription stands."""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection ended; `reason` is the broker's or the library's word."""

    reason: str


@dataclass(frozen=True, slots=True)
class Received:
    """A message on the device's own topics."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Appended:
    """The log has a new entry."""


@dataclass(frozen=True, slots=True)
class Stop:
    """The agent wants the link to end."""


Happening = Connected | Disconnected | Received | Appended | Stop


class Connection:
    """One connection to the broker.

    Args:
        settings: where and how.
        client_id: the device id; the broker ends an older connection of the same name.
        subscribe_to: topics to hear.
        will: topic and payload that the broker publishes (retained) when the connection dies.
        happenings: where callbacks put what happened.

    Raises:
        BrokerUnreachableError: the broker did not answer.
        OSError: a certificate or password file cannot be read.
    """

    def __init__(
        self,
        settings: LinkSettings,
        *,
        client_id: str,
        subscribe_to: list[Topic],
        will: tuple[Topic, bytes],
        happenings: "queue.SimpleQueue[Happening]",
    ) -> None:
        assert settings.host is not None
        self._happenings = happenings
        self._subscribe_to = subscribe_to
        newest = settings.protocol == "5"
        self._client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=None if newest else True,
            protocol=MQTTv5 if newest else MQTTv311,
            reconnect_on_failure=False,
        )
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message
        # Packets of other threads are only queued: the network's thread is the one that writes.
        self._client.on_socket_register_write = _queue_only
        self._client.will_set(str(will[0]), will[1], qos=1, retain=True)
        if settings.username is not None:
            password = settings.password_file.read_text().strip() if settings.password_file else None
            self._client.username_pw_set(settings.username, password)
        if settings.ca_file is not None:
            self._client.tls_set(
                ca_certs=str(settings.ca_file),
                certfile=str(settings.certificate_file) if settings.certificate_file else None,
                keyfile=str(settings.key_file) if settings.key_file else None,
                tls_version=ssl.PROTOCOL_TLS_CLIENT,
            )
        self._client.connect_timeout = _CONNECT_SECONDS
        try:
            self._client.connect(settings.host, settings.port, keepalive=settings.keepalive_seconds)
        except (OSError, ValueError) as error:
            raise BrokerUnreachableError(
                f"The broker {settings.host}:{settings.port} does not answer: {error}.",
                why="Sign-ins go on; their events wait on this device.",
                do="Check the network and the broker; the device tries again by itself.",
            ) from None
        self._network = Worker("link-network", self._serve, repeatable=False)
        self._network.start()

    def publish(self, topic: Topic, payload: bytes, *, retain: bool = False) -> bool:
        """Hand a message to the broker (QoS 1); False when the connection is gone."""
        return (
            self._client.publish(str(topic), payload, qos=1, retain=retain).rc
            == MQTTErrorCode.MQTT_ERR_SUCCESS
        )

    def close(self) -> None:
        """End the connection in good order, so that the broker does not publish the will."""
        self._client.disconnect()
        self._network.join(_CLOSE_SECONDS)
        self._network.stop()
        release(self._client)

    def drop(self) -> None:
        """Let go of a connection that is broken already, or that is meant to look so."""
        self._client.on_disconnect = None
        self._network.stop(timeout_seconds=0)
        sock = self._client.socket()
        if sock is not None:
            sock.close()
        self._network.stop()
        release(self._client)

    def _serve(self) -> None:
        """Move bytes until the connection ends; whatever ends it, the link is told."""
        try:
            while not self._network.stopping() and self._client.loop(1.0) == MQTTErrorCode.MQTT_ERR_SUCCESS:
                self._network.beat()
        finally:
            if not self._network.stopping():
                self._happenings.put(Disconnected("the connection ended"))
        self._network.stop()

    def _on_connect(self, client: Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._happenings.put(Disconnected(f"refused: {reason}"))
            return
        client.subscribe([(str(topic), 1) for topic in self._subscribe_to])

    def _on_subscribe(self, _client: Client, _data: Any, _mid: int, reasons: Any, _properties: Any) -> None:
        if any(reason.is_failure for reason in reasons):
            self._happenings.put(Disconnected(f"subscription refused: {reasons[0]}"))
        else:
            self._happenings.put(Connected())

    def _on_disconnect(self, _client: Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self._happenings.put(Disconnected(str(reason)))

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return  # none of ours
        self._happenings.put(Received(topic, bytes(message.payload)))


def _queue_only(_client: Client, _data: Any, _sock: Any) -> None:
    """Tell the library that somebody looks after its socket, so that it writes in no caller's thread."""
