"""`/api/orders`."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Controller, Request, Response, delete, get, post, put
from litestar.params import QueryParameter

from services.orders import views
from services.orders.domain import reading, writing
from services.orders.http.asking import Broker, hear_of
from services.orders.http.bodies import ChangedOrderBody, OrderBody
from services.orders.model import NUMBER_LENGTH, SIGNED_METADATA, OrderStatus
from services.orders.views import OrderView
from shared import clock
from shared.database import Tx
from shared.ids import parse_id
from shared.web.answers import require_match, single
from shared.web.free_objects import Stored, StoredObjects
from shared.web.guards import staff_only
from shared.web.idempotency import once
from shared.web.inputs import Asker, Db, IdInPath, JSONBody
from shared.web.openapi import refusals
from shared.web.paging import (
    IdFilter,
    Listing,
    PageAfter,
    PageLimit,
    PageNumber,
    filter_id,
    filter_number,
    listing,
    numbers_of,
    page_query,
    sorts,
)
from shared.web.patterns import ORDER_NUMBER

SIGNED_STAYS = (
    "Of an order that a signature made, price, currency, quantity, user_id, engagement_id, service, service_id and "
    "number stay as they are, and so do the keys proposal_id, engagement_id and proposal_items of its metadata: send "
    "these as they are, or leave metadata out. Other keys may be added, changed and removed: the bound "
    "of metadata counts these alone."
)
UNKNOWN = "A client, service, engagement or employee is none of the organisation's"
SORT_FIELDS = ("id", "number", "status", "price", "created_at")
SortOrder = Annotated[str, sorts(SORT_FIELDS)]
StatusFilter = Annotated[int | None, numbers_of(OrderStatus)]
NumberFilter = Annotated[
    str | None,
    QueryParameter(
        pattern=ORDER_NUMBER, max_length=NUMBER_LENGTH, description="The order's number, in full: 8 of A-Z and 0-9."
    ),
]


async def order_is_there(request: Request[Any, Any, Any]) -> None:
    """Raises NotFound unless the caller may see the order of the path."""
    async with request.app.state.database.single() as tx:
        await reading.retrieve(tx, request.state["actor"], parse_id(request.path_params["order_id"]))


async def stored_objects(request: Request[Any, Any, Any]) -> StoredObjects:
    """The order's own objects as they are stored. Raises NotFound."""
    async with request.app.state.database.single() as tx:
        order = await reading.retrieve(tx, request.state["actor"], parse_id(request.path_params["order_id"]))
    locked = SIGNED_METADATA if order.is_signed else ()
    return {"metadata": Stored(order.metadata, locked), "form_data": Stored(order.form_data)}


class OrderController(Controller):
    path = "/api/orders"
    tags = ["Orders"]

    @get(summary="List orders", responses=refusals())
    async def browse(
        self,
        request: Request[Any, Any, Any],
        actor: Asker,
        database: Db,
        page: PageNumber = 1,
        limit: PageLimit = 20,
        after: PageAfter = None,
        sort: SortOrder = "created_at:desc",
        status: StatusFilter = None,
        user_id: IdFilter = None,
        engagement_id: IdFilter = None,
        number: NumberFilter = None,
    ) -> Listing[OrderView]:
        query = page_query(SORT_FIELDS, page=page, limit=limit, sort=sort, after=after)
        wanted = filter_number("status", OrderStatus, status)
        client, engagement = filter_id("user_id", user_id), filter_id("engagement_id", engagement_id)
        async with database.single(is_large=query.is_long) as tx:
            found = await reading.browse(
                tx, actor, query, status=wanted, client_id=client, engagement_id=engagement, number=number
            )
        return listing(request, query, found, views.view)

    @post(
        summary="Make an order of a client's",
        guards=[staff_only],
        responses=refusals(403, because={422: UNKNOWN, 409: "The number is taken"}),
    )
    async def create(
        self, request: Request[Any, Any, Any], actor: Asker, database: Db, bus: Broker, data: JSONBody[OrderBody]
    ) -> Response[OrderView]:
        async def effect(tx: Tx) -> Response[OrderView]:
            order = await writing.create(tx, actor, data.user_id, data.said(), clock.now())
            return single(request, views.view(order), order.version, status=201)

        await hear_of(request, database, bus, actor.org_id, data.named())
        return await once(request, database, actor.org_id, effect)

    @get("/{order_id:str}", summary="Retrieve an order", responses=refusals(404))
    async def retrieve(
        self, request: Request[Any, Any, Any], actor: Asker, database: Db, order_id: IdInPath
    ) -> Response[OrderView]:
        async with database.single() as tx:
            order = await reading.retrieve(tx, actor, parse_id(order_id))
        return single(request, views.view(order), order.version)

    @put(
        "/{order_id:str}",
        summary="Change an order; of one that a signature made, what was signed stays",
        description=SIGNED_STAYS,
        guards=[staff_only],
        opt={"resource": order_is_there, "stored": stored_objects},
        responses=refusals(
            403, 404, 412, because={422: UNKNOWN, 409: "The number is taken, or what was signed would change"}
        ),
    )
    async def change(
        self,
        request: Request[Any, Any, Any],
        actor: Asker,
        database: Db,
        bus: Broker,
        order_id: IdInPath,
        data: JSONBody[ChangedOrderBody],
    ) -> Response[OrderView]:
        await hear_of(request, database, bus, actor.org_id, data.named())
        async with database.transaction(actor.org_id) as tx:
            found = await writing.lock(tx, actor, parse_id(order_id))
            require_match(request, found.version)
            order = await writing.change(tx, found, data.said(), clock.now())
        return single(request, views.view(order), order.version)

    @delete(
        "/{order_id:str}",
        summary="Delete an order, its tasks with it; one that a signature made stays",
        guards=[staff_only],
        responses=refusals(403, 404, 412, because={409: "A signature made the order: cancel it"}),
    )
    async def remove(self, request: Request[Any, Any, Any], actor: Asker, database: Db, order_id: IdInPath) -> None:
        async with database.transaction(actor.org_id) as tx:
            found = await writing.lock(tx, actor, parse_id(order_id))
            require_match(request, found.version)
            await writing.delete(tx, found, clock.now())
