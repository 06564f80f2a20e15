"""One shard's consumer: the MQTT side of the ingest.

The broker is trusted with nothing. Callbacks run on the network thread and only put things in a queue; one
worker takes what has gathered, commits it, publishes the answers and only then acknowledges the deliveries to
the broker. What is lost on the way, the devices send again. A second worker that verifies ahead costs more
than the wait for fsync that it fills, as both want the interpreter: more speed is more shards.
"""

import logging
import queue
import ssl
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as mqtt
import sqlalchemy as sa
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from renzheng.central.errors import BrokerError
from renzheng.central.ingest.service import Ingest, Message, Reply
from renzheng.central.metrics import Metrics
from renzheng.central.settings import BrokerSettings
from renzheng.contracts.topics import Channel, shard_filter

logger = logging.getLogger(__name__)

GROUP_MESSAGES = 32
"""Most messages in one transaction: the cost of an fsync is shared, and a lost transaction is small."""
RECEIVE_MAXIMUM = 200
KEEPALIVE_SECONDS = 20
LONGEST_WAIT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class _Delivery:
    """A message with what it takes to acknowledge it; `connection` numbers the connection it came over."""

    message: Message
    mid: int
    qos: int
    connection: int


class Consumer:
    """Consumes one shard until it is stopped.

    Args:
        shard: the shard; one consumer each, whose client id the broker admits once.
        broker: where and how to connect.
        ingest: takes the messages.
        metrics: where the state of the connection is shown.
    """

    def __init__(self, shard: str, broker: BrokerSettings, ingest: Ingest, metrics: Metrics) -> None:
        self.shard = shard
        self._broker = broker
        self._ingest = ingest
        self._metrics = metrics
        self._deliveries: queue.SimpleQueue[_Delivery | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._subscribed = threading.Event()
        self._connection = 0
        self._client = self._make_client()
        self._worker = threading.Thread(target=self._work, name=f"ingest-{shard}")

    def start(self) -> None:
        """Start; the connection is made, and made again, in the background."""
        self._worker.start()
        self._client.connect_async(self._broker.host, self._broker.port, KEEPALIVE_SECONDS, **self._session())
        self._client.loop_start()

    def wait_until_subscribed(self, timeout_seconds: float) -> None:
        """Wait until messages can arrive.

        Raises:
            BrokerError: they cannot, in that time.
        """
        if not self._subscribed.wait(timeout_seconds):
            raise BrokerError(
                f"The broker at {self._broker.host}:{self._broker.port} does not answer.",
                why="Devices keep their events until it does; nothing is lost.",
                do="Start the broker, or correct [broker] in the configuration.",
            )

    def stop(self) -> None:
        """Finish the group in hand, disconnect, and end; what was not committed the devices send again."""
        self._stopping.set()
        self._deliveries.put(None)
        if self._worker.ident is not None:
            self._worker.join()
        self._client.disconnect()
        self._client.loop_stop()

    def _make_client(self) -> mqtt.Client:
        version5 = self._broker.protocol == "5"
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"central-{self.shard}",
            protocol=MQTTProtocolVersion.MQTTv5 if version5 else MQTTProtocolVersion.MQTTv311,
            clean_session=None if version5 else True,
            manual_ack=True,
        )
        client.reconnect_delay_set(min_delay=1, max_delay=10)
        client.max_queued_messages_set(10_000)
        if self._broker.ca_file:
            client.tls_set(
                str(self._broker.ca_file),
                str(self._broker.certificate_file) if self._broker.certificate_file else None,
                str(self._broker.key_file) if self._broker.key_file else None,
                tls_version=ssl.PROTOCOL_TLS_CLIENT,
            )
        if self._broker.username:
            secret = self._broker.password_file
            client.username_pw_set(self._broker.username, secret.read_text().strip() if secret else None)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        return client

    def _session(self) -> dict[str, Any]:
        """Ask for no session: the broker keeps nothing for us, and we rely on nothing it keeps."""
        if self._broker.protocol != "5":
            return {}
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.ReceiveMaximum = RECEIVE_MAXIMUM
        return {"clean_start": True, "properties": properties}

    def _on_connect(
        self, client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _properties: Any = None
    ) -> None:
        if reason.is_failure:
            logger.error("shard %s: the broker refuses the connection: %s", self.shard, reason)
            return
        client.subscribe(
            [(shard_filter(self.shard, channel), 1) for channel in (Channel.LOG, Channel.STATUS)]
        )

    def _on_subscribe(
        self, _client: mqtt.Client, _data: Any, _mid: int, reasons: Sequence[Any], _properties: Any = None
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            logger.error(
                "shard %s: the broker refuses the subscription: %s", self.shard, list(map(str, reasons))
            )
            return
        logger.info("shard %s: subscribed", self.shard)
        self._metrics.put("renzheng_ingest_connected", 1, shard=self.shard)
        self._subscribed.set()

    def _on_disconnect(
        self, _client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _properties: Any = None
    ) -> None:
        self._connection += 1
        self._subscribed.clear()
        self._metrics.put("renzheng_ingest_connected", 0, shard=self.shard)
        if not self._stopping.is_set():
            logger.warning("shard %s: the connection to the broker ended: %s", self.shard, reason)

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = "(not UTF-8)"
        taken = Message(topic, bytes(message.payload))
        self._deliveries.put(_Delivery(taken, message.mid, message.qos, self._connection))

    def _work(self) -> None:
        """Take group after group, in order, and answer each."""
        while not self._stopping.is_set():
            group = self._gather()
            replies = self._take_patiently([one.message for one in group]) if group else None
            if replies is not None:
                self._answer(group, replies)

    def _gather(self) -> list[_Delivery]:
        """Wait for a delivery, then take with it what else has come, up to a group."""
        first = self._deliveries.get()
        group = [first] if first else []
        while group and len(group) < GROUP_MESSAGES:
            try:
                further = self._deliveries.get_nowait()
            except queue.Empty:
                break
            if further is None:
                break
            group.append(further)
        return group

    def _take_patiently(self, messages: Sequence[Message]) -> Sequence[Reply] | None:
        """Commit a group, waiting for the store as long as it takes; None when stopped meanwhile."""
        wait_seconds = 0.1
        while True:
            try:
                return self._ingest.take(messages)
            except sa.exc.OperationalError as error:
                logger.error("shard %s: the store cannot be reached: %s", self.shard, error.orig)  # noqa: TRY400 - the trace says no more
            if self._stopping.wait(wait_seconds):
                return None
            wait_seconds = min(wait_seconds * 2, LONGEST_WAIT_SECONDS)

    def _answer(self, group: Sequence[_Delivery], replies: Sequence[Reply]) -> None:
        for reply in replies:
            self._client.publish(reply.topic, reply.payload, qos=1)
        for delivery in group:
            # Packet ids are used again on the next connection: an old one would acknowledge a new message.
            if delivery.qos and delivery.connection == self._connection:
                self._client.ack(delivery.mid, delivery.qos)
