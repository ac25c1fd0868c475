"""JSON into plain values: strictly as RFC 8259 has it, and with what it leaves open decided."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final
from unicodedata import normalize

from shared.errors import InvalidInput
from shared.web.shapes import Number

Path = tuple[str, ...]

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
MOST_THAT_NFC_ADDS: Final = 3
"""How many times as long in UTF-8 a text may be in NFC (UAX 15)."""
DEEPEST: Final = 100
"""How many arrays and objects may lie in each other: the same whatever an interpreter could bear."""
# A text, or one that does not end: so each byte is looked at once.
_TEXTS_AND_BRACKETS: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+\\?+"?+|[\[\]{}]', re.DOTALL)
_HALF_OF_A_PAIR: Final = re.compile("[\ud800-\udfff]")
_MOST_DIGITS_OF_AN_INTEGER: Final = 100
"""Longer ones stay as they are spelled: no field of ours is as large."""


class _Doubled(dict[str, Any]):
    """An object in which names stand twice; it has the last value of each."""

    __slots__ = ("names",)

    def __init__(self, members: list[tuple[str, Any]], names: list[str]) -> None:
        super().__init__(members)
        self.names = names


class Reading:
    """A body as plain values; what has a point, an exponent, or is `-0`, is a Number."""

    def __init__(self, body: bytes) -> None:
        """Raises InvalidInput when `body` is no JSON, or nested too deeply.

        A byte order mark before it is left out (RFC 8259, 8.1).
        """
        self.is_plain = body.isascii() and b"\\u" not in body
        """Whether all its text is ASCII: then it is in NFC."""
        self._is_doubled = False
        self.value = self._read(body.removeprefix(_BYTE_ORDER_MARK))

    @property
    def names_given_twice(self) -> Iterator[tuple[Path, str]]:
        """Every name that stands twice in one object, with its path."""
        return _doubled(self.value, ()) if self._is_doubled else iter(())

    def _read(self, body: bytes) -> Any:
        decoder = json.JSONDecoder(
            object_pairs_hook=self._object, parse_float=Number, parse_int=_integer, parse_constant=_refuse_constant
        )
        if _is_too_deep(body):
            raise InvalidInput({}, f"The body is nested too deeply: {DEEPEST} arrays and objects at most.")
        try:
            value = decoder.decode(body.decode())
        except UnicodeDecodeError as error:
            raise InvalidInput({}, f"The body is not valid JSON: byte {error.start} is not UTF-8.") from error
        except ValueError as error:
            raise InvalidInput({}, f"The body is not valid JSON: {str(error).rstrip('.')}.") from error
        if b"\\u" in body:
            _refuse_halves(value)
        return value

    def _object(self, members: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(members)
        names = found if self.is_plain else {normalize("NFC", name) for name in found}
        if len(names) == len(members):
            return found
        self._is_doubled = True
        return _Doubled(members, _twice([normalize("NFC", name) for name, _ in members]))


def _is_too_deep(body: bytes) -> bool:
    if body.count(b"[") + body.count(b"{") <= DEEPEST:
        return False
    depth = 0
    for found in _TEXTS_AND_BRACKETS.finditer(body):
        match found[0]:
            case b"[" | b"{":
                depth += 1
                if depth > DEEPEST:
                    return True
            case b"]" | b"}":
                depth -= 1
            case _:
                pass
    return False


def _refuse_halves(value: Any) -> None:
    """Raises InvalidInput for half a surrogate pair, which is no text (RFC 8259, 8.2)."""
    found = (path for path, text in _texts(value, ()) if _HALF_OF_A_PAIR.search(text))
    halves = {_HALF_OF_A_PAIR.sub("\ufffd", ".".join(path)) or "body" for path in found}
    if halves:
        raise InvalidInput({path: ["Text cannot hold half a surrogate pair."] for path in sorted(halves)})


def _integer(text: str) -> int | Number:
    return Number(text) if text == "-0" or len(text) > _MOST_DIGITS_OF_AN_INTEGER else int(text)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no value of JSON")


def _twice(names: list[str]) -> list[str]:
    return [name for name, times in Counter(names).items() if times > 1]


def _doubled(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    match value:
        case dict():
            for name in value.names if isinstance(value, _Doubled) else ():
                yield (*path, name), "This name is given twice."
            for name, item in value.items():
                yield from _doubled(item, (*path, name))
        case list():
            for index, item in enumerate(value):
                yield from _doubled(item, (*path, str(index)))
        case _:
            return


def normalised(value: Any) -> Any:
    """`value` with all its text in NFC, names too."""
    match value:
        case str():
            return normalize("NFC", value)
        case dict():
            return {normalize("NFC", name): normalised(item) for name, item in value.items()}
        case list():
            return [normalised(item) for item in value]
        case _:
            return value


def null_characters(value: Any) -> Iterator[tuple[Path, str]]:
    """Every text with U+0000, which PostgreSQL does not take."""
    for path, text in _texts(value, ()):
        if "\0" in text:
            yield path, "Text cannot hold the null character."


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """Every text with its path, the names of an object too."""
    match value:
        case str():
            yield path, value
        case dict():
            for name, item in value.items():
                yield (*path, "(name)"), name
                yield from _texts(item, (*path, name))
        case list():
            for index, item in enumerate(value):
                yield from _texts(item, (*path, str(index)))
        case _:
            return
