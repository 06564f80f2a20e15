"""Answers that stand apart from their messages: found first, so that every message can be read with its own.

An answer names its message by `inf_refmsgid` (or `msgid`). Some systems put the receiver's own number there;
then the answer that directly follows a message, and names no other, is its.
"""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from renzheng.central.claims.json_stream import read_values
from renzheng.central.claims.nhsa_messages import Answer, Message, answered, read_messages

_WORD = (b"infcode", b"INFCODE", b"infCode", b"Infcode")
_KEPT = frozenset({"baseinfo", "setlinfo", "data", "result", "output"})
_DONE = Answer("0")


@dataclass(slots=True)
class Answers:
    """The answers of an import's files that stand apart from their messages.

    Args:
        by_place: of the message right before the answer, by file and number of its part.
        by_id: of any other, by file ("" when its message is in another file) and the message's id.
        used: those of `by_id` whose message was found.
    """

    by_place: dict[tuple[str, int], Answer] = field(default_factory=dict)
    by_id: dict[tuple[str, str], Answer] = field(default_factory=dict)
    used: set[tuple[str, str]] = field(default_factory=set)

    def add_file(self, path: Path, name: str, encoding: str | None) -> None:
        """Look for answers in one JSON file, if it can have any."""
        if not _may_hold_answers(path):
            return
        messages: set[int] = set()
        later: list[tuple[int | None, Answer]] = []
        before: tuple[int, str] | None = None
        for number, one in enumerate(_all(path, encoding)):
            if isinstance(one, Message):
                messages.add(hash(one.id))
                before = (number, one.id) if one.answer is None else None
                continue
            if one is not None and before is not None and one.reference == before[1]:
                self.by_place[name, before[0]] = _kept(one)
            elif one is not None:
                later.append((before and before[0], _kept(one, with_reference=True)))
            before = None
        for place, answer in later:
            if hash(answer.reference) in messages:
                self._add(name, answer)
            elif place is not None:
                self.by_place[name, place] = answer
            else:
                self._add("", answer)

    def _add(self, name: str, answer: Answer) -> None:
        """Keep an answer; of several to one id, that by which the message was taken."""
        known = self.by_id.get((name, answer.reference))
        if answer.reference and (known is None or known.is_refusal):
            self.by_id[name, answer.reference] = answer

    def of(self, message: Message, name: str, number: int) -> Message:
        """Return a message with its answer, where one is known; `number` counts the file's parts from 0."""
        if message.answer is not None:
            return message
        answer = self.by_place.get((name, number))
        for key in ((name, message.id), ("", message.id)):
            if answer is None and message.id and key in self.by_id:
                answer = self.by_id[key]
                self.used.add(key)
        return message if answer is None else answered(message, answer)

    @property
    def without_message(self) -> int:
        """How many answers had no message anywhere."""
        return len(self.by_id) - len(self.used)


def _may_hold_answers(path: Path) -> bool:
    if path.stat().st_size == 0:
        return False
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return any(content.find(word) >= 0 for word in _WORD)


def _all(path: Path, encoding: str | None) -> Iterator[Message | Answer | None]:
    """Yield the parts of a file in order; None for a message that plainly has its answer with it."""
    for _, value in read_values(path, encoding=encoding):
        if isinstance(value, dict) and "infno" in value and "infcode" in value:
            yield None
        elif isinstance(value, dict | list):
            yield from read_messages(value)


def _kept(answer: Answer, *, with_reference: bool = False) -> Answer:
    """Return an answer with what is used of it: the results of each uploaded line are not."""
    nodes: dict[str, Any] = {
        name: node
        for name, node in answer.nodes.items()
        if node and name in _KEPT and not (isinstance(node, list) and len(node) > 1)
    }
    if not (nodes or with_reference or answer.is_refusal or answer.is_doubtful):
        return _DONE
    return replace(answer, nodes=nodes)
