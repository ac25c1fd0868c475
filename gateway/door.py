"""The way in. What is refused is refused in this order: 401, 429, 413; all else is the service's to say."""

from __future__ import annotations

import asyncio
import random
from time import monotonic
from typing import Any, Final

from litestar.types import ASGIApp, Message, Receive, Send

from gateway import composition, refusals
from gateway.answers import Answer, Headers
from gateway.authentication import credential_in
from gateway.call import Call, CallerGone, begin
from gateway.compression import compressed, takes_gzip
from gateway.cors import Cors
from gateway.credentials import Caller, Credentials, TooManyUnknown
from gateway.forwarding import Forwarding
from gateway.headers import with_head
from gateway.lanes import LaneFull
from gateway.limiter import BURST, Limiter
from gateway.refusals import (
    NoSuchPath,
    NullCharacter,
    RateLimited,
    Refusal,
    ServiceAway,
    TooManyStrangers,
    Unauthenticated,
)
from gateway.routes import Service, engagement_in, is_own, is_public, owner_of, template_of
from gateway.streams import ConnectionLost
from shared.sparing import Sparing
from shared.telemetry import log
from shared.web.bounds import place_of
from shared.web.last_words import SAFE

_ONLY_BY_TLS: Final = (b"strict-transport-security", b"max-age=31536000")
_NOT_STORED: Final = (b"cache-control", b"no-store")

STRANGER_SECONDS: Final = (1.0, 2.0)
"""How long a place that guesses waits for its refusal: not all equally long, or its connections come back as one."""

_log = log(__name__)
_often = Sparing(_log)


class Door:
    """The ASGI application: the gateway's own pages are a Litestar application behind it, all else is forwarded."""

    def __init__(
        self, own: ASGIApp, *, credentials: Credentials, limiter: Limiter, forwarding: Forwarding, cors: Cors
    ) -> None:
        self._own = own
        self._credentials = credentials
        self._limiter = limiter
        self._forwarding = forwarding
        self._cors = cors

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._own(scope, receive, send)
            return
        call = begin(scope)
        if (preflight := self._cors.preflight(call.method, call.named)) is not None:
            await _deliver(preflight, self._always_said(call), send)
            return
        try:
            await self._admit(call)
            if is_own(call.route):
                await self._own_page(call, receive, send)
                return
            await call.read_body(receive)
            answer = await self._answered(call)
        except Refusal as refusal:
            answer = _refused(call, refusal)
        except CallerGone:
            return
        except Exception as error:  # noqa: BLE001 # the outermost edge: whatever it is becomes a problem
            _log.exception("request failed", method=call.method, path=call.path)
            answer = refusals.answer(error, path=call.path)
        answer = compressed(answer, call.named.get(b"accept-encoding", b""))
        await _deliver(answer, self._always_said(call), send, is_head=call.method == "HEAD")

    def _always_said(self, call: Call) -> Headers:
        """What every answer to this call carries."""
        said = [(b"x-request-id", call.request_id.encode()), *SAFE, *self._cors.headers(call.named)]
        if call.scope["scheme"] == "https":
            said.append(_ONLY_BY_TLS)
        if call.caller is not None and self._limiter.most:
            left, seconds = self._limiter.left(call.caller.credential_id, at=monotonic())
            said += [
                (b"ratelimit-policy", b'"credential";q=%d;w=%d' % (self._limiter.most, BURST)),
                (b"ratelimit", b'"credential";r=%d;t=%d' % (left, seconds)),
            ]
        return said

    async def _admit(self, call: Call) -> None:
        """Raises Unauthenticated, RateLimited, ServiceAway."""
        if is_public(call.method, call.route):
            return
        caller = await self._caller_of(call)
        if caller is None:
            raise Unauthenticated
        call.caller = caller
        wait_seconds = self._limiter.take(caller.credential_id, at=monotonic())
        if wait_seconds:
            raise RateLimited(wait_seconds)

    async def _caller_of(self, call: Call) -> Caller | None:
        """Raises TooManyStrangers, not at once: guessing is to be slow, and to cost the others nothing."""
        place = place_of(self._forwarding.address_of(call))
        try:
            return await self._credentials.caller_of(credential_in(call), at=call.at, place=place)
        except LaneFull as error:
            raise ServiceAway(Service.IDENTITY, "too many unknown credentials wait") from error
        except TooManyUnknown as error:
            await asyncio.sleep(random.uniform(*STRANGER_SECONDS))  # noqa: S311 # a pace, not a secret
            raise TooManyStrangers(error.seconds) from error

    async def _answered(self, call: Call) -> Answer:
        if "\0" in call.path:
            raise NullCharacter
        service = owner_of(call.route)
        if service is None:
            raise NoSuchPath
        call.scope["path_template"] = template_of(call.route)
        engagement_id = engagement_in(call.route)
        if engagement_id is None:
            return await self._forwarding.forward(call, service)
        if call.method in ("GET", "HEAD"):
            return await composition.engagement(self._forwarding, call, engagement_id)
        composition.without_seen(call)
        return await self._forwarding.forward(call, service)

    async def _own_page(self, call: Call, receive: Receive, send: Send) -> None:
        async def signed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _signed(list(message["headers"]), self._always_said(call))
            await send(message)

        if "\0" in call.path or b"%00" in call.scope["query_string"]:
            raise NullCharacter
        await self._own(_own_scope(call), receive, signed)


def _own_scope(call: Call) -> Any:
    """What the gateway's own application is asked: its compression does not know what `gzip;q=0` means."""
    scope = dict(call.scope)
    if call.method == "HEAD":
        scope["method"] = "GET"  # whose body the server leaves out
    if not takes_gzip(call.named.get(b"accept-encoding", b"")):
        scope["headers"] = [(name, value) for name, value in call.headers if name != b"accept-encoding"]
    return scope


def _refused(call: Call, refusal: Refusal) -> Answer:
    if isinstance(refusal, ServiceAway):
        _often.warning("service away", refusal.service, cause=refusal.cause, method=call.method, path=call.path)
    return refusals.answer(refusal, path=call.path)


async def _deliver(answer: Answer, said: Headers, send: Send, *, is_head: bool = False) -> None:
    """Send the answer; one that breaks off half way is left incomplete, so that the caller cannot take it for whole."""
    await send({"type": "http.response.start", "status": answer.status, "headers": _signed(answer.headers, said)})
    if is_head:
        answer.abandon()
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        return
    if isinstance(answer.body, bytes):
        await send({"type": "http.response.body", "body": answer.body, "more_body": False})
        return
    try:
        async for chunk in answer.body:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    except ConnectionLost as error:
        _often.warning("answer broke off", str(error))
    finally:
        answer.body.abandon()


def _signed(headers: Headers, said: Headers) -> Headers:
    """With what every answer carries; wherever GET is allowed, HEAD is too."""
    headers = [(name, with_head(value) if name == b"allow" else value) for name, value in headers]
    headers += said
    if not any(name == b"cache-control" for name, _ in headers):
        headers.append(_NOT_STORED)
    return headers
