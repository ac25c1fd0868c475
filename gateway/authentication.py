"""Who is calling: the bearer credential, opaque to the gateway, as identity knows it."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

import msgspec

from gateway.answers import Answer
from gateway.call import Call
from gateway.credentials import SIGNED_FOR, Verified
from gateway.refusals import ServiceAway, Unauthenticated
from gateway.upstream import Upstream
from shared import clock, telemetry
from shared.web.actor import IDENTITY_HEADER, UNTRUSTED, sign_gateway

IDENTITY: Final = IDENTITY_HEADER.encode()
VERIFY_PATH: Final = b"/internal/credentials/verify"
VERIFY_SECONDS: Final = 5.0
_BEARER: Final = re.compile(rb"^[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/-]{1,4096}=*) *$")
"""RFC 6750, 2.1, of a bounded length."""

NOT_TRUSTED: Final = "it does not accept the signed identity"
_UNTRUSTED: Final = UNTRUSTED.encode()

_verified = msgspec.json.Decoder(Verified)


def is_distrust(answer: Answer) -> bool:
    """Whether a service does not accept our own identity, a clock or a key being wrong: the caller's may be good."""
    return answer.status == 401 and answer.header(b"www-authenticate") == _UNTRUSTED


def credential_in(call: Call) -> str:
    """The bearer credential of a request. Raises Unauthenticated when it is missing, malformed or given twice."""
    spelled = _BEARER.fullmatch(call.named.get(b"authorization", b""))
    if spelled is None:
        raise Unauthenticated
    if len(call.named) < len(call.headers) and sum(name == b"authorization" for name, _ in call.headers) > 1:
        raise Unauthenticated
    return spelled[1].decode()


class Identity:
    """The identity service, as the gateway asks it about credentials."""

    def __init__(self, upstream: Upstream, key: str) -> None:
        self._upstream = upstream
        self._key = key
        self._signed: tuple[bytes, datetime] | None = None

    async def verify(self, credential: str) -> Verified | None:
        """Who the credential stands for; None when it is unknown, expired or revoked. Raises ServiceAway."""
        headers = [
            (b"content-type", b"application/json"),
            (IDENTITY, self.own_identity(at=clock.now())),
            (b"x-request-id", telemetry.request_id.get().encode()),
            (b"traceparent", telemetry.traceparent.get().encode()),
        ]
        body = msgspec.json.encode({"credential": credential})
        answer = await self._upstream.exchange(
            "POST", VERIFY_PATH, headers, body, is_repeatable=True, patience_seconds=VERIFY_SECONDS
        )
        content = await answer.read()
        if is_distrust(answer):
            raise ServiceAway(self._upstream.service, NOT_TRUSTED)
        if answer.status == 401:
            return None
        try:
            if answer.status == 200:
                return _verified.decode(content)
        except msgspec.DecodeError as error:
            raise ServiceAway(self._upstream.service, f"cannot read its answer: {error}") from error
        raise ServiceAway(self._upstream.service, f"verifying a credential answered {answer.status}")

    def own_identity(self, *, at: datetime) -> bytes:
        """The gateway's own signed identity, for calls that nobody has to be known for."""
        signed = self._signed
        if signed is None or not (signed[1] <= at < signed[1] + SIGNED_FOR):
            token = sign_gateway(audience=self._upstream.service, key=self._key, at=at)
            signed = self._signed = (token.encode(), at)
        return signed[0]
