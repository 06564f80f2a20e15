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
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from renzheng.central.errors import BrokerError
from renzheng.central.ingest.pump import Pump
from renzheng.central.ingest.service import Ingest, Message, Reply
from renzheng.central.ingest.waiting import Waiting
from renzheng.central.metrics import Metrics
from renzheng.central.settings import BrokerSettings
from renzheng.central.store.faults import StoreRefusesError
from renzheng.common.certificates import valid_until
from renzheng.common.mqtt import release
from renzheng.common.supervised import Worker
from renzheng.contracts.events import utc_now
from renzheng.contracts.topics import Channel, shard_filter

logger = logging.getLogger(__name__)

GROUP_MESSAGES = 32
"""Most messages in one transaction: the cost of an fsync is shared, and a lost transaction is small."""
RECEIVE_MAXIMUM = 200
KEEPALIVE_SECONDS = 20
LONGEST_WAIT_SECONDS = 5.0
STOP_SECONDS = 60.0
LEAVE_SECONDS = 5.0
TRIES = 3
"""So often a group is tried that the store refuses while it takes others."""
TAKEN_OVER = 0x8E
"""MQTT 5: another client of the same name took the session over."""
TAKEN_OVER_TIMES = 3
ENDED_TIMES = 5
CONTEST_SECONDS = 120.0
"""Taken over or ended so often in so many seconds, and somebody else consumes this shard: not every broker
says 0x8E before it closes the connection, and MQTT 3.1.1 has no such word."""
X509_V_ERR_CERT_HAS_EXPIRED = 10


@dataclass(frozen=True, slots=True)
class _Delivery:
    """A message with what it takes to acknowledge it; `connection` numbers the connection it came over."""

    message: Message
    mid: int
    qos: int
    connection: int


@dataclass(frozen=True, slots=True)
class Connected:
    """How a shard's connection is.

    Args:
        shard: the shard.
        up: messages can arrive.
        trouble: why not; empty while they can.
        seconds: for how long it has been so.
        contested: what shows that another client takes the connection away; empty when nothing does.
    """

    shard: str
    up: bool
    trouble: str
    seconds: float
    contested: str


