"""Clients: what is kept of them, and the way out of one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import asdict, replace

from services.identity.model.errors import ClientIsClosing
from services.identity.model.people import Account, ClientStage
from shared.contracts.identity import Address, Billing, ClientState
from shared.ids import OrgId


class NewClient(msgspec.Struct, frozen=True, kw_only=True):
    """What a client is made of."""

    name_f: str
    name_l: str
    email: str
    company: str | None
    phone: str | None
    tax_id: str | None
    note: str | None
    address: Address | None
    custom_fields: bytes
    is_enabled: bool
    password_hash: str | None


class ClientChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What of a client is to change; the rest stays as it is."""

    name_f: str | UnsetType = UNSET
    name_l: str | UnsetType = UNSET
    email: str | UnsetType = UNSET
    company: str | UnsetType | None = UNSET
    phone: str | UnsetType | None = UNSET
    tax_id: str | UnsetType | None = UNSET
    note: str | UnsetType | None = UNSET
    address: Address | UnsetType | None = UNSET
    custom_fields: bytes | UnsetType = UNSET
    is_enabled: bool | UnsetType = UNSET
    password_hash: str | UnsetType | None = UNSET


class Client(Account, frozen=True, kw_only=True):
    """A customer of the organisation."""

    company: str | None
    phone: str | None
    tax_id: str | None
    note: str | None
    address: Address | None
    custom_fields: bytes
    """The JSON of an object, as it was sent."""
    stage: ClientStage
    closing_at: datetime | None

    @property
    def state(self) -> ClientState:
        """The client as others keep it."""
        return ClientState(
            org_id=self.org_id,
            id=self.id,
            version=self.version,
            name_f=self.name_f,
            name_l=self.name_l,
            email=self.email,
            company=self.company,
            phone=self.phone,
            billing=Billing(tax_id=self.tax_id, address=self.address),
            is_enabled=self.is_enabled,
            is_closed=self.stage is not ClientStage.OPEN,
            is_deleted=self.stage is ClientStage.DELETED,
        )

    def changed(self, changes: ClientChanges, at: datetime) -> Client:
        """The client with the changes, one version on; the very same when nothing differs. Raises ClientIsClosing."""
        if self.stage is not ClientStage.OPEN:
            raise ClientIsClosing
        sent = {name: value for name, value in asdict(changes).items() if value is not UNSET}
        after = replace(self, **sent)
        return self if after == self else replace(after, updated_at=at, version=self.version + 1)

    def closing(self, at: datetime) -> Client:
        """Open → Closing; one that is Closing already stays as it is."""
        if self.stage is ClientStage.CLOSING:
            return self
        return replace(self, stage=ClientStage.CLOSING, closing_at=at, version=self.version + 1)

    def reopened(self) -> Client:
        """Closing → Open: it stays."""
        return replace(self, stage=ClientStage.OPEN, closing_at=None, version=self.version + 1)

    def deleted(self, at: datetime) -> Client:
        """Closing → Deleted: nothing is left that says who it was."""
        return replace(
            self,
            stage=ClientStage.DELETED,
            closing_at=None,
            version=self.version + 1,
            name_f="Deleted",
            name_l="Client",
            email=f"{self.id}@deleted.invalid",
            company=None,
            phone=None,
            tax_id=None,
            note=None,
            address=None,
            custom_fields=b"{}",
            is_enabled=False,
            password_hash=None,
            updated_at=at,
        )


class Fate(StrEnum):
    """What is to become of a client that is Closing."""

    DELETED = "deleted"
    KEPT = "kept"
    UNDECIDED = "undecided"
    """An owner did not say: the client is opened again, and may be deleted another time."""


def fate_of(counts: Sequence[int | None]) -> Fate:
    """What the owners' counts of things that hang on a client mean for it; None is an owner that did not answer."""
    if any(counts):
        return Fate.KEPT
    return Fate.UNDECIDED if None in counts else Fate.DELETED


def made(new: NewClient, *, org: OrgId, id: UUID, at: datetime) -> Client:
    """A new client."""
    return Client(
        **asdict(new),
        org_id=org,
        id=id,
        version=1,
        stage=ClientStage.OPEN,
        closing_at=None,
        created_at=at,
        updated_at=at,
    )
