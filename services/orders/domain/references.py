"""What orders and tasks refer to: clients, templates, engagements, staff; as the replicas know them."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from services.orders.model import ClientToBill, Employee
from services.orders.store import employees, orders, replicas
from services.orders.store.replicas import Named, State, Template
from shared.contracts.engagements import EngagementState
from shared.contracts.identity import ClientClosed, CloseClient
from shared.database import Tx
from shared.errors import ClientIsLeaving, RefersToNothing
from shared.messaging.closing import ClientUndecided


async def unheard_of(tx: Tx, org: UUID, named: Sequence[Named]) -> list[Named]:
    """Those of `named` that must be asked of their owners."""
    return await replicas.unheard_of(tx, org, named)


async def keep(tx: Tx, state: State) -> None:
    """Keep what an owner says, unless something newer is known."""
    await replicas.keep(tx, state)


async def keep_engagements(tx: Tx, org: UUID, engagements: Sequence[EngagementState]) -> None:
    """`keep` for many engagements of one organisation at once."""
    await replicas.keep_engagements(tx, org, engagements)


async def close_client(tx: Tx, asked: CloseClient) -> ClientClosed:
    """Let nothing new hang on the client, and count what does: each create holds the row that is locked first."""
    await replicas.keep(tx, asked.client)
    return ClientClosed(count=await orders.count_of_client(tx, asked.client.org_id, asked.client.id))


async def client(tx: Tx, org: UUID, client: UUID) -> ClientToBill:
    """The client, locked against being closed. Raises RefersToNothing, ClientIsLeaving."""
    try:
        found = await replicas.lock_client(tx, org, client)
    except ClientUndecided as error:
        raise ClientIsLeaving("user_id") from error
    if found is None:
        raise RefersToNothing("user_id", "client")
    return found


async def template(tx: Tx, org: UUID, template: UUID) -> Template:
    """The service template. Raises RefersToNothing."""
    found = await replicas.template(tx, org, template)
    if found is None:
        raise RefersToNothing("service_id", "service")
    return found


async def require_engagement(tx: Tx, org: UUID, engagement: UUID, client: UUID) -> None:
    """Raises RefersToNothing unless it is an engagement of the client's."""
    if not await replicas.is_engagement_of(tx, org, engagement, client):
        raise RefersToNothing("engagement_id", "engagement of this client")


async def staff(
    tx: Tx, org: UUID, ids: Sequence[UUID], *, field: str, there: Sequence[Employee] = ()
) -> tuple[Employee, ...]:
    """The members of staff, each once; who is `there` already may have left meanwhile. Raises RefersToNothing."""
    found = await employees.named(tx, org, ids, there_already=[employee.id for employee in there]) if ids else {}
    for position, id in enumerate(ids):
        if id not in found:
            raise RefersToNothing(f"{field}.{position}", "member of staff")
    return tuple(found[id] for id in dict.fromkeys(ids))
