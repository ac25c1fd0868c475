"""Who is asking: the signed, short-lived identity that the gateway hands to a service, and that a service alone takes.

A JWT (RFC 7519, HS256) with the service as its audience, signed with a key that only the gateway and that service hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import jwt
import msgspec

from shared.errors import Forbidden
from shared.ids import OrgId

IDENTITY_HEADER: Final = "serx-identity"
LIFETIME: Final = timedelta(seconds=30)
CLOCK_SKEW: Final = timedelta(seconds=20)
"""By how much the clock of a gateway may be ahead of a service's; behind it, by as much, since it renews after 10 s."""
_ROUNDING: Final = timedelta(seconds=1)
UNTRUSTED: Final = "Serx-Identity"
"""The challenge of a service that does not accept the gateway's word, which is none of the caller's credential."""
_ALGORITHM: Final = "HS256"


class Role(StrEnum):
    ADMIN = "admin"
    MEMBER = "member"
    CLIENT = "client"


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """The person or integration behind a request, as identity knows it."""

    org_id: OrgId
    id: UUID
    """The staff user's id, or the client's."""
    role: Role
    name: str
    email: str

    @property
    def is_staff(self) -> bool:
        return self.role is not Role.CLIENT

    @property
    def caller(self) -> str:
        """Whose an Idempotency-Key is: the user or client that any of their credentials stands for."""
        return f"{'user' if self.is_staff else 'client'}:{self.id}"

    @property
    def client_id(self) -> UUID | None:
        """The client's own id when a client asks."""
        return self.id if self.role is Role.CLIENT else None


class UntrustedIdentity(Exception):
    """The internal identity is missing, forged, expired, or meant for another service."""

    headers: Final = {"www-authenticate": UNTRUSTED}


def _moments(at: datetime) -> dict[str, datetime]:
    """When an identity was signed and until when it is good."""
    return {"iat": at, "exp": at + LIFETIME}


def _verified(token: str, audience: str, keys: Sequence[str], at: datetime) -> dict[str, Any]:
    """The claims of a token that one of `keys` has signed, not long ago and for no longer than LIFETIME.

    Raises UntrustedIdentity.
    """
    options: Any = {"require": ["exp"], "verify_exp": False, "verify_iat": False}
    for key in keys:
        try:
            claims = jwt.decode(
                token, key, algorithms=[_ALGORITHM], audience=audience, issuer="gateway", options=options
            )
        except jwt.InvalidSignatureError:
            continue
        except jwt.InvalidTokenError as error:
            raise UntrustedIdentity(type(error).__name__) from error
        _check_life(claims, at)
        return claims
    raise UntrustedIdentity("signature")


def _check_life(claims: dict[str, Any], at: datetime) -> None:
    """Whoever has a key shall not sign for longer than the gateway does: a token that leaks is worth nothing soon."""
    now, longest = at.timestamp(), LIFETIME.total_seconds()
    try:
        expires_at = float(claims["exp"])
        signed_at = float(claims.get("iat", expires_at - longest))  # a gateway of the last release leaves it out
    except (TypeError, ValueError, OverflowError) as error:
        raise UntrustedIdentity("its times are no numbers") from error
    if not now < expires_at:
        raise UntrustedIdentity("expired")
    if not signed_at <= now + CLOCK_SKEW.total_seconds():
        raise UntrustedIdentity("signed in the future")
    if not expires_at - signed_at <= longest + _ROUNDING.total_seconds():
        raise UntrustedIdentity("good for too long")


def sign_identity(actor: Actor, *, audience: str, key: str, at: datetime) -> str:
    """The identity of `actor` for one service, good for LIFETIME from `at`."""
    claims = msgspec.to_builtins(actor) | {"aud": audience, "iss": "gateway"} | _moments(at)
    return jwt.encode(claims, key, algorithm=_ALGORITHM)


def verify_identity(token: str, *, audience: str, keys: Sequence[str], at: datetime) -> Actor:
    """The actor whom the gateway vouches for; any of `keys` may have signed (so that keys can be rotated).

    Raises UntrustedIdentity.
    """
    try:
        return msgspec.convert(_verified(token, audience, keys, at), Actor)
    except msgspec.ValidationError as error:
        raise UntrustedIdentity(type(error).__name__) from error


def require_staff(actor: Actor) -> None:
    """Raises Forbidden unless the actor is staff."""
    if not actor.is_staff:
        raise Forbidden("Only staff may do this.")


def require_admin(actor: Actor) -> None:
    """Raises Forbidden unless the actor is an administrator."""
    if actor.role is not Role.ADMIN:
        raise Forbidden("Only administrators may do this.")


def expiry_of(token: str) -> datetime:
    """When a token that has been verified expires."""
    claims = jwt.decode(token, options={"verify_signature": False, "verify_aud": False})
    return datetime.fromtimestamp(claims["exp"], UTC)


def sign_gateway(*, audience: str, key: str, at: datetime) -> str:
    """The gateway's own identity, for calls that it makes before it knows who is asking."""
    claims = {"aud": audience, "iss": "gateway", "sub": "gateway"} | _moments(at)
    return jwt.encode(claims, key, algorithm=_ALGORITHM)


def verify_gateway(token: str, *, audience: str, keys: Sequence[str], at: datetime) -> None:
    """Raises UntrustedIdentity unless `token` is the gateway's own identity."""
    if _verified(token, audience, keys, at).get("sub") != "gateway":
        raise UntrustedIdentity("it is not the gateway's own")
