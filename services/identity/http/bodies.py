"""What callers send about clients and staff."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import asdict

from services.identity.model.clients import ClientChanges, NewClient
from services.identity.model.people import (
    MAX_NAME_LENGTH,
    MAX_PASSWORD_LENGTH,
    MIN_PASSWORD_LENGTH,
    AccountStatus,
)
from services.identity.model.users import NewUser, StaffRole, UserChanges
from shared.contracts.identity import Address
from shared.web.actor import Role
from shared.web.patterns import NOT_BLANK
from shared.web.shapes import JsonObject
from shared.web.texts import FirstName, LastName, Line, LongText, email

Email = Annotated[str, email("An e-mail address, unique in the organisation whatever its casing.")]
FullLastName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_NAME_LENGTH,
        pattern=NOT_BLANK,
        description="1 to 100 characters.",
        examples=["Roe"],
    ),
]
Password = Annotated[
    str,
    Meta(
        min_length=MIN_PASSWORD_LENGTH,
        max_length=MAX_PASSWORD_LENGTH,
        description="At least 12 characters; write-only. Null, or none: cannot log in. Another one ends all sessions.",
    ),
]


class AddressBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    line_1: Line | None = None
    line_2: Line | None = None
    city: Line | None = None
    state: Line | None = None
    country: Line | None = None
    postcode: Line | None = None

    def address(self) -> Address:
        return Address(**asdict(self))


class ClientBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A client to be made; `status` 1 is active, 0 disabled."""

    name_f: FirstName
    name_l: LastName = ""
    email: Email
    company: Line | None = None
    phone: Line | None = None
    tax_id: Line | None = None
    note: LongText | None = None
    address: AddressBody | None = None
    custom_fields: JsonObject = JsonObject(b"{}")
    status: AccountStatus = AccountStatus.ACTIVE
    password: Password | None = None

    def client(self, password_hash: str | None) -> NewClient:
        """What the domain makes a client of."""
        return NewClient(
            name_f=self.name_f,
            name_l=self.name_l,
            email=self.email,
            company=self.company,
            phone=self.phone,
            tax_id=self.tax_id,
            note=self.note,
            address=self.address.address() if self.address else None,
            custom_fields=bytes(self.custom_fields),
            is_enabled=self.status is AccountStatus.ACTIVE,
            password_hash=password_hash,
        )


class ClientChangesBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What of a client is to change; `address` and `custom_fields` are replaced as a whole."""

    name_f: FirstName | UnsetType = UNSET
    name_l: LastName | UnsetType = UNSET
    email: Email | UnsetType = UNSET
    company: Line | UnsetType | None = UNSET
    phone: Line | UnsetType | None = UNSET
    tax_id: Line | UnsetType | None = UNSET
    note: LongText | UnsetType | None = UNSET
    address: AddressBody | UnsetType | None = UNSET
    custom_fields: JsonObject | UnsetType = UNSET
    status: AccountStatus | UnsetType = UNSET
    password: Password | UnsetType | None = UNSET

    def changes(self, password_hash: str | UnsetType | None) -> ClientChanges:
        """What the domain changes."""
        return ClientChanges(
            name_f=self.name_f,
            name_l=self.name_l,
            email=self.email,
            company=self.company,
            phone=self.phone,
            tax_id=self.tax_id,
            note=self.note,
            address=self.address.address() if isinstance(self.address, AddressBody) else self.address,
            custom_fields=UNSET if self.custom_fields is UNSET else bytes(self.custom_fields),
            is_enabled=UNSET if self.status is UNSET else self.status is AccountStatus.ACTIVE,
            password_hash=password_hash,
        )


class UserBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A member of staff to be made."""

    name_f: FirstName
    name_l: FullLastName
    email: Email
    role: StaffRole
    password: Password | None = None

    def user(self, password_hash: str | None) -> NewUser:
        """What the domain makes a member of staff of."""
        return NewUser(
            name_f=self.name_f,
            name_l=self.name_l,
            email=self.email,
            role=Role(self.role),
            password_hash=password_hash,
        )


class UserChangesBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What of a member of staff is to change; `status` 1 enables one who was disabled, 0 disables as `DELETE` does."""

    name_f: FirstName | UnsetType = UNSET
    name_l: FullLastName | UnsetType = UNSET
    email: Email | UnsetType = UNSET
    role: StaffRole | UnsetType = UNSET
    status: AccountStatus | UnsetType = UNSET
    password: Password | UnsetType | None = UNSET

    def changes(self, password_hash: str | UnsetType | None) -> UserChanges:
        """What the domain changes."""
        return UserChanges(
            name_f=self.name_f,
            name_l=self.name_l,
            email=self.email,
            role=UNSET if self.role is UNSET else Role(self.role),
            is_enabled=UNSET if self.status is UNSET else self.status is AccountStatus.ACTIVE,
            password_hash=password_hash,
        )
