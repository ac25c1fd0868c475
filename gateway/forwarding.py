"""Passes a call to the service that owns it, in the caller's name, and brings back the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from gateway.answers import Answer, Headers
from gateway.authentication import IDENTITY, NOT_TRUSTED, Identity, is_distrust
from gateway.call import Call
from gateway.credentials import Credentials
from gateway.headers import (
    client_address,
    forwarded_answer,
    forwarded_request,
    public_url,
)
from gateway.lanes import Lane, LaneFull
from gateway.patience import patience_seconds
from gateway.refusals import ServiceAway
from gateway.routes import Service
from gateway.upstream import Upstream
from shared.web.bounds import Network, place_of
from shared.web.origin import PUBLIC_URL_HEADER

_PUBLIC_URL: Final = PUBLIC_URL_HEADER.encode()
_CLIENT_ADDRESS: Final = b"serx-client-address"
_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
LOGINS_AT_ONCE: Final = 32
LOGINS_OF_A_PLACE: Final = 16
LOGIN_WAIT_SECONDS: Final = 10.0


class Forwarding:
    """Knows the services, and what to tell them about a call."""

    def __init__(
        self,
        upstreams: Mapping[Service, Upstream],
        keys: Mapping[Service, str],
        *,
        identity: Identity,
        credentials: Credentials,
        public_url: str,
        trusted_proxies: Sequence[Network],
    ) -> None:
        self._upstreams = upstreams
        self._keys = keys
        self._identity = identity
        self._credentials = credentials
        self._public_url = public_url.rstrip("/").encode()
        self._trusted_proxies = trusted_proxies
        self._logins = Lane(most=LOGINS_AT_ONCE, each=LOGINS_OF_A_PLACE, wait_seconds=LOGIN_WAIT_SECONDS)

    def address_of(self, call: Call) -> str:
        """The caller's address, as far as it can be known."""
        return client_address(call.scope, self._trusted_proxies)

    async def forward(self, call: Call, service: Service) -> Answer:
        """The call as it came, answered by `service`. Raises ServiceAway."""
        headers = forwarded_request(call.headers)
        if service is not Service.IDENTITY:
            return await self.send(call, service, headers)
        return await self._to_identity(call, headers)

    async def send(self, call: Call, service: Service, headers: Headers, *, instead: bytes | None = None) -> Answer:
        """What `service` answers to `call`, or has at the path `instead`. Raises ServiceAway.

        A service that does not take the gateway's word is away, as far as the caller can tell: their own word is good.
        """
        headers = [*headers, *self._told(call, service)]
        upstream = self._upstreams[service]
        patience = patience_seconds(call)
        if instead is None:
            method = "GET" if call.method == "HEAD" else call.method
            answer = await upstream.exchange(method, call.target, headers, call.body, patience_seconds=patience)
        else:
            answer = await upstream.exchange("GET", instead, headers, patience_seconds=patience)
        if is_distrust(answer) or (answer.status == 401 and service is not Service.IDENTITY):
            answer.abandon()
            raise ServiceAway(service, NOT_TRUSTED)
        answer.headers = forwarded_answer(answer.headers, status=answer.status)
        return answer

    async def _to_identity(self, call: Call, headers: Headers) -> Answer:
        """Whatever a change at identity did to people and credentials holds here before the caller hears of it.

        Identity alone sees the credential itself: it has to know which session logs out.
        """
        if call.caller is None:
            return await self._stranger_to_identity(call, headers)
        headers += [(name, value) for name, value in call.headers if name == b"authorization"]
        may_have_changed = call.method not in _READS
        try:
            answer = await self.send(call, Service.IDENTITY, headers)
            may_have_changed = may_have_changed and not 400 <= answer.status < 500
            return answer
        finally:
            if may_have_changed:
                self._credentials.forget_organisation(call.caller.actor.org_id)

    async def _stranger_to_identity(self, call: Call, headers: Headers) -> Answer:
        """A login takes its turn among the logins, and no way from those whom the gateway knows."""
        try:
            async with self._logins.turn_of(place_of(self.address_of(call))):
                return await self.send(call, Service.IDENTITY, headers)
        except LaneFull as error:
            raise ServiceAway(Service.IDENTITY, "too many logins wait") from error

    def _told(self, call: Call, service: Service) -> Headers:
        """What the gateway says about a call, and nobody else may."""
        told: Headers = [
            (_PUBLIC_URL, self._public_url or _address_in(call)),
            (_CLIENT_ADDRESS, self.address_of(call).encode()),
            (b"x-request-id", call.request_id.encode()),
            (b"traceparent", call.traceparent.encode()),
        ]
        if call.caller is None:
            told.append((IDENTITY, self._identity.own_identity(at=call.at)))
            return told
        told.append((IDENTITY, call.caller.identity_for(service, self._keys[service], at=call.at)))
        return told


def _address_in(call: Call) -> bytes:
    scope, named = call.scope, call.named
    server = tuple(scope.get("server") or ("localhost", None))
    proto = named.get(b"x-forwarded-proto", b"")
    return public_url(named.get(b"host", b""), proto, scheme=scope.get("scheme", "http"), server=server)
