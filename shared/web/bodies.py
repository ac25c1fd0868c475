"""Request bodies: JSON into a struct, with every bad field named, not just the first."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from typing import Any

import msgspec
from litestar import Request
from litestar.exceptions import HTTPException, InternalServerException

from shared.errors import InvalidInput
from shared.web.faults import faults, faults_between, sentence
from shared.web.free_objects import NOTHING_STORED, StoredObjects, may_be_too_large, objects_too_large
from shared.web.reading import Path, Reading, null_characters
from shared.web.shaping import convert, may_be_too_long, shaped, texts_too_long

MAX_BODY_BYTES = 1024 * 1024
CHECK_KEY = "check_key"
"""In a request's state, where it has an Idempotency-Key: raises KeyInUse or KeyReused for one that is not free."""
_UNCODED = {"accept-encoding": "identity"}
"""What a caller who sends a content coding is told (RFC 9110, 12.5.3)."""


class NotJson(HTTPException):
    """The body is not sent as `application/json`, or not as it is (a `Content-Encoding`)."""

    status_code = 415


class CallerGone(HTTPException):
    """The caller hung up before the end of the body: nobody reads the answer, and nothing is wrong with us."""

    status_code = 400


class JsonRequest(Request[Any, Any, Any]):
    """Decodes a handler's `data` strictly: unknown fields, nulls, numbers as they were spelled.

    A handler under a resource's path names, as `opt={"resource": look}`, how to find that the resource is there: where
    it is not, that is what a request with a bad body is told (404 comes before 415 and 400). One that changes a
    resource with objects of a caller's own names, as `opt={"stored": look}`, how to find these: sent back as they are
    stored, they may be larger than the bound.
    """

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """The body in pieces. Raises CallerGone."""
        try:
            async for piece in super().stream():
                yield piece
        except InternalServerException as error:  # all that Litestar says of it
            raise CallerGone(error.detail) from error

    async def raw_body(self) -> bytes:
        """The body as it came, if any."""
        return await super().body()

    async def body(self) -> bytes:
        """The body. Raises InvalidInput (400) when the handler requires one and there is none."""
        body = await super().body()
        field = self.route_handler.parsed_data_field
        if not body and field is not None and not field.is_optional:
            await before_refusing(self)
            raise InvalidInput({"body": ["A JSON body is required."]})
        return body

    async def json(self) -> Any:
        """The body as the struct that the handler asks for.

        Raises NotJson (415) and InvalidInput (400) with the errors of all fields.
        """
        field = self.route_handler.parsed_data_field
        media_type = ", ".join(self.headers.getall("content-type", [])).partition(";")[0].strip().lower()
        try:
            if not _is_uncoded(self.headers.getall("content-encoding", [])):
                raise NotJson("The body must be sent as it is, without a Content-Encoding.", headers=_UNCODED)
            if media_type != "application/json":
                raise NotJson("The body must be sent as application/json.")
            body = await self.body()
            return decode(body, field.annotation if field else Any, stored=await _stored(self, body))
        except (InvalidInput, NotJson):
            await before_refusing(self)
            raise


async def before_refusing(request: Request[Any, Any, Any]) -> None:
    """Raises what the caller is told before what is wrong with their request: NotFound, KeyInUse, KeyReused."""
    await look_for_resource(request)
    check_key = request.state.get(CHECK_KEY)
    if check_key is not None:
        await check_key()


async def look_for_resource(request: Request[Any, Any, Any]) -> None:
    """Raises NotFound when the resource of the path is not there for the caller."""
    look = request.route_handler.opt.get("resource")
    if look is not None:
        await look(request)


def _is_uncoded(codings: list[str]) -> bool:
    return all(coding.strip().lower() in ("identity", "") for coding in codings)


async def _stored(request: Request[Any, Any, Any], body: bytes) -> StoredObjects:
    """The stored objects with which the body's are compared. Raises NotFound."""
    look = request.route_handler.opt.get("stored")
    return await look(request) if look is not None and may_be_too_large(body) else NOTHING_STORED


def decode(body: bytes, shape: Any, *, stored: StoredObjects = NOTHING_STORED) -> Any:
    """Decode `body` as `shape` (a struct type, or a union of one with None).

    A struct may have a class method `faults_between(sent)` for rules between fields. What is `stored` already may
    exceed the bound of a JsonObject. Raises InvalidInput that names every bad field by its dotted path.
    """
    reading = Reading(body)
    value = shaped(reading.value, shape, is_plain=reading.is_plain)
    errors: dict[str, list[str]] = {}
    _gather(errors, reading.names_given_twice)
    if b"\\u0000" in body:
        _gather(errors, null_characters(reading.value))
    if may_be_too_long(body):
        _gather(errors, texts_too_long(value, shape))
    if may_be_too_large(body):
        _gather(errors, objects_too_large(value, shape, stored))
    _gather(errors, faults_between(value, shape))
    try:
        decoded = convert(value, shape)
    except msgspec.ValidationError as error:
        _gather(errors, faults(value, shape))
        raise InvalidInput(errors, "" if errors else sentence(str(error))) from error
    if errors:
        raise InvalidInput(errors)
    return decoded


def _gather(errors: dict[str, list[str]], faults: Iterator[tuple[Path, str]]) -> None:
    for path, message in faults:
        errors.setdefault(".".join(path) or "body", []).append(message)
