"""NHSA messages out of whatever wraps them: envelope, list, pair with the answer, bare input, JSON in text.

Everything here is pure: JSON values in, `Message`s and `Answer`s out. Field and node names come out in small
letters at every depth.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from renzheng.central.claims.nhsa_table import plain_number
from renzheng.central.claims.repeated_keys import ContainsRepeatedKeys, RepeatedKeys, mark_twice

_DEEPEST = 8
LINE_FIELDS = frozenset({"fee_ocur_time", "det_item_fee_sumamt", "cnt", "med_list_codg", "pric"})
LINE_NUMBERS = frozenset({"feedetl_sn", "bkkp_sn"})
_ENOUGH = 3
_OUTER = frozenset({"input", "output"})


@dataclass(frozen=True, slots=True)
class Answer:
    """What the bureau answered.

    Args:
        code: `infcode`, "0" when it took the message; None when it does not say.
        reference: the id of the message it answers (`inf_refmsgid`), or its own `msgid`.
        nodes: those of `output`.
        is_doubtful: whether a key stands twice in it, so that nobody knows what it says.
    """

    code: str | None = None
    reference: str = ""
    nodes: Mapping[str, Any] = field(default_factory=dict)
    is_doubtful: bool = False

    @property
    def is_refusal(self) -> bool:
        """Whether the bureau said that the call failed; an answer that says nothing is taken as done."""
        return is_failure(self.code)


@dataclass(frozen=True, slots=True)
class Message:
    """One message with its answer, where that is known.

    Args:
        number: of its transaction, without letters behind it; "" when it names none.
        head: the plain fields of its envelope.
        body: the nodes of `input`; a list that has no name of its own is called `input`.
        answer: the bureau's; None when it is not with the message.
        is_doubtful: whether a key stands twice in it, other than in single lines (which are
            `ContainsRepeatedKeys`).
    """

    number: str
    head: Mapping[str, object]
    body: Mapping[str, Any]
    answer: Answer | None = None
    is_doubtful: bool = False

    @property
    def id(self) -> str:
        """`msgid`, "" when there is none."""
        return text_of(self.head.get("msgid"))


def is_failure(code: object) -> bool:
    """Return whether an `infcode` says that the call failed: anything but nothing and zero."""
    text = text_of(code)
    return bool(text) and text.strip("0.") != ""


def text_of(value: object) -> str:
    """Return a plain value as trimmed text; "" for none and for a nested one."""
    return "" if value is None or isinstance(value, dict | list) else str(value).strip()


def folded(value: Any) -> Any:
    """Return the same with field names in small letters, and JSON within text taken out of it.

    Objects in which a key stands twice, other than with one value in two spellings, are `RepeatedKeys`;
    those around them `ContainsRepeatedKeys`.
    """
    return _folded(value, 0, [])


def _folded(value: Any, depth: int, twice: list[None]) -> Any:
    """Fold at a depth; `twice` grows by each object that names a key twice."""
    if isinstance(value, dict):
        before = len(twice)
        found = {
            str(name).strip().lower(): one if _is_simple(one) else _folded(one, depth + 1, twice)
            for name, one in value.items()
        }
        if isinstance(value, RepeatedKeys) or (len(found) < len(value) and _differ(value, found)):
            twice.append(None)
            return RepeatedKeys(found)
        return found if len(twice) == before else ContainsRepeatedKeys(found)
    if isinstance(value, list):
        return [_folded(one, depth + 1, twice) for one in value]
    if isinstance(value, str) and depth < _DEEPEST and value[:1] in {"{", "["}:
        try:
            inner = json.loads(value, parse_float=Decimal, object_pairs_hook=mark_twice)
            return _folded(inner, depth + 1, twice)
        except (ValueError, RecursionError):
            return value
    return value


def _differ(value: Mapping[Any, Any], found: Mapping[str, Any]) -> bool:
    """Return whether a key in two spellings has two values."""
    return any(_folded(one, 0, []) != found[str(name).strip().lower()] for name, one in value.items())


def _is_simple(value: Any) -> bool:
    return value.__class__ is str and value[:1] != "{" and value[:1] != "["


def read_messages(value: Any) -> Iterator[Message | Answer]:
    """Yield the messages in one JSON value, in order; an answer that is not with its message by itself."""
    yield from _parts(folded(value))


def _parts(value: Any) -> Iterator[Message | Answer]:
    if isinstance(value, list):
        yield from _joined(
            [part for one in value if isinstance(one, dict | list) for part in _parts(one)], value
        )
    elif isinstance(value, dict):
        yield from _of_object(value)


def _joined(parts: list[Message | Answer], whole: Sequence[object]) -> Iterator[Message | Answer]:
    """Yield parts; two that are all there is, a message and an answer, are one pair."""
    messages = [part for part in parts if isinstance(part, Message)]
    answers = [part for part in parts if isinstance(part, Answer)]
    if len(whole) == len(parts) == 2 and len(messages) == 1 and messages[0].answer is None:  # noqa: PLR2004 - a pair
        yield answered(messages[0], answers[0])
    else:
        yield from parts


def answered(message: Message, answer: Answer) -> Message:
    """Return the message with its answer."""
    return replace(message, answer=answer, is_doubtful=message.is_doubtful or answer.is_doubtful)


def _of_object(value: dict[str, Any]) -> Iterator[Message | Answer]:
    if "infno" in value or "input" in value:
        yield _request(value)
    elif "infcode" in value or "output" in value:
        yield _answer(value)
    elif wrapped := [one for one in value.values() if _wraps(one)]:
        parts = list(_joined([part for one in wrapped for part in _parts(one)], wrapped))
        yield from (
            [replace(part, is_doubtful=True) for part in parts] if isinstance(value, RepeatedKeys) else parts
        )
    else:
        yield Message("", _plain(value), _nodes(value), is_doubtful=_is_doubtful(value))


def _is_doubtful(value: Any) -> bool:
    """Return whether a key stands twice in here, other than in single lines."""
    if isinstance(value, RepeatedKeys):
        return True
    if isinstance(value, ContainsRepeatedKeys):
        return any(_is_doubtful(one) for one in value.values() if not _is_lines(one))
    return isinstance(value, list) and any(map(_is_doubtful, value))


def _is_lines(node: Any) -> bool:
    """Return whether a node is fee lines, each of which stands for itself."""
    return isinstance(node, list) and holds_lines(node)


def _wraps(value: Any) -> bool:
    """Return whether this is an envelope, or a list of them or of what wraps them."""
    if isinstance(value, list):
        first = next((one for one in value if isinstance(one, dict)), {})
        return _wraps(first) or any(_wraps(one) for one in first.values())
    return isinstance(value, dict) and not value.keys().isdisjoint({"infno", "infcode", *_OUTER})


def _request(value: dict[str, Any]) -> Message:
    inner, own = value.get("input"), {name: one for name, one in value.items() if name not in _OUTER}
    if isinstance(inner, dict) and "infno" in inner:
        within = _beside(_request(inner), value.get("output"))
        return replace(within, is_doubtful=True) if _is_doubtful(value) else within
    head, body = _plain(own), _nodes(own)
    if isinstance(inner, dict):
        body = _merged(_nodes(inner), body, "outside")
        head = {**head, **_plain(inner)}
    elif isinstance(inner, list):
        body = _merged({"input": inner}, body, "outside")
    is_doubtful = _is_doubtful(value)
    return Message(plain_number(head.get("infno")), head, *_answer_within(value, body), is_doubtful)


def _beside(message: Message, other: Any) -> Message:
    """Return a message with the answer that its wrapper has beside it."""
    return answered(message, _answer(other)) if isinstance(other, dict) and "infcode" in other else message


def _answer_within(value: dict[str, Any], body: Mapping[str, Any]) -> tuple[Mapping[str, Any], Answer | None]:
    """Return the body without the node that is the bureau's answer, and the answer."""
    for name, node in body.items():
        if isinstance(node, dict) and "infcode" in node:
            return {other: one for other, one in body.items() if other != name}, _answer(node)
    output = value.get("output")
    if isinstance(output, dict) and "infcode" in output:
        return body, _answer(output)
    return body, _answer(value) if "infcode" in value or "output" in value else None


