"""Who is asking: the signed, short-lived identity that the gateway hands to a service, and that a service alone takes.

A JWT (RFC 7519, HS256) with the service as its audience, signed with a key that only the gateway and that service hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

import jwt
import msgspec

from shared.errors import Forbidden
from shared.ids import OrgId

IDENTITY_HEADER: Final = "serx-identity"
LIFETIME: Final = timedelta(seconds=30)
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


def sign_identity(actor: Actor, *, audience: str, key: str, at: datetime) -> str:
    """The identity of `actor` for one service, good for LIFETIME from `at`."""
    claims = msgspec.to_builtins(actor) | {"aud": audience, "iss": "gateway", "exp": at + LIFETIME}
    return jwt.encode(claims, key, algorithm=_ALGORITHM)


def verify_identity(token: str, *, audience: str, keys: Sequence[str]) -> Actor:
    """The actor whom the gateway vouches for; any of `keys` may have signed (so that keys can be rotated).

    Raises UntrustedIdentity.
    """
    for key in keys:
        try:
            claims = jwt.decode(
                token, key, algorithms=[_ALGORITHM], audience=audience, issuer="gateway", options={"require": ["exp"]}
            )
            return msgspec.convert(claims, Actor)
        except jwt.InvalidSignatureError:
            continue
        except (jwt.InvalidTokenError, msgspec.ValidationError) as error:
            raise UntrustedIdentity(type(error).__name__) from error
    raise UntrustedIdentity("signature")


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
    claims = {"aud": audience, "iss": "gateway", "sub": "gateway", "exp": at + LIFETIME}
    return jwt.encode(claims, key, algorithm=_ALGORITHM)


def verify_gateway(token: str, *, audience: str, keys: Sequence[str]) -> None:
    """Raises UntrustedIdentity unless `token` is the gateway's own identity."""
    for key in keys:
        try:
            claims = jwt.decode(
                token, key, algorithms=[_ALGORITHM], audience=audience, issuer="gateway", options={"require": ["exp"]}
            )
        except jwt.InvalidSignatureError:
            continue
        except jwt.InvalidTokenError as error:
            raise UntrustedIdentity(type(error).__name__) from error
        if claims.get("sub") == "gateway":
            return
    raise UntrustedIdentity("signature")
