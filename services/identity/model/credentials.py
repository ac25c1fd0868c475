"""Credentials: API tokens and sessions, and whom they stand for."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import jwt
import msgspec

from shared.errors import InvalidInput
from shared.ids import OrgId
from shared.web.actor import Actor, Role

PREFIX: Final = "serx_"
LAST_USE_PRECISION: Final = timedelta(minutes=1)
MOST_TOKENS: Final = 100
"""Of one person at a time, expired ones left out: each has a rate limit of its own."""
_SECRET_BYTES: Final = 32
_ALGORITHM: Final = "HS256"
_ISSUER: Final = "identity"


class ApiToken(msgspec.Struct, frozen=True, kw_only=True):
    """A credential of an integration: acts as the administrator who made it, or as the client that it names."""

    org_id: OrgId
    id: UUID
    name: str
    role: Role
    made_by: UUID
    client_id: UUID | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None = None

    @property
    def actor_id(self) -> UUID:
        """As whom it acts."""
        return self.client_id or self.made_by


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A login that lasts until it expires or is ended."""

    org_id: OrgId
    id: UUID
    expires_at: datetime


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What a credential proves: who acts, and until when that may be believed."""

    actor: Actor
    credential_id: UUID
    expires_at: datetime | None
    last_used_at: datetime | None = None


def new_secret() -> str:
    """A fresh API token: 256 bits at random."""
    return PREFIX + secrets.token_urlsafe(_SECRET_BYTES)


def is_secret(credential: str) -> bool:
    """Whether the credential is an API token, and not a session's."""
    return credential.startswith(PREFIX)


def hash_of(secret: str) -> bytes:
    """What is stored of a token. It holds 256 random bits, so that a plain SHA-256 cannot be guessed back."""
    return hashlib.sha256(secret.encode()).digest()


def role_of_token(role: Role, maker: Role) -> Role:
    """The role that a staff token has today: never more than its maker still has."""
    return maker if role is Role.ADMIN else role


def check_token(*, role: Role, client_id: UUID | None, expires_at: datetime | None, at: datetime) -> None:
    """Raises InvalidInput for a client token that names no client, another that does, and an end in the past."""
    errors: dict[str, list[str]] = {}
    if role is Role.CLIENT and client_id is None:
        errors["client_id"] = ["This field is required for the role client."]
    if role is not Role.CLIENT and client_id is not None:
        errors["client_id"] = ["Only a token of the role client can name a client."]
    if expires_at is not None and expires_at <= at:
        errors["expires_at"] = ["The time must be in the future."]
    if errors:
        raise InvalidInput(errors)


def sign_session(session: Session, key: str) -> str:
    """The session's bearer token (RFC 7519)."""
    claims = {
        "iss": _ISSUER,
        "sid": str(session.id),
        "org": str(session.org_id),
        "exp": session.expires_at,
    }
    return jwt.encode(claims, key, algorithm=_ALGORITHM)


class _Claims(msgspec.Struct, frozen=True):
    sid: UUID
    org: OrgId


def read_session(token: str, keys: Sequence[str]) -> tuple[OrgId, UUID] | None:
    """The organisation and the id of the session that `token` names, or None when it is not one of ours.

    Whether that session still lasts, its row says.
    """
    for key in keys:
        try:
            claims = jwt.decode(
                token, key, algorithms=[_ALGORITHM], issuer=_ISSUER, options={"require": ["exp"], "verify_exp": False}
            )
            named = msgspec.convert(claims, _Claims)
        except jwt.InvalidSignatureError:
            continue
        except (jwt.InvalidTokenError, msgspec.ValidationError):
            return None
        return named.org, named.sid
    return None
