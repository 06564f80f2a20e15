"""JSON in which no key stands twice: two readers of such a text may take it for two different ones."""

import json
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError

_M = TypeVar("_M", bound=BaseModel)


class _TwiceError(Exception):
    """Found one; no ValueError, which is what a text that is no JSON raises."""


def has_key_twice(content: bytes | str) -> bool:
    """Tell whether an object in this JSON names a key twice; False of no JSON, which others refuse."""
    try:
        return _drops_key(content, orjson.loads(content))
    except ValueError:  # other readers take more than orjson does: NaN, half a surrogate, UTF-16
        return _names_twice(content)


def loads_once(content: bytes) -> Any:
    """Read JSON in which no key stands twice.

    Raises:
        ValueError: a key does, or it is no JSON.
    """
    value = orjson.loads(content)
    if _drops_key(content, value):
        raise ValueError("A key stands in it twice")
    return value


def read_once(model: type[_M], content: bytes | str) -> _M:
    """Read a message of a model from JSON.

    Raises:
        ValidationError: it breaks the model, or names a key twice.
    """
    refuse_twice(model.__name__, content)
    return model.model_validate_json(content)


def refuse_twice(title: str, content: bytes | str) -> None:
    """Refuse JSON that names a key twice.

    Raises:
        ValidationError: it does.
    """
    if has_key_twice(content):
        twice = PydanticCustomError("key_twice", "A key stands in it twice")
        raise ValidationError.from_exception_data(title, [{"type": twice, "loc": (), "input": None}])


def _drops_key(content: bytes | str, value: Any) -> bool:
    """Tell whether reading `content` dropped a key.

    Written again by orjson `value` is the same text, unless a key was dropped or it was written in another
    style; only then it is read slowly. The same length would not do: `1e2` is written `100.0`, which makes up
    for a key that was dropped.
    """
    written = content.encode() if isinstance(content, str) else content
    try:
        if orjson.dumps(value) == written:
            return False
    except orjson.JSONEncodeError:  # nested deeper than orjson writes, though not than it reads
        pass
    return _names_twice(content)


def _names_twice(content: bytes | str) -> bool:
    try:
        json.loads(content, object_pairs_hook=_pairs)
    except _TwiceError:
        return True
    except (ValueError, RecursionError):
        return False
    return False


def _pairs(pairs: list[tuple[str, Any]]) -> None:
    if len({key for key, _ in pairs}) != len(pairs):
        raise _TwiceError
