"""`/api/proposals`."""

from __future__ import annotations

from typing import Any

from litestar import Controller, Request, Response, get, post

from services.proposals import views
from services.proposals.domain import proposals
from services.proposals.http.bodies import ProposalBody
from services.proposals.model import ProposalStatus
from services.proposals.views import ProposalSummary, ProposalView
from shared import clock
from shared.database import Tx
from shared.ids import parse_id
from shared.web.answers import single
from shared.web.guards import staff_only
from shared.web.idempotency import once
from shared.web.inputs import Asker, Db, FromQuery, IdInPath, JSONBody
from shared.web.paging import Listing, PageLimit, PageNumber, SortOrder, filter_number, listing, page_query

SORT_FIELDS = ("id", "client_email", "status", "total", "created_at", "sent_at", "signed_at")


async def proposal_is_there(request: Request[Any, Any, Any]) -> None:
    """Raises NotFound unless the caller may see the proposal of the path."""
    async with request.app.state.database.transaction(request.state["actor"].org_id) as tx:
        await proposals.retrieve(tx, request.state["actor"], parse_id(request.path_params["proposal_id"]))


class ProposalController(Controller):
    path = "/api/proposals"
    tags = ["Proposals"]

    @get(summary="List proposals, without their items")
    async def browse(
        self,
        request: Request[Any, Any, Any],
        actor: Asker,
        database: Db,
        page: PageNumber = 1,
        limit: PageLimit = 20,
        sort: SortOrder = "created_at:desc",
        status: FromQuery[int | None] = None,
        client_email: FromQuery[str | None] = None,
    ) -> Listing[ProposalSummary]:
        query = page_query(SORT_FIELDS, page=page, limit=limit, sort=sort)
        wanted, at = filter_number("status", ProposalStatus, status), clock.now()
        async with database.transaction(actor.org_id) as tx:
            found = await proposals.browse(tx, actor, query, at, status=wanted, client_email=client_email)
        return listing(request, query, found, lambda proposal: views.summary(proposal, at))

    @post(summary="Write a proposal: a Draft", guards=[staff_only])
    async def create(
        self, request: Request[Any, Any, Any], actor: Asker, database: Db, data: JSONBody[ProposalBody]
    ) -> Response[ProposalView]:
        at = clock.now()

        async def effect(tx: Tx) -> Response[ProposalView]:
            proposal = await proposals.create(tx, actor, data.proposal(), at)
            return single(request, views.view(proposal, at), proposal.version, status=201)

        return await once(request, database, actor.org_id, effect)

    @get("/{proposal_id:str}", summary="Retrieve a proposal with its items")
    async def retrieve(
        self, request: Request[Any, Any, Any], actor: Asker, database: Db, proposal_id: IdInPath
    ) -> Response[ProposalView]:
        async with database.transaction(actor.org_id) as tx:
            proposal = await proposals.retrieve(tx, actor, parse_id(proposal_id))
        return single(request, views.view(proposal, clock.now()), proposal.version)

    @post("/{proposal_id:str}/send", summary="Send a Draft to its client", guards=[staff_only], status_code=200)
    async def send(
        self, request: Request[Any, Any, Any], actor: Asker, database: Db, proposal_id: IdInPath
    ) -> Response[ProposalView]:
        at = clock.now()

        async def effect(tx: Tx) -> Response[ProposalView]:
            proposal = await proposals.send(tx, actor, parse_id(proposal_id), at)
            return single(request, views.view(proposal, at), proposal.version)

        return await once(request, database, actor.org_id, effect)
