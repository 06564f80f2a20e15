"""Takes messages off a queue and puts them into the store, a group of them in one transaction.

A status is answered like a batch, with the head that central holds: so devices learn of a store that was set
back without writing anything new, and send again what it lacks.

Order of things, which is the whole point: verify, commit, and only then sign the acknowledgements. A group
that fails is tried again message by message. A message is the culprit only if it alone fails, with an error
that speaks of its content, while the store takes a probe: it then goes into quarantine and takes no other
with it. Whatever else fails is the store's fault: the message stays unanswered, and its device sends again.
"""

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from joserfc.jwk import OKPKey

from renzheng.central.errors import StoreError
from renzheng.central.ingest import carrying, decide, device_status, spot_check_answers
from renzheng.central.ingest.decide import (
    AlreadyStored,
    Commit,
    OpenedBatch,
    Problem,
    Refused,
)
from renzheng.central.ingest.entitlement import unentitled
from renzheng.central.ingest.project import (
    EventFlaw,
    Projection,
    Row,
    carried,
    is_carried,
    project,
    read_event,
)
from renzheng.central.metrics import Metrics
from renzheng.central.store import archived, bulk, devices, log, refusals, schema, status
from renzheng.central.store.database import Database
from renzheng.central.store.device_state import DeviceState
from renzheng.central.store.faults import StoreRefusesError, describe, is_of_store
from renzheng.central.store.identity import FormerKeys
from renzheng.central.store.times import from_us, to_us
from renzheng.common.supervised import frames, named
from renzheng.contracts.log import BrokenChainError, Head, Link, genesis
from renzheng.contracts.messages import (
    Ack,
    MessageError,
    Reassigned,
    Status,
    parse_status,
    sign_ack,
    sign_reassigned,
)
from renzheng.contracts.topics import Channel, Topic, TopicError, parse_topic

logger = logging.getLogger(__name__)
HELD_SECONDS = 600.0
_REVOKED = "The device was revoked."

