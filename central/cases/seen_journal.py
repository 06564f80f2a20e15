"""A case's journal as the institution that it is about may have it: chained, signed, and done again.

An entry is left out, but for its hash and signature, when it tells of what the institution is not told: a
doubt that was never issued, and what was sent on to another authority. In the others the bureau's people are
numbered instead of named, and ties to other institutions are left out. What is given is enough to do every
step again, and comes to the case as the institution knows it.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from joserfc.jwk import OKPKey

from renzheng.central.access.roles import BY_INSTITUTION
from renzheng.central.cases import journal, records
from renzheng.central.cases.doubts import Opinion
from renzheng.central.cases.errors import JournalError
from renzheng.central.cases.guards import Actor
from renzheng.central.cases.journal import Entry, Kept, Replayed

WITHHELD = frozenset({"drop", "refer", "receipt", "referral_answer", "comment"})
"""Steps of which an institution is not told."""
WITHOUT_THE_REASON = frozenset({"confirm"})
NUMBERED = "bureau"


@dataclass(frozen=True, slots=True)
class Seen:
    """An entry as an institution has it.

    Args:
        hash: of the entry as it was written.
        signature: central's, over that hash and the entry's number.
        entry: the entry as it was written, where nothing of it is left out.
        seen: what is given of it instead; empty, as `entry` then is, where it is left out.
    """

    hash: str
    signature: str
    entry: str = ""
    seen: str = ""

    def plain(self) -> dict[str, str]:
        """Return what stands in the file and in the API's answer."""
        values = {name: getattr(self, name) for name in Seen.__slots__}
        return {name: value for name, value in values.items() if value}


@dataclass(slots=True)
class _Numbers:
    """The bureau's people, numbered in the order in which the journal names them."""

    given: dict[str, str] = field(default_factory=dict)

    def of(self, account: str) -> str:
        return self.given.setdefault(account, f"{NUMBERED}-{len(self.given) + 1}")


def journal_for_institution(
    case_id: str, institution_id: str, kept: Sequence[Kept]
) -> tuple[list[Seen], Replayed]:
    """Return a journal as an institution may have it, and what it comes to when it is done again.

    Args:
        case_id: the case, issued.
        institution_id: its institution.
        kept: the journal, whole.
    """
    entries = [journal.read_entry(one.entry, case_id) for one in kept]
    whole = journal.replay(entries)
    told = {name for name, doubt in whole.doubts.items() if doubt.issued}
    masked = _Masked(institution_id, told, _opened(entries))
    made, seen = Replayed(), []
    for one, entry in zip(kept, entries, strict=True):
        shown = masked.entry(entry)
        if shown is None:
            seen.append(Seen(one.hash, one.signature.decode()))
            continue
        written = replace(shown, after=journal.do_again(made, shown)).written(case_id)
        same = written == one.entry
        text = written.decode()
        seen.append(Seen(one.hash, one.signature.decode(), text if same else "", "" if same else text))
    return seen, made


def verify(case_id: str, rows: Iterable[Seen], by: Sequence[OKPKey]) -> list[Entry]:
    """Check an institution's journal: signatures, hashes of what is whole, and the order of all.

    Raises:
        JournalError: an entry was changed, taken out, put in or not signed by central.
    """
    entries = []
    previous = journal.NOTHING
    for number, one in enumerate(rows, start=1):
        if not any(journal.is_signed(case_id, number, one.hash, one.signature.encode(), key) for key in by):
            raise JournalError(f"Entry {number} of the journal is not signed by central.")
        text = one.entry or one.seen
        entry = journal.read_entry(text.encode(), case_id) if text else None
        changed = one.entry and journal.hash_of(one.entry.encode()) != one.hash
        if changed or (entry and (entry.number != number or entry.previous != previous)):
            raise JournalError(f"Entry {number} of the journal is not what was written, or not in its place.")
        if entry:
            entries.append(entry)
        previous = one.hash
    return entries


def _opened(entries: Iterable[Entry]) -> Mapping[tuple[str, str], tuple[Mapping[str, Any], str]]:
    """Return the votes that were opened, with their salts, by doubt and account."""
    return {
        (entry.doubt_id, one["vote"]["account"]): (one["vote"], one["salt"])
        for entry in entries
        for one in entry.more.get("opened", ())
    }


@dataclass(slots=True)
class _Masked:
    institution_id: str
    told: set[str]
    votes: Mapping[tuple[str, str], tuple[Mapping[str, Any], str]]
    numbers: _Numbers = field(default_factory=_Numbers)

    def entry(self, entry: Entry) -> Entry | None:
        """Return an entry as the institution may have it; None when it is not told of it."""
        if entry.act in WITHHELD or (entry.doubt_id and entry.doubt_id not in self.told):
            return None
        body = {name: value for name, value in entry.body.items() if name not in {"members", "conflicts"}}
        if entry.act in WITHOUT_THE_REASON:
            body.pop("reason", None)
        if "members" in entry.body:
            body["members"] = [self.numbers.of(one) for one in entry.body["members"]]
        if "conflicts" in entry.body:
            body["conflicts"] = {self.numbers.of(one): "" for one in entry.body["conflicts"]}
        return replace(entry, actor=self._actor(entry.actor), body=body, more=self._more(entry))

    def _actor(self, actor: Actor) -> Actor:
        own = frozenset({self.institution_id})
        at, ties = actor.institutions & own, actor.ties & own
        if actor.roles & BY_INSTITUTION:
            return replace(actor, institutions=at, ties=ties)
        return replace(actor, account=self.numbers.of(actor.account), institutions=at, ties=ties)

    def _more(self, entry: Entry) -> dict[str, Any]:
        more = {name: value for name, value in entry.more.items() if name != "blind"}
        if "doubts" in more:
            more["doubts"] = [one for one in more["doubts"] if one["doubt_id"] in self.told]
        if "unable" in more:
            more["unable"] = [self.numbers.of(one) for one in more["unable"]]
        if "case" in more and isinstance(more["case"], Mapping):
            members = [self.numbers.of(one) for one in more["case"].get("members", ())]
            conflicts = {self.numbers.of(one): "" for one in more["case"].get("conflicts", {})}
            more["case"] = {**more["case"], "members": members, "conflicts": conflicts}
        if "sealed" in more and (entry.doubt_id, entry.actor.account) in self.votes:
            more["sealed"] = journal.seal(*self._vote(entry.doubt_id, entry.actor.account))
        if "opened" in more:
            pairs = [self._vote(entry.doubt_id, one["vote"]["account"]) for one in more["opened"]]
            more["opened"] = [{"vote": records.plain(vote), "salt": salt} for vote, salt in pairs]
        return more

    def _vote(self, doubt_id: str, account: str) -> tuple[Opinion, str]:
        """Return an opened vote under its number.

        Its salt is another one: by that of the journal a guessed name could be tried against the seal.
        """
        vote, salt = self.votes[doubt_id, account]
        numbered = records.read(Opinion, {**vote, "account": self.numbers.of(account)})
        return numbered, hashlib.sha256(f"renzheng seal for an institution\n{salt}".encode()).hexdigest()
