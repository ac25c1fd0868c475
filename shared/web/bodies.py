"""Request bodies: JSON into a struct, with every bad field named, not just the first."""

from __future__ import annotations

import ast
import types
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
from litestar import Request
from litestar.exceptions import HTTPException

from shared.errors import InvalidInput
from shared.money import Money, parse_money
from shared.web.patterns import MEANINGS

MAX_BODY_BYTES = 1024 * 1024

Path = tuple[str, ...]


class NotJson(HTTPException):
    """The body is not sent as `application/json`."""

    status_code = 415


class JsonObject(bytes):
    """A JSON object of the caller's own, as text: the order of its keys and the spelling of its numbers are kept."""

    __slots__ = ()


class _Number:
    """A JSON number with a point or an exponent, still as it was spelled."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


_decoder = msgspec.json.Decoder(float_hook=_Number)


class JsonRequest(Request[Any, Any, Any]):
    """Decodes a handler's `data` strictly: unknown fields, nulls, numbers as they were spelled.

    A handler under a resource's path names, as `opt={"resource": look}`, how to find that the resource is there: where
    it is not, that is what a request with a bad body is told (404 comes before 415 and 400).
    """

    async def raw_body(self) -> bytes:
        """The body as it came, if any."""
        return await super().body()

    async def body(self) -> bytes:
        """The body. Raises InvalidInput (400) when the handler requires one and there is none."""
        body = await super().body()
        field = self.route_handler.parsed_data_field
        if not body and field is not None and not field.is_optional:
            await look_for_resource(self)
            raise InvalidInput({"body": ["A JSON body is required."]})
        return body

    async def json(self) -> Any:
        """The body as the struct that the handler asks for.

        Raises NotJson (415) and InvalidInput (400) with the errors of all fields.
        """
        field = self.route_handler.parsed_data_field
        media_type = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        try:
            if media_type != "application/json":
                raise NotJson("The body must be sent as application/json.")
            return decode(await self.body(), field.annotation if field else Any)
        except (InvalidInput, NotJson):
            await look_for_resource(self)
            raise


async def look_for_resource(request: Request[Any, Any, Any]) -> None:
    """Raises NotFound when the resource of the path is not there for the caller."""
    look = request.route_handler.opt.get("resource")
    if look is not None:
        await look(request)


def decode(body: bytes, shape: Any) -> Any:
    """Decode `body` as `shape` (a struct type, or a union of one with None).

    A struct may have a class method `faults_between(sent)` for rules between fields. Raises InvalidInput that names
    every bad field by its dotted path.
    """
    try:
        return _decode(body, shape)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput({}, f"The body is not valid JSON: {error}.") from error
    except RecursionError as error:
        raise InvalidInput({}, "The body is nested too deeply.") from error


def _decode(body: bytes, shape: Any) -> Any:
    value = _plain(_decoder.decode(body), shape)
    errors: dict[str, list[str]] = {}
    if b"\\u0000" in body:
        _gather(errors, _null_characters(value, ()))
    _gather(errors, _faults_between(value, shape))
    try:
        decoded = _convert(value, shape)
    except msgspec.ValidationError as error:
        _gather(errors, _faults(value, shape, ()))
        raise InvalidInput(errors, "" if errors else _sentence(str(error))) from error
    if errors:
        raise InvalidInput(errors)
    return decoded


def _gather(errors: dict[str, list[str]], faults: Iterator[tuple[Path, str]]) -> None:
    for path, message in faults:
        errors.setdefault(".".join(path) or "body", []).append(message)


def _convert(value: Any, shape: Any) -> Any:
    return msgspec.convert(value, shape, dec_hook=_decode_custom)


def _decode_custom(kind: type, value: Any) -> Any:
    if kind is Money:
        return parse_money(value.text if isinstance(value, _Number) else value)
    if kind is JsonObject:
        if not isinstance(value, dict):
            raise ValueError("Expected `object`")  # what msgspec turns into the field's message
        return JsonObject(msgspec.json.encode(value, enc_hook=lambda number: msgspec.Raw(number.text.encode())))
    raise NotImplementedError(kind)


def _plain(value: Any, shape: Any) -> Any:
    """Numbers stay as they were spelled in money and in a JsonObject, and are floats elsewhere; times are in UTC."""
    match value:
        case dict() if JsonObject in _members(shape):
            return value
        case _Number():
            return value if Money in _members(shape) else _number(value.text, shape)
        case dict():
            struct = _struct_of(shape)
            kinds = {field.encode_name: field.type for field in msgspec.structs.fields(struct)} if struct else {}
            return {name: _plain(item, kinds.get(name)) for name, item in value.items()}
        case list():
            element = _element_of(shape)
            return [_plain(item, element) for item in value]
        case str() if datetime in _members(shape):
            return _in_utc(value)
        case _:
            return value


def _number(text: str, shape: Any) -> float | int:
    """A whole number may be spelled with a point or an exponent (`2.0`), as JSON Schema has it."""
    number = float(text)
    is_free = shape is None or not {float, Any}.isdisjoint(_members(shape))
    return number if is_free or not number.is_integer() else int(number)


def _in_utc(text: str) -> datetime | str:
    """The time that `text` spells, as answers have it: in UTC. What spells none is left to be refused."""
    try:
        time = msgspec.convert(text, datetime)
        return time.astimezone(UTC) if time.tzinfo else time
    except msgspec.ValidationError:
        return text
    except OverflowError:
        return ""  # in UTC, it is before the year 1 or after the year 9999


def _null_characters(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """PostgreSQL keeps no U+0000 in text."""
    match value:
        case str() if "\0" in value:
            yield path, "Text cannot hold the null character."
        case dict():
            for name, item in value.items():
                yield from _null_characters(name, (*path, "(name)"))
                yield from _null_characters(item, (*path, name))
        case list():
            for index, item in enumerate(value):
                yield from _null_characters(item, (*path, str(index)))
        case _:
            return


def _faults(value: Any, shape: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """Every fault of `value` as a `shape`, depth first, each with its path."""
    struct, element = _struct_of(shape), _element_of(shape)
    if struct is not None and isinstance(value, dict):
        yield from _faults_of_fields(value, struct, path)
        return
    if element is not None and isinstance(value, list):
        inner = [fault for i, item in enumerate(value) for fault in _faults(item, element, (*path, str(i)))]
        yield from inner
        if inner:
            return
    try:
        _convert(value, shape)
    except msgspec.ValidationError as error:
        yield path, _sentence(str(error))


def _faults_of_fields(value: dict[str, Any], struct: type[msgspec.Struct], path: Path) -> Iterator[tuple[Path, str]]:
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    for name in value:
        if name not in fields:
            yield (*path, name), "There is no such field."
    for name, field in fields.items():
        if name in value:
            yield from _faults(value[name], field.type, (*path, name))
        elif field.required:
            yield (*path, name), "This field is required."


def _faults_between(value: Any, shape: Any) -> Iterator[tuple[Path, str]]:
    """What the struct itself says against what was sent."""
    tell = getattr(_struct_of(shape), "faults_between", None)
    if tell is not None and isinstance(value, dict):
        for field, message in tell(value):
            yield (field,), message


def _struct_of(shape: Any) -> type[msgspec.Struct] | None:
    for kind in _members(shape):
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            return kind
    return None


def _element_of(shape: Any) -> Any:
    for kind in _members(shape):
        if get_origin(kind) in (list, tuple):
            return get_args(kind)[0]
    return None


@cache
def _members(shape: Any) -> tuple[Any, ...]:
    if get_origin(shape) is Annotated:
        return _members(get_args(shape)[0])
    if get_origin(shape) in (Union, types.UnionType):
        return tuple(member for option in get_args(shape) for member in _members(option))
    return (shape,)


def _sentence(message: str) -> str:
    """msgspec's message as the caller reads it: without the path, which the key gives, and with a full stop."""
    text = message.partition(" - at `")[0]
    known, _, pattern = text.partition(" matching regex ")
    if pattern:
        text = f"{known} that {MEANINGS.get(ast.literal_eval(pattern), f'matches {pattern}')}"
    return text if text.endswith(".") else f"{text}."
