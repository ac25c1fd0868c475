"""Members of staff."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import asdict, replace

from services.identity.model.people import Account
from shared.contracts.identity import UserState
from shared.ids import OrgId
from shared.web.actor import Role


class StaffRole(StrEnum):
    """The roles that a member of staff can have."""

    ADMIN = Role.ADMIN.value
    MEMBER = Role.MEMBER.value


class NewUser(msgspec.Struct, frozen=True, kw_only=True):
    """What a member of staff is made of."""

    name_f: str
    name_l: str
    email: str
    role: Role
    password_hash: str | None


class UserChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What of a member of staff is to change; the rest stays as it is."""

    name_f: str | UnsetType = UNSET
    name_l: str | UnsetType = UNSET
    email: str | UnsetType = UNSET
    role: Role | UnsetType = UNSET
    is_enabled: bool | UnsetType = UNSET
    password_hash: str | UnsetType | None = UNSET


class User(Account, frozen=True, kw_only=True):
    """A member of staff."""

    role: Role

    @property
    def state(self) -> UserState:
        """The member of staff as others keep them."""
        return UserState(
            org_id=self.org_id,
            id=self.id,
            version=self.version,
            name_f=self.name_f,
            name_l=self.name_l,
            email=self.email,
            is_enabled=self.is_enabled,
        )

    @property
    def administers(self) -> bool:
        """Whether they are an administrator who can act."""
        return self.is_enabled and self.role is Role.ADMIN

    def changed(self, changes: UserChanges, at: datetime) -> User:
        """The member of staff with the changes, one version on; the very same when nothing differs."""
        sent = {name: value for name, value in asdict(changes).items() if value is not UNSET}
        after = replace(self, **sent)
        return self if after == self else replace(after, updated_at=at, version=self.version + 1)

    def disabled(self, at: datetime) -> User:
        """They can do nothing any more; what they did stays theirs. One who is disabled already stays as they are."""
        if not self.is_enabled:
            return self
        return replace(self, is_enabled=False, updated_at=at, version=self.version + 1)

    @property
    def _acting(self) -> tuple[object, ...]:
        return (*super()._acting, self.role)


def made(new: NewUser, *, org: OrgId, id: UUID, at: datetime) -> User:
    """A new member of staff."""
    return User(**asdict(new), org_id=org, id=id, version=1, is_enabled=True, created_at=at, updated_at=at)
