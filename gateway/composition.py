"""The one answer that no service can give alone: an engagement together with the conversations of its projects."""

from __future__ import annotations

import asyncio
import hashlib
import re
from typing import Final
from uuid import UUID

import msgspec

from gateway.answers import Answer, Headers
from gateway.call import Call
from gateway.forwarding import Forwarding
from gateway.headers import forwarded_request
from gateway.refusals import ServiceAway
from gateway.routes import Service
from gateway.streams import ConnectionLost

_SEEN: Final = re.compile(rb'~[0-9a-f]{16}(?=")')
"""What the gateway adds to an engagement's ETag: the conversations that the caller saw with it."""

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_summaries = msgspec.json.Decoder(list[msgspec.Raw])


async def engagement(forwarding: Forwarding, call: Call, engagement_id: UUID) -> Answer:
    """`GET /api/engagements/{id}`: both services are asked at once. Raises ServiceAway unless both have answered.

    Whatever the engagement service says but 200 is the answer.
    """
    asked = [item for item in _without_seen(call.headers) if item[0] != b"if-none-match"]
    asking = asyncio.create_task(_conversations(forwarding, call, engagement_id))
    try:
        answer = await forwarding.send(call, Service.ENGAGEMENTS, forwarded_request(asked))
        if answer.status != 200:
            return answer
        conversations = await asking
        return _composed(call, answer, await _whole(answer, Service.ENGAGEMENTS), conversations)
    finally:
        await _settled(asking)


def without_seen(call: Call) -> None:
    """Give the engagement service its own version back in `If-Match`: a new message does not make it stale."""
    call.headers = _without_seen(call.headers)


async def _conversations(forwarding: Forwarding, call: Call, engagement_id: UUID) -> bytes:
    target = f"/internal/engagements/{engagement_id}/conversations".encode()
    answer = await forwarding.send(call, Service.CONVERSATIONS, [(b"accept", b"application/json")], instead=target)
    if answer.status != 200:
        answer.abandon()
        raise ServiceAway(Service.CONVERSATIONS, f"the conversations of an engagement answered {answer.status}")
    content = await _whole(answer, Service.CONVERSATIONS)
    try:
        _summaries.decode(content)
    except msgspec.DecodeError as error:
        raise ServiceAway(Service.CONVERSATIONS, f"cannot read its answer: {error}") from error
    return content


def _composed(call: Call, answer: Answer, content: bytes, conversations: bytes) -> Answer:
    try:
        fields = _fields.decode(content)
    except msgspec.DecodeError as error:
        raise ServiceAway(Service.ENGAGEMENTS, f"cannot read its answer: {error}") from error
    fields["conversations"] = msgspec.Raw(conversations)
    seen = b"~" + hashlib.sha256(conversations).hexdigest()[:16].encode() + b'"'
    headers = [(name, _with_seen(value, seen) if name == b"etag" else value) for name, value in answer.headers]
    headers = [(name, value) for name, value in headers if name != b"content-length"]
    body = msgspec.json.encode(fields)
    composed = Answer(200, [*headers, (b"content-length", str(len(body)).encode())], body)
    etag = composed.header(b"etag")
    if etag is not None and _is_known(call.headers, etag):
        kept = [(name, value) for name, value in headers if name != b"content-type"]
        return Answer(304, kept, b"")
    return composed


async def _whole(answer: Answer, service: Service) -> bytes:
    try:
        return await answer.read()
    except ConnectionLost as error:
        raise ServiceAway(service, str(error)) from error


async def _settled(asking: asyncio.Task[bytes]) -> None:
    """No question outlives its call."""
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)


def _with_seen(etag: bytes, seen: bytes) -> bytes:
    return etag[:-1] + seen if etag.endswith(b'"') else etag


def _without_seen(headers: Headers) -> Headers:
    return [(name, _SEEN.sub(b"", value) if name == b"if-match" else value) for name, value in headers]


def _is_known(headers: Headers, etag: bytes) -> bool:
    """`If-None-Match`, by weak comparison (RFC 9110, 13.1.2)."""
    told = [tag.strip() for name, value in headers if name == b"if-none-match" for tag in value.split(b",")]
    return any(tag == b"*" or tag.removeprefix(b"W/") == etag.removeprefix(b"W/") for tag in told)
