"""Reads events as fast as they come, and believes nothing that `parse_event` would not.

`parse_event` is the contract; it costs 12 µs an event, which is most of what an ingest does. Here its own
models are turned, once, into structs of msgspec with the same fields and bounds, which read in 4 µs. What was
read is written again as `Event.to_json` writes it, 1 µs: only where that gives the same bytes, there is but
one way to read them (no key twice, no other form of a moment or number). Everything else `parse_event`
decides. So nothing passes that it would refuse, every refusal is its own, and a model that changes needs no
second hand here.
"""

import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
import msgspec
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from renzheng.contracts import events
from renzheng.contracts.events import UtcDatetime

_PLAIN = (str, int, float, bool, types.NoneType)
_BOUNDS: Mapping[type, str] = {
    annotated_types.MinLen: "min_length",
    annotated_types.MaxLen: "max_length",
    annotated_types.Ge: "ge",
    annotated_types.Gt: "gt",
    annotated_types.Le: "le",
    annotated_types.Lt: "lt",
}


def struct_of(model: type[BaseModel]) -> type[Any]:
    """Give the struct that stands for a model of the contract; its attributes have the model's names."""
    return _STRUCTS[model]


def read(event_json: bytes) -> Any:
    """Read one event into the struct of its type.

    Raises:
        EventError: as `parse_event`.
        OverflowError: as `parse_event`.
    """
    try:
        event = _DECODER.decode(event_json)
        if _written(event) == event_json and _is_utc(event):
            return event
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        pass
    event = events.parse_event(event_json)
    return msgspec.convert(event, struct_of(type(event)), from_attributes=True)


def _written(event: Any) -> bytes:
    """Write an event as `Event.to_json` does, where `type` is the last key and not the first."""
    first, last = _TAGS[type(event)]
    return b"{%b%b" % (_ENCODER.encode(event)[first:-1], last)


def _is_utc(event: Any) -> bool:
    """Whether every moment is in UTC already; others may lie outside of the calendar there."""
    for path in _MOMENTS[type(event)]:
        value = event
        for name in path:
            value = getattr(value, name)
            if value is None:
                break
        else:
            if value.tzinfo is not UTC:
                return False
    return True


def _make_struct(model: type[BaseModel]) -> type[Any]:
    """Make the struct of a model, and of the models in it."""
    if model in _STRUCTS:
        return _STRUCTS[model]
    fields: list[Any] = []
    tag = None
    for name, field in sorted(model.model_fields.items()):  # as they are written
        if name == "type":
            (tag,) = get_args(field.annotation)
        elif field.is_required() or field.default_factory is not None:
            fields.append((name, _typed(field.annotation, field.metadata)))
        else:
            fields.append((name, _typed(field.annotation, field.metadata), _default(field.default)))
    struct = msgspec.defstruct(
        model.__name__,
        fields,
        kw_only=True,
        forbid_unknown_fields=True,
        omit_defaults=True,  # of which only None is one; see `_default`
        gc=False,  # an event holds no cycle; the collector need not look at hundreds of thousands
        tag_field="type" if tag else None,
        tag=tag,
        namespace=_validators(model),
    )
    _STRUCTS[model] = struct
    return struct


def _default(value: Any) -> Any:
    """Give a default such that it is written unless it is None, which is left out."""
    return None if value is None else msgspec.field(default_factory=lambda: value)


def _validators(model: type[BaseModel]) -> dict[str, Any]:
    """Let the struct be held against the model's own validators once it is read."""
    found = model.__pydantic_decorators__
    if found.field_validators or any(one.info.mode != "after" for one in found.model_validators.values()):
        raise NotImplementedError(f"{model.__name__} has a validator that a struct cannot run")
    checks = [one.func for one in found.model_validators.values()]
    if len(checks) > 1:
        raise NotImplementedError(f"{model.__name__} has several validators, and a struct runs one")
    return {"__post_init__": checks[0]} if checks else {}


def _typed(annotation: Any, metadata: Iterable[Any]) -> Any:
    """Translate the type of a field; what has no translation raises, so that nothing is read too widely."""
    bounds = _flat(metadata)
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _typed(inner[0], [*inner[1:], *bounds])
    if (annotation, *bounds) == get_args(UtcDatetime):
        return datetime
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


def _moments(model: type[BaseModel], here: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Find the moments in a model and in the models in it, as the names that lead there."""
    for name, field in model.model_fields.items():
        for one in (field.annotation, *get_args(field.annotation)):
            if one in (UtcDatetime, get_args(UtcDatetime)[0]):
                yield (*here, name)
            elif isinstance(one, type) and issubclass(one, BaseModel):
                yield from _moments(one, (*here, name))


def _tag(struct: type[Any]) -> tuple[int, bytes]:
    """Tell how long the tag is in front of what msgspec writes, and how the contract writes it at the end."""
    written = b'"type":"%b"' % struct.__struct_config__.tag.encode()
    return len(b"{" + written + b","), b"," + written + b"}"


_STRUCTS: dict[type[BaseModel], type[Any]] = {}
_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[Any] = msgspec.json.Decoder(
    Union[tuple(_make_struct(model) for model in get_args(events.Event))],  # noqa: UP007 - made at run time
)
_TAGS = {_STRUCTS[model]: _tag(_STRUCTS[model]) for model in get_args(events.Event)}
_MOMENTS = {_STRUCTS[model]: tuple(_moments(model)) for model in get_args(events.Event)}