class Consumer:
    """Consumes one shard until it is stopped; a broker that is away is waited for, and named meanwhile.

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
        self._waiting = Waiting()
        self._in_hand: list[_Delivery] = []
        self._tries = 0
        self._subscribed = threading.Event()
        self._leaving = False
        self._connection = 0
        self._client: mqtt.Client | None = None
        self._pump: Pump | None = None
        self._trouble = ""
        self._since = time.monotonic()
        self._taken_over: deque[float] = deque(maxlen=TAKEN_OVER_TIMES)
        self._ended: deque[float] = deque(maxlen=ENDED_TIMES)
        self._store = Worker(
            f"ingest-{shard}",
            self._take,
            longest_wait_seconds=LONGEST_WAIT_SECONDS,
            expected=(StoreRefusesError,),
            essential=True,
        )
        self._network = Worker(
            f"broker-{shard}", self._move, longest_wait_seconds=LONGEST_WAIT_SECONDS, expected=(BrokerError,)
        )
        self.workers = (self._store, self._network)
        metrics.put("renzheng_ingest_connected", 0, shard=shard)

    def start(self) -> None:
        """Start; the connection is made, and made again, in the background."""
        for worker in self.workers:
            worker.start()

    def standing(self) -> "Connected":
        """Tell how the connection to the broker is."""
        up = self._subscribed.is_set()
        trouble = "" if up else self._trouble
        return Connected(self.shard, up, trouble, time.monotonic() - self._since, self._contested())

    def refused(self) -> Mapping[str, str]:
        """Name the devices of which the store lately refused something."""
        return self._ingest.refused()

    def _contested(self) -> str:
        since = time.monotonic() - CONTEST_SECONDS
        if sum(at > since for at in self._taken_over) == TAKEN_OVER_TIMES:
            return f"another client calls itself central-{self.shard} (MQTT reason 0x8E)"
        if sum(at > since for at in self._ended) == ENDED_TIMES:
            return (
                f"the broker takes central-{self.shard} and lets go of it again: another client of that name?"
            )
        return ""

    def wait_until_subscribed(self, timeout_seconds: float) -> bool:
        """Wait until messages can arrive; False when they cannot in that time, which `standing` explains."""
        return self._subscribed.wait(timeout_seconds)

    def stop(self) -> None:
        """Finish the group in hand, disconnect, and end; what was not committed the devices send again."""
        self._deliveries.put(None)
        self._store.stop(timeout_seconds=STOP_SECONDS)
        self._leaving = True
        if self._client is not None and self._network.is_alive():
            self._client.disconnect()
            self._network.join(LEAVE_SECONDS)
        self._network.stop()
        if self._pump is not None:
            self._pump.close()
        if self._client is not None:
            release(self._client)

    def _move(self) -> None:
        """Move bytes for a moment; connect first where there is no connection.

        Raises:
            BrokerError: there is none, or it has just ended.
        """
        if self._client is None:
            self._client = self._make_client()
            self._pump = Pump(self._client)
        if self._client.socket() is None and not self._leaving:
            self._connect(self._client)
        if self._pump is None or not self._pump.move(1.0):
            if self._leaving:
                self._network.stop()
                return
            raise self._unreachable(self._trouble or "the connection ended")

    def _connect(self, client: mqtt.Client) -> None:
        try:
            client.connect(self._broker.host, self._broker.port, KEEPALIVE_SECONDS, **self._session())
        except (OSError, ValueError) as error:
            self._trouble = self._expired() or _reason(error)
            raise self._unreachable(self._trouble) from None

    def _unreachable(self, reason: str) -> BrokerError:
        return BrokerError(
            f"The broker at {self._broker.host}:{self._broker.port} is unreachable: {reason}.",
            why="Devices keep their events until it answers; nothing is lost.",
            do="Start the broker, renew what has expired, or correct [broker] in the configuration.",
        )

    def _expired(self) -> str:
        """Name our own certificate where it is what the broker cannot take."""
        until = valid_until(self._broker.certificate_file)
        return f"certificate expired (ours, {until:%Y-%m-%d})" if until and until < utc_now() else ""

    def _make_client(self) -> mqtt.Client:
        version5 = self._broker.protocol == "5"
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"central-{self.shard}",
            protocol=MQTTProtocolVersion.MQTTv5 if version5 else MQTTProtocolVersion.MQTTv311,
            clean_session=None if version5 else True,
            manual_ack=True,
            reconnect_on_failure=False,
        )
        client.max_queued_messages_set(10_000)
        try:
            self._show_who_we_are(client)
        except (OSError, ValueError) as error:
            self._trouble = f"certificates of [broker] cannot be read ({_reason(error)})"
            raise self._unreachable(self._trouble) from None
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        return client

    def _show_who_we_are(self, client: mqtt.Client) -> None:
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
            self._trouble = f"it refuses the connection ({reason})"
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
            self._trouble = "it refuses the subscription: see its ACL"
            return
        logger.info("shard %s: subscribed", self.shard)
        self._metrics.put("renzheng_ingest_connected", 1, shard=self.shard)
        self._trouble, self._since = "", time.monotonic()
        self._subscribed.set()

    def _on_disconnect(
        self, _client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _properties: Any = None
    ) -> None:
        self._connection += 1
        if self._subscribed.is_set():
            self._since = time.monotonic()
            self._ended.append(self._since)
        self._subscribed.clear()
        self._metrics.put("renzheng_ingest_connected", 0, shard=self.shard)
        if getattr(reason, "value", None) == TAKEN_OVER:
            self._taken_over.append(time.monotonic())
        if not self._leaving:
            self._trouble = self._trouble or self._expired() or f"the connection ended ({reason})"
            logger.warning("shard %s: the connection to the broker ended: %s", self.shard, reason)

    def _on_message(self, client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = "(not UTF-8)"
        taken = Message(topic, bytes(message.payload), bool(message.retain))
        if not self._waiting.take(topic, taken.payload):
            self._metrics.add("renzheng_ingest_dropped_total", 1)
            if message.qos:  # else it would keep a place of the broker's window from all others
                client.ack(message.mid, message.qos)
            return
        self._deliveries.put(_Delivery(taken, message.mid, message.qos, self._connection))

    def _take(self) -> None:
        """Commit one group and answer it; a group that the store refuses stays in hand, in its order.

        Raises:
            StoreRefusesError: it refuses, and is asked again after a rest.
        """
        if not self._in_hand:
            self._in_hand, self._tries = self._gather(), 0
        if not self._in_hand:
            return
        try:
            replies = self._ingest.take([one.message for one in self._in_hand])
        except StoreRefusesError as error:
            self._tries += 1
            if not error.attributes["probed"] or self._tries < TRIES:
                raise
            # It takes others: these wait on their devices, so that they hold nobody up.
            logger.error("shard %s: %d message(s) stay unanswered", self.shard, len(self._in_hand))  # noqa: TRY400
            self._metrics.add("renzheng_ingest_unanswered_total", len(self._in_hand))
            replies = []
        self._answer(self._in_hand, replies)
        self._in_hand = []

    def _gather(self) -> list[_Delivery]:
        """Wait a while for a delivery, then take with it what else has come, up to a group."""
        try:
            first = self._deliveries.get(timeout=1.0)
        except queue.Empty:
            return []
        group = [first] if first else []
        while group and len(group) < GROUP_MESSAGES:
            try:
                further = self._deliveries.get_nowait()
            except queue.Empty:
                break
            if further is None:
                break
            group.append(further)
        for one in group:
            self._waiting.give_back(one.message.topic, one.message.payload)
        return group

    def _answer(self, group: Sequence[_Delivery], replies: Sequence[Reply]) -> None:
        client = self._client
        if client is None:
            return
        for reply in replies:
            client.publish(reply.topic, reply.payload, qos=1)
        for delivery in group:
            # Packet ids are used again on the next connection: an old one would acknowledge a new message.
            if delivery.qos and delivery.connection == self._connection:
                client.ack(delivery.mid, delivery.qos)


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        expired = error.verify_code == X509_V_ERR_CERT_HAS_EXPIRED
        return "certificate expired (the broker's)" if expired else error.verify_message
    if isinstance(error, ssl.SSLError):
        return (error.reason or type(error).__name__).lower().replace("_", " ")
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
