"""What identity hears and says."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec


class ClientState(msgspec.Struct, frozen=True, kw_only=True):
    """A client as others keep it (event `client.changed`, question `ask.identity.client`); `version` only grows."""

    org_id: UUID
    id: UUID
    version: int
    name_f: str
    name_l: str
    email: str
    company: str | None = None
    phone: str | None = None
    is_enabled: bool = True
    is_closed: bool = False
    """Deleted, or about to be: nothing new may hang on it."""
    is_deleted: bool = False

    @property
    def name(self) -> str:
        return f"{self.name_f} {self.name_l}"


class ClientQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """`ask.identity.client`: who is this client? Answered with a ClientState, or null when there is none."""

    org_id: UUID
    id: UUID


class EnsureClient(msgspec.Struct, frozen=True, kw_only=True):
    """Command `ensure-client`: the client with this e-mail; made with `client_id` if the organisation has none."""

    org_id: UUID
    client_id: UUID
    event_id: UUID
    email: str
    name_f: str
    name_l: str
    company: str | None = None
    at: datetime


class ClientEnsured(msgspec.Struct, frozen=True, kw_only=True):
    """The reply: the client as it is, whoever made it."""

    client: ClientState


class CredentialRevoked(msgspec.Struct, frozen=True, kw_only=True):
    """Event `credential.revoked`: forget the credential, or, without one, every credential that acts as `actor_id`."""

    org_id: UUID
    actor_id: UUID
    credential_id: UUID | None = None
