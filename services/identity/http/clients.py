"""`/api/clients`: the organisation's customers, for its staff."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Controller, Request, Response, delete, get, post, put
from litestar.di import NamedDependency
from msgspec import UNSET

from services.identity import views
from services.identity.closing import Closer
from services.identity.domain import clients, closing
from services.identity.domain.passwords import Passwords
from services.identity.http.bodies import ClientBody, ClientChangesBody
from services.identity.http.hashing import hashed_for
from services.identity.views import ClientView
from shared import clock
from shared.database import Tx
from shared.ids import parse_id
from shared.web.answers import require_match, single
from shared.web.free_objects import Stored, StoredObjects
from shared.web.guards import staff_only
from shared.web.idempotency import once
from shared.web.inputs import Asker, Db, IdInPath, JSONBody
from shared.web.openapi import refusals
from shared.web.paging import Listing, PageAfter, PageLimit, PageNumber, listing, page_query, sorts

SORT_FIELDS = ("id", "name_f", "name_l", "email", "created_at")
SortOrder = Annotated[str, sorts(SORT_FIELDS)]


async def client_is_there(request: Request[Any, Any, Any]) -> None:
    """Raises NotFound unless the organisation has the client of the path."""
    async with request.app.state.database.transaction(request.state["actor"].org_id) as tx:
        await clients.retrieve(tx, request.state["actor"], parse_id(request.path_params["client_id"]))


async def stored_objects(request: Request[Any, Any, Any]) -> StoredObjects:
    """The client's own objects as they are stored. Raises NotFound."""
    async with request.app.state.database.transaction(request.state["actor"].org_id) as tx:
        client = await clients.retrieve(tx, request.state["actor"], parse_id(request.path_params["client_id"]))
    return {"custom_fields": Stored(client.custom_fields)}


class ClientController(Controller):
    path = "/api/clients"
    tags = ("Clients",)
    guards = (staff_only,)

    @get(summary="List clients", responses=refusals(403))
    async def browse(
        self,
        request: Request[Any, Any, Any],
        actor: Asker,
        database: Db,
        page: PageNumber = 1,
        limit: PageLimit = 20,
        after: PageAfter = None,
        sort: SortOrder = "created_at:desc",
    ) -> Listing[ClientView]:
        query = page_query(SORT_FIELDS, page=page, limit=limit, sort=sort, after=after)
        async with database.single(is_large=query.is_long) as tx:
            found = await clients.browse(tx, actor, query)
        return listing(request, query, found, views.client)

    @post(
        summary="Create a client; with a password they can log in",
        responses=refusals(403, because={409: "The e-mail is taken"}),
    )
    async def create(
        self,
        request: Request[Any, Any, Any],
        actor: Asker,
        database: Db,
        passwords: NamedDependency[Passwords],
        data: JSONBody[ClientBody],
    ) -> Response[ClientView]:
        hashed = await hashed_for(database, passwords, actor, data.email, data.password) if data.password else None
        new = data.client(hashed)

        async def effect(tx: Tx) -> Response[ClientView]:
            client = await clients.create(tx, actor, new, clock.now())
            return single(request, views.client(client), client.version, status=201)

        return await once(request, database, actor.org_id, effect)

    @get(
        "/{client_id:str}", summary="Retrieve a client", opt={"resource": client_is_there}, responses=refusals(403, 404)
    )
    async def retrieve(
        self, request: Request[Any, Any, Any], actor: Asker, database: Db, client_id: IdInPath
    ) -> Response[ClientView]:
        async with database.transaction(actor.org_id) as tx:
            client = await clients.retrieve(tx, actor, parse_id(client_id))
        return single(request, views.client(client), client.version)

    @put(
        "/{client_id:str}",
        summary="Change a client; disabling one ends their sessions",
        opt={"resource": client_is_there, "stored": stored_objects},
        responses=refusals(403, 404, 412, because={409: "The e-mail is taken"}),
    )
    async def change(
        self,
        request: Request[Any, Any, Any],
        actor: Asker,
        database: Db,
        passwords: NamedDependency[Passwords],
        client_id: IdInPath,
        data: JSONBody[ClientChangesBody],
    ) -> Response[ClientView]:
        hashed = data.password
        if isinstance(hashed, str):
            email = data.email
            if email is UNSET:
                async with database.transaction(actor.org_id) as tx:
                    email = (await clients.retrieve(tx, actor, parse_id(client_id))).email
            hashed = await hashed_for(database, passwords, actor, email, hashed)
        async with database.transaction(actor.org_id) as tx:
            found = await clients.lock(tx, actor, parse_id(client_id), email=data.email)
            require_match(request, found.version)
            client = await clients.change(tx, found, data.changes(hashed), clock.now())
        return single(request, views.client(client), client.version)

    @delete(
        "/{client_id:str}",
        summary="Delete a client without engagements and orders",
        opt={"resource": client_is_there},
        status_code=204,
        responses=refusals(403, 404, 412, because={409: "The client has engagements or orders"}),
    )
    async def delete(
        self,
        request: Request[Any, Any, Any],
        actor: Asker,
        database: Db,
        closer: NamedDependency[Closer],
        client_id: IdInPath,
    ) -> None:
        async with database.transaction(actor.org_id) as tx:
            found = await clients.lock(tx, actor, parse_id(client_id))
            require_match(request, found.version)
            closed = await closing.begin(tx, found, clock.now())
        await closer.delete(closed)
