"""The thread that joins log, sender and connection; everything it decides, `sender` decides."""

import logging
import queue
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from joserfc.jwk import OKPKey

from renzheng.common.backoff import back_off, jittered
from renzheng.common.certificates import valid_until
from renzheng.common.supervised import Worker
from renzheng.contracts import keys, messages
from renzheng.contracts import log as chain
from renzheng.contracts.errors import RenzhengError
from renzheng.contracts.ids import DeviceId, Shard
from renzheng.contracts.topics import Channel, Topic
from renzheng.edge.device.keyring import Keyring
from renzheng.edge.device.link import acknowledgements, sender
from renzheng.edge.device.link.mqtt import (
    Appended,
    BrokerUnreachableError,
    Connected,
    Connection,
    Disconnected,
    Happening,
    Received,
    Stop,
)
from renzheng.edge.device.link.sender import Alarm
from renzheng.edge.device.log import DeviceLog
from renzheng.edge.errors import StoreError
from renzheng.edge.settings import LinkSettings

LOGGER = logging.getLogger(__name__)
_LONGEST_SLEEP_S = 1.0
_REFUSALS = ("unknown_key", "revoked", "signature", "malformed", "altered")
DAMAGED = "damaged"
"""The alarm of an entry that was altered on the device's own disk before central had it."""
_LONGEST_TURN_S = 180.0
_LONGEST_REST_S = 10.0
_ASK_AGAIN_MS = 2_000
"""After an old acknowledgement central is asked, by a status, for its latest; no more often than this."""
_ALARM_AGAIN_MS = 600_000
_DOUBT_MS = 15_000
"""How long words of a key that is not known here come before a person is told: central is asked for the word
that leads to it, and answers within a status or two."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who speaks, with which key, and whose acknowledgements count.

    Args:
        device_id: this device.
        shard: the shard that its topics lie in, while central has told it no other.
        keyring: which key signs which entries.
        central_key: central's public key; without it no acknowledgement is believed, and nothing is pruned.
        keep_central_key: keeps the key that central signs with from now on, vouched for by the one before.
        moved: the latest word of central on where its broker is, as signed; it was verified when it came.
        keep_moved: keeps such a word.
        reassigned: the latest word of central on this device's shard, as signed; verified when it came.
        keep_reassigned: keeps such a word.
    """

    device_id: DeviceId
    shard: Shard
    keyring: Keyring
    central_key: OKPKey | None
    software: str
    keep_central_key: Callable[[OKPKey], None] = lambda _key: None
    moved: bytes | None = None
    keep_moved: Callable[[bytes], None] = lambda _envelope: None
    reassigned: bytes | None = None
    keep_reassigned: Callable[[bytes], None] = lambda _envelope: None


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
        self._heard = acknowledgements.place_of(log.word())
        self._central_key = identity.central_key
        self._elsewhere = messages.read_kept_moved(identity.moved)
        self._at_first_place = False
        self._reassigned = _shard_of(identity.reassigned, identity.device_id)
        self._shard = identity.shard if self._reassigned is None else Shard(self._reassigned.shard)
        self._answered_at_ms = 0
        self._asked_at_ms = -_ASK_AGAIN_MS
        self._doubted: Alarm | None = None
        self._doubted_ms = 0
        self._refused: str | None = None
        self._raised_ms: dict[tuple[str, int], int] = {}
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
        """The alarm that keeps everything back, if any; `docs/sync.md` names the way out of each."""
        halted = self._sender.halted or self._doubted
        if halted is not None:
            return halted.value
        if self._damaged_at is not None:
            return DAMAGED
        return None if self._refused is None else f"{Alarm.REFUSED.value}_{self._refused}"

    def start(self) -> None:
        """Begin."""
        self.worker.start()

    def wake(self) -> None:
        """Say that the log has a new entry; returns at once."""
        self._happenings.put(Appended())

    def stop(self, *, drop: bool = False) -> None:
        """End; `drop` leaves the broker as a power cut would, with the will to be published."""
        self._dropped = drop
        self.worker.ask_to_end()  # first: a turn that takes the word before it would begin another one
        self._happenings.put(Stop())
        self.worker.stop()

    def _topic(self, channel: Channel) -> Topic:
        return Topic(self._shard, self._identity.device_id, channel)

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
        choice = self._at_first_place or self._reassigned is not None
        if (
            self._connection is not None
            and choice
            and now - self._answered_at_ms > 5_000 * self._settings.status_seconds
        ):
            self._lose()  # a broker that central has left, or a shard that nobody consumes
            self._shard = self._other_shard()
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
        where = self._where()
        try:
            self._connection = Connection(
                where,
                client_id=self._identity.device_id,
                subscribe_to=[self._topic(Channel.ACK), self._topic(Channel.COMMAND)],
                will=(self._topic(Channel.STATUS), self._status("offline").to_json()),
                happenings=self._happenings,
            )
            self._try_at_ms = 0
        finally:
            if self._connection is None:
                self._schedule()

    def _where(self) -> LinkSettings:
        """Where to connect: where central said that its broker is; each third failed try as it was set."""
        self._answered_at_ms = _now_ms()
        self._at_first_place = self._elsewhere is not None and self._failures % 3 == 2  # noqa: PLR2004
        if self._elsewhere is None or self._at_first_place:
            return self._settings
        return self._settings.model_copy(update={"host": self._elsewhere.host, "port": self._elsewhere.port})

    def _other_shard(self) -> Shard:
        """The one of the two shards, as set and as told, that nobody was asked in just now."""
        told = self._identity.shard if self._reassigned is None else Shard(self._reassigned.shard)
        return told if self._shard == self._identity.shard else self._identity.shard

    def _follow_reassignment(self, payload: bytes, central_key: OKPKey) -> None:
        """Go to the shard that central names from now on; an older word than the last is none."""
        told, before = messages.open_reassigned(payload, central_key), self._reassigned
        if told.device_id != self._identity.device_id or (before is not None and told.since <= before.since):
            return
        LOGGER.warning("link: this device belongs to shard %s now", told.shard)
        self._identity.keep_reassigned(payload)
        self._reassigned = told
        if told.shard != self._shard:
            self._lose()
            self._shard = Shard(told.shard)
            self._failures, self._try_at_ms = 0, 0

    def _follow_move(self, payload: bytes, central_key: OKPKey) -> None:
        """Go where central says that its broker is from now on; an older word than the last is none."""
        moved = messages.open_moved(payload, central_key)
        before = self._elsewhere
        if before is not None and moved.since <= before.since:
            return
        LOGGER.warning("link: central's broker is at %s:%d now", moved.host, moved.port)
        self._identity.keep_moved(payload)
        self._elsewhere = moved
        self._failures = 0
        self._lose()
        self._try_at_ms = 0

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
        told = self._settings
        longest = back_off(self._failures, told.reconnect_first_seconds, told.reconnect_longest_seconds)
        wait = jittered(longest, random.random())  # noqa: S311 - keeps kiosks apart, nothing is secret by it
        self._try_at_ms = _now_ms() + round(wait * 1000)

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
            batch = chain.sign_batch(self._identity.device_id, lines, signer.key, ack_version=2)
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
        if self._central_key is None:
            LOGGER.warning("link: a message came, but central's key is not known here")
        elif topic == str(self._topic(Channel.ACK)):
            self._hear_ack(payload, self._central_key)
        elif topic == str(self._topic(Channel.COMMAND)):
            self._hear_command(payload, self._central_key)

    def _hear_ack(self, payload: bytes, central_key: OKPKey) -> None:
        try:
            ack = messages.open_ack(payload, central_key)
        except RenzhengError as error:
            LOGGER.warning("link: an acknowledgement was refused: %s", error.what)
            if _signed_by_another(payload, central_key):
                self._unheard(Alarm.CENTRAL_KEY)
            return
        if ack.device_id != self._identity.device_id:
            LOGGER.warning("link: an acknowledgement is for another device")
            return
        match acknowledgements.standing(self._heard, ack):
            case acknowledgements.AckStatus.STALE:
                LOGGER.info("link: an old acknowledgement (%s) came again", ack.place)
                self._ask()
            case acknowledgements.AckStatus.OTHER_STORE:
                self._unheard(Alarm.OTHER_STORE)
            case acknowledgements.AckStatus.FRESH:
                self._answer(ack, payload.decode() if ack.place else None)

    def _hear_command(self, payload: bytes, central_key: OKPKey) -> None:
        """Follow a change of central's key or place, or of this device's shard, by a word of a known key."""
        try:
            if messages.is_moved(payload):
                self._follow_move(payload, central_key)
                return
            if messages.is_reassigned(payload):
                self._follow_reassignment(payload, central_key)
                return
            self._central_key = messages.open_central_key(payload, central_key)
        except RenzhengError as error:
            LOGGER.info("link: nothing to follow in a message: %s", error.what)
            return
        LOGGER.warning("link: central signs with another key now, %s", keys.key_id(self._central_key))
        self._identity.keep_central_key(self._central_key)
        self._ask()

    def _unheard(self, alarm: Alarm) -> None:
        """Central's words cannot be believed for now; what is written here waits, and a person is told."""
        if alarm is Alarm.OTHER_STORE:
            self._sender = self._sender.halt(alarm)
        now = _now_ms()
        if self._doubted is not alarm:
            self._doubted, self._doubted_ms = alarm, now
        if alarm is not Alarm.CENTRAL_KEY or now - self._doubted_ms >= _DOUBT_MS:
            self._raise(alarm.value, self._sender.acknowledged)
        self._ask()

    def _raise(self, kind: str, sequence: int) -> None:
        """Raise an alarm that is news: the same again only after a while, as anybody can repeat a message."""
        now = _now_ms()
        if now - self._raised_ms.get((kind, sequence), -_ALARM_AGAIN_MS) >= _ALARM_AGAIN_MS:
            self._raised_ms = {(kind, sequence): now}
            LOGGER.error("link: alarm %s at %d", kind, sequence)
            self._alarm(kind, sequence)

    def _ask(self) -> None:
        """Tell central what is known here, soon: it answers with its latest word."""
        now = _now_ms()
        if now - self._asked_at_ms >= _ASK_AGAIN_MS:
            self._asked_at_ms = now
            self._status_at_ms = 0

    def _answer(self, ack: messages.Ack, word: str | None) -> None:
        own = self._log.head_at(ack.upto)
        self._answered_at_ms = _now_ms()
        before = self._sender
        self._careful = self._careful or ack.problem in ("altered", "malformed")
        self._sender, alarm = before.answered(
            ack,
            None if own is None else own.hash,
            head=self._log.head().sequence,
            base=self._log.base().sequence,
            now_ms=_now_ms(),
        )
        self._doubted = None
        moved = self._sender.acknowledged != before.acknowledged
        if ack.problem in _REFUSALS:
            self._refused = ack.problem
        elif moved or self._sender.acknowledged == self._log.head().sequence:
            self._refused = None  # a status is answered without a word on what was refused
        if own is not None and self._sender.halted is None and (moved or self._is_news(ack)):
            self._log.acknowledge(self._sender.acknowledged, word=word, safe=ack.safe_upto)
            if self._identity.keyring.forget_old(self._log.safe()):
                LOGGER.info("link: a signing key that is no longer needed was destroyed")
            if self._sender.acknowledged == self._log.head().sequence:
                self._status_at_ms = 0  # tell at once that nothing waits any more
        self._heard = ack.place or self._heard
        if self._sender.halted is not before.halted:
            self._ask()
        if alarm is Alarm.REFUSED:
            LOGGER.error("link: central refuses at %d: %s", ack.upto, ack.problem)
            self._alarm(f"{alarm.value}:{ack.problem}", ack.upto)
        elif alarm is not None:
            self._raise(alarm.value if ack.problem is None else f"{alarm.value}:{ack.problem}", ack.upto)

    def _is_news(self, ack: messages.Ack) -> bool:
        """Whether a word that moves nothing is kept all the same: an epoch's first, or more that is safe."""
        if ack.place is None or ack.safe_upto is None:
            return False
        epoch = None if self._heard is None else self._heard.epoch
        return ack.place.epoch != epoch or min(ack.safe_upto, self._sender.acknowledged) != self._log.safe()

    def _status(self, state: str) -> messages.Status:
        halted = self.halted
        added: dict[str, object] = {} if halted is None else {"halted": halted}
        word = self._log.word()
        if word is not None:  # central reads version 2
            added = {
                "version": 2,
                "status_seconds": self._settings.status_seconds,
                "halted": halted,
                "certificate_until": valid_until(self._settings.certificate_file),
                "word": word,
                "resume": self._resume(),
            }
        return messages.Status.model_validate(
            {
                "device_id": self._identity.device_id,
                "state": state,
                "sequence": self._log.head().sequence,
                "acknowledged": self._log.acknowledged(),
                "waiting_since": self._waiting_since(),
                "software": self._identity.software,
                "at": self._wall(),
                **added,
            }
        )

    def _waiting_since(self) -> datetime | None:
        try:
            return self._log.waiting_since()
        except (RenzhengError, ValueError, TypeError, KeyError):
            return None  # the oldest waiting entry is damaged: `_sound` says so

    def _resume(self) -> str | None:
        """Where central asks for what is gone here: the signed word after which entry this log goes on."""
        if self._sender.halted is not Alarm.FORGOTTEN:
            return None
        base = self._log.base()
        goes_on = messages.Resume(device_id=self._identity.device_id, base=base.sequence, base_hash=base.hash)
        return messages.sign_resume(goes_on, self._identity.keyring.signer(base.sequence).key)

    def _publish_status(self, state: str) -> None:
        self._status_at_ms = _now_ms() + round(self._settings.status_seconds * 1000)
        if self._connection is not None:
            try:
                self._connection.publish(
                    self._topic(Channel.STATUS), self._status(state).to_json(), retain=True
                )
            except StoreError as error:
                LOGGER.warning("link: no status: %s", error)


def _shard_of(envelope: bytes | None, device_id: str) -> messages.Reassigned | None:
    """Read a kept word on this device's shard; one that cannot be read, or is another's, is none."""
    try:
        if envelope is None:
            return None
        told = messages.Reassigned.model_validate_json(keys.decode(keys.split(envelope)[1]))
    except (RenzhengError, ValueError):
        return None
    return told if told.device_id == device_id else None


def _signed_by_another(envelope: bytes, known: OKPKey) -> bool:
    """Whether an acknowledgement names another key than the one known here; that proves nothing yet."""
    try:
        return keys.read_header(envelope).get("kid") != keys.key_id(known)
    except RenzhengError:
        return False


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000
