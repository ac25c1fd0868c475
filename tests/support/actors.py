"""Who asks, in tests: actors, and the identity that the gateway would sign for them."""

from __future__ import annotations

from uuid import UUID

from shared import clock
from shared.ids import OrgId, new_id
from shared.web.actor import IDENTITY_HEADER, Actor, Role, sign_identity

KEY = "a key for tests that is long enough to sign"


def admin(org: UUID | None = None) -> Actor:
    """An administrator, of a new organisation unless one is given."""
    return Actor(
        org_id=OrgId(org or new_id()), id=new_id(), role=Role.ADMIN, name="Ada Admin", email="ada@agency.example"
    )


def client(org: UUID, *, email: str = "jane@roe.example", id: UUID | None = None) -> Actor:
    """A client of the organisation."""
    return Actor(org_id=OrgId(org), id=id or new_id(), role=Role.CLIENT, name="Jane Roe", email=email)


def headers(actor: Actor, service: str) -> dict[str, str]:
    """The headers with which the gateway would call the service for this actor."""
    return {IDENTITY_HEADER: sign_identity(actor, audience=service, key=KEY, at=clock.now())}