ACK_PROBLEM: Mapping[Problem, str] = {
    Problem.UNKNOWN_DEVICE: "unknown_key",
    Problem.WRONG_DEVICE: "signature",
    **{
        problem: problem.value
        for problem in Problem
        if problem not in (Problem.UNKNOWN_DEVICE, Problem.WRONG_DEVICE)
    },
}
"""The contract's words for a refusal; a stranger learns no more than that its key is not known."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message as the broker delivered it; `retained` ones it had kept from before."""

    topic: str
    payload: bytes
    retained: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """A message to publish."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class PreparedMessage:
    """A message after everything that needs no lock: opened, or refused, or a device's status."""

    message: Message
    topic: Topic | None
    content: OpenedBatch | Refused | Status
    rows: Mapping[int, tuple[Projection | None, str | None]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PreparedGroup:
    """A group of messages, ready to be committed; `named` are the devices that its topics name."""

    received_us: int
    named: frozenset[str]
    ones: Sequence[PreparedMessage]


class _Answer(NamedTuple):
    """What is answered to a message; `version` is of the acknowledgements that its sender reads."""

    topic: Topic
    head: Head
    problem: Problem | None
    version: int


@dataclass
class _Work:
    """What one transaction writes."""

    received_us: int
    states: dict[str, DeviceState]
    gaps: set[str]
    speaker: device_status.Speaker
    entries: list[Row] = field(default_factory=list)
    batches: list[Row] = field(default_factory=list)
    projected: dict[str, list[Row]] = field(default_factory=dict)
    moved: set[str] = field(default_factory=set)
    pending: dict[str, dict[int, str]] = field(default_factory=dict)
    answers: list[_Answer] = field(default_factory=list)
    counts: list[str] = field(default_factory=list)
    flaws: int = 0
    refused: list[refusals.Refusal] = field(default_factory=list)
    held: frozenset[str] = frozenset()
    replies: list[Reply] = field(default_factory=list)


class Ingest:
    """Puts messages into the store and answers them.

    Args:
        database: the store.
        key: central's signing key.
        clock: gives the receipt time.
        metrics: where it counts.
        former: keys with which central signed before, by name, and how each vouched for the next.
    """

    def __init__(
        self,
        database: Database,
        key: OKPKey,
        clock: Callable[[], datetime],
        metrics: Metrics | None = None,
        former: FormerKeys | None = None,
    ) -> None:
        self._database = database
        self._key = key
        self._clock = clock
        self._metrics = metrics or Metrics()
        self._held: dict[str, tuple[float, str]] = {}
        self._known: dict[str, DeviceState] = {}
        self._speaker = device_status.Speaker(key, former or FormerKeys())

    def take(self, messages: Sequence[Message]) -> list[Reply]:
        """Commit a group of messages and return the answers.

        Each message that was not taken has one of its own; of those that were, the last of a device answers
        the others too, as it acknowledges everything before. A message that the store refuses while it takes
        others stays without an answer.

        Raises:
            StoreRefusesError: the store takes none of them; nothing of the group is in it.
        """
        try:
            return self.commit(self.prepare(messages))
        except Exception as error:  # noqa: BLE001 - whose fault it is, `_after` finds out
            return self._after(messages, error)

    def _after(self, messages: Sequence[Message], error: Exception) -> list[Reply]:
        """Find out whose fault an error was, and do what can be done.

        Raises:
            StoreRefusesError: the store takes none of them.
        """
        logger.warning("%d message(s) were not stored: %s", len(messages), describe(error))
        if is_of_store(error):
            self._metrics.add("renzheng_ingest_store_faults_total")
        self._database.probe(to_us(self._clock()))
        if len(messages) > 1:
            return self._one_by_one(messages)
        if is_of_store(error):
            self._hold(messages[0], error)
            raise _refuses(error, probed=True) from None
        logger.error(
            "a message cannot be stored, it goes into quarantine: %s\n%s", named(error), frames(error)
        )
        try:
            work = self._set_aside(messages[0])
        except Exception as again:  # noqa: BLE001 - whatever it is, the message stays unanswered
            self._hold(messages[0], again)
            raise _refuses(again, probed=True) from None
        self._count(work, 0.0)
        return self._signed(work)

    def _hold(self, message: Message, error: Exception) -> None:
        topic = _topic(message)
        if topic is not None:
            since = time.monotonic() - HELD_SECONDS
            self._held = {name: held for name, held in self._held.items() if held[0] > since}
            self._held[topic.device_id] = (time.monotonic(), describe(error))

    def refused(self) -> Mapping[str, str]:
        """Name the devices of which the store lately refused something, and how it said so.

        What follows in such a device's log is not called a gap: the device did send what is missing.
        """
        since = time.monotonic() - HELD_SECONDS
        return {device_id: why for device_id, (at, why) in list(self._held.items()) if at > since}

    def _one_by_one(self, messages: Sequence[Message]) -> list[Reply]:
        replies: list[Reply] = []
        refused: list[StoreRefusesError] = []
        for message in messages:
            try:
                replies += self.take([message])
            except StoreRefusesError as error:
                if not error.attributes["probed"]:
                    raise  # what is in the store already is found there when it comes again
                refused.append(error)
        if len(refused) == len(messages):
            raise refused[-1]
        if refused:
            self._metrics.add("renzheng_ingest_unanswered_total", len(refused))
            logger.error("the store refuses %d of %d messages", len(refused), len(messages))
        return replies

    def prepare(self, messages: Sequence[Message]) -> PreparedGroup:
        """Do with a group all that needs no transaction: signatures, inner chains, events, rows.

        Devices are remembered from the last commit. What it takes on that, `commit` holds against the store
        again, with the devices locked.

        Raises:
            StoreError: what the store holds of a device cannot be read.
            sqlalchemy.exc.SQLAlchemyError: the store refuses.
        """
        received_us = to_us(self._clock())
        topics = [_topic(message) for message in messages]
        of_devices = frozenset(topic.device_id for topic in topics if topic)
        known: Mapping[str, DeviceState] = self._known
        fresh = not of_devices <= known.keys()
        while True:
            if fresh:
                with self._database.reading() as connection:
                    known = _states(connection, of_devices, lock=False)
            ones = [_prepare(m, t, known, received_us) for m, t in zip(messages, topics, strict=True)]
            if fresh or not any(isinstance(one.content, Refused) for one in ones):
                return PreparedGroup(received_us, of_devices, ones)
            fresh = True  # what is remembered refuses nothing: a key may have come since

    def commit(self, group: PreparedGroup) -> list[Reply]:
        """Commit a prepared group, then sign the answers.

        Raises:
            Exception: nothing of the group is in the store; `take` finds out whose fault it was.
        """
        began = time.monotonic()
        try:
            work = self._commit(group)
        except Exception:
            self._known = {}  # whatever it was, the store is asked again
            raise
        self._known.update(work.states)
        self._count(work, time.monotonic() - began)
        return self._signed(work)

    def _signed(self, work: _Work) -> list[Reply]:
        """Sign the answers of what has been committed."""
        self._speaker = work.speaker
        return [*work.replies, *(self._sign(work, answer) for answer in _needed(work.answers))]

    def _sign(self, work: _Work, answer: _Answer) -> Reply:
        """Sign an answer; where it is understood, with the word's place among all of this store."""
        device_id, head = answer.topic.device_id, answer.head
        problem: Any = ACK_PROBLEM[answer.problem] if answer.problem else None
        ack = Ack(device_id=device_id, upto=head.sequence, head_hash=head.hash, problem=problem)
        if answer.version > 1:
            device = work.states.get(device_id)
            ack = self._speaker.placed(ack, from_us(work.received_us), device.safe if device else 0)
        return Reply(str(answer.topic), sign_ack(ack, self._key))

    def _commit(self, group: PreparedGroup) -> _Work:
        with self._database.writing() as connection:
            fresh = _states(connection, group.named, lock=True)
            speaker = self._speaker.begun(connection)
            gaps = refusals.devices_with_gaps(connection)
            work = _Work(group.received_us, dict(fresh), gaps, speaker)
            work.held = frozenset(self.refused())
            for one in group.ones:
                _settle(connection, work, one)
            _write(connection, work)
        return work

    def _set_aside(self, message: Message) -> _Work:
        """Keep a message that broke the transaction it was in."""
        received_us = to_us(self._clock())
        topic = _topic(message)
        refused = Refused(Problem.MALFORMED, "The message cannot be stored; the service's log says why.")
        with self._database.writing() as connection:
            of_device = {topic.device_id} if topic else set()
            states = dict(_states(connection, of_device, lock=True))
            work = _Work(received_us, states, set(), self._speaker.begun(connection))
            _refuse(work, PreparedMessage(message, topic, refused), refused)
            refusals.keep(connection, work.refused, received_us)
        return work

    def _count(self, work: _Work, seconds: float) -> None:
        for ending in work.counts:
            self._metrics.add("renzheng_ingest_messages_total", ending=ending)
        self._metrics.add("renzheng_ingest_entries_total", len(work.entries))
        self._metrics.add("renzheng_ingest_flaws_total", work.flaws)
        for device_id in work.moved:
            self._held.pop(device_id, None)
        self._metrics.observe("renzheng_ingest_commit_seconds", seconds)


def _states(connection: sa.Connection, named: Collection[str], *, lock: bool) -> Mapping[str, DeviceState]:
    """Read what the store holds of some devices; what cannot be read there is no message's fault."""
    try:
        return devices.states(connection, named, lock=lock)
    except (ValueError, TypeError, LookupError) as error:
        raise StoreError(
            f"What the store holds of a device cannot be read ({type(error).__name__}).",
            do="Check the store: renzheng central log verify --thorough",
        ) from error


def _refuses(error: Exception, *, probed: bool) -> StoreRefusesError:
    return StoreRefusesError(
        f"The store refuses a message: {describe(error)}.",
        why="Its device keeps the events and sends them again; nothing is lost.",
        do="Check the store: renzheng central log verify --thorough",
        probed=probed,
    )


def _topic(message: Message) -> Topic | None:
    try:
        return parse_topic(message.topic)
    except TopicError:
        return None


def _prepare(
    message: Message, topic: Topic | None, known: Mapping[str, DeviceState], received_us: int
) -> PreparedMessage:
    """Do with a message what needs no transaction: signature, inner chain, events, rows."""
    if topic is None or topic.channel not in (Channel.LOG, Channel.STATUS):
        refused = Refused(Problem.MALFORMED, "The topic is none of a device's two.")
        return PreparedMessage(message, None, refused)
    device = known.get(topic.device_id)
    if topic.channel is Channel.STATUS:
        return PreparedMessage(message, topic, _read_status(message, topic, device))
    opened = decide.open_message(device, message.payload)
    if isinstance(opened, Refused) or device is None:
        return PreparedMessage(message, topic, opened)
    fresh = opened.entries[max(device.head.sequence - opened.first + 1, 0) :]
    try:
        rows = {link.sequence: _row(link, device, received_us) for link in fresh}
    except BrokenChainError as error:
        return PreparedMessage(message, topic, Refused(Problem.MALFORMED, error.what))
    return PreparedMessage(message, topic, opened, rows)


def _row(link: Link, device: DeviceState, received_us: int) -> tuple[Projection | None, str | None]:
    event = read_event(link, device.device_id, device.institution_id)
    found = carried(event, device.device_id, device.institution_id)
    if not isinstance(found, EventFlaw):
        found = unentitled(found, device.institution_id, device.purpose) or project(
            found, device.device_id, link.sequence, received_us
        )
    return (None, found.detail) if isinstance(found, EventFlaw) else (found, None)


def _read_status(message: Message, topic: Topic, device: DeviceState | None) -> Status | Refused:
    if device is None:
        return Refused(Problem.UNKNOWN_DEVICE, "The device is not registered.")
    if device.revoked:
        return Refused(Problem.REVOKED, _REVOKED)
    try:
        said = parse_status(message.payload)
    except (MessageError, OverflowError):
        return Refused(Problem.MALFORMED, "It is no status message of version 1.")
    if said.device_id != topic.device_id:
        return Refused(Problem.WRONG_DEVICE, "The status names another device.")
    if max(said.sequence, said.acknowledged) > status.LARGEST:
        return Refused(Problem.MALFORMED, "A sequence number is larger than any log.")
    return said


def _settle(connection: sa.Connection, work: _Work, prepared: PreparedMessage) -> None:
    """Set one message against the store as the transaction sees it."""
    content, topic = prepared.content, prepared.topic
    device = work.states.get(topic.device_id) if topic else None
    if isinstance(content, Refused) and content.problem in (Problem.UNKNOWN_KEY, Problem.GAP):
        # The key may have become known since: by a rotation in this very group, or by a registration.
        content = decide.open_message(device, prepared.message.payload)
        prepared = replace(prepared, content=content)
    if isinstance(content, Refused) or topic is None or device is None:
        refused = content if isinstance(content, Refused) else Refused(Problem.UNKNOWN_DEVICE, "It is gone.")
        _refuse(work, prepared, refused)
        return
    if isinstance(content, Status) and device.revoked:
        _refuse(work, prepared, Refused(Problem.REVOKED, _REVOKED))
        return
    if isinstance(content, Status):
        _take_status(connection, work, topic, device, content, retained=prepared.message.retained)
        work.counts.append("status")
        return
    decision = _decide(connection, work, device, content)
    if isinstance(decision, Refused):
        _refuse(work, prepared, decision)
        return
    if isinstance(decision, Commit):
        rotated = decide.follow_rotation(device, content, device.head.sequence)
        if isinstance(rotated, Refused):
            _refuse(work, prepared, rotated)
            return
        if rotated is not device:
            devices.change_key(connection, rotated, content.key_id, work.received_us)
        _accept(work, rotated, prepared, decision)
    work.counts.append("stored" if isinstance(decision, Commit) else "already_stored")
    _answer(work, topic, None, content.ack_version)


def _take_status(
    connection: sa.Connection,
    work: _Work,
    topic: Topic,
    device: DeviceState,
    said: Status,
    *,
    retained: bool,
) -> None:
    """Keep a status, and answer it; what a broker still tells of a device that has left a shard is past."""
    if device.has_left(topic.shard) and (retained or said.state == "offline"):
        return
    status.put(connection, said, work.received_us, retained=retained, shard=topic.shard)
    if said.state == "online":
        _hear_status(connection, work, topic, device, said)


def _hear_status(
    connection: sa.Connection, work: _Work, topic: Topic, device: DeviceState, said: Status
) -> None:
    """Answer a status with what central holds; the device's word may tell that central was set back."""
    heard = device_status.hear(connection, work.speaker, device, said, work.received_us)
    work.speaker = heard.speaker
    if heard.device is not device:
        work.states[device.device_id] = heard.device
    moved = work.speaker.former.moved
    down = str(topic._replace(channel=Channel.COMMAND))
    told = [*heard.successions, *([moved] if moved else [])]
    if device.reassigned_us is not None and device.has_left(topic.shard):
        since = from_us(device.reassigned_us)
        word = Reassigned(device_id=device.device_id, shard=device.shard, since=since)
        told.append(sign_reassigned(word, work.speaker.key))
    work.replies += [Reply(down, envelope) for envelope in told]
    _answer(work, topic, None, said.version)


def _decide(
    connection: sa.Connection, work: _Work, device: DeviceState, opened: OpenedBatch
) -> Commit | AlreadyStored | Refused:
    key = device.keys.get(opened.key_id)
    if device.revoked or key is None or key.revoked:
        return Refused(Problem.REVOKED, "The device or its key was revoked.")
    if not key.may_sign(opened.first, opened.last):
        return Refused(Problem.REVOKED, f"Entry {opened.last} is not that key's to sign.", opened.last)
    stored: dict[int, str] = {}
    if opened.first <= device.head.sequence:
        stored.update(log.hashes(connection, device.device_id, opened.first, opened.last))
        stored.update(work.pending.get(device.device_id, {}))
    decision = decide.place(device.head, opened, stored)
    overlaps = isinstance(decision, Commit) and opened.first <= device.head.sequence
    if overlaps and opened.first <= archived.upto(connection, device.device_id):
        # A signature over archived entries and new ones could not be verified once the former are pruned:
        # the device learns where central is, and sends what is new by itself.
        return AlreadyStored()
    return decision


def _accept(work: _Work, device: DeviceState, prepared: PreparedMessage, commit: Commit) -> None:
    device_id = device.device_id
    opened = prepared.content
    assert isinstance(opened, OpenedBatch)
    pending = work.pending.setdefault(device_id, {})
    for link in commit.entries:
        row, flaw = prepared.rows.get(link.sequence) or _row(link, device, work.received_us)
        work.entries.append((device_id, link.sequence, link.hash, link.line, work.received_us, flaw))
        pending[link.sequence] = link.hash
        work.flaws += flaw is not None
        if row is not None:
            work.projected.setdefault(row.table, []).append(row.row)
    work.batches.append(
        (
            device_id,
            opened.first,
            opened.last,
            opened.key_id,
            opened.header,
            opened.signature,
            work.received_us,
        )
    )
    work.states[device_id] = replace(device, head=commit.head)
    work.moved.add(device_id)


def _refuse(work: _Work, prepared: PreparedMessage, refused: Refused) -> None:
    message, topic = prepared.message, prepared.topic
    device_id = topic.device_id if topic else refusals.NOBODY
    if refused.problem is Problem.GAP and device_id in work.held:
        work.counts.append("held")
        return
    logger.warning("refused a message of device %s: %s", device_id, refused.problem.value)
    known, detail = device_id in work.states, refused.detail.replace("\0", "")
    if refused.problem is Problem.UNKNOWN_DEVICE:
        detail = f"{device_id}: {detail}"
    refusal = refusals.Refusal(
        message.topic.replace("\0", ""),
        device_id if known else refusals.NOBODY,
        refused.problem.value,
        detail,
        message.payload,
        decide.sha256_hex(message.payload),
        refused.sequence if refused.sequence is None or refused.sequence <= status.LARGEST else None,
    )
    work.refused.append(refusal)
    if refused.problem is Problem.GAP:
        work.gaps.add(device_id)
    work.counts.append(refused.problem.value)
    if topic is not None and topic.channel is Channel.LOG:
        _answer(work, topic, refused, device_status.understood(message.payload))


def _answer(work: _Work, topic: Topic, refused: Refused | None, version: int) -> None:
    device = work.states.get(topic.device_id)
    head: Head = device.head if device else genesis(topic.device_id)
    problem = refused.problem if refused else None
    work.answers.append(_Answer(topic._replace(channel=Channel.ACK), head, problem, version))


def _needed(answers: Sequence[_Answer]) -> list[_Answer]:
    """Leave out what a later answer of the same group says as well: a device has everything up to there."""
    last = {(one.topic, one.version): at for at, one in enumerate(answers) if one.problem is None}
    return [one for at, one in enumerate(answers) if one.problem or last[one.topic, one.version] == at]


def _sort_out_answers(connection: sa.Connection, work: _Work) -> None:
    """Keep the answers of those entitled, undrawn checks apart; a foreign one is a flaw of its entry."""
    answers = work.projected.pop(schema.spot_checks.name, None)
    if not answers:
        return
    found = spot_check_answers.sort_out(connection, answers)
    work.projected[schema.spot_checks.name] = found.entitled
    work.projected[schema.undrawn_checks.name] = found.undrawn
    flaws = {
        (one.device_id, one.sequence): f"{spot_check_answers.FOREIGN}: {one.why}." for one in found.foreign
    }
    if flaws:
        work.entries[:] = [(*row[:-1], flaws.get((row[0], row[1]), row[-1])) for row in work.entries]
        work.flaws += len(flaws)
    for one in found.foreign:
        logger.warning("a foreign answer of device %s, entry %d: %s", one.device_id, one.sequence, one.why)
        refusals.raise_alarm(
            connection,
            one.device_id,
            spot_check_answers.FOREIGN,
            one.why,
            work.received_us,
            sequence=one.sequence,
        )


def _drop_known(connection: sa.Connection, work: _Work) -> None:
    """Make no second row of an event that was carried over from a closed log and is here already."""
    places = {(row[0], row[1]) for row in work.entries if is_carried(row[3])}
    if not places:
        return
    known = carrying.known(connection, work.projected, places)
    for name, rows in work.projected.items():
        work.projected[name] = [row for row in rows if (row[0], row[1]) not in known]
    work.entries[:] = [
        (*row[:-1], carrying.KNOWN if (row[0], row[1]) in known else row[-1]) for row in work.entries
    ]


def _write(connection: sa.Connection, work: _Work) -> None:
    """Write what was settled. Entries lie beyond the locked heads: if one is there, nothing is written."""
    _drop_known(connection, work)
    _sort_out_answers(connection, work)
    bulk.append_rows(connection, schema.log_entries, work.entries)
    bulk.append_rows(connection, schema.log_batches, work.batches)
    for name, rows in work.projected.items():
        bulk.append_rows(connection, schema.metadata.tables[name], rows)
    moved = {device_id: work.states[device_id].head for device_id in work.moved}
    log.move_heads(connection, moved, work.received_us)
    refusals.keep(connection, work.refused, work.received_us)
    for device_id in work.moved & work.gaps:
        reached = work.states[device_id].head.sequence
        refusals.close_gap(connection, device_id, reached, work.received_us)
