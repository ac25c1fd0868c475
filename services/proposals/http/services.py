"""`/api/services`: service templates."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Controller, Request, Response, delete, get, post, put
from litestar.params import QueryParameter

from services.proposals import views
from services.proposals.domain import templates
from services.proposals.http.service_bodies import ServiceBody, ServiceChanges
from services.proposals.model.templates import Recurring
from services.proposals.views import ServiceView
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
    Listing,
    PageAfter,
    PageLimit,
    PageNumber,
    filter_number,
    listing,
    numbers_of,
    page_query,
    sorts,
)

SORT_FIELDS = ("id", "name", "price", "recurring", "public", "sort_order", "created_at")
PublicFilter = Annotated[bool | None, QueryParameter(description="Only those shown to clients, or only the others.")]
SortOrder = Annotated[str, sorts(SORT_FIELDS)]
RecurringFilter = Annotated[int | None, numbers_of(Recurring)]


async def service_is_there(request: Request[Any, Any, Any]) -> None:
    """Raises NotFound unless the organisation has the template of the path."""
    async with request.app.state.database.transaction(request.state["actor"].org_id) as tx:
        await templates.retrieve(tx, request.state["actor"], parse_id(request.path_params["service_id"]))


async def stored_objects(request: Request[Any, Any, Any]) -> StoredObjects:
    """The template's own objects as they are stored. Raises NotFound."""
    async with request.app.state.database.transaction(request.state["actor"].org_id) as tx:
        template = await templates.retrieve(tx, request.state["actor"], parse_id(request.path_params["service_id"]))
    return {"metadata": Stored(template.metadata)}


class ServiceController(Controller):
    path = "/api/services"
    tags = ["Service templates"]
    guards = [staff_only]

    @get(summary="List service templates", responses=refusals(403))
    async def browse(
        self,
        request: Request[Any, Any, Any],
        actor: Asker,
        database: Db,
        page: PageNumber = 1,
        limit: PageLimit = 20,
        after: PageAfter = None,
        sort: SortOrder = "created_at:desc",
        public: PublicFilter = None,
        recurring: RecurringFilter = None,
    ) -> Listing[ServiceView]:
        query = page_query(SORT_FIELDS, page=page, limit=limit, sort=sort, after=after)
        charged = filter_number("recurring", Recurring, recurring)
        async with database.single(is_large=query.is_long) as tx:
            found = await templates.browse(tx, actor, query, is_public=public, recurring=charged)
        return listing(request, query, found, views.service)

    @post(summary="Write a service template", responses=refusals(403, 409, 422))
    async def create(
        self, request: Request[Any, Any, Any], actor: Asker, database: Db, data: JSONBody[ServiceBody]
    ) -> Response[ServiceView]:
        async def effect(tx: Tx) -> Response[ServiceView]:
            template = await templates.create(tx, actor, data.fields(), clock.now())
            return single(request, views.service(template), template.version, status=201)

        return await once(request, database, actor.org_id, effect)

    @get(
        "/{service_id:str}",
        summary="Retrieve a service template",
        opt={"resource": service_is_there},
        responses=refusals(403, 404),
    )
    async def retrieve(
        self, request: Request[Any, Any, Any], actor: Asker, database: Db, service_id: IdInPath
    ) -> Response[ServiceView]:
        async with database.transaction(actor.org_id) as tx:
            template = await templates.retrieve(tx, actor, parse_id(service_id))
        return single(request, views.service(template), template.version)

    @put(
        "/{service_id:str}",
        summary="Change the fields of a service template that are sent",
        opt={"resource": service_is_there, "stored": stored_objects},
        responses=refusals(403, 404, 412),
    )
    async def change(
        self,
        request: Request[Any, Any, Any],
        actor: Asker,
        database: Db,
        service_id: IdInPath,
        data: JSONBody[ServiceChanges],
    ) -> Response[ServiceView]:
        async with database.transaction(actor.org_id) as tx:
            held = await templates.hold(tx, actor, parse_id(service_id))
            require_match(request, held.version)
            template = await templates.change(tx, held, data.fields(), clock.now())
        return single(request, views.service(template), template.version)

    @delete(
        "/{service_id:str}",
        summary="Delete a service template; what was made of it keeps its name",
        opt={"resource": service_is_there},
        responses=refusals(403, 404, 412),
    )
    async def remove(self, request: Request[Any, Any, Any], actor: Asker, database: Db, service_id: IdInPath) -> None:
        async with database.transaction(actor.org_id) as tx:
            held = await templates.hold(tx, actor, parse_id(service_id))
            require_match(request, held.version)
            await templates.delete(tx, held, clock.now())
