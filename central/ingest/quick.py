"""Reads events as fast as they come, and believes nothing that `parse_event` would not.

`parse_event` is the contract; it costs 12 µs an event, which is most of what an ingest does. Here its own
models are turned, once, into structs of msgspec with the same fields and bounds, which read in 4 µs. They are
narrower than the models: what they cannot read, `parse_event` decides. So nothing passes that it would
refuse, every refusal is its own, and a model that changes needs no second hand here.
"""

import re
import types
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
import msgspec
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from renzheng.central.store.times import to_us
from renzheng.contracts import events
from renzheng.contracts.events import UtcDatetime
from renzheng.contracts.once import has_key_twice

_UTC = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{6})?Z")
"""The one form in which `Event.to_json` writes a moment."""
_PLAIN = (str, int, float, bool, types.NoneType)
_BOUNDS: Mapping[type, str] = {
    annotated_types.MinLen: "min_length",
    annotated_types.MaxLen: "max_length",
    annotated_types.Ge: "ge",
    annotated_types.Gt: "gt",
    annotated_types.Le: "le",
    annotated_types.Lt: "lt",
}


class EventTime(int):
    """A moment of an event: microseconds since 1970 in UTC."""

    __slots__ = ()


def struct_of(model: type[BaseModel]) -> type[Any]:
    """Give the struct that stands for a model of the contract; its attributes have the model's names."""
    return _STRUCTS[model]


def read(event_json: bytes) -> Any:
    """Read one event into the struct of its type.

    Raises:
        EventError: as `parse_event`.
        OverflowError: as `parse_event`.
    """
    if has_key_twice(event_json):
        events.parse_event(event_json)  # refuses it in the contract's words
    try:
        return _DECODER.decode(event_json)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        event = events.parse_event(event_json)
    return msgspec.convert(event, struct_of(type(event)), from_attributes=True, dec_hook=_moment)


def _moment(_wanted: type, value: Any) -> EventTime:
    if isinstance(value, datetime):
        return EventTime(to_us(value))
    if isinstance(value, str) and _UTC.fullmatch(value):
        return EventTime(to_us(datetime.fromisoformat(value)))
    raise ValueError("not in the form in which events are written")


def _make_struct(model: type[BaseModel]) -> type[Any]:
    """Make the struct of a model, and of the models in it."""
    if model in _STRUCTS:
        return _STRUCTS[model]
    fields: list[Any] = []
    tag = None
    for name, field in model.model_fields.items():
        if name == "type":
            (tag,) = get_args(field.annotation)
        elif field.is_required() or field.default_factory is not None:
            fields.append((name, _typed(field.annotation, field.metadata)))
        else:
            fields.append((name, _typed(field.annotation, field.metadata), field.default))
    struct = msgspec.defstruct(
        model.__name__,
        fields,
        kw_only=True,
        forbid_unknown_fields=True,
        gc=False,  # an event holds no cycle; the collector need not look at hundreds of thousands
        tag_field="type" if tag else None,
        tag=tag,
        namespace=_validators(model),
    )
    _STRUCTS[model] = struct
    return struct


def _validators(model: type[BaseModel]) -> dict[str, Any]:
    """Let the struct be held against the model's own validators once it is read."""
    found = model.__pydantic_decorators__
    if found.field_validators or any(one.info.mode != "after" for one in found.model_validators.values()):
        raise NotImplementedError(f"{model.__name__} has a validator that a struct cannot run")
    checks = [one.func for one in found.model_validators.values()]

    def check_all(self: Any) -> None:
        for check in checks:
            check(self)

    return {"__post_init__": check_all} if checks else {}


def _typed(annotation: Any, metadata: Iterable[Any]) -> Any:
    """Translate the type of a field; what has no translation raises, so that nothing is read too widely."""
    bounds = _flat(metadata)
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _typed(inner[0], [*inner[1:], *bounds])
    if (annotation, *bounds) == get_args(UtcDatetime):
        return EventTime
    if origin in (Union, types.UnionType):
        plain: Any = Union[tuple(_typed(one, ()) for one in inner)]  # noqa: UP007 - made at run time
    elif origin is tuple and inner[1:] == (...,):
        plain = types.GenericAlias(tuple, (_typed(inner[0], ()), ...))
    elif origin is Literal or annotation in _PLAIN:
        plain = annotation
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        plain = _make_struct(annotation)
    elif isinstance(annotation, type) and issubclass(annotation, Enum):
        plain = annotation
    else:
        raise NotImplementedError(f"events hold a {annotation}, which has no translation here")
    return Annotated[plain, msgspec.Meta(**_meta(bounds))] if bounds else plain


def _flat(metadata: Iterable[Any]) -> list[Any]:
    return [
        part for one in metadata for part in (_flat(one.metadata) if isinstance(one, FieldInfo) else [one])
    ]


def _meta(bounds: Sequence[Any]) -> dict[str, Any]:
    meta: dict[str, Any] = {}
    for bound in bounds:
        if type(bound) in _BOUNDS:
            (meta[_BOUNDS[type(bound)]],) = (getattr(bound, name) for name in bound.__slots__)
        elif str(getattr(bound, "pattern", "")).endswith("$"):
            meta["pattern"] = bound.pattern[:-1] + r"\Z"  # Python's $ would let a newline follow
        else:
            raise NotImplementedError(f"events have the bound {bound!r}, which has no translation here")
    return meta


_STRUCTS: dict[type[BaseModel], type[Any]] = {}
_DECODER: msgspec.json.Decoder[Any] = msgspec.json.Decoder(
    Union[tuple(_make_struct(model) for model in get_args(events.Event))],  # noqa: UP007 - made at run time
    dec_hook=_moment,
)
