"""What a setting takes, in words and by an example: for whoever has set it to something else."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

_HTTP_ADDRESS = re.compile(r"https?://\S+")


def wanted(kind: Any) -> str:
    """What the type stands for: `a whole number from 1 to 65535`."""
    inner = _inner(kind)
    match inner:
        case msgspec.inspect.IntType():
            return f"a whole number{_bounds(inner)}"
        case msgspec.inspect.FloatType():
            return f"a number{_bounds(inner)}"
        case msgspec.inspect.BoolType():
            return "true or false"
        case msgspec.inspect.VarTupleType():
            return f"one or more, separated by commas, each {wanted_of(inner.item_type)}"
        case _:
            return wanted_of(inner)


def wanted_of(inner: msgspec.inspect.Type) -> str:
    """The same, of a type as msgspec describes it."""
    inner = _unwrapped(inner)
    if isinstance(inner, msgspec.inspect.StrType) and inner.min_length:
        return f"a text of at least {inner.min_length} characters"
    return "of the right form"


def example(field: msgspec.structs.FieldInfo) -> str:
    """A value that the setting takes, as it is written in the environment."""
    described: dict[str, Any] = getattr(msgspec.inspect.type_info(field.type), "extra_json_schema", None) or {}
    if described.get("examples"):
        return str(described["examples"][0])
    inner = _inner(field.type)
    item = _unwrapped(inner.item_type) if isinstance(inner, msgspec.inspect.VarTupleType) else inner
    if isinstance(item, msgspec.inspect.StrType) and item.min_length:
        return "$(openssl rand -base64 32)"
    if field.default not in {msgspec.NODEFAULT, None, "", ()}:
        return str(field.default).lower() if isinstance(field.default, bool) else str(field.default)
    return "name" if isinstance(item, msgspec.inspect.StrType) else str(getattr(item, "ge", None) or 1)


def check_of(kind: Any) -> Callable[[Any], Any] | None:
    """What else a value has to pass, from `Meta(extra={"check": …})`: it returns the value to use, or raises ValueError
    with what is wrong."""
    extra: dict[str, Any] = getattr(msgspec.inspect.type_info(kind), "extra", None) or {}
    return extra.get("check")


def http_address(told: str | None) -> str | None:
    """An address that can be asked by HTTP, or none. Raises ValueError for anything else."""
    if told and not _HTTP_ADDRESS.fullmatch(told):
        raise ValueError("must be an address, with http:// or https:// before it")
    return told


def _inner(kind: Any) -> msgspec.inspect.Type:
    return _unwrapped(msgspec.inspect.type_info(kind))


def _unwrapped(inner: msgspec.inspect.Type) -> msgspec.inspect.Type:
    while isinstance(inner, msgspec.inspect.Metadata):
        inner = inner.type
    return inner


def _bounds(inner: msgspec.inspect.IntType | msgspec.inspect.FloatType) -> str:
    low = f" from {inner.ge:g}" if inner.ge is not None else f" above {inner.gt:g}" if inner.gt is not None else ""
    return f"{low} to {inner.le:.12g}" if inner.le is not None else f"{low} or more" if low else ""
