"""The thread that joins log, sender and connection; everything it decides, `sender` decides."""

import logging
import queue
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from joserfc.jwk import OKPKey

from renzheng.contracts import log as chain
from renzheng.contracts import messages
from renzheng.contracts.errors import RenzhengError
from renzheng.contracts.ids import DeviceId, Shard
from renzheng.contracts.supervised import Worker
from renzheng.contracts.topics import Channel, Topic
from renzheng.edge.errors import StoreError
from renzheng.edge.keyring import Keyring
from renzheng.edge.link import sender
from renzheng.edge.link.mqtt import (
    Appended,
    BrokerUnreachableError,
    Connected,
    Connection,
    Disconnected,
    Happening,
    Received,
    Stop,
)
from renzheng.edge.log import DeviceLog
from renzheng.edge.settings import LinkSettings

LOGGER = logging.getLogger(__name__)
_LONGEST_SLEEP_S = 1.0
DAMAGED = "damaged"
"""The alarm of an entry that was altered on the device's own disk before central had it."""
_LONGEST_TURN_S = 180.0
_LONGEST_REST_S = 10.0


@dataclass(frozen=True, slots=True)
class Identity:
    """Who speaks, with which key, and whose acknowledgements count.

    Args:
        device_id: this device.
        shard: the shard that its topics lie in.
        keyring: which key signs which entries.
        central_key: central's public key; without it no acknowledgement is believed, and nothing is pruned.
    """

    device_id: DeviceId
    shard: Shard
    keyring: Keyring
    central_key: OKPKey | None
    software: str


