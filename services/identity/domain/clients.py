"""What other services want of clients."""

from __future__ import annotations

from services.identity.model.ensuring import reply_to_ensure
from services.identity.store import clients
from shared.contracts.identity import ClientQuestion, ClientState, EnsureClient
from shared.contracts.reply import Reply
from shared.database import Tx
from shared.messaging.outbox import event
from shared.messaging.topology import event_subject


async def ensure_client(tx: Tx, wanted: EnsureClient) -> Reply:
    """The client with the e-mail, made if the organisation has none; refused when it may not become one.

    Idempotent by the e-mail in one statement, so that a duplicate needs no stored reply: it finds what the first made.
    """
    told = event(
        wanted.event_id, event_subject(wanted.org_id, "client", "changed"), "client.changed.v1", _as_made(wanted)
    )
    ensured = await clients.ensure(tx, wanted, told)
    if ensured is None:
        return reply_to_ensure(None)
    if ensured.is_new:  # the statement has written the event already
        tx.said.append(told)
    return reply_to_ensure(ensured.client)


async def tell_client(tx: Tx, question: ClientQuestion) -> ClientState | None:
    """The client as others keep it, or None when there never was one."""
    return await clients.get_state(tx, question.org_id, question.id)


def _as_made(wanted: EnsureClient) -> ClientState:
    return ClientState(
        org_id=wanted.org_id,
        id=wanted.client_id,
        version=1,
        name_f=wanted.name_f,
        name_l=wanted.name_l,
        email=wanted.email,
        company=wanted.company,
    )
