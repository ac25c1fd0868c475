"""`/api/orders/{id}/tasks` and `/api/order-tasks`."""

from __future__ import annotations

from typing import Any

from litestar import Controller, Request, Response, delete, get, post, put

from services.orders import views
from services.orders.domain import tasks
from services.orders.http.asking import Broker, hear_of
from services.orders.http.bodies import ChangedTaskBody, TaskBody
from services.orders.http.orders import order_is_there
from services.orders.model import MOST_TASKS
from services.orders.views import TaskView
from shared import clock
from shared.database import Tx
from shared.ids import parse_id
from shared.web.answers import require_match, single
from shared.web.guards import staff_only
from shared.web.idempotency import once
from shared.web.inputs import Asker, Db, IdInPath, JSONBody
from shared.web.openapi import refusals

UNKNOWN = "An employee is no member of the organisation's staff"


async def task_is_there(request: Request[Any, Any, Any]) -> None:
    """Raises NotFound unless the task of the path is there for the caller to do."""
    async with request.app.state.database.transaction(request.state["actor"].org_id) as tx:
        await tasks.lock(tx, request.state["actor"], parse_id(request.path_params["task_id"]))


class TasksOfOrderController(Controller):
    path = "/api/orders/{order_id:str}/tasks"
    tags = ["Order tasks"]

    @get(
        summary="List the tasks of an order, as they are sorted; a client's are those that are public or for them",
        responses=refusals(404),
    )
    async def browse(self, actor: Asker, database: Db, order_id: IdInPath) -> list[TaskView]:
        async with database.transaction(actor.org_id, is_large=True) as tx:
            found = await tasks.browse(tx, actor, parse_id(order_id))
        return [views.task_view(task) for task in found]

    @post(
        summary="Add a task to an order",
        guards=[staff_only],
        opt={"resource": order_is_there},
        responses=refusals(
            403, 404, because={409: f"The order has {MOST_TASKS} tasks, which is the most", 422: UNKNOWN}
        ),
    )
    async def create(
        self,
        request: Request[Any, Any, Any],
        actor: Asker,
        database: Db,
        bus: Broker,
        order_id: IdInPath,
        data: JSONBody[TaskBody],
    ) -> Response[TaskView]:
        async def effect(tx: Tx) -> Response[TaskView]:
            task = await tasks.create(tx, actor, parse_id(order_id), data.task(), clock.now())
            return single(request, views.task_view(task), task.version, status=201)

        await hear_of(request, database, bus, actor.org_id, data.named())
        return await once(request, database, actor.org_id, effect)


class TaskController(Controller):
    path = "/api/order-tasks/{task_id:str}"
    tags = ["Order tasks"]

    @put(
        summary="Change a task; setting one of deadline and due_at clears the other",
        guards=[staff_only],
        opt={"resource": task_is_there},
        responses=refusals(403, 404, 412, because={422: UNKNOWN}),
    )
    async def change(
        self,
        request: Request[Any, Any, Any],
        actor: Asker,
        database: Db,
        bus: Broker,
        task_id: IdInPath,
        data: JSONBody[ChangedTaskBody],
    ) -> Response[TaskView]:
        await hear_of(request, database, bus, actor.org_id, data.named())
        async with database.transaction(actor.org_id) as tx:
            found = await tasks.lock(tx, actor, parse_id(task_id))
            require_match(request, found.version)
            task = await tasks.change(tx, found, data.said())
        return single(request, views.task_view(task), task.version)

    @delete(summary="Remove a task", guards=[staff_only], responses=refusals(403, 404, 412))
    async def remove(self, request: Request[Any, Any, Any], actor: Asker, database: Db, task_id: IdInPath) -> None:
        async with database.transaction(actor.org_id) as tx:
            found = await tasks.lock(tx, actor, parse_id(task_id))
            require_match(request, found.version)
            await tasks.delete(tx, found, clock.now())

    @post(
        "/complete",
        summary="Mark a task as complete; a client, one that is for them",
        status_code=200,
        opt={"resource": task_is_there},
        responses=refusals(404, 412),
    )
    async def complete(
        self, request: Request[Any, Any, Any], actor: Asker, database: Db, task_id: IdInPath
    ) -> Response[TaskView]:
        async def effect(tx: Tx) -> Response[TaskView]:
            found = await tasks.lock(tx, actor, parse_id(task_id))
            require_match(request, found.version)
            task = await tasks.complete(tx, actor, found, clock.now())
            return single(request, views.task_view(task), task.version)

        return await once(request, database, actor.org_id, effect)

    @delete(
        "/complete",
        summary="Mark a task as not complete; a client, one that is for them",
        status_code=200,
        responses=refusals(404, 412),
    )
    async def reopen(
        self, request: Request[Any, Any, Any], actor: Asker, database: Db, task_id: IdInPath
    ) -> Response[TaskView]:
        async with database.transaction(actor.org_id) as tx:
            found = await tasks.lock(tx, actor, parse_id(task_id))
            require_match(request, found.version)
            task = await tasks.reopen(tx, found)
        return single(request, views.task_view(task), task.version)
