"""What orders look like to callers. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta

from services.orders.model import MOST_OF_A_LIST, Client, Employee, Order, OrderStatus, Task
from shared.contracts.orders import BilledTo
from shared.labels import labels
from shared.money import spell_money
from shared.names import full_name
from shared.web.readers import StaffOnly
from shared.web.shapes import FreeObject


class ClientOfOrder(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    name: str
    name_f: str
    name_l: str
    email: str
    company: str | None
    phone: str | None


class EmployeeOfOrder(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    name: str
    name_f: str
    name_l: str


Employees = Annotated[list[EmployeeOfOrder], Meta(max_length=MOST_OF_A_LIST)]


class OrderView(msgspec.Struct, frozen=True, kw_only=True):
    """An order."""

    id: UUID
    org_id: UUID
    number: str
    user_id: UUID
    client: ClientOfOrder
    billed_to: Annotated[BilledTo, Meta(description="The client as they were when the order was made.")]
    engagement_id: UUID | None
    status: Annotated[str, labels(OrderStatus)]
    status_id: OrderStatus
    price: str
    currency: str
    quantity: int
    service: str
    service_id: UUID | None
    note: StaffOnly[str | None] = UNSET
    metadata: StaffOnly[FreeObject] = UNSET
    form_data: FreeObject
    tags: StaffOnly[list[str]] = UNSET
    employees: Employees
    created_at: datetime
    updated_at: datetime
    date_started: datetime | None
    date_completed: datetime | None
    date_due: datetime | None


class TaskView(msgspec.Struct, frozen=True, kw_only=True):
    """A task of an order."""

    id: UUID
    order_id: UUID
    name: str
    description: str | None
    sort_order: int
    is_public: bool
    for_client: bool
    is_complete: bool
    completed_by: UUID | None
    completed_at: datetime | None
    deadline: Annotated[int, Meta(description="Hours.")] | None
    due_at: datetime | None
    employees: Employees


def view(order: Order) -> OrderView:
    return OrderView(
        id=order.id,
        org_id=order.org_id,
        number=order.number,
        user_id=order.client.id,
        client=_client(order.client),
        billed_to=order.billed_to,
        engagement_id=order.engagement_id,
        status=order.status.label,
        status_id=order.status,
        price=spell_money(order.price),
        currency=order.currency,
        quantity=order.quantity,
        service=order.service,
        service_id=order.service_id,
        note=order.note,
        metadata=msgspec.Raw(order.metadata),
        form_data=msgspec.Raw(order.form_data),
        tags=list(order.tags),
        employees=[_employee(employee) for employee in order.employees],
        created_at=order.created_at,
        updated_at=order.updated_at,
        date_started=order.date_started,
        date_completed=order.date_completed,
        date_due=order.date_due,
    )


def task_view(task: Task) -> TaskView:
    return TaskView(
        id=task.id,
        order_id=task.order_id,
        name=task.name,
        description=task.description,
        sort_order=task.sort_order,
        is_public=task.is_public,
        for_client=task.for_client,
        is_complete=task.completed_at is not None,
        completed_by=task.completed_by,
        completed_at=task.completed_at,
        deadline=task.deadline,
        due_at=task.due_at,
        employees=[_employee(employee) for employee in task.employees],
    )


def _employee(employee: Employee) -> EmployeeOfOrder:
    return EmployeeOfOrder(
        id=employee.id,
        name=full_name(employee.name_f, employee.name_l),
        name_f=employee.name_f,
        name_l=employee.name_l,
    )


def _client(client: Client) -> ClientOfOrder:
    return ClientOfOrder(
        id=client.id,
        name=full_name(client.name_f, client.name_l),
        name_f=client.name_f,
        name_l=client.name_l,
        email=client.email,
        company=client.company,
        phone=client.phone,
    )
