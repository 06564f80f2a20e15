"""What central says of itself to devices, and what they hold against it: places, epochs, former keys.

A device sends back, with its status, the latest acknowledgement that it believes. It is central's own
signature: where it tells of more than the store holds, the store was set back, and a new epoch begins. What
the device no longer has either is kept as lost, on the strength of that word; nobody is accused of it.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import sqlalchemy as sa
from joserfc.jwk import OKPKey

from renzheng.central.store import identity, refusals
from renzheng.central.store.device_state import DeviceState
from renzheng.central.store.identity import FormerKeys, Identity, LostEntries
from renzheng.contracts import keys, messages
from renzheng.contracts.errors import InputError
from renzheng.contracts.log import Head, read_batch_header
from renzheng.contracts.messages import Ack, Status

logger = logging.getLogger(__name__)
LOST = "lost_at_central"
"""The alarm of entries that nobody has any more."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who gives acknowledgements, and how many it has given; begun with the first transaction."""

    key: OKPKey
    former: FormerKeys
    identity: Identity | None = None
    _given: list[int] = field(default_factory=lambda: [0])

    def begun(self, connection: sa.Connection) -> "Speaker":
        """The same, with a run of its own in the store."""
        if self.identity is not None:
            return self
        return replace(self, identity=identity.begin_run(connection), _given=[0])

    def anew(self, connection: sa.Connection) -> "Speaker":
        """The same in a new run, which counts above every word that any consumer of the store has given."""
        return replace(self, identity=identity.begin_run(connection), _given=[0])

    def after(self, connection: sa.Connection, epoch: int, now_us: int) -> "Speaker":
        """The same in an epoch after `epoch`: this store was set back."""
        begun = identity.begin_epoch(connection, epoch, "set_back", now_us)
        return replace(self, identity=begun, _given=[0])

    @property
    def given(self) -> int:
        """How many words this run has given."""
        return self._given[0]

    def placed(self, ack: Ack, at: datetime, safe_upto: int) -> Ack:
        """Give an acknowledgement its place: version 2."""
        assert self.identity is not None
        self._given[0] += 1
        place = self.identity.place(self._given[0])
        return ack.model_copy(
            update={**place._asdict(), "version": 2, "at": at, "safe_upto": min(safe_upto, ack.upto)}
        )

    def own_word(self, envelope: str, device_id: str) -> Ack | None:
        """Read a word that this store has given to a device; None when it is none."""
        try:
            name = keys.read_header(envelope.encode()).get("kid")
            key = self.former.public.get(str(name), self.key)
            word = messages.open_ack(envelope.encode(), key)
        except InputError:
            return None
        assert self.identity is not None
        ours = word.place is not None and word.place.store_id == self.identity.store_id
        return word if ours and word.device_id == device_id else None


@dataclass(frozen=True, slots=True)
class StatusOutcome:
    """What follows from a status: who speaks now, the device's state, changes of key it does not know."""

    speaker: Speaker
    device: DeviceState
    successions: Sequence[bytes]


def hear(
    connection: sa.Connection, speaker: Speaker, device: DeviceState, said: Status, now_us: int
) -> StatusOutcome:
    """Hold a device's status against the store."""
    word = speaker.own_word(said.word, device.device_id) if said.word else None
    if word is None or word.place is None or speaker.identity is None:
        return StatusOutcome(speaker, device, speaker.former.successions)  # it may know any key
    latest = speaker.identity.place(speaker.given)
    if identity.set_back(connection, latest, word, device.head):
        logger.error("the store was set back: device %s holds a later word of it", device.device_id)
        speaker = speaker.after(connection, word.place.epoch, now_us)
    elif word.place[1:] > latest[1:]:
        # Another consumer's word, from the shard that the device has left: ours must count above it.
        speaker = speaker.anew(connection)
    assert speaker.identity is not None
    if said.resume and word.upto > device.head.sequence:
        lost = _lost(device, said, word)
        if lost is not None:
            device = _go_on(connection, speaker.identity, device, lost, now_us)
    known = keys.read_header(str(said.word).encode()).get("kid")
    behind = known != keys.key_id(speaker.key)
    return StatusOutcome(speaker, device, speaker.former.successions if behind else ())


def _lost(device: DeviceState, said: Status, word: Ack) -> LostEntries | None:
    """Tell what nobody has any more; central's own word shows that it once had it."""
    goes_on = _goes_on(device, str(said.resume))
    if goes_on is None or not device.head.sequence < goes_on.sequence <= word.upto:
        return None
    if goes_on.sequence == word.upto and goes_on.hash != word.head_hash:
        return None
    return LostEntries(device.device_id, device.head, goes_on, str(said.word))


def _go_on(
    connection: sa.Connection, own: Identity, device: DeviceState, lost: LostEntries, now_us: int
) -> DeviceState:
    """Let a log go on behind what is lost, which is kept as such."""
    identity.keep_lost(connection, lost, own.epoch, now_us)
    detail = (
        f"Lost at central: entries {lost.held.sequence + 1} to {lost.goes_on.sequence}, "
        f"head {lost.goes_on.hash}. Central had acknowledged them and was set back; "
        "the device had let go of them since."
    )
    sequence = lost.goes_on.sequence
    refusals.raise_alarm(connection, device.device_id, LOST, detail, now_us, sequence=sequence)
    return replace(device, head=lost.goes_on)


def _goes_on(device: DeviceState, envelope: str) -> Head | None:
    """Read after which entry a device's log goes on, by the key that signs from there."""
    try:
        key = device.keys.get(str(keys.read_header(envelope.encode()).get("kid")))
        if key is None or key.revoked or device.revoked:
            return None
        resume = messages.open_resume(envelope.encode(), key.public)
    except InputError:
        return None
    if resume.device_id != device.device_id or not key.may_sign(resume.base + 1, resume.base + 1):
        return None
    return Head(resume.base, resume.base_hash)


def understood(envelope: bytes) -> int:
    """The version of acknowledgements that the sender of a batch reads, as far as its header can be read."""
    try:
        return read_batch_header(envelope).ack_version
    except InputError:
        return 1
