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
_KEPT = frozenset({"baseinfo", "setlinfo", "setldetail", "data", "result", "output"})


@dataclass(slots=True)
class Answers:
    """The answers of an import's files, by the id of their message and by their place."""

    by_id: dict[str, Answer] = field(default_factory=dict)
    by_place: dict[tuple[str, int], Answer] = field(default_factory=dict)

    def add_file(self, path: Path, name: str, encoding: str | None) -> None:
        """Look for answers in one JSON file, if it can have any."""
        if not _may_hold_answers(path):
            return
        messages: set[int] = set()
        following: dict[int, Answer] = {}
        before = None
        for number, one in enumerate(_all(path, encoding)):
            if one is None:
                before = None
            elif isinstance(one, Message):
                messages.add(hash(one.id))
                before = number if one.answer is None else None
            else:
                kept = _pruned(one)
                self._add(kept)
                if before is not None:
                    following[before] = kept
                before = None
        for number, answer in following.items():
            if not answer.reference or hash(answer.reference) not in messages:
                self.by_place[name, number] = answer

    def _add(self, answer: Answer) -> None:
        known = self.by_id.get(answer.reference)
        if answer.reference and (known is None or known.is_refusal):
            self.by_id[answer.reference] = answer

    def of(self, message: Message, name: str, number: int) -> Message:
        """Return a message with its answer, where one is known; `number` counts the file's parts from 0."""
        if message.answer is not None:
            return message
        answer = self.by_id.get(message.id) if message.id else None
        answer = answer or self.by_place.get((name, number))
        return message if answer is None else answered(message, answer)


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


def _pruned(answer: Answer) -> Answer:
    """Return an answer with what is used of it: the results of each uploaded line are not."""
    nodes: dict[str, Any] = {
        name: node
        for name, node in answer.nodes.items()
        if name in _KEPT and not (isinstance(node, list) and name != "setldetail" and len(node) > 1)
    }
    return replace(answer, nodes=nodes)
