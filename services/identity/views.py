"""What people and credentials look like to callers. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from services.identity.model.clients import Client
from services.identity.model.credentials import ApiToken, Verified
from services.identity.model.people import AccountStatus, Person
from services.identity.model.users import StaffRole, User
from shared.contracts.identity import Address
from shared.web.actor import Actor, Role
from shared.web.readers import StaffOnly
from shared.web.shapes import FreeObject

BEARER: Final = "bearer"
BALANCE: Final = "0.00"
SHOWN_ONCE: Final = "The token was shown once, in the first answer, and is stored nowhere."


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
    """A token just made: `token` is shown this once.

    A repetition under an `Idempotency-Key` has null in its place, and a `notice` that says why.
    """

    token: str | None
    notice: str | UnsetType = UNSET

    def without_secret(self) -> NewTokenView:
        """What may be stored of it, for a repetition."""
        return msgspec.structs.replace(self, token=None, notice=SHOWN_ONCE)


class ClientView(msgspec.Struct, frozen=True, kw_only=True):
    """A client; `status` 1 is active, 0 disabled."""

    id: UUID
    org_id: UUID
    name: str
    name_f: str
    name_l: str
    email: str
    company: str | None
    phone: str | None
    tax_id: str | None
    note: StaffOnly[str | None] = UNSET
    address: Address | None
    custom_fields: StaffOnly[FreeObject] = UNSET
    status: AccountStatus
    balance: Literal["0.00"]
    created_at: datetime
    updated_at: datetime


class UserView(msgspec.Struct, frozen=True, kw_only=True):
    """A member of staff; `status` 1 is active, 0 disabled."""

    id: UUID
    org_id: UUID
    name: str
    name_f: str
    name_l: str
    email: str
    role: StaffRole
    status: AccountStatus
    created_at: datetime
    updated_at: datetime


class VerifiedView(msgspec.Struct, frozen=True, kw_only=True):
    """Who acts, until when (null: until it is revoked), and for how long that may be believed without asking again."""

    actor: Actor
    credential_id: UUID
    expires_at: datetime | None
    believe_seconds: float


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


def client(shown: Client) -> ClientView:
    """A client as staff see them."""
    return ClientView(
        id=shown.id,
        org_id=shown.org_id,
        name=shown.name,
        name_f=shown.name_f,
        name_l=shown.name_l,
        email=shown.email,
        company=shown.company,
        phone=shown.phone,
        tax_id=shown.tax_id,
        note=shown.note,
        address=shown.address,
        custom_fields=msgspec.Raw(shown.custom_fields),
        status=shown.status,
        balance=BALANCE,
        created_at=shown.created_at,
        updated_at=shown.updated_at,
    )


def user(shown: User) -> UserView:
    """A member of staff as their colleagues see them."""
    return UserView(
        id=shown.id,
        org_id=shown.org_id,
        name=shown.name,
        name_f=shown.name_f,
        name_l=shown.name_l,
        email=shown.email,
        role=StaffRole(shown.role),
        status=shown.status,
        created_at=shown.created_at,
        updated_at=shown.updated_at,
    )


def verified(proof: Verified, believe_seconds: float) -> VerifiedView:
    """What the gateway is told of a credential."""
    return VerifiedView(
        actor=proof.actor,
        credential_id=proof.credential_id,
        expires_at=proof.expires_at,
        believe_seconds=believe_seconds,
    )