class Link:
    """Sends the log until central has it; never in the way of a sign-in.

    Args:
        settings: where the broker is; `host` must be set.
        identity: who speaks.
        log: a `DeviceLog` over a store of this thread's own.
        wall: reads the wall clock, for the status.
        alarm: called with each alarm and the sequence it names.
    """

    def __init__(
        self,
        settings: LinkSettings,
        identity: Identity,
        log: DeviceLog,
        *,
        wall: Callable[[], datetime],
        alarm: Callable[[str, int], None],
    ) -> None:
        self._settings = settings
        self._identity = identity
        self._log = log
        self._wall = wall
        self._alarm = alarm
        self._happenings: queue.SimpleQueue[Happening] = queue.SimpleQueue()
        self._sender = sender.begin(log.acknowledged())
        self._connection: Connection | None = None
        self._failures = 0
        self._try_at_ms = 0
        self._status_at_ms = 0
        self.worker = Worker(
            f"link-{identity.device_id}",
            self._turn,
            expected=(BrokerUnreachableError,),
            longest_turn_seconds=_LONGEST_TURN_S,
            longest_wait_seconds=_LONGEST_REST_S,
            at_end=self._close,
        )
        self._dropped = False
        self._careful = False
        self._damaged_at: int | None = None

    @property
    def connected(self) -> bool:
        """Whether a broker takes messages."""
        return self._sender.connected

    @property
    def halted(self) -> str | None:
        """The alarm that keeps everything back, if any."""
        if self._sender.halted is not None:
            return self._sender.halted.value
        return None if self._damaged_at is None else DAMAGED

    def start(self) -> None:
        """Begin."""
        self.worker.start()

    def wake(self) -> None:
        """Say that the log has a new entry; returns at once."""
        self._happenings.put(Appended())

    def stop(self, *, drop: bool = False) -> None:
        """End; `drop` leaves the broker as a power cut would, with the will to be published."""
        self._dropped = drop
        self._happenings.put(Stop())
        self.worker.stop()

    def _topic(self, channel: Channel) -> Topic:
        return Topic(self._identity.shard, self._identity.device_id, channel)

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._dropped:
            connection.drop()
            return
        try:
            connection.publish(self._topic(Channel.STATUS), self._status("offline").to_json(), retain=True)
        finally:
            connection.close()

    def _turn(self) -> None:
        """Take one happening, and send what may be sent; whatever fails costs the connection and no more."""
        try:
            self._step()
        except BrokerUnreachableError as error:
            LOGGER.warning("link: %s", error.what)  # `_schedule` has said when to try again
            self._lose()
        except BaseException:
            self._lose()
            raise

    def _step(self) -> None:
        now = _now_ms()
        if self._connection is None and now >= self._try_at_ms:
            self._connect()
        self._take(self._wait(now))
        now = _now_ms()
        self._sender = self._sender.tick(now, round(self._settings.progress_seconds * 1000))
        self._send()
        if self._sender.connected and now >= self._status_at_ms:
            self._publish_status("online")

    def _wait(self, now: int) -> Happening | None:
        until_try = (self._try_at_ms - now) / 1000 if self._connection is None else _LONGEST_SLEEP_S
        try:
            return self._happenings.get(timeout=max(0.0, min(_LONGEST_SLEEP_S, until_try)))
        except queue.Empty:
            return None

    def _take(self, happening: Happening | None) -> None:
        match happening:
            case Connected():
                LOGGER.info("link: connected")
                self._failures = 0
                self._sender = self._sender.joined(_now_ms())
                self._status_at_ms = 0
            case Disconnected(reason):
                if self._connection is not None:
                    LOGGER.warning("link: connection ended: %s", reason)
                    self._lose()
            case Received(topic, payload):
                self._hear(topic, payload)
            case Appended() | Stop() | None:
                pass

    def _connect(self) -> None:
        self._connection = None
        try:
            self._connection = Connection(
                self._settings,
                client_id=self._identity.device_id,
                subscribe_to=[self._topic(Channel.ACK), self._topic(Channel.COMMAND)],
                will=(self._topic(Channel.STATUS), self._status("offline").to_json()),
                happenings=self._happenings,
            )
            self._try_at_ms = 0
        finally:
            if self._connection is None:
                self._schedule()

    def _lose(self) -> None:
        broken, self._connection = self._connection, None
        self._sender, alarm = self._sender.parted()
        if broken is not None:
            self._schedule()
            broken.drop()
            self._forget_happenings()
        if alarm is not None:
            LOGGER.error("link: alarm %s after %d", alarm.value, self._sender.acknowledged)
            self._alarm(alarm.value, self._sender.acknowledged)

    def _forget_happenings(self) -> None:
        """What a thrown-away connection still had to say must not be taken for the next one's word."""
        while not self._happenings.empty():
            self._happenings.get()

    def _schedule(self) -> None:
        self._failures += 1
        wait = sender.back_off_ms(
            self._failures,
            self._settings.reconnect_first_seconds * 1000,
            self._settings.reconnect_longest_seconds * 1000,
            random.random(),  # noqa: S311 - jitter keeps kiosks apart, nothing is kept secret by it
        )
        self._try_at_ms = _now_ms() + round(wait)

    def _send(self) -> None:
        while self._connection is not None:
            after = self._sender.next_after(self._log.head().sequence, _now_ms())
            if after is None:
                return
            # The lines first: a key that changes right after this cannot have signed them.
            written = self._log.lines(after, chain.MAX_BATCH_ENTRIES)
            signer = self._identity.keyring.signer(after)
            if self._sender.acknowledged < signer.since - 1:
                return  # central would not know this key before it has the entry that brings it
            own = written if signer.until is None else written[: signer.until - after]
            sound = self._sound(after, own) if self._careful else own
            if not sound:
                return
            lines = chain.cut_batch(sound, self._sender.batch_bytes)
            batch = chain.sign_batch(self._identity.device_id, lines, signer.key)
            if not self._connection.publish(self._topic(Channel.LOG), batch):
                self._lose()
                return
            self._sender = self._sender.sent(after + len(lines), _now_ms())

    def _sound(self, after: int, lines: list[bytes]) -> list[bytes]:
        """Give the lines before the first that is damaged: what comes after it, nobody could ever verify."""
        head = self._log.head_at(after)
        sound = []
        try:
            for entry, _ in chain.follow(head or chain.genesis(self._identity.device_id), lines):
                sound.append(entry.line)
        except chain.BrokenChainError as error:
            # A line is known to be altered by the hash in the one after it, which the last has none of.
            at = max(after + 1, error.sequence - 1) if error.problem == "altered" else after + len(sound) + 1
            sound = sound[: at - after - 1]
            if self._damaged_at != at:
                self._damaged_at = at
                LOGGER.error("link: entry %d is damaged on this device's disk; nothing after it is sent", at)  # noqa: TRY400
                self._alarm(DAMAGED, at)
        return sound

    def _hear(self, topic: str, payload: bytes) -> None:
        if topic != str(self._topic(Channel.ACK)):
            LOGGER.info("link: nothing listens on %s", topic)
            return
        if self._identity.central_key is None:
            LOGGER.warning("link: an acknowledgement came, but central's key is not known here")
            return
        try:
            ack = messages.open_ack(payload, self._identity.central_key)
        except RenzhengError as error:
            LOGGER.warning("link: an acknowledgement was refused: %s", error.what)
            return
        if ack.device_id != self._identity.device_id:
            LOGGER.warning("link: an acknowledgement is for another device")
            return
        self._answer(ack)

    def _answer(self, ack: messages.Ack) -> None:
        own = self._log.head_at(ack.upto)
        before = self._sender
        self._careful = self._careful or ack.problem in ("altered", "malformed")
        self._sender, alarm = before.answered(
            ack,
            None if own is None else own.hash,
            head=self._log.head().sequence,
            base=self._log.base().sequence,
            now_ms=_now_ms(),
        )
        if self._sender.acknowledged != before.acknowledged:
            self._log.acknowledge(self._sender.acknowledged)
            if self._identity.keyring.forget_old(self._sender.acknowledged):
                LOGGER.info("link: a signing key that is no longer needed was destroyed")
            if self._sender.acknowledged == self._log.head().sequence:
                self._status_at_ms = 0  # tell at once that nothing waits any more
        if alarm is not None:
            LOGGER.error("link: alarm %s at %d (central says: %s)", alarm.value, ack.upto, ack.problem)
            self._alarm(alarm.value if ack.problem is None else f"{alarm.value}:{ack.problem}", ack.upto)

    def _status(self, state: str) -> messages.Status:
        return messages.Status.model_validate(
            {
                "device_id": self._identity.device_id,
                "state": state,
                "sequence": self._log.head().sequence,
                "acknowledged": self._log.acknowledged(),
                "waiting_since": self._waiting_since(),
                "software": self._identity.software,
                "at": self._wall(),
                "status_seconds": self._settings.status_seconds,
                "halted": self.halted,
                "certificate_until": certificate_until(self._settings.certificate_file),
            }
        )

    def _waiting_since(self) -> datetime | None:
        try:
            return self._log.waiting_since()
        except (RenzhengError, ValueError, TypeError, KeyError):
            return None  # the oldest waiting entry is damaged: `_sound` says so

    def _publish_status(self, state: str) -> None:
        self._status_at_ms = _now_ms() + round(self._settings.status_seconds * 1000)
        if self._connection is not None:
            try:
                self._connection.publish(
                    self._topic(Channel.STATUS), self._status(state).to_json(), retain=True
                )
            except StoreError as error:
                LOGGER.warning("link: no status: %s", error)


def certificate_until(path: Path | None) -> datetime | None:
    """Read until when a certificate holds; None when there is none that can be read."""
    try:
        return None if path is None else x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
    except (OSError, ValueError):
        return None


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000
