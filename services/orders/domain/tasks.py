"""The tasks of orders: staff write them; whom they are for completes them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from services.orders.domain import reading, references, writing
from services.orders.model import MOST_TASKS, Task, TaskChange, TooManyTasks
from services.orders.store import tasks
from shared.database import Tx
from shared.errors import NotFound
from shared.ids import new_id
from shared.web.actor import Actor


class NewTask(msgspec.Struct, frozen=True, kw_only=True):
    """What a task is made of."""

    name: str
    description: str | None
    sort_order: int
    is_public: bool
    for_client: bool
    deadline: int | None
    due_at: datetime | None
    employee_ids: tuple[UUID, ...]


class TaskFields(msgspec.Struct, frozen=True, kw_only=True):
    """What staff say of a task; what is unset was not said."""

    name: str | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    sort_order: int | UnsetType = UNSET
    is_public: bool | UnsetType = UNSET
    for_client: bool | UnsetType = UNSET
    deadline: int | UnsetType | None = UNSET
    due_at: datetime | UnsetType | None = UNSET
    employee_ids: tuple[UUID, ...] | UnsetType = UNSET


async def browse(tx: Tx, actor: Actor, order: UUID | None) -> list[Task]:
    """The order's tasks that the caller may see, as they are sorted. Raises NotFound when the order is not theirs."""
    found = await reading.retrieve(tx, actor, order)
    return await tasks.of_order(tx, actor.org_id, found.id, only_of=actor.client_id)


async def create(tx: Tx, actor: Actor, order: UUID | None, new: NewTask, at: datetime) -> Task:
    """Add a task to the order, whose lock makes the count exact. Raises NotFound, TooManyTasks, RefersToNothing."""
    found = await writing.lock(tx, actor, order)
    employees = await references.staff(tx, actor.org_id, new.employee_ids, field="employee_ids")
    if await tasks.count_of_order(tx, actor.org_id, found.id) >= MOST_TASKS:
        raise TooManyTasks
    task = Task(
        id=new_id(),
        org_id=actor.org_id,
        version=1,
        order_id=found.id,
        name=new.name,
        description=new.description,
        sort_order=new.sort_order,
        is_public=new.is_public,
        for_client=new.for_client,
        deadline=new.deadline,
        due_at=new.due_at,
        employees=employees,
        completed_by=None,
        completed_at=None,
        created_at=at,
    )
    await tasks.insert(tx, task)
    return task


async def lock(tx: Tx, actor: Actor, task: UUID | None) -> Task:
    """The task, locked until the transaction ends. Raises NotFound, for a client also when it is not theirs to do."""
    found = await tasks.lock(tx, actor.org_id, task, only_of=actor.client_id) if task else None
    if found is None:
        raise NotFound("task")
    return found


async def change(tx: Tx, found: Task, said: TaskFields) -> Task:
    """Change a locked task. Raises RefersToNothing."""
    employees = said.employee_ids
    if employees is not UNSET:
        employees = await references.staff(tx, found.org_id, employees, field="employee_ids", there=found.employees)
    plain = {name: getattr(said, name) for name in TaskFields.__struct_fields__ if name != "employee_ids"}
    return await _save(tx, found, found.changed(TaskChange(employees=employees, **plain)))


async def complete(tx: Tx, actor: Actor, found: Task, at: datetime) -> Task:
    """Mark a locked task as complete; it stays whose it was if it is."""
    return await _save(tx, found, found.completed(actor.id, at))


async def reopen(tx: Tx, found: Task) -> Task:
    """Mark a locked task as not complete."""
    return await _save(tx, found, found.reopened())


async def delete(tx: Tx, found: Task, at: datetime) -> None:
    """Remove a locked task."""
    await tasks.delete(tx, found, at)


async def _save(tx: Tx, before: Task, after: Task) -> Task:
    if after is not before:
        await tasks.save(tx, after)
    return after
