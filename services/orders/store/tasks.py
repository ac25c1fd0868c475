"""The tasks of orders. A task is there while its order is."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from services.orders.model import Task
from services.orders.store.employees import ON_TASK
from shared.database import Tx

COLUMNS = f"""
t.id, t.org_id, t.version, t.order_id, t.name, t.description, t.sort_order, t.is_public, t.for_client, t.deadline,
t.due_at, t.completed_by, t.completed_at, t.created_at, {ON_TASK}
"""
THERE = """
order_tasks t join orders o on o.org_id = t.org_id and o.id = t.order_id
where t.org_id = $1 and t.deleted_at is null and o.deleted_at is null and o.cancelled_at is null
"""
# A client sees those of their own orders that are public or for them.
OF_ORDER = f"""
select {COLUMNS} from {THERE} and ($2::uuid is null or (o.client_id = $2 and (t.is_public or t.for_client)))
and t.order_id = $3 order by t.sort_order, t.created_at, t.id
"""
# A client completes those of their own orders that are for them.
LOCK = f"""
select {COLUMNS} from {THERE} and ($2::uuid is null or (o.client_id = $2 and t.for_client)) and t.id = $3
for update of t
"""
COUNT_OF_ORDER = """
select count(*) from order_tasks where org_id = $1 and order_id = $2 and deleted_at is null
"""
INSERT = """
insert into order_tasks (id, org_id, version, order_id, name, description, sort_order, is_public, for_client, deadline,
  due_at, employee_ids, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
"""
SAVE = """
update order_tasks set version = $3, name = $4, description = $5, sort_order = $6, is_public = $7, for_client = $8,
  deadline = $9, due_at = $10, employee_ids = $11, completed_by = $12, completed_at = $13
where org_id = $2 and id = $1
"""
DELETE = """
update order_tasks set deleted_at = $3, version = version + 1 where org_id = $1 and id = $2
"""


async def of_order(tx: Tx, org: UUID, order: UUID, *, only_of: UUID | None) -> list[Task]:
    """The order's tasks that the caller may see; `only_of` is the client who asks."""
    return await tx.rows(Task, OF_ORDER, org, only_of, order)


async def lock(tx: Tx, org: UUID, task: UUID, *, only_of: UUID | None) -> Task | None:
    """The task, locked until the transaction ends; for the client `only_of`, if it is theirs to do."""
    return await tx.row(Task, LOCK, org, only_of, task)


async def count_of_order(tx: Tx, org: UUID, order: UUID) -> int:
    """How many tasks the order has."""
    return await tx.value(COUNT_OF_ORDER, org, order)


async def insert(tx: Tx, task: Task) -> None:
    """Write a new task."""
    await tx.run(
        INSERT,
        *(task.id, task.org_id, task.version, task.order_id, task.name, task.description, task.sort_order),
        *(task.is_public, task.for_client, task.deadline, task.due_at),
        *([employee.id for employee in task.employees], task.created_at),
    )


async def save(tx: Tx, task: Task) -> None:
    """Write what a locked task is now."""
    await tx.run(
        SAVE,
        *(task.id, task.org_id, task.version, task.name, task.description, task.sort_order),
        *(task.is_public, task.for_client, task.deadline, task.due_at),
        *([employee.id for employee in task.employees], task.completed_by, task.completed_at),
    )


async def delete(tx: Tx, task: Task, at: datetime) -> None:
    """Mark a locked task as deleted."""
    await tx.run(DELETE, task.org_id, task.id, at)
