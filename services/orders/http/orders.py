"""`/api/orders`."""

from __future__ import annotations

from typing import Any

from litestar import Controller, Request, get

from services.orders import views
from services.orders.domain import reading
from services.orders.model import OrderStatus
from services.orders.views import OrderView
from shared.ids import parse_id
from shared.web.inputs import Asker, Db, FromQuery, IdInPath
from shared.web.paging import Listing, PageLimit, PageNumber, SortOrder, filter_id, filter_number, listing, page_query

SORT_FIELDS = ("id", "number", "status", "price", "created_at")


class OrderController(Controller):
    path = "/api/orders"
    tags = ["Orders"]

    @get(summary="List orders")
    async def browse(
        self,
        request: Request[Any, Any, Any],
        actor: Asker,
        database: Db,
        page: PageNumber = 1,
        limit: PageLimit = 20,
        sort: SortOrder = "created_at:desc",
        status: FromQuery[int | None] = None,
        user_id: FromQuery[str | None] = None,
        engagement_id: FromQuery[str | None] = None,
    ) -> Listing[OrderView]:
        query = page_query(SORT_FIELDS, page=page, limit=limit, sort=sort)
        wanted = filter_number("status", OrderStatus, status)
        client, engagement = filter_id("user_id", user_id), filter_id("engagement_id", engagement_id)
        async with database.transaction(actor.org_id) as tx:
            found = await reading.browse(tx, actor, query, status=wanted, client_id=client, engagement_id=engagement)
        return listing(request, query, found, views.view)

    @get("/{order_id:str}", summary="Retrieve an order")
    async def retrieve(self, actor: Asker, database: Db, order_id: IdInPath) -> OrderView:
        async with database.transaction(actor.org_id) as tx:
            order = await reading.retrieve(tx, actor, parse_id(order_id))
        return views.view(order)
