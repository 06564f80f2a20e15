"""Cases, doubts and what is sent with steps as JSON, and back; the same value always gives the same bytes."""

from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

import orjson
from pydantic import TypeAdapter

from renzheng.central.cases.doubts import Case, Doubt, Flag, Opinion
from renzheng.central.cases.guards import Actor, Body
from renzheng.central.cases.penalties import Penalty
from renzheng.central.cases.summonses import Summons

_T = TypeVar("_T", Case, Doubt, Flag, Opinion, Body, Actor, Penalty, Summons)
_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z


@cache
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def canonical(value: object) -> bytes:
    """Write a value as JSON with sorted keys and no spaces, moments in UTC.

    Args:
        value: of dicts, lists, texts, numbers, dates, dataclasses and decimals.
    """
    return orjson.dumps(value, option=_OPTIONS, default=str)


def plain(value: Case | Doubt | Opinion | Body | Actor | Penalty | Summons) -> dict[str, Any]:
    """Turn a record into what JSON has."""
    return dict(orjson.loads(orjson.dumps(value, option=_OPTIONS, default=_sets)))


def read(kind: type[_T], document: bytes | Mapping[str, Any]) -> _T:
    """Read a record that `canonical` or `plain` has made."""
    adapter = _adapter(kind)  # type: ignore[arg-type]
    if isinstance(document, bytes):
        found: _T = adapter.validate_json(document)
    else:
        found = adapter.validate_python(document)
    return found


def said(body: Body) -> dict[str, Any]:
    """Turn what was sent with a step into JSON, without what was left out."""
    return {name: value for name, value in plain(body).items() if value}


def _sets(value: object) -> object:
    if isinstance(value, frozenset | set):
        return sorted(value)
    raise TypeError
