"""What a body's fields are, asked of their types."""

from __future__ import annotations

import types
from enum import Enum
from functools import cache
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import msgspec
from msgspec import Meta

TRIMMED: Final = "trimmed"
"""In a text's `Meta(extra=…)`: blanks around it mean nothing."""
AS_TYPED: Final = "as_typed"
"""In a text's `Meta(extra=…)`: it is not normalised."""
MAX_BYTES: Final = "max_bytes"
"""In a text's `Meta(extra=…)`: how many bytes it may have in UTF-8."""
_NO_RULES: Final[dict[str, Any]] = {}


class JsonObject(bytes):
    """A JSON object of the caller's own, as text: the order of its keys and the spelling of its numbers are kept."""

    __slots__ = ()


FreeObject = Annotated[msgspec.Raw, Meta(description="A JSON object, as it was sent.")]
"""In answers: what was a JsonObject in the request."""


class Number:
    """A JSON number with a point or an exponent, still as it was spelled."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


@cache
def members(shape: Any) -> tuple[Any, ...]:
    """The types that a value of `shape` may have."""
    if get_origin(shape) is Annotated:
        return members(get_args(shape)[0])
    if get_origin(shape) in (Union, types.UnionType):
        return tuple(member for option in get_args(shape) for member in members(option))
    return (shape,)


@cache
def rules(shape: Any) -> dict[str, Any]:
    """What the `Meta(extra=…)` of a text in `shape` asks for."""
    if get_origin(shape) is Annotated:
        kind, *metas = get_args(shape)
        own = [meta.extra for meta in metas if isinstance(meta, Meta) and meta.extra]
        return own[0] if own else rules(kind)
    if get_origin(shape) in (Union, types.UnionType):
        return next((found for option in get_args(shape) if (found := rules(option))), _NO_RULES)
    return _NO_RULES


@cache
def struct_of(shape: Any) -> type[msgspec.Struct] | None:
    """The struct among the types of `shape`."""
    for kind in members(shape):
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            return kind
    return None


@cache
def options_of(shape: Any) -> tuple[str | int, ...]:
    """The values that an enumeration in `shape` has."""
    for kind in members(shape):
        if get_origin(kind) is Literal:
            return get_args(kind)
        if isinstance(kind, type) and issubclass(kind, Enum):
            return tuple(option.value for option in kind)
    return ()


@cache
def element_of(shape: Any) -> Any:
    """What the items of a list in `shape` are."""
    for kind in members(shape):
        if get_origin(kind) in (list, tuple):
            return get_args(kind)[0]
    return None


@cache
def fields_of(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """The struct's fields, by the name that they have in JSON."""
    return {field.encode_name: field for field in msgspec.structs.fields(struct)}
