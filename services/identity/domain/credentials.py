"""Whom a credential stands for, and the end of credentials."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from msgspec.structs import replace

from services.identity.model import credentials as model
from services.identity.model.credentials import Verified
from services.identity.model.errors import CredentialRejected
from services.identity.model.people import Account, Person
from services.identity.store import clients, sessions, tokens, users
from shared.contracts.identity import CredentialRevoked
from shared.database import Tx
from shared.errors import NotFound
from shared.ids import OrgId, new_id
from shared.messaging import outbox
from shared.messaging.outbox import Event, event
from shared.messaging.topology import event_subject
from shared.web.actor import Actor, Role


async def verify_token(tx: Tx, secret: str, at: datetime) -> Verified:
    """Whom an API token stands for; needs a transaction across organisations. Raises CredentialRejected."""
    holder = await tokens.get_holder(tx, model.hash_of(secret), at)
    if holder is None:
        raise CredentialRejected
    role = holder.role if holder.role is Role.CLIENT else model.role_of_token(holder.token_role, holder.role)
    return Verified(
        actor=replace(holder.actor, role=role),
        credential_id=holder.token_id,
        expires_at=holder.expires_at,
        last_used_at=holder.last_used_at,
    )


async def verify_session(tx: Tx, org: OrgId, session: UUID, at: datetime) -> Verified:
    """Whom a session stands for. Raises CredentialRejected."""
    holder = await sessions.get_holder(tx, org, session, at)
    if holder is None:
        raise CredentialRejected
    return Verified(actor=holder.actor, credential_id=holder.session_id, expires_at=holder.expires_at)


async def end_session(tx: Tx, actor: Actor, session: UUID, *, event_id: UUID) -> None:
    """End the actor's session and tell the gateways; one that has ended already stays ended."""
    if await sessions.delete(tx, actor.org_id, session, actor.id):
        await outbox.put(tx, revoked(event_id, actor.org_id, actor.id, session))


async def follow(tx: Tx, before: Account, after: Account) -> None:
    """What a change of an account means for its credentials: sessions end, gateways forget whom they stood for."""
    if before.is_logged_out_by(after):
        await sessions.delete_all(tx, after.org_id, after.id)
    if before.is_logged_out_by(after) or not before.acts_like(after):
        await outbox.put(tx, revoked(new_id(), after.org_id, after.id, None))


async def end_all(tx: Tx, org: OrgId, client: UUID) -> None:
    """End every session and token of a client who is no more."""
    await sessions.delete_all(tx, org, client)
    await tokens.delete_of_client(tx, org, client)
    await outbox.put(tx, revoked(new_id(), org, client, None))


async def who_is(tx: Tx, actor: Actor) -> Person:
    """The actor as they see themselves, in the role in which they ask. Raises NotFound when they are gone."""
    get = clients.get_person if actor.role is Role.CLIENT else users.get_person
    person = await get(tx, actor.org_id, actor.id)
    if person is None:
        raise NotFound("account")
    return replace(person, role=actor.role)


async def note_token_use(tx: Tx, used: Sequence[UUID], at: datetime) -> None:
    """Note when tokens were last used; needs a transaction across organisations."""
    await tokens.note_use(tx, used, at)


def revoked(event_id: UUID, org: OrgId, actor_id: UUID, credential_id: UUID | None) -> Event:
    """The event that makes every gateway forget a credential, or, without one, all that act as `actor_id`."""
    told = CredentialRevoked(org_id=org, actor_id=actor_id, credential_id=credential_id)
    return event(event_id, event_subject(org, "credential", "revoked"), "credential.revoked.v1", told)
