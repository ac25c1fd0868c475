"""`/api/proposals`."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Controller, Request, Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from services.proposals import views
from services.proposals.domain import proposals
from services.proposals.http.asking import client_named
from services.proposals.http.bodies import ProposalBody, ProposalChangesBody, RejectBody
from services.proposals.model.proposals import ProposalStatus
from services.proposals.views import ProposalSummary, ProposalView
from shared import clock
from shared.database import Tx
from shared.ids import parse_id
from shared.messaging.bus import Bus
from shared.web.answers import require_match, single
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
    filter_text,
    listing,
    numbers_of,
    page_query,
    sorts,
)
from shared.web.texts import MAX_EMAIL_LENGTH

SORT_FIELDS = ("id", "client_email", "status", "total", "created_at", "sent_at", "signed_at")
SortOrder = Annotated[str, sorts(SORT_FIELDS)]
StatusFilter = Annotated[int | None, numbers_of(ProposalStatus, " Expired: Sent, past `valid_until`.")]
EmailFilter = Annotated[
    str | None, QueryParameter(max_length=MAX_EMAIL_LENGTH, description="The address that it is for, in any case.")
]


async def proposal_is_there(request: Request[Any, Any, Any]) -> None:
    """Raises NotFound unless the caller may see the proposal of the path."""
    async with request.app.state.database.transaction(request.state["actor"].org_id) as tx:
        await proposals.retrieve(tx, request.state["actor"], parse_id(request.path_params["proposal_id"]))


class ProposalController(Controller):
    path = "/api/proposals"
    tags = ["Proposals"]

    @get(summary="List proposals, without their items", responses=refusals())
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
        client_email: EmailFilter = None,
    ) -> Listing[ProposalSummary]:
        query = page_query(SORT_FIELDS, page=page, limit=limit, sort=sort, after=after)
        wanted, email, at = filter_number("status", ProposalStatus, status), filter_text(client_email), clock.now()
        async with database.single(is_large=query.is_long) as tx:
            found = await proposals.browse(tx, actor, query, at, status=wanted, client_email=email)
        return listing(request, query, found, lambda proposal: views.summary(proposal, at))

    @post(
        summary="Write a proposal: a Draft",
        guards=[staff_only],
        responses=refusals(403, 409, because={422: "An item's `service_id` is no service of the organisation's"}),
    )
    async def create(
        self, request: Request[Any, Any, Any], actor: Asker, database: Db, data: JSONBody[ProposalBody]
    ) -> Response[ProposalView]:
        at = clock.now()

        async def effect(tx: Tx) -> Response[ProposalView]:
            proposal = await proposals.create(tx, actor, data.proposal(), at)
            return single(request, views.view(proposal, at), proposal.version, status=201)

        return await once(request, database, actor.org_id, effect)

    @get(
        "/{proposal_id:str}",
        summary="Retrieve a proposal with its items",
        opt={"resource": proposal_is_there},
        responses=refusals(404),
    )
    async def retrieve(
        self, request: Request[Any, Any, Any], actor: Asker, database: Db, proposal_id: IdInPath
    ) -> Response[ProposalView]:
        async with database.transaction(actor.org_id) as tx:
            proposal = await proposals.retrieve(tx, actor, parse_id(proposal_id))
        return single(request, views.view(proposal, clock.now()), proposal.version)

    @put(
        "/{proposal_id:str}",
        summary="Change the fields of a Draft that are sent; items, if sent, replace all",
        description="Once it was sent, only `valid_until` can be changed, in a call with nothing beside it: a later "
        "time or null gives more time, also to one that is Expired; a time that has passed makes it Expired. An item "
        "may go on naming a service that was deleted, if an item of the Draft names it already.",
        guards=[staff_only],
        opt={"resource": proposal_is_there},
        responses=refusals(
            *(403, 404, 412),
            because={
                409: "The proposal is no Draft; or, Sent or Expired, it was sent something beside `valid_until`",
                422: "An item's `service_id` is no service of the organisation's",
            },
        ),
    )
    async def change(
        self,
        request: Request[Any, Any, Any],
        actor: Asker,
        database: Db,
        proposal_id: IdInPath,
        data: JSONBody[ProposalChangesBody],
    ) -> Response[ProposalView]:
        at = clock.now()
        async with database.transaction(actor.org_id) as tx:
            held = await proposals.hold(tx, actor, parse_id(proposal_id))
            changes = data.changes()
            require_match(request, held.version)
            proposal = await proposals.change(tx, held, changes, at)
        return single(request, views.view(proposal, at), proposal.version)

    @delete(
        "/{proposal_id:str}",
        summary="Delete a proposal that is neither Signing nor Signed",
        guards=[staff_only],
        opt={"resource": proposal_is_there},
        responses=refusals(403, 404, 412, because={409: "The proposal is Signing or Signed"}),
    )
    async def remove(self, request: Request[Any, Any, Any], actor: Asker, database: Db, proposal_id: IdInPath) -> None:
        async with database.transaction(actor.org_id) as tx:
            held = await proposals.hold(tx, actor, parse_id(proposal_id))
            require_match(request, held.version)
            await proposals.delete(tx, held, clock.now())

    @post(
        "/{proposal_id:str}/send",
        summary="Send a Draft to its client, to whom it belongs from then on (`client_id`)",
        guards=[staff_only],
        status_code=200,
        opt={"resource": proposal_is_there},
        responses=refusals(
            *(403, 404, 412, 422), because={409: "The proposal is no Draft, or its `valid_until` has passed"}
        ),
    )
    async def send(
        self,
        request: Request[Any, Any, Any],
        actor: Asker,
        database: Db,
        bus: NamedDependency[Bus],
        proposal_id: IdInPath,
    ) -> Response[ProposalView]:
        at, named = clock.now(), await client_named(database, bus, actor, parse_id(proposal_id))

        async def effect(tx: Tx) -> Response[ProposalView]:
            held = await proposals.hold(tx, actor, parse_id(proposal_id))
            require_match(request, held.version)
            proposal = await proposals.send(tx, held, at, named=named)
            return single(request, views.view(proposal, at), proposal.version)

        return await once(request, database, actor.org_id, effect)

    @post(
        "/{proposal_id:str}/reject",
        summary="Reject a Sent proposal, as its client or on their behalf",
        status_code=200,
        opt={"resource": proposal_is_there},
        responses=refusals(404, 412, 422, because={409: "The proposal is not Sent, or has expired"}),
    )
    async def reject(
        self,
        request: Request[Any, Any, Any],
        actor: Asker,
        database: Db,
        proposal_id: IdInPath,
        data: JSONBody[RejectBody | None] = None,
    ) -> Response[ProposalView]:
        at, reason = clock.now(), data.reason if data else None

        async def effect(tx: Tx) -> Response[ProposalView]:
            held = await proposals.hold(tx, actor, parse_id(proposal_id))
            require_match(request, held.version)
            proposal = await proposals.reject(tx, held, reason, at)
            return single(request, views.view(proposal, at), proposal.version)

        return await once(request, database, actor.org_id, effect)
