"""Clients: making, reading and changing them, and what other services want of them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from msgspec import UNSET, UnsetType

from services.identity.domain import credentials
from services.identity.model import clients as model
from services.identity.model.clients import Client, ClientChanges, NewClient
from services.identity.model.ensuring import reply_to_bound, reply_to_ensure
from services.identity.model.errors import EmailTaken
from services.identity.store import clients, emails
from shared.contracts.identity import AddressQuestion, Billing, ClientQuestion, ClientState, EnsureClient
from shared.contracts.reply import Reply
from shared.database import Tx
from shared.database.windows import Page
from shared.errors import NotFound
from shared.ids import new_id
from shared.messaging import outbox
from shared.messaging.closing import ClientUndecided
from shared.messaging.outbox import Event, event
from shared.messaging.topology import event_subject
from shared.web.actor import Actor
from shared.web.paging import PageQuery


async def create(tx: Tx, actor: Actor, new: NewClient, at: datetime) -> Client:
    """A new client. Raises EmailTaken."""
    client = model.made(new, org=actor.org_id, id=new_id(), at=at)
    await emails.lock(tx, client.org_id, client.email)
    await _require_free(tx, client)
    stored = await clients.insert(tx, client)
    await outbox.put(tx, changed(new_id(), stored.state))
    return stored


async def retrieve(tx: Tx, actor: Actor, client: UUID | None) -> Client:
    """The client. Raises NotFound."""
    found = await clients.get(tx, actor.org_id, client) if client else None
    if found is None:
        raise NotFound("client")
    return found


async def browse(tx: Tx, actor: Actor, query: PageQuery) -> Page[Client]:
    """One page of the organisation's clients."""
    return await clients.page(tx, actor.org_id, query.window)


async def lock(tx: Tx, actor: Actor, client: UUID | None, *, email: str | UnsetType = UNSET) -> Client:
    """The client, locked, and before it the e-mail that it is to have, if any. Raises NotFound."""
    if email is not UNSET:
        await emails.lock(tx, actor.org_id, email)
    found = await clients.lock(tx, actor.org_id, client) if client else None
    if found is None:
        raise NotFound("client")
    return found


async def change(tx: Tx, found: Client, changes: ClientChanges, at: datetime) -> Client:
    """Change a client that is locked; nothing is written when nothing differs. Raises ClientIsClosing, EmailTaken."""
    after = found.changed(changes, at)
    if after is found:
        return found
    if after.email != found.email:
        await _require_free(tx, after)
    stored = await clients.save(tx, found, after)
    await outbox.put(tx, changed(new_id(), stored.state))
    await credentials.follow(tx, found, stored)
    return stored


async def ensure_client(tx: Tx, wanted: EnsureClient) -> Reply:
    """The client with the e-mail, made if the organisation has none; refused when it may not become one.

    Idempotent by the e-mail in one statement, so that a duplicate needs no stored reply: it finds what the first made.
    Whom a proposal belongs to already is found by id, and refused when they are disabled, deleted or nowhere.
    Raises ClientUndecided for one who is about to be deleted.
    """
    if wanted.is_bound:
        bound = await clients.get_state(tx, wanted.org_id, wanted.client_id)
        _require_decided(bound)
        return reply_to_bound(bound)
    told = changed(wanted.event_id, _as_made(wanted))
    await emails.lock(tx, wanted.org_id, wanted.email)
    ensured = await clients.ensure(tx, wanted, told)
    if ensured is None:
        return reply_to_ensure(None)
    if ensured.is_new:  # the statement has written the event already
        tx.said.append(told)
    _require_decided(ensured.client)
    return reply_to_ensure(ensured.client)


async def tell_client(tx: Tx, question: ClientQuestion) -> ClientState | None:
    """The client as others keep it, or None when there never was one."""
    return await clients.get_state(tx, question.org_id, question.id)


async def client_of_address(tx: Tx, question: AddressQuestion) -> ClientState | None:
    """The one open client with the address; None when there is none, or several who share it as namesakes."""
    found = await clients.of_address(tx, question.org_id, question.email)
    return found[0] if len(found) == 1 else None


def changed(event_id: UUID, client: ClientState) -> Event:
    """The event that tells everybody how a client is now."""
    return event(event_id, event_subject(client.org_id, "client", "changed"), "client.changed.v1", client)


async def _require_free(tx: Tx, client: Client) -> None:
    holder = await emails.holder(tx, client.org_id, client.email, besides=client.id)
    if holder is not None:
        raise EmailTaken(holder)


def _require_decided(client: ClientState | None) -> None:
    """Raises ClientUndecided for a client who is about to be deleted: whether they are, nobody can say yet."""
    if client is not None and client.is_closing:
        raise ClientUndecided


def _as_made(wanted: EnsureClient) -> ClientState:
    return ClientState(
        org_id=wanted.org_id,
        id=wanted.client_id,
        version=1,
        name_f=wanted.name_f,
        name_l=wanted.name_l,
        email=wanted.email,
        company=wanted.company,
        billing=Billing(),
    )
