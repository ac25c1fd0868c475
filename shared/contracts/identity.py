"""What identity hears and says."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Where a client is; each line may be missing."""

    line_1: str | None = None
    line_2: str | None = None
    city: str | None = None
    state: str | None = None
    country: str | None = None
    postcode: str | None = None


class Billing(msgspec.Struct, frozen=True, kw_only=True):
    """What a bill to a client needs beside their name, e-mail and company."""

    tax_id: str | None = None
    address: Address | None = None


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
    billing: Billing | None = None
    """None where it was not told: by an identity, or in a copy, that is older than this field."""
    is_enabled: bool = True
    is_closed: bool = False
    """Deleted, or about to be: nothing new may hang on it."""
    is_deleted: bool = False

    @property
    def is_closing(self) -> bool:
        """About to be deleted: whether they are, or stay, is being decided."""
        return self.is_closed and not self.is_deleted

    @property
    def name(self) -> str:
        return f"{self.name_f} {self.name_l}" if self.name_l else self.name_f


class ClientQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """`ask.identity.client`: who is this client? Answered with a ClientState, or null when there is none."""

    org_id: UUID
    id: UUID


class AddressQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """`ask.identity.client-of-address`: whose is this e-mail address?

    Answered with the ClientState of the one client who has it, or null when there is none, or several, or when they
    are about to be deleted.
    """

    org_id: UUID
    email: str


class UserState(msgspec.Struct, frozen=True, kw_only=True):
    """A member of staff as others keep them (event `user.changed`, question `ask.identity.user`)."""

    org_id: UUID
    id: UUID
    version: int
    name_f: str
    name_l: str
    email: str
    is_enabled: bool = True

    @property
    def name(self) -> str:
        return f"{self.name_f} {self.name_l}" if self.name_l else self.name_f


class UserQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """`ask.identity.user`: who is this member of staff? Answered with a UserState, or null when there is none."""

    org_id: UUID
    id: UUID


class CloseClient(msgspec.Struct, frozen=True, kw_only=True):
    """`ask.engagements.close-client`, `ask.orders.close-client`: let nothing new hang on this client, and count.

    `client` is the state to keep (`is_closed`), under the client's row lock. Answered with a ClientClosed.
    """

    client: ClientState


class ClientClosed(msgspec.Struct, frozen=True, kw_only=True):
    """How many things of the asked service hang on the client: engagements or orders, the deleted ones not counted."""

    count: int


class EnsureClient(msgspec.Struct, frozen=True, kw_only=True):
    """Command `ensure-client`: the client with this e-mail; made with `client_id` if the organisation has none.

    Where the proposal belongs to a client already (`is_bound`), `client_id` is that client's: it is answered, whatever
    e-mail it has now, or refused; none is made.
    """

    org_id: UUID
    client_id: UUID
    event_id: UUID
    email: str
    name_f: str
    name_l: str
    company: str | None = None
    at: datetime
    is_bound: bool = False


class ClientEnsured(msgspec.Struct, frozen=True, kw_only=True):
    """The reply: the client as it is, whoever made it."""

    client: ClientState


class CredentialRevoked(msgspec.Struct, frozen=True, kw_only=True):
    """Event `credential.revoked`: forget the credential, or, without one, every credential that acts as `actor_id`."""

    org_id: UUID
    actor_id: UUID
    credential_id: UUID | None = None
