"""Hears which credentials are revoked, and knows whether it would."""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.credentials import Credentials
from shared.contracts.identity import CredentialRevoked
from shared.messaging.bus import Bus
from shared.messaging.incoming import Incoming
from shared.messaging.topology import organisation_in
from shared.telemetry import log

SUBJECT: Final = "evt.*.credential.revoked"

_log = log(__name__)


class Hearing:
    """Whether revocations are heard now: connected, subscribed, and nothing missed that is still remembered."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.has_begun = False

    def __call__(self) -> bool:
        return self.has_begun and self._bus.is_connected


async def listen(bus: Bus, hearing: Hearing, credentials: Credentials) -> None:
    """Keep `credentials` true to what is said on `bus`, through every loss of the connection."""

    async def lost() -> None:
        hearing.has_begun = False
        credentials.forget_all()

    async def found() -> None:
        credentials.forget_all()
        hearing.has_begun = True

    async def heard(message: Incoming) -> None:
        try:
            revoked = msgspec.json.decode(message.body, type=CredentialRevoked)
            if str(revoked.org_id) != organisation_in(message.subject):
                raise msgspec.ValidationError("it names another organisation than its subject")
            credentials.forget(revoked)
        except msgspec.DecodeError as error:
            credentials.forget_all()
            _log.error("revocation cannot be read, all credentials forgotten", cause=str(error))

    bus.on_disconnect(lost)
    bus.on_reconnect(found)
    await bus.hear(SUBJECT, heard)
