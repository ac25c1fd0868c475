"""The bound of a caller's own JSON objects, which what is stored already may exceed.

An order that a signature made has the proposal's items in its `metadata`, whatever their size, and a row of an earlier
release may be larger than the bound. Such a value is accepted when it is sent back as it is stored.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Final

import msgspec
from litestar import Request

from shared.web.reading import MOST_THAT_NFC_ADDS, Path, Reading
from shared.web.shapes import JsonObject, Number, element_of, fields_of, members, struct_of

MAX_OBJECT_BYTES: Final = 64 * 1024


class Stored(msgspec.Struct, frozen=True):
    """An object of a caller's own as it is stored, as JSON.

    `locked` are the names of its members that no caller can change. Sent as they are stored, they do not count.
    """

    text: bytes
    locked: tuple[str, ...] = ()


StoredObjects = Mapping[str, Stored]
"""By the dotted path of the field."""
Look = Callable[[Request[Any, Any, Any]], Awaitable[StoredObjects]]
"""Raises NotFound."""
NOTHING_STORED: Final[StoredObjects] = {}


def may_be_too_large(body: bytes) -> bool:
    """Whether an object in `body` may exceed the bound."""
    return len(body) * MOST_THAT_NFC_ADDS > MAX_OBJECT_BYTES


def objects_too_large(value: Any, shape: Any, stored: StoredObjects, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every JsonObject with more than 64 KiB of JSON, unless that is what is stored. `value` is shaped."""
    match value:
        case dict() if JsonObject in members(shape):
            if _is_too_large(value, stored.get(".".join(path))):
                yield path, f"Expected at most {MAX_OBJECT_BYTES // 1024} KiB of JSON."
        case dict() if (struct := struct_of(shape)) is not None:
            kinds = fields_of(struct)
            for name, item in value.items():
                if name in kinds:
                    yield from objects_too_large(item, kinds[name].type, stored, (*path, name))
        case list():
            for index, item in enumerate(value):
                yield from objects_too_large(item, element_of(shape), stored, (*path, str(index)))
        case _:
            return


def json_of(value: Any) -> bytes:
    """A value as `Reading` has it, as JSON without white space; numbers as they were spelled."""
    return msgspec.json.encode(value, enc_hook=_as_spelled)


def _is_too_large(value: dict[str, Any], stored: Stored | None) -> bool:
    if len(json_of(value)) <= MAX_OBJECT_BYTES:
        return False
    if stored is None:
        return True
    there: dict[str, Any] = Reading(stored.text).value
    if _is_same(value, there):
        return False
    own = {
        name: item
        for name, item in value.items()
        if not (name in stored.locked and name in there and _is_same(item, there[name]))
    }
    return len(json_of(own)) > MAX_OBJECT_BYTES


def _is_same(one: Any, other: Any) -> bool:
    """Whether both say the same; the order of names says nothing."""
    return _sorted(one) == _sorted(other)


def _sorted(value: Any) -> bytes:
    return msgspec.json.encode(value, enc_hook=_as_spelled, order="sorted")


def _as_spelled(number: Number) -> msgspec.Raw:
    return msgspec.Raw(number.text.encode())
