"""A case's journal: each step an entry with the hash of the one before, signed by central; and its replay.

The journal alone makes the case again: every step is done once more by the code that did it, and must come
to what the entry says it came to. A panel's votes stand in it as seals (a hash over vote and salt) until the
last one is in, whose entry opens them all.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import orjson
from joserfc.jwk import OKPKey

from renzheng.central.cases import acts, records
from renzheng.central.cases.doubts import Case, Doubt, Flag, Opinion, State
from renzheng.central.cases.due import Due
from renzheng.central.cases.errors import JournalError
from renzheng.central.cases.guards import Actor, Body, Step
from renzheng.contracts import keys

KIND = "case-journal"
NOTHING = "0" * 64


@dataclass(frozen=True, slots=True)
class Entry:
    """One step of a case.

    Args:
        number: counts from 1.
        at: when, in UTC.
        actor: who.
        act: what.
        doubt_id: on which doubt; empty for a step on the case.
        body: what was sent with it; a sealed vote's is left out.
        more: what the step rested on beyond that: evidence, dates, drafted records, seals.
        after: what it came to: state, version and amount.
        previous: hash of the entry before.
    """

    number: int
    at: datetime
    actor: Actor
    act: str
    doubt_id: str
    body: Mapping[str, Any]
    more: Mapping[str, Any]
    after: Mapping[str, Any]
    previous: str

    def written(self, case_id: str) -> bytes:
        """Write the entry as it is hashed."""
        return records.canonical(
            {
                "case": case_id,
                "number": self.number,
                "at": self.at.astimezone(UTC).isoformat(timespec="microseconds"),
                "actor": records.plain(self.actor),
                "act": self.act,
                "doubt": self.doubt_id,
                "body": self.body,
                "more": self.more,
                "after": self.after,
                "previous": self.previous,
            }
        )


@dataclass(frozen=True, slots=True)
class Kept:
    """An entry as it is kept: its bytes, their hash, and central's signature over both."""

    entry: bytes
    hash: str
    signature: bytes


def following(last: Any) -> dict[str, Any]:
    """Return an entry's `number` and `previous`: behind the last one, or at the beginning of a chain.

    Args:
        last: the last entry's row, with its number and hash; None where there is none.
    """
    return {"number": last.number + 1 if last else 1, "previous": last.hash if last else NOTHING}


def keep(case_id: str, entry: Entry, key: OKPKey) -> Kept:
    """Hash and sign an entry."""
    written = entry.written(case_id)
    hashed = hash_of(written)
    return Kept(written, hashed, keys.sign(_signed(case_id, entry.number, hashed), key, KIND))


def hash_of(entry: bytes) -> str:
    """Return the hash by which the next entry names this one."""
    return hashlib.sha256(b"renzheng case v1\n" + entry).hexdigest()


def _signed(case_id: str, number: int, hashed: str) -> bytes:
    return records.canonical({"case": case_id, "number": number, "hash": hashed})


def seal(vote: Opinion, salt: str) -> str:
    """Return what stands for a vote until the panel's last one is in."""
    return hashlib.sha256(records.canonical({"vote": records.plain(vote), "salt": salt})).hexdigest()


def verify(case_id: str, kept: Iterable[Kept], by: Sequence[OKPKey]) -> list[Entry]:
    """Check hashes, order and signatures of a journal; return its entries.

    Args:
        case_id: the case.
        kept: its entries in order.
        by: central's keys, of which one has signed each entry.

    Raises:
        JournalError: an entry was changed, taken out, put in or not signed by central.
    """
    entries: list[Entry] = []
    previous = NOTHING
    for number, one in enumerate(kept, start=1):
        entry = read_entry(one.entry, case_id)
        if hash_of(one.entry) != one.hash or entry.previous != previous or entry.number != number:
            raise JournalError(f"Entry {number} of the journal is not what was written, or not in its place.")
        if not any(is_signed(case_id, number, one.hash, one.signature, key) for key in by):
            raise JournalError(f"Entry {number} of the journal is not signed by central.")
        entries.append(entry)
        previous = one.hash
    return entries


