"""What is wrong with a body: every fault with its path, in words of JSON."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from shared.currency import FINER, Currency
from shared.web.patterns import MEANINGS
from shared.web.reading import Path
from shared.web.shapes import element_of, fields_of, members, options_of, struct_of
from shared.web.shaping import convert

_WORDS: Final = {
    "str": "a string",
    "int": "an integer",
    "float": "a number",
    "decimal": "a number",
    "bool": "a boolean",
    "array": "an array",
    "object": "an object",
    "null": "null",
    "datetime": "a time",
    "uuid": "a UUID",
}
"""msgspec's names of types, and what JSON and its users call them."""
_TYPES: Final = re.compile(r"`([a-z]+(?: \| [a-z]+)*)`")
_LENGTH: Final = re.compile(r"^Expected (a string|an array)( or null)? of length (>=|<=|==) (\d+)")
_BOUND: Final = re.compile(r"^Expected (an integer|a number)( or null)? (>=|<=|>|<) (-?\d+)")
_NO_TIME: Final = "Expected a time as RFC 3339 spells it, such as 2026-02-08T12:00:00Z."
_OPTIONS_SHOWN: Final = 20
"""An enumeration of more values, such as the currencies, is not spelled out."""
_HOW_MUCH: Final = {">=": "at least", "<=": "at most", "==": "exactly", ">": "more than", "<": "less than"}


def faults(value: Any, shape: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every fault of `value` as a `shape`, depth first, each with its path."""
    struct, element = struct_of(shape), element_of(shape)
    if struct is not None and isinstance(value, dict):
        yield from _faults_of_fields(value, struct, path)
        return
    if element is not None and isinstance(value, list):
        inner = [fault for i, item in enumerate(value) for fault in faults(item, element, (*path, str(i)))]
        yield from inner
        if inner:
            return
    if Currency in members(shape) and isinstance(value, str) and value in FINER:
        yield path, f"{value} has {FINER[value]} decimals, and amounts here have two."
        return
    try:
        convert(value, shape)
    except msgspec.ValidationError as error:
        yield path, sentence(str(error), shape)


def _faults_of_fields(value: dict[str, Any], struct: type[msgspec.Struct], path: Path) -> Iterator[tuple[Path, str]]:
    fields = fields_of(struct)
    for name in value:
        if name not in fields:
            yield (*path, name), "There is no such field."
    for name, field in fields.items():
        if name in value:
            yield from faults(value[name], field.type, (*path, name))
        elif field.required:
            yield (*path, name), "This field is required."


def faults_between(value: Any, shape: Any) -> Iterator[tuple[Path, str]]:
    """What the struct itself says against what was sent."""
    find = getattr(struct_of(shape), "faults_between", None)
    if find is not None and isinstance(value, dict):
        for field, message in find(value):
            yield (field,), message


def sentence(message: str, shape: Any = None) -> str:
    """msgspec's message about a `shape` as callers read it: in words of JSON, without the path, which the key gives."""
    text = message.partition(" - at `")[0]
    if text.startswith("Invalid enum value"):
        return _no_option(options_of(shape))
    known, _, pattern = text.partition(" matching regex ")
    if "datetime" in known or "RFC3339" in known:
        return _NO_TIME
    known = _TYPES.sub(lambda found: _in_words(found[1]), known)
    if pattern:
        text = f"{known} that {MEANINGS.get(ast.literal_eval(pattern), f'matches {pattern}')}"
    else:
        text = _BOUND.sub(_bound, _LENGTH.sub(_length, known))
    return text if text.endswith(".") else f"{text}."


def _no_option(options: tuple[str | int, ...]) -> str:
    if 0 < len(options) <= _OPTIONS_SHOWN:
        return f"Expected one of {', '.join(map(str, options))}."
    return "There is no such value; the API's document has them all."


def _in_words(types: str) -> str:
    return " or ".join(_WORDS.get(name, name) for name in types.split(" | "))


def _length(found: re.Match[str]) -> str:
    kind, _, comparison, length = found.groups()
    unit = "character" if kind == "a string" else "item"
    return f"Expected {kind} of {_HOW_MUCH[comparison]} {length} {unit}{'' if length == '1' else 's'}"


def _bound(found: re.Match[str]) -> str:
    kind, _, comparison, bound = found.groups()
    return f"Expected {kind} of {_HOW_MUCH[comparison]} {bound}"
