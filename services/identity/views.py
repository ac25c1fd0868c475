"""What people and credentials look like to callers. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal
from uuid import UUID

import msgspec

from services.identity.model.credentials import ApiToken, Verified
from services.identity.model.people import Person
from shared.web.actor import Actor, Role

BEARER: Final = "bearer"


class PersonView(msgspec.Struct, frozen=True, kw_only=True):
    """A member of staff or a client, as they see themselves."""

    id: UUID
    email: str
    name_f: str
    name_l: str
    name: str
    company: str | None
    phone: str | None
    org_id: UUID
    org_name: str
    role: Role


class LoginView(msgspec.Struct, frozen=True, kw_only=True):
    """A session: send `token` as `Authorization: Bearer <token>`."""

    token: str
    token_type: Literal["bearer"]
    expires_in_hours: int | float
    user: PersonView


class TokenView(msgspec.Struct, frozen=True, kw_only=True):
    """A token, without its secret."""

    id: UUID
    name: str
    role: Role
    client_id: UUID | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


class NewTokenView(TokenView, frozen=True, kw_only=True):
    """A token just made: `token` is shown this once."""

    token: str


class VerifiedView(msgspec.Struct, frozen=True, kw_only=True):
    """Who acts, and until when that may be believed (null: until it is revoked)."""

    actor: Actor
    credential_id: UUID
    expires_at: datetime | None


def person(who: Person) -> PersonView:
    """`who` as they see themselves."""
    return PersonView(
        id=who.id,
        email=who.email,
        name_f=who.name_f,
        name_l=who.name_l,
        name=who.name,
        company=who.company,
        phone=who.phone,
        org_id=who.org_id,
        org_name=who.org_name,
        role=who.role,
    )


def login(token: str, hours: float, who: Person) -> LoginView:
    """The answer to a login; whole hours are spelled as such."""
    expires_in_hours = int(hours) if hours.is_integer() else hours
    return LoginView(token=token, token_type=BEARER, expires_in_hours=expires_in_hours, user=person(who))


def token(shown: ApiToken) -> TokenView:
    """A token as lists show it."""
    return TokenView(
        id=shown.id,
        name=shown.name,
        role=shown.role,
        client_id=shown.client_id,
        created_at=shown.created_at,
        expires_at=shown.expires_at,
        last_used_at=shown.last_used_at,
    )


def new_token(made: ApiToken, secret: str) -> NewTokenView:
    """A token with its secret, for whoever has just made it."""
    return NewTokenView(**msgspec.structs.asdict(token(made)), token=secret)


def verified(proof: Verified) -> VerifiedView:
    """What the gateway is told of a credential."""
    return VerifiedView(actor=proof.actor, credential_id=proof.credential_id, expires_at=proof.expires_at)
