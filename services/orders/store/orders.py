"""Orders, each with its client."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

import msgspec

from services.orders.model import Client, Order, OrderStatus
from shared.database import Tx
from shared.database.listing import Order as SortOrder
from shared.database.listing import in_each_order

COLUMNS = """
o.id, o.org_id, o.version, o.number, o.client_id, c.name_f, c.name_l, c.email, c.company, c.phone, o.engagement_id,
o.proposal_id, o.status, o.price, o.currency, o.quantity, o.service, o.service_id, o.note, o.metadata, o.form_data,
o.tags, o.created_at, o.updated_at, o.date_started, o.date_completed, o.date_due
"""
JOINED = "orders o join clients c on c.org_id = o.org_id and c.id = o.client_id"
# A client sees their own.
READABLE = """
o.org_id = $1 and o.deleted_at is null and o.cancelled_at is null and ($2::uuid is null or o.client_id = $2)
"""
GET = f"""
select {COLUMNS} from {JOINED} where {READABLE} and o.id = $3
"""
FILTERED = f"""
{READABLE} and ($3::smallint is null or o.status = $3) and ($4::uuid is null or o.client_id = $4)
and ($5::uuid is null or o.engagement_id = $5)
"""
COUNT = f"""
select count(*) from orders o where {FILTERED}
"""
LIST = in_each_order(
    f"""
select {COLUMNS} from {JOINED} where {FILTERED} {{order}} limit $6 offset $7
""",
    {"id": "o.id", "number": "o.number", "status": "o.status", "price": "o.price", "created_at": "o.created_at"},
)


class _Row(msgspec.Struct, frozen=True):
    id: UUID
    org_id: UUID
    version: int
    number: str
    client_id: UUID
    name_f: str
    name_l: str
    email: str
    company: str | None
    phone: str | None
    engagement_id: UUID | None
    proposal_id: UUID | None
    status: OrderStatus
    price: Decimal
    currency: str
    quantity: int
    service: str
    service_id: UUID | None
    note: str | None
    metadata: bytes
    form_data: bytes
    tags: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    date_started: datetime | None
    date_completed: datetime | None
    date_due: datetime | None

    def order(self) -> Order:
        fields = {name: getattr(self, name) for name in Order.__struct_fields__ if name != "client"}
        client = {name: getattr(self, name) for name in Client.__struct_fields__ if name != "id"}
        return Order(client=Client(id=self.client_id, **client), **fields)


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of orders is narrowed to; `only_of` is the client who asks."""

    only_of: UUID | None = None
    status: OrderStatus | None = None
    client_id: UUID | None = None
    engagement_id: UUID | None = None


async def get(tx: Tx, org: UUID, order: UUID, *, only_of: UUID | None) -> Order | None:
    """The order, if the caller may see it."""
    row = await tx.row(_Row, GET, org, only_of, order)
    return None if row is None else row.order()


async def page(
    tx: Tx, org: UUID, filters: Filters, order: SortOrder, *, limit: int, offset: int
) -> tuple[list[Order], int]:
    """One page, and how many there are in all."""
    arguments = (org, filters.only_of, filters.status, filters.client_id, filters.engagement_id)
    total = await tx.value(COUNT, *arguments)
    rows = await tx.rows(_Row, LIST[order], *arguments, limit, offset)
    return [row.order() for row in rows], total
