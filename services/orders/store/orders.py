"""Orders, each with its client."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from services.orders.model import Client, Employee, Order, OrderStatus
from services.orders.store.employees import ON_ORDER
from shared.contracts.orders import BilledTo
from shared.database import Tx
from shared.database.listing import Filter, Sort, by_itself, choice, pages
from shared.database.tallies import tallied
from shared.database.windows import Page, Window

COLUMNS = f"""
o.id, o.org_id, o.version, o.number, o.client_id, c.name_f, c.name_l, c.email, c.company, c.phone, o.billed_to,
o.engagement_id, o.proposal_id, o.status, o.price, o.currency, o.quantity, o.service, o.service_id, o.note,
o.metadata, o.form_data, o.tags, o.created_at, o.updated_at, o.date_started, o.date_completed, o.date_due, {ON_ORDER}
"""
CLIENTS = "join clients c on c.org_id = o.org_id and c.id = o.client_id"
JOINED = f"orders o {CLIENTS}"
# A client sees their own.
READABLE = """
o.org_id = $1 and o.deleted_at is null and o.cancelled_at is null and ($2::uuid is null or o.client_id = $2)
"""
GET = by_itself(f"""
select {COLUMNS} from {JOINED} where {READABLE} and o.id = $3
""")
LOCK = f"""
select {COLUMNS} from {JOINED}
where o.org_id = $1 and o.id = $2 and o.deleted_at is null and o.cancelled_at is null for update of o
"""
# A number that is taken inserts nothing: another can be drawn in the same transaction.
INSERT = """
insert into orders (id, org_id, version, number, client_id, engagement_id, status, price, currency, quantity, service,
  service_id, note, metadata, form_data, tags, employee_ids, date_started, date_completed, date_due, created_at,
  updated_at, billed_to)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)
on conflict (org_id, number) do nothing
"""
# Taken before a number that somebody chose is written: the one who waits sees that it is taken.
LOCK_NUMBER = """
select pg_advisory_xact_lock(hashtextextended($1::uuid::text || $2, 1))
"""
# A number that is taken changes nothing: PostgreSQL would log the violation.
SAVE = """
update orders set version = $3, number = $4, client_id = $5, engagement_id = $6, status = $7, price = $8,
  currency = $9, quantity = $10, service = $11, service_id = $12, note = $13, metadata = $14, form_data = $15,
  tags = $16, employee_ids = $17, date_started = $18, date_completed = $19, date_due = $20, updated_at = $21
where org_id = $2 and id = $1
  and (number = $4 or not exists (select from orders other where other.org_id = $2 and other.number = $4))
"""
DELETE = """
update orders set deleted_at = $4, updated_at = $4, version = $3 where org_id = $1 and id = $2
"""
COUNT_OF_CLIENT = """
select count(*) from orders where org_id = $1 and client_id = $2 and deleted_at is null and cancelled_at is null
"""
FILTERED = "o.org_id = $1 and o.deleted_at is null and o.cancelled_at is null and {where}"
# Clients are looked for once the page is known, for its rows only.
PAGES = pages(
    f"""
select count(*) from orders o where {FILTERED}
""",
    f"""
select o.*, {{sorting}} from orders o where {FILTERED}
""",
    shown=f"select {COLUMNS}, o.sorting from ({{rows}}) o {CLIENTS} {{order}}",
    filters={
        "only_of": Filter("o.client_id = $2", "$2::uuid is null"),
        "status": Filter("o.status = $3", "$3::smallint is null"),
        "client_id": Filter("o.client_id = $4", "$4::uuid is null"),
        "engagement_id": Filter("o.engagement_id = $5", "$5::uuid is null"),
        "number": Filter("o.number = $6", "$6::text is null"),
    },
    sorts={
        "id": Sort("o.id", "uuid"),
        "number": Sort("o.number", "text"),
        "status": Sort("o.status", "smallint"),
        "price": Sort("o.price", "numeric"),
        "created_at": Sort("o.created_at", "timestamptz"),
    },
    id="o.id",
    counts={
        frozenset(): tallied("orders"),
        frozenset({"status"}): tallied("orders", status="$3"),
    },
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
    billed_to: BilledTo
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
    employees: tuple[Employee, ...]

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
    number: str | None = None


async def get(tx: Tx, org: UUID, order: UUID, *, only_of: UUID | None) -> Order | None:
    """The order, if the caller may see it."""
    row = await tx.row(_Row, GET, org, only_of, order)
    return None if row is None else row.order()


async def lock(tx: Tx, org: UUID, order: UUID) -> Order | None:
    """The order, locked until the transaction ends."""
    row = await tx.row(_Row, LOCK, org, order)
    return None if row is None else row.order()


async def lock_number(tx: Tx, org: UUID, number: str) -> None:
    """Let nobody else choose the number for an order until the transaction ends."""
    await tx.run(LOCK_NUMBER, org, number)


async def insert(tx: Tx, order: Order) -> bool:
    """Write a new order; False, and nothing written, when its number is taken."""
    return bool(await tx.run(INSERT, *_arguments(order), order.created_at, order.updated_at, order.billed_to))


async def save(tx: Tx, order: Order) -> bool:
    """Write what a locked order is now; False, and nothing written, when its number is taken.

    Another number than it had is to be locked (`lock_number`).
    """
    return bool(await tx.run(SAVE, *_arguments(order), order.updated_at))


async def delete(tx: Tx, order: Order, at: datetime) -> None:
    """Mark a locked order as deleted; `order` has its new version."""
    await tx.run(DELETE, order.org_id, order.id, order.version, at)


async def count_of_client(tx: Tx, org: UUID, client: UUID) -> int:
    """How many orders hang on the client."""
    return await tx.value(COUNT_OF_CLIENT, org, client)


def _arguments(order: Order) -> tuple[Any, ...]:
    """$1 to $20."""
    return (
        *(order.id, order.org_id, order.version, order.number, order.client.id, order.engagement_id, order.status),
        *(order.price, order.currency, order.quantity, order.service, order.service_id, order.note),
        *(order.metadata, order.form_data, list(order.tags), [employee.id for employee in order.employees]),
        *(order.date_started, order.date_completed, order.date_due),
    )


async def page(tx: Tx, org: UUID, filters: Filters, window: Window) -> Page[Order]:
    """One page, and how many there are in all."""
    arguments = (org, filters.only_of, filters.status, filters.client_id, filters.engagement_id, filters.number)
    found = await tx.page(_Row, PAGES, choice(filters), window, *arguments)
    return found.of(_Row.order)
