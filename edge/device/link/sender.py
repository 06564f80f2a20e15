"""What to send next, decided from central's acknowledgements alone; pure, times in milliseconds.

A broker's acknowledgement means nothing here. Up to `WINDOW` batches are under way at once; central answers
each with the last sequence that it has committed (`upto`) and the hash of that entry. Whatever goes wrong on
the way, lost, doubled or shuffled, the sender goes back to `upto` and sends from there; central takes every
entry once.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from renzheng.contracts.log import MAX_BATCH_BYTES
from renzheng.contracts.messages import Ack

WINDOW = 4
"""Batches under way at once: with 100 events each this keeps a fast link busy, and a loss costs little."""

HOLD_MS = 500
"""After going back, the answers to batches that were still under way ask for the same again; they are
answers to the old try and are not followed for this long."""

FIRST_PAUSE_MS = 5_000
LONGEST_PAUSE_MS = 300_000

LARGEST_BATCH_BYTES = MAX_BATCH_BYTES
FIRST_BATCH_BYTES = 8_000
"""The budget of a connection's first batches: two seconds of a line of 32 kbit/s. A fast line reaches the
largest batch within six answers; on a slow one nothing waits behind more than a few seconds of bytes."""
FAST_MS = 1_000
"""Answers that come closer than this let batches grow."""
SLOW_MS = 4_000
"""Answers that come further apart than this let batches shrink: small answers, keep-alives and the next
sign-in stand behind what is under way."""
MOST_PATIENCE = 8
"""So many times as long as set the sender waits at most: central may have lost what was sent."""
SMALLEST_BATCH_BYTES = 1
"""A budget under which a batch holds exactly one entry; less than that cannot be sent."""

GIVE_UP_AFTER = 5
"""Connections in a row that broke over a single entry before a person is told (broker limit too small?)."""
_LAGGING = "gap"


class Alarm(StrEnum):
    """What an acknowledgement can show that a person must look at."""

    FORK = "fork"
    """Central holds another entry under a sequence number of ours."""
    AHEAD = "ahead"
    """Central holds entries that this device does not have: the device was set back to an older copy."""
    FORGOTTEN = "forgotten"
    """Central asks for entries that this device has already pruned: central was set back. It is told where
    the log goes on; where its own word shows that it had the rest, it takes that and notes what is lost."""
    OTHER_STORE = "other_store"
    """Another store than the one that this device knows answers with central's key: central was made anew."""
    CENTRAL_KEY = "unknown_central_key"
    """What comes as central's word is not signed by the key that this device knows."""
    UNDELIVERABLE = "undeliverable"
    """The broker takes the connection but not even one entry in a message of its own: its limit is too
    small. Nothing is skipped, as a log with a hole proves nothing; the device goes on trying."""
    REFUSED = "refused"
    """Central refuses our batches: unknown or revoked key, bad signature, malformed."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Where sending stands.

    Args:
        acknowledged: the last sequence that central is known to have.
        sent_upto: the last sequence sent on this connection, or `acknowledged`.
        outstanding: the last sequence of each batch that is not answered yet, ascending.
        connected: a broker takes messages.
        progress_at_ms: when an acknowledgement last moved things on, or sending began.
        rewound_at_ms: when the sender last went back.
        paused_until_ms: central refused; nothing is sent before.
        pause_ms: how long the next pause will be.
        halted: an alarm for a person; nothing is sent until a later word of central no longer shows it.
        evidence_after: after which sequence the one batch begins that shows central our other history, when
            it is this device that saw two of them first. Central then has the proof, not only our word.
        evidence_sent: that batch went out on this connection.
        batch_bytes: how large a batch may be; it follows the line, by how far apart answers come. Halved when
            a connection breaks over what is under way, as a broker does with a message above its limit.
        rewinds: how often in a row the sender went back because nothing moved.
        broken: connections in a row that broke over a smallest batch.
    """

    acknowledged: int
    sent_upto: int
    outstanding: tuple[int, ...] = ()
    connected: bool = False
    progress_at_ms: int = 0
    rewound_at_ms: int = -HOLD_MS
    paused_until_ms: int = 0
    pause_ms: int = FIRST_PAUSE_MS
    halted: Alarm | None = None
    evidence_after: int | None = None
    evidence_sent: bool = False
    batch_bytes: int = FIRST_BATCH_BYTES
    rewinds: int = 0
    broken: int = 0

    def next_after(self, head: int, now_ms: int) -> int | None:
        """After which sequence the next batch begins; None when there is nothing to send now."""
        if self.connected and self.evidence_after is not None:
            return self.evidence_after if self.evidence_after < head else None
        ready = self.connected and self.halted is None and now_ms >= self.paused_until_ms
        if ready and len(self.outstanding) < WINDOW and self.sent_upto < head:
            return self.sent_upto
        return None

    def sent(self, upto: int, now_ms: int) -> "Sender":
        """A batch that ends at `upto` was handed to the broker."""
        if self.evidence_after is not None:
            return replace(self, evidence_after=None, evidence_sent=True)
        began = self.progress_at_ms if self.outstanding else now_ms
        return replace(self, sent_upto=upto, outstanding=(*self.outstanding, upto), progress_at_ms=began)

    def joined(self, now_ms: int) -> "Sender":
        """The connection stands; what an earlier one had under way is sent again."""
        fresh = self._back_to(self.acknowledged, now_ms)
        fresh = replace(fresh, batch_bytes=min(self.batch_bytes, FIRST_BATCH_BYTES), rewinds=0)
        return replace(
            fresh,
            connected=True,
            paused_until_ms=0,
            rewound_at_ms=now_ms - HOLD_MS,
            evidence_after=None,
            evidence_sent=False,
        )

    def parted(self) -> tuple["Sender", Alarm | None]:
        """The connection is gone; perhaps because what was under way is larger than the broker takes."""
        gone = replace(self, connected=False, outstanding=())
        if not self.outstanding:
            return gone, None
        if self.batch_bytes > SMALLEST_BATCH_BYTES:
            return replace(gone, batch_bytes=_halved(self.batch_bytes)), None
        alarm = Alarm.UNDELIVERABLE if self.broken + 1 == GIVE_UP_AFTER else None
        return replace(gone, broken=self.broken + 1), alarm

    def tick(self, now_ms: int, patience_ms: int) -> "Sender":
        """Without progress for `patience_ms` while batches are under way: go back, and wait longer next time.

        The patience doubles with each time in a row: what is sent again too early fills the very line that
        was too slow.
        """
        patience_ms *= min(2**self.rewinds, MOST_PATIENCE)
        if self.outstanding and now_ms - self.progress_at_ms >= patience_ms:
            back = self._back_to(self.acknowledged, now_ms)
            return replace(back, rewinds=self.rewinds + 1, batch_bytes=_smaller(self.batch_bytes))
        return self

    def answered(
        self, ack: Ack, own_hash: str | None, *, head: int, base: int, now_ms: int
    ) -> tuple["Sender", Alarm | None]:
        """Take one acknowledgement.

        Args:
            ack: central's word, its signature verified.
            own_hash: hash of our entry `ack.upto`; None when we have none.
            head: last sequence of our log.
            base: last sequence that we have pruned.
            now_ms: the boot clock.

        Returns:
            The new state, and an alarm to raise, if any.
        """
        alarm = _disagreement(ack, own_hash, head, base)
        if alarm is not None:
            known = self.halted is alarm
            halted = self.halt(alarm)
            if alarm is Alarm.FORK and ack.problem != "fork" and not self.evidence_sent:
                halted = replace(halted, evidence_after=max(ack.upto - 1, base))
            return halted, None if known else alarm
        if self.halted is not None:
            released = replace(
                self, halted=None, evidence_after=None, paused_until_ms=0, pause_ms=FIRST_PAUSE_MS
            )
            return released._back_to(ack.upto, now_ms), None  # noqa: SLF001 - its own kind
        if ack.problem not in (None, _LAGGING):
            return self._refused(ack.upto, now_ms)
        if ack.upto > self.acknowledged:
            return self._progressed(ack.upto, now_ms), None
        asked_again = ack.problem == _LAGGING and now_ms - self.rewound_at_ms >= HOLD_MS
        if ack.upto < self.acknowledged or asked_again:
            return self._back_to(ack.upto, now_ms), None
        return self, None

    def halt(self, alarm: Alarm) -> "Sender":
        """Stop sending until a word of central shows that all is well."""
        return replace(self, halted=alarm)

    def _progressed(self, upto: int, now_ms: int) -> "Sender":
        return replace(
            self,
            acknowledged=upto,
            sent_upto=max(self.sent_upto, upto),
            outstanding=tuple(end for end in self.outstanding if end > upto),
            progress_at_ms=now_ms,
            pause_ms=FIRST_PAUSE_MS,
            batch_bytes=self._following_the_line(now_ms - self.progress_at_ms),
            rewinds=0,
            broken=0,
        )

    def _following_the_line(self, gap_ms: int) -> int:
        """The next budget, from how long after the one before an answer came."""
        if gap_ms <= FAST_MS:
            return min(LARGEST_BATCH_BYTES, max(2 * self.batch_bytes, _LEAST_HALVED))
        return self.batch_bytes if gap_ms <= SLOW_MS else _smaller(self.batch_bytes)

    def _refused(self, upto: int, now_ms: int) -> tuple["Sender", Alarm | None]:
        if now_ms < self.paused_until_ms:
            return self, None
        paused = replace(
            self._back_to(upto, now_ms),
            paused_until_ms=now_ms + self.pause_ms,
            pause_ms=min(2 * self.pause_ms, LONGEST_PAUSE_MS),
        )
        return paused, Alarm.REFUSED

    def _back_to(self, upto: int, now_ms: int) -> "Sender":
        return replace(
            self,
            acknowledged=upto,
            sent_upto=upto,
            outstanding=(),
            progress_at_ms=now_ms,
            rewound_at_ms=now_ms,
        )


_LEAST_HALVED = 1_000


def _smaller(batch_bytes: int) -> int:
    """Half of a budget, but no less than a batch of a few entries, if it was that much."""
    return max(batch_bytes // 2, min(batch_bytes, _LEAST_HALVED))


def _halved(batch_bytes: int) -> int:
    half = batch_bytes // 2
    return half if half >= _LEAST_HALVED else SMALLEST_BATCH_BYTES


def _disagreement(ack: Ack, own_hash: str | None, head: int, base: int) -> Alarm | None:
    if ack.upto > head:
        return Alarm.AHEAD
    if ack.upto < base:
        return Alarm.FORGOTTEN
    if own_hash != ack.head_hash or ack.problem == "fork":
        return Alarm.FORK
    return None


def begin(acknowledged: int) -> Sender:
    """The state of a device that has just started."""
    return Sender(acknowledged, acknowledged)
