"""Writing orders by hand: staff make, change and delete them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Final, TypeVar
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from services.orders.domain import references, telling
from services.orders.model import NumberTaken, Order, OrderChange, OrderStatus, draw_number
from services.orders.store import orders
from services.orders.store.replicas import Template
from shared.currency import check_whole
from shared.database import Tx
from shared.errors import DomainError, NotFound, RefersToNothing
from shared.ids import new_id
from shared.messaging import outbox
from shared.money import CENT
from shared.web.actor import Actor

NO_TEMPLATE: Final = Template(name="", price=Decimal(0).quantize(CENT), currency="USD")

T = TypeVar("T")


class PriceRequired(RefersToNothing):
    """The only price that there is, is in another currency."""

    def __init__(self, currency: str) -> None:
        DomainError.__init__(
            self, f"The only price that there is, is in {currency}.", {"price": ["Give a price in this currency."]}
        )


class OrderFields(msgspec.Struct, frozen=True, kw_only=True):
    """What staff say of an order; what is unset was not said."""

    user_id: UUID | UnsetType = UNSET
    service: str | UnsetType = UNSET
    service_id: UUID | UnsetType | None = UNSET
    price: Decimal | UnsetType = UNSET
    currency: str | UnsetType = UNSET
    quantity: int | UnsetType = UNSET
    status: OrderStatus | UnsetType = UNSET
    engagement_id: UUID | UnsetType | None = UNSET
    note: str | UnsetType | None = UNSET
    number: str | UnsetType = UNSET
    metadata: bytes | UnsetType = UNSET
    form_data: bytes | UnsetType = UNSET
    tags: tuple[str, ...] | UnsetType = UNSET
    employees: tuple[UUID, ...] | UnsetType = UNSET
    date_started: datetime | UnsetType | None = UNSET
    date_completed: datetime | UnsetType | None = UNSET
    date_due: datetime | UnsetType | None = UNSET


async def create(tx: Tx, actor: Actor, client: UUID, said: OrderFields, at: datetime) -> Order:
    """Make an order of the client's. Raises RefersToNothing, NumberTaken."""
    org = actor.org_id
    customer = await references.client(tx, org, client)
    order = Order(
        id=new_id(),
        org_id=org,
        version=1,
        number="",
        client=customer,
        billed_to=customer.billed_to,
        proposal_id=None,
        created_at=at,
        updated_at=at,
        **await _values(tx, org, client, said),
    ).dated(at)
    order = await _insert(tx, order, said.number)
    await outbox.put(tx, telling.event_of(telling.state_of(order), "placed"))
    return order


async def lock(tx: Tx, actor: Actor, order: UUID | None) -> Order:
    """The order, locked until the transaction ends. Raises NotFound."""
    found = await orders.lock(tx, actor.org_id, order) if order else None
    if found is None:
        raise NotFound("order")
    return found


async def change(tx: Tx, found: Order, said: OrderFields, at: datetime) -> Order:
    """Change a locked order. Raises RefersToNothing, SignedStays, NumberTaken."""
    changed = found.changed(await _change(tx, found, said), at)
    if changed is found:
        return found
    if changed.number != found.number:
        await orders.lock_number(tx, found.org_id, changed.number)
    if not await orders.save(tx, changed):
        raise NumberTaken(changed.number)
    await outbox.put(tx, telling.event_of(telling.state_of(changed), "changed"))
    return changed


async def delete(tx: Tx, found: Order, at: datetime) -> None:
    """Delete a locked order; its tasks are gone with it. Raises SignedOrderNotDeletable."""
    found.require_deletable()
    gone = replace(found, version=found.version + 1, updated_at=at)
    await orders.delete(tx, gone, at)
    await outbox.put(tx, telling.event_of(replace(telling.state_of(gone), is_deleted=True), "deleted"))


async def _values(tx: Tx, org: UUID, client: UUID, said: OrderFields) -> dict[str, Any]:
    """The fields of a new order: what was said, else what the template has, else what is usual."""
    service_id, engagement_id = _or(said.service_id, None), _or(said.engagement_id, None)
    template = await references.template(tx, org, service_id) if service_id else NO_TEMPLATE
    if service_id and said.price is UNSET and _or(said.currency, template.currency) != template.currency:
        raise PriceRequired(template.currency)
    check_whole(_or(said.currency, template.currency), {"price": _or(said.price, template.price)})
    if engagement_id:
        await references.require_engagement(tx, org, engagement_id, client)
    return {
        "engagement_id": engagement_id,
        "status": _or(said.status, OrderStatus.UNPAID),
        "price": _or(said.price, template.price),
        "currency": _or(said.currency, template.currency),
        "quantity": _or(said.quantity, 1),
        "service": _or(said.service, template.name),
        "service_id": service_id,
        "note": _or(said.note, None),
        "metadata": _or(said.metadata, b"{}"),
        "form_data": _or(said.form_data, b"{}"),
        "tags": _or(said.tags, ()),
        "employees": await references.staff(tx, org, _or(said.employees, ()), field="employees"),
        "date_started": _or(said.date_started, None),
        "date_completed": _or(said.date_completed, None),
        "date_due": _or(said.date_due, None),
    }


async def _insert(tx: Tx, order: Order, number: str | UnsetType) -> Order:
    """Write the order under the number, or under one that is drawn until it is free."""
    if number is not UNSET:
        await orders.lock_number(tx, order.org_id, number)
    numbered = replace(order, number=_or(number, "") or draw_number())
    while not await orders.insert(tx, numbered):
        if number is not UNSET:
            raise NumberTaken(numbered.number)
        numbered = replace(order, number=draw_number())
    return numbered


async def _change(tx: Tx, found: Order, said: OrderFields) -> OrderChange:
    """What was said, with what it refers to; what stays as it is need not be there any more."""
    org, client = found.org_id, found.client
    is_another_currency = said.currency is not UNSET and said.currency != found.currency
    if is_another_currency and said.price is UNSET and found.proposal_id is None:
        raise PriceRequired(found.currency)
    if is_another_currency or (said.price is not UNSET and said.price != found.price):
        check_whole(_or(said.currency, found.currency), {"price": _or(said.price, found.price)})
    if said.user_id is not UNSET and said.user_id != client.id:
        client = await references.client(tx, org, said.user_id)
    if said.service_id and said.service_id != found.service_id:
        await references.template(tx, org, said.service_id)
    engagement = _or(said.engagement_id, found.engagement_id)
    is_other = (engagement, client.id) != (found.engagement_id, found.client.id)
    # A signed order keeps client and engagement: that is what a caller who sends another client is told.
    if engagement and is_other and not (found.is_signed and said.engagement_id is UNSET):
        await references.require_engagement(tx, org, engagement, client.id)
    employees = said.employees
    if employees is not UNSET:
        employees = await references.staff(tx, org, employees, field="employees", there=found.employees)
    plain = {
        name: getattr(said, name) for name in OrderFields.__struct_fields__ if name not in ("user_id", "employees")
    }
    return OrderChange(client=client, employees=employees, **plain)


def _or(value: T | UnsetType, default: T) -> T:
    return default if value is UNSET else value
