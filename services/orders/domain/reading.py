"""Reading orders."""

from __future__ import annotations

from uuid import UUID

from services.orders.model import Order, OrderStatus
from services.orders.store import orders
from shared.database import Tx
from shared.database.windows import Page
from shared.errors import NotFound
from shared.web.actor import Actor
from shared.web.paging import PageQuery


async def retrieve(tx: Tx, actor: Actor, order: UUID | None) -> Order:
    """The order. Raises NotFound."""
    found = await orders.get(tx, actor.org_id, order, only_of=actor.client_id) if order else None
    if found is None:
        raise NotFound("order")
    return found


async def browse(
    tx: Tx,
    actor: Actor,
    query: PageQuery,
    *,
    status: OrderStatus | None,
    client_id: UUID | None,
    engagement_id: UUID | None,
    number: str | None,
) -> Page[Order]:
    """One page of the orders that the caller may see."""
    filters = orders.Filters(
        only_of=actor.client_id, status=status, client_id=client_id, engagement_id=engagement_id, number=number
    )
    return await orders.page(tx, actor.org_id, filters, query.window)
