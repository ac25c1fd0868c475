"""Remembers identities that were verified a moment ago: the gateway sends the same one for many requests."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime

from shared.web.actor import Actor, UntrustedIdentity, expiry_of, verify_identity

REMEMBERED = 4096


class Trust:
    """The identities that one service accepts, verified once each and forgotten when they expire."""

    def __init__(self, audience: str, keys: Sequence[str]) -> None:
        self._audience = audience
        self._keys = tuple(keys)
        self._known: OrderedDict[str, tuple[Actor, datetime]] = OrderedDict()

    def actor_of(self, token: str, *, at: datetime) -> Actor:
        """The actor whom `token` names. Raises UntrustedIdentity."""
        known = self._known.get(token)
        if known is None:
            actor = verify_identity(token, audience=self._audience, keys=self._keys, at=at)
            known = self._known[token] = (actor, expiry_of(token))
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        actor, expires_at = known
        if at >= expires_at:
            del self._known[token]
            raise UntrustedIdentity("expired")
        return actor
