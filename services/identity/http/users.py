"""`/api/users`: the staff of an organisation. Members read, administrators write."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Controller, Request, Response, delete, get, post, put
from litestar.di import NamedDependency
from msgspec import UNSET

from services.identity import views
from services.identity.domain import users
from services.identity.domain.passwords import Passwords
from services.identity.http.bodies import UserBody, UserChangesBody
from services.identity.http.hashing import hashed_for
from services.identity.views import UserView
from shared import clock
from shared.database import Tx
from shared.ids import parse_id
from shared.web.answers import require_match, single
from shared.web.guards import admins_only, staff_only
from shared.web.idempotency import once
from shared.web.inputs import Asker, Db, IdInPath, JSONBody
from shared.web.openapi import refusals
from shared.web.paging import Listing, PageAfter, PageLimit, PageNumber, listing, page_query, sorts

SORT_FIELDS = ("id", "name_f", "name_l", "email", "created_at")
SortOrder = Annotated[str, sorts(SORT_FIELDS)]


async def user_is_there(request: Request[Any, Any, Any]) -> None:
    """Raises NotFound unless the organisation has the member of staff of the path."""
    async with request.app.state.database.transaction(request.state["actor"].org_id) as tx:
        await users.retrieve(tx, request.state["actor"], parse_id(request.path_params["user_id"]))


class UserController(Controller):
    path = "/api/users"
    tags = ("Users",)
    guards = (staff_only,)

    @get(summary="List staff, disabled ones too", responses=refusals(403))
    async def browse(
        self,
        request: Request[Any, Any, Any],
        actor: Asker,
        database: Db,
        page: PageNumber = 1,
        limit: PageLimit = 20,
        after: PageAfter = None,
        sort: SortOrder = "created_at:desc",
    ) -> Listing[UserView]:
        query = page_query(SORT_FIELDS, page=page, limit=limit, sort=sort, after=after)
        async with database.single() as tx:
            found = await users.browse(tx, actor, query)
        return listing(request, query, found, views.user)

    @post(
        summary="Create a member of staff; with a password they can log in",
        guards=[admins_only],
        responses=refusals(403, because={409: "The e-mail is taken"}),
    )
    async def create(
        self,
        request: Request[Any, Any, Any],
        actor: Asker,
        database: Db,
        passwords: NamedDependency[Passwords],
        data: JSONBody[UserBody],
    ) -> Response[UserView]:
        hashed = await hashed_for(database, passwords, actor, data.email, data.password) if data.password else None
        new = data.user(hashed)

        async def effect(tx: Tx) -> Response[UserView]:
            user = await users.create(tx, actor, new, clock.now())
            return single(request, views.user(user), user.version, status=201)

        return await once(request, database, actor.org_id, effect)

    @get(
        "/{user_id:str}",
        summary="Retrieve a member of staff",
        opt={"resource": user_is_there},
        responses=refusals(403, 404),
    )
    async def retrieve(
        self, request: Request[Any, Any, Any], actor: Asker, database: Db, user_id: IdInPath
    ) -> Response[UserView]:
        async with database.transaction(actor.org_id) as tx:
            user = await users.retrieve(tx, actor, parse_id(user_id))
        return single(request, views.user(user), user.version)

    @put(
        "/{user_id:str}",
        summary="Change a member of staff, disable one, or enable one who was disabled",
        guards=[admins_only],
        opt={"resource": user_is_there},
        responses=refusals(403, 404, 412, because={409: "The e-mail is taken, or it is the last administrator"}),
    )
    async def change(
        self,
        request: Request[Any, Any, Any],
        actor: Asker,
        database: Db,
        passwords: NamedDependency[Passwords],
        user_id: IdInPath,
        data: JSONBody[UserChangesBody],
    ) -> Response[UserView]:
        hashed = data.password
        if isinstance(hashed, str):
            email = data.email
            if email is UNSET:
                async with database.transaction(actor.org_id) as tx:
                    email = (await users.retrieve(tx, actor, parse_id(user_id))).email
            hashed = await hashed_for(database, passwords, actor, email, hashed)
        async with database.transaction(actor.org_id) as tx:
            found = await users.lock(tx, actor, parse_id(user_id), email=data.email)
            require_match(request, found.version)
            user = await users.change(tx, found, data.changes(hashed), clock.now())
        return single(request, views.user(user), user.version)

    @delete(
        "/{user_id:str}",
        summary="Disable a member of staff and end their sessions",
        guards=[admins_only],
        opt={"resource": user_is_there},
        status_code=204,
        responses=refusals(403, 404, 412, because={409: "It is the last administrator"}),
    )
    async def delete(self, request: Request[Any, Any, Any], actor: Asker, database: Db, user_id: IdInPath) -> None:
        async with database.transaction(actor.org_id) as tx:
            found = await users.lock(tx, actor, parse_id(user_id))
            require_match(request, found.version)
            await users.disable(tx, found, clock.now())
