"""Organisations and the people in them."""

from __future__ import annotations

import re
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Final
from uuid import UUID

import msgspec

from shared.errors import InvalidInput
from shared.ids import OrgId
from shared.names import full_name
from shared.web.actor import Actor, Role
from shared.web.patterns import EMAIL

MIN_PASSWORD_LENGTH: Final = 12
MAX_PASSWORD_LENGTH: Final = 1024
MAX_EMAIL_LENGTH: Final = 254
MAX_NAME_LENGTH: Final = 100
_EMAIL: Final = re.compile(EMAIL)


class ClientStage(StrEnum):
    """The way out of a client: asked to be deleted, then deleted; each closed to anything new."""

    OPEN = "open"
    CLOSING = "closing"
    DELETED = "deleted"


class AccountStatus(IntEnum):
    """0 disabled: cannot log in, and no credential of theirs is good; 1 active."""

    DISABLED = 0
    ACTIVE = 1


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """What members of staff and clients have in common."""

    org_id: OrgId
    id: UUID
    version: int
    name_f: str
    name_l: str
    email: str
    is_enabled: bool
    password_hash: str | None
    """None for who cannot log in."""
    created_at: datetime
    updated_at: datetime

    @property
    def name(self) -> str:
        return full_name(self.name_f, self.name_l)

    @property
    def status(self) -> AccountStatus:
        return AccountStatus.ACTIVE if self.is_enabled else AccountStatus.DISABLED

    def is_logged_out_by(self, after: Account) -> bool:
        """Whether becoming `after` ends their sessions: they are disabled, or their password is another one."""
        return (self.is_enabled and not after.is_enabled) or self.password_hash != after.password_hash

    def acts_like(self, other: Account) -> bool:
        """Whether both are the same to other services (see `Person.actor`)."""
        return self._acting == other._acting

    @property
    def _acting(self) -> tuple[object, ...]:
        return (self.name, self.email, self.is_enabled)


class EmailHolder(msgspec.Struct, frozen=True, kw_only=True):
    """An account that has an e-mail; a disabled one has it too."""

    id: UUID
    is_staff: bool
    is_enabled: bool


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """A member of staff or a client, as they see themselves."""

    org_id: OrgId
    org_name: str
    id: UUID
    role: Role
    name_f: str
    name_l: str
    email: str
    company: str | None = None
    phone: str | None = None

    @property
    def name(self) -> str:
        return full_name(self.name_f, self.name_l)

    @property
    def client_id(self) -> UUID | None:
        """The id, of a client."""
        return self.id if self.role is Role.CLIENT else None

    @property
    def actor(self) -> Actor:
        """Who they are to other services."""
        return Actor(org_id=self.org_id, id=self.id, role=self.role, name=self.name, email=self.email)


class Candidate(Person, frozen=True, kw_only=True):
    """An account that a login may mean."""

    password_hash: str
    is_enabled: bool

    @property
    def person(self) -> Person:
        """The account without its password."""
        return Person(**{name: getattr(self, name) for name in Person.__struct_fields__})


class Founding(msgspec.Struct, frozen=True, kw_only=True):
    """A new organisation with its first administrator and that one's API token."""

    org_id: OrgId
    org_name: str
    user_id: UUID
    name_f: str
    name_l: str
    email: str
    password_hash: str
    token_id: UUID
    secret: str
    at: datetime


def check_founding(*, org_name: str, email: str, name_f: str, name_l: str, password: str) -> None:
    """Raises InvalidInput that names everything about a new organisation that cannot be."""
    errors: dict[str, list[str]] = {}
    if not 1 <= len(org_name.strip()) <= MAX_NAME_LENGTH:
        errors["name"] = [f"The organisation's name must have 1 to {MAX_NAME_LENGTH} characters."]
    if len(email) > MAX_EMAIL_LENGTH or not _EMAIL.search(email):
        errors["admin_email"] = ["The administrator's e-mail must look like name@example.com."]
    if not (1 <= len(name_f) <= MAX_NAME_LENGTH and 1 <= len(name_l) <= MAX_NAME_LENGTH):
        errors["admin_name"] = [
            f'The administrator\'s name must be "First Last", each of 1 to {MAX_NAME_LENGTH} characters.'
        ]
    if not MIN_PASSWORD_LENGTH <= len(password) <= MAX_PASSWORD_LENGTH:
        errors["password"] = [f"The password must have at least {MIN_PASSWORD_LENGTH} characters."]
    if errors:
        raise InvalidInput(errors)
