"""`/api/tokens`: the API tokens of an organisation, for its administrators."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Controller, Request, Response, delete, get, post
from msgspec import Meta

from services.identity import views
from services.identity.domain import tokens
from services.identity.domain.tokens import NewToken
from services.identity.model.credentials import MOST_TOKENS, new_secret
from services.identity.views import NewTokenView, TokenView
from shared import clock
from shared.database import Tx
from shared.ids import new_id, parse_id
from shared.web.actor import Role
from shared.web.guards import admins_only
from shared.web.idempotency import once
from shared.web.inputs import Asker, Db, IdInPath, JSONBody
from shared.web.openapi import refusals
from shared.web.paging import Listing, PageAfter, PageLimit, PageNumber, listing, page_query, sorts
from shared.web.patterns import NOT_BLANK

SORT_FIELDS = ("created_at", "name")
SortOrder = Annotated[str, sorts(SORT_FIELDS)]


class TokenBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A token to be made; `client_id` with the role client, and only then."""

    name: Annotated[str, Meta(min_length=1, max_length=100, pattern=NOT_BLANK, examples=["Accounting"])]
    role: Role
    client_id: UUID | None = None
    expires_at: Annotated[datetime, Meta(tz=True, description="RFC 3339; never, when not given.")] | None = None

    def token(self) -> NewToken:
        """What the domain makes a token of."""
        return NewToken(
            id=new_id(),
            name=self.name,
            role=self.role,
            client_id=self.client_id,
            expires_at=self.expires_at.astimezone(UTC) if self.expires_at else None,
            secret=new_secret(),
        )


class TokenController(Controller):
    path = "/api/tokens"
    tags = ("Tokens",)
    guards = (admins_only,)

    @get(summary="List API tokens, without their secrets", responses=refusals(403))
    async def browse(
        self,
        request: Request[Any, Any, Any],
        actor: Asker,
        database: Db,
        page: PageNumber = 1,
        limit: PageLimit = 20,
        after: PageAfter = None,
        sort: SortOrder = "created_at:desc",
    ) -> Listing[TokenView]:
        query = page_query(SORT_FIELDS, page=page, limit=limit, sort=sort, after=after)
        async with database.single() as tx:
            found = await tokens.browse(tx, actor, query)
        return listing(request, query, found, views.token)

    @post(
        summary="Make an API token; its secret is shown this once",
        responses=refusals(
            403,
            because={
                422: "The client does not exist",
                409: f"{MOST_TOKENS} tokens that have not expired act as this person, which is the most",
            },
        ),
    )
    async def create(
        self, request: Request[Any, Any, Any], actor: Asker, database: Db, data: JSONBody[TokenBody]
    ) -> Response[NewTokenView]:
        """A staff token acts as the administrator who made it, and is good while they are enabled.

        A client's token stands for the client: it is good while the client is enabled, whoever made it. Nothing but the
        secret's hash is stored: a repetition under an `Idempotency-Key` is answered without it.
        """
        new = data.token()

        async def effect(tx: Tx) -> Response[Any]:
            made = await tokens.make(tx, actor, new, clock.now())
            body = msgspec.json.encode(views.new_token(made, new.secret))
            return Response(body, status_code=201, media_type="application/json")

        return await once(request, database, actor.org_id, effect, without_secret=_without_secret)

    @delete("/{token_id:str}", summary="Revoke an API token", status_code=204, responses=refusals(403, 404))
    async def revoke(self, actor: Asker, database: Db, token_id: IdInPath) -> None:
        async with database.transaction(actor.org_id) as tx:
            await tokens.revoke(tx, actor, parse_id(token_id), event_id=new_id())


def _without_secret(body: bytes) -> bytes:
    return msgspec.json.encode(msgspec.json.decode(body, type=NewTokenView).without_secret())