def read_entry(written: bytes, case_id: str) -> Entry:
    """Read an entry as it was written.

    Raises:
        JournalError: it cannot be read, or is another case's.
    """
    try:
        found = orjson.loads(written)
        if found["case"] != case_id:
            raise JournalError(f"An entry of the case {found['case']} stands in this journal.")
        return Entry(
            number=found["number"],
            at=datetime.fromisoformat(found["at"]),
            actor=records.read(Actor, found["actor"]),
            act=found["act"],
            doubt_id=found["doubt"],
            body=found["body"],
            more=found["more"],
            after=found["after"],
            previous=found["previous"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise JournalError("An entry of the journal cannot be read.") from error


def is_signed(case_id: str, number: int, hashed: str, signature: bytes, key: OKPKey) -> bool:
    """Say whether a key has signed that the entry of this number has this hash."""
    try:
        return keys.open_signed(signature, key, KIND) == _signed(case_id, number, hashed)
    except keys.SignatureError:
        return False


@dataclass(slots=True)
class Replayed:
    """A case as its journal makes it."""

    case: Case | None = None
    doubts: dict[str, Doubt] = field(default_factory=dict)
    seals: dict[tuple[str, str], str] = field(default_factory=dict)


def replay(entries: Iterable[Entry]) -> Replayed:
    """Do every step of a journal again.

    Raises:
        JournalError: one is refused now, or comes to something else.
    """
    made = Replayed()
    for entry in entries:
        if do_again(made, entry) != entry.after:
            raise JournalError(f"Entry {entry.number} ({entry.act}) comes to something else when done again.")
    return made


def do_again(made: Replayed, entry: Entry) -> dict[str, Any]:
    """Do the step of one entry on what those before it have made; return what it comes to.

    Raises:
        JournalError: it is refused now.
    """
    try:
        return _AGAIN.get(entry.act, _on_a_doubt)(made, entry)
    except JournalError:
        raise
    except Exception as error:
        raise JournalError(f"Entry {entry.number} ({entry.act}) cannot be done again: {error}") from error


def outcome(record: Case | Doubt) -> dict[str, Any]:
    """Return what an entry says that its step came to."""
    found: dict[str, Any] = {"state": str(record.state), "version": record.version}
    if isinstance(record, Doubt):
        found["amount_fen"] = record.amount_fen
    return found


def _case_of(made: Replayed) -> Case:
    if made.case is None:
        raise JournalError("The journal does not begin with the draft of its case.")
    return made.case


def _draft(made: Replayed, entry: Entry) -> dict[str, Any]:
    made.case = records.read(Case, entry.more["case"])
    for one in entry.more["doubts"]:
        doubt = records.read(Doubt, one)
        made.doubts[doubt.doubt_id] = doubt
    return outcome(made.case)


def _due(entry: Entry) -> Due:
    return Due(datetime.fromisoformat(entry.more["due"]["at"]), entry.more["due"]["explained"])


def _issue(made: Replayed, entry: Entry) -> dict[str, Any]:
    doubts = list(made.doubts.values())
    made.case, sent = acts.issue(_case_of(made), doubts, entry.actor, entry.at, _due(entry))
    made.doubts.update({one.doubt_id: one for one in sent})
    return outcome(made.case)


def _receive(made: Replayed, entry: Entry) -> dict[str, Any]:
    made.case = acts.receive(_case_of(made), entry.actor, entry.at, _due(entry))
    return outcome(made.case)


def _panel(made: Replayed, entry: Entry) -> dict[str, Any]:
    doubts, case, body = list(made.doubts.values()), _case_of(made), _body(entry)
    step = Step(
        "panel", "", frozenset({State.PANEL}), case, doubts[0], entry.actor, body, entry.at,
        unable=frozenset(entry.more.get("unable", ())),
    )  # fmt: skip
    made.case, seated = acts.panel(step, doubts)
    made.doubts.update({one.doubt_id: one for one in seated})
    return outcome(made.case)


def _close(made: Replayed, entry: Entry) -> dict[str, Any]:
    made.case = acts.close(_case_of(made), list(made.doubts.values()), entry.actor, entry.at)
    return outcome(made.case)


def _flag(made: Replayed, entry: Entry) -> dict[str, Any]:
    flags = [records.read(Flag, one) for one in entry.more["flags"]]
    after = acts.flag(made.doubts[entry.doubt_id], flags)
    made.doubts[entry.doubt_id] = after
    return outcome(after)


def _comment(made: Replayed, entry: Entry) -> dict[str, Any]:
    return outcome(made.doubts[entry.doubt_id])


def _on_a_doubt(made: Replayed, entry: Entry) -> dict[str, Any]:
    doubt = made.doubts[entry.doubt_id]
    sealed, opened = entry.more.get("sealed"), entry.more.get("opened")
    if sealed:
        made.seals[entry.doubt_id, entry.actor.account] = sealed
    if sealed and not opened:
        after = acts.sealed_vote(doubt, entry.actor.account)
    else:
        body, others = _body(entry), tuple[Opinion, ...]()
        if opened:
            body, others = _votes(made, entry)
        frozen = entry.more.get("evidence_sha256", doubt.evidence_sha256)
        act = acts.ACTS[entry.act]
        step = Step(
            entry.act, act.duty(doubt), act.origins, _case_of(made), doubt, entry.actor, body, entry.at,
            evidence_sha256=frozen, votes=others,
        )  # fmt: skip
        after = acts.take(step)
        if "fund_fen" in entry.more:
            after = replace(after, fund_fen=entry.more["fund_fen"])
        if "term" in entry.more:
            after = records.read(Doubt, {**records.plain(after), **entry.more["term"]})
    made.doubts[entry.doubt_id] = after
    return outcome(after)


def _body(entry: Entry) -> Body:
    return records.read(Body, entry.body)


def _votes(made: Replayed, entry: Entry) -> tuple[Body, tuple[Opinion, ...]]:
    """Open the seals of a panel: each must be one that this journal holds."""
    votes = {}
    for one in entry.more["opened"]:
        vote = records.read(Opinion, one["vote"])
        if made.seals.get((entry.doubt_id, vote.account)) != seal(vote, one["salt"]):
            raise JournalError(f"The vote of {vote.account} is not the one that was sealed.")
        votes[vote.account] = vote
    last = votes.pop(entry.actor.account)
    amount = last.amount_fen if last.decision == "partly" else None
    return Body(reason=last.reason, decision=last.decision, amount_fen=amount), tuple(votes.values())


_AGAIN: Mapping[str, Callable[[Replayed, Entry], dict[str, Any]]] = {
    "draft": _draft,
    "flag": _flag,
    "comment": _comment,
    "issue": _issue,
    "receive": _receive,
    "panel": _panel,
    "close": _close,
}