def _answer(value: dict[str, Any]) -> Answer:
    output = value.get("output")
    nodes: dict[str, Any] = {}
    if isinstance(output, dict):
        nodes = {**_nodes(output), "output": _plain(output)}
    elif isinstance(output, list):
        nodes = {"output": output}
    code = value.get("infcode")
    reference = text_of(value.get("inf_refmsgid")) or text_of(value.get("msgid"))
    return Answer(None if code is None else text_of(code), reference, nodes, _is_doubtful(value))


def _plain(value: Mapping[str, Any]) -> dict[str, object]:
    return {name: one for name, one in value.items() if not isinstance(one, dict | list)}


def _nodes(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the nodes of a record; for one that holds but nodes (``data: {feedetail: [...]}``) those."""
    nested = {name: one for name, one in value.items() if isinstance(one, dict | list)}
    wrappers = {name: one for name, one in nested.items() if isinstance(one, dict) and _is_wrapper(one)}
    nodes = {name: one for name, one in nested.items() if name not in wrappers}
    for name, one in wrappers.items():
        nodes = _merged(nodes, _nodes(one), name)
    return nodes


def _merged(nodes: Mapping[str, Any], more: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """Return both; a node whose name is taken is called by its path, so that none is lost."""
    return {**nodes, **{f"{origin}.{name}" if name in nodes else name: node for name, node in more.items()}}


def _is_wrapper(node: Mapping[str, Any]) -> bool:
    return (
        bool(node)
        and "infcode" not in node
        and all(isinstance(one, dict | list) and not name.isdigit() for name, one in node.items())
    )


def records_of(node: Any) -> list[dict[str, Any]]:
    """Return the records of a node: one, those of a list, or those numbered ``{"0": {...}, "1": {...}}``."""
    if isinstance(node, dict):
        numbered = [one for name, one in node.items() if name.isdigit() and isinstance(one, dict)]
        return numbered if numbered and len(numbered) == len(node) else [node]
    return [one for one in node if isinstance(one, dict)] if isinstance(node, list) else []


def holds_lines(node: Any) -> bool:
    """Return whether a node plainly holds fee lines, whatever it is called."""
    return any(
        len(LINE_FIELDS & record.keys()) >= (_ENOUGH if LINE_NUMBERS.isdisjoint(record) else 1)
        for record in records_of(node)
    )


def plain_fields(*parts: Mapping[str, Any]) -> dict[str, object]:
    """Return the plain fields of several records as one; a later one's filled field counts."""
    fields: dict[str, object] = {}
    for part in parts:
        for name, value in part.items():
            if not isinstance(value, dict | list) and (text_of(value) or name not in fields):
                fields[name] = value
    return fields
