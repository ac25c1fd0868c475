"""Values of JSON into what the fields of a struct take: numbers, times and text as the API has them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final
from unicodedata import normalize

import msgspec

from shared.money import Money, parse_money
from shared.web.free_objects import json_of
from shared.web.patterns import BLANKS
from shared.web.reading import MOST_THAT_NFC_ADDS, Path, normalised
from shared.web.shapes import (
    AS_TYPED,
    MAX_BYTES,
    TRIMMED,
    JsonObject,
    Number,
    element_of,
    fields_of,
    members,
    rules,
    struct_of,
)
from shared.web.times import read_time

MAX_TEXT_BYTES: Final = 64 * 1024
MAX_DIGITS: Final = 1000
MAX_EXPONENT: Final = 999
_EXPONENT: Final = re.compile(r"[eE][+-]?0*([0-9]+)$")


def shaped(value: Any, shape: Any, *, is_plain: bool) -> Any:
    """`value` as `shape` takes it: text in NFC, times in UTC, numbers as numbers.

    Numbers stay as they were spelled in money and in a JsonObject. `is_plain`: all text in it is ASCII.
    """
    match value:
        case str():
            return _text(value, shape, is_plain=is_plain)
        case Number():
            return value if Money in members(shape) else _number(value.text)
        case dict() if JsonObject in members(shape):
            return value if is_plain else normalised(value)
        case dict():
            struct = struct_of(shape)
            kinds = fields_of(struct) if struct else {}
            return {
                name: shaped(item, kinds[name].type if name in kinds else None, is_plain=is_plain)
                for name, item in value.items()
            }
        case list():
            element = element_of(shape)
            return [shaped(item, element, is_plain=is_plain) for item in value]
        case _:
            return value


def _text(value: str, shape: Any, *, is_plain: bool) -> Any:
    if datetime in members(shape):
        return read_time(value) or ""  # which no time is
    wanted = rules(shape)
    text = value if is_plain or AS_TYPED in wanted else normalize("NFC", value)
    return text.strip(BLANKS) if TRIMMED in wanted else text


def _number(text: str) -> float | int:
    """A whole number may be spelled with a point or an exponent (`2.0`), as JSON Schema has it."""
    number = float(text)
    return int(number) if number.is_integer() else number


def convert(value: Any, shape: Any) -> Any:
    """A shaped value into its struct. Raises msgspec.ValidationError."""
    return msgspec.convert(value, shape, dec_hook=_decode_custom)


def _decode_custom(kind: type, value: Any) -> Any:
    if kind is Money:
        return parse_money(value.text if isinstance(value, Number) else value)
    if kind is JsonObject:
        return _object(value)
    raise NotImplementedError(kind)


def _object(value: Any) -> JsonObject:
    """Raises ValueError, of which msgspec makes the field's message. Its size is `objects_too_large`'s to judge."""
    if not isinstance(value, dict):
        raise ValueError("Expected an object")  # noqa: TRY004
    if any(not _can_be_stored(number) for number in _numbers(value)):
        raise ValueError(f"A number in it may have {MAX_DIGITS} digits and an exponent up to {MAX_EXPONENT}, not more")
    return JsonObject(json_of(value))


def _numbers(value: Any) -> Iterator[str]:
    match value:
        case Number():
            yield value.text
        case bool():
            return
        case int():
            yield str(value)
        case dict():
            for item in value.values():
                yield from _numbers(item)
        case list():
            for item in value:
                yield from _numbers(item)
        case _:
            return


def _can_be_stored(spelled: str) -> bool:
    exponent = _EXPONENT.search(spelled)
    is_near = exponent is None or (len(exponent[1]) <= len(str(MAX_EXPONENT)))
    return len(spelled) <= MAX_DIGITS and is_near


def texts_too_long(value: Any, shape: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every text with more bytes in UTF-8 than its field takes."""
    match value:
        case str():
            most = rules(shape).get(MAX_BYTES)
            if most is not None and len(value.encode()) > most:
                yield path, f"Expected at most {most // 1024} KiB in UTF-8."
        case dict() if (struct := struct_of(shape)) is not None:
            kinds = fields_of(struct)
            for name, item in value.items():
                if name in kinds:
                    yield from texts_too_long(item, kinds[name].type, (*path, name))
        case list():
            for index, item in enumerate(value):
                yield from texts_too_long(item, element_of(shape), (*path, str(index)))
        case _:
            return


def may_be_too_long(body: bytes) -> bool:
    """Whether a text in `body` may have more bytes than the least bound that is counted in bytes."""
    return len(body) * MOST_THAT_NFC_ADDS > MAX_TEXT_BYTES
