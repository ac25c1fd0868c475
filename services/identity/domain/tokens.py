"""API tokens: making, listing and revoking them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from services.identity.domain.credentials import revoked
from services.identity.model.credentials import MOST_TOKENS, ApiToken, check_token, hash_of
from services.identity.model.errors import TooManyTokens
from services.identity.store import clients, tokens
from shared.database import Tx
from shared.database.windows import Page
from shared.errors import NotFound, RefersToNothing
from shared.messaging import outbox
from shared.web.actor import Actor, Role
from shared.web.paging import PageQuery


class NewToken(msgspec.Struct, frozen=True, kw_only=True):
    """What a token is made of; `secret` is shown to whoever asked for it, and never again."""

    id: UUID
    name: str
    role: Role
    client_id: UUID | None
    expires_at: datetime | None
    secret: str


async def make(tx: Tx, actor: Actor, new: NewToken, at: datetime) -> ApiToken:
    """A token that acts as the actor, or as a client.

    Raises InvalidInput, RefersToNothing for a client who is not there, and TooManyTokens.
    """
    check_token(role=new.role, client_id=new.client_id, expires_at=new.expires_at, at=at)
    if new.client_id is not None:
        client = await clients.get_state(tx, actor.org_id, new.client_id)
        if client is None or client.is_closed:
            raise RefersToNothing("client_id", "client")
    token = ApiToken(
        org_id=actor.org_id,
        id=new.id,
        name=new.name,
        role=new.role,
        made_by=actor.id,
        client_id=new.client_id,
        created_at=at,
        expires_at=new.expires_at,
    )
    await tokens.lock_person(tx, token.org_id, token.actor_id)
    if await tokens.count_of_person(tx, token.org_id, token.actor_id, at) >= MOST_TOKENS:
        raise TooManyTokens
    await tokens.insert(tx, token, hash_of(new.secret))
    return token


async def browse(tx: Tx, actor: Actor, query: PageQuery) -> Page[ApiToken]:
    """One page of the organisation's tokens."""
    return await tokens.page(tx, actor.org_id, query.window)


async def revoke(tx: Tx, actor: Actor, token: UUID | None, *, event_id: UUID) -> None:
    """End the token and tell the gateways. Raises NotFound."""
    ended = await tokens.delete(tx, actor.org_id, token) if token else None
    if ended is None:
        raise NotFound("token")
    await outbox.put(tx, revoked(event_id, actor.org_id, ended.actor_id, ended.id))
