"""`/api/proposals/{id}/sign`."""

from __future__ import annotations

import re
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter

from services.proposals import views
from services.proposals.domain import proposals, signing
from services.proposals.http.bodies import SignBody
from services.proposals.http.proposals import proposal_is_there
from services.proposals.model.proposals import ProposalNotSignable, Signature, SignCall
from services.proposals.sign_desk import Answer, SignDesk
from services.proposals.views import Signed, SignReport
from shared.database import Database, UniqueViolated
from shared.errors import InvalidInput, NotFound, Stale
from shared.ids import parse_id
from shared.web.actor import Actor
from shared.web.answers import listed, preconditions
from shared.web.heads import HEAD_BYTES
from shared.web.idempotency import REPLAYED, key_sent, used_key
from shared.web.inputs import Asker, Db, IdInPath, JSONBody
from shared.web.openapi import refusals
from shared.web.origin import CLIENT_ADDRESS_HEADER

DEFAULT_WAIT_SECONDS = 10.0
MAX_WAIT_SECONDS = 30.0
MAX_USER_AGENT_LENGTH = 512
Prefer = Annotated[
    str | None,
    HeaderParameter(
        name="Prefer",
        description="`wait=N` (RFC 7240): how many seconds to wait for the flow; 10 if not said, 30 at most.",
        schema_extra={"examples": ["wait=0"], "max_length": HEAD_BYTES},  # a longer head is refused
    ),
]
_WAIT = re.compile(r"(?:^|,)\s*wait\s*=\s*\"?(\d{1,9})\"?\s*(?:[;,]|$)", re.IGNORECASE)


async def answer_of_flow(request: Request[Any, Any, Any], saga: UUID) -> Response[bytes]:
    """The answer of the flow that an Idempotency-Key stands for. Raises KeyInUse, SignatureRefused."""
    proposal = UUID(request.path_params["proposal_id"])
    return _answered(request.state["actor"], await request.app.state.desk.answer_of(saga), proposal)


class SignController(Controller):
    path = "/api/proposals/{proposal_id:str}/sign"
    tags = ["Proposals"]

    @post(
        summary="Sign: creates the engagement, its projects and the order, exactly once",
        status_code=200,
        opt={"resource": proposal_is_there, "answer_of_flow": answer_of_flow},
        responses={
            200: ResponseSpec(Signed, description="Signed: all that was created", generate_examples=False),
            202: ResponseSpec(SignReport, description="Accepted, and still under way", generate_examples=False),
            **refusals(404, 412, 422, because={409: "The proposal is not Sent, or has expired, or a service refused"}),
        },
    )
    async def sign(
        self,
        request: Request[Any, Any, Any],
        actor: Asker,
        database: Db,
        desk: NamedDependency[SignDesk],
        proposal_id: IdInPath,
        prefer: Prefer = None,
        data: JSONBody[SignBody | None] = None,
    ) -> Response[bytes]:
        proposal, body = parse_id(proposal_id), data or SignBody()
        if proposal is None:
            raise NotFound("proposal")
        try:
            body.check()
        except InvalidInput:
            await proposal_is_there(request)
            raise
        call = SignCall(
            proposal=proposal,
            signature=_signature(request, body),
            versions=await _versions(request, database, actor, proposal),
            key=key_sent(request),
        )
        try:
            answer = await desk.sign(actor, call, wait_seconds=_wait(prefer and listed(request, "prefer")))
        except (ProposalNotSignable, Stale, UniqueViolated):
            # The caller may have used the same key between our look and our T1. The index has the last word.
            earlier = await used_key(request, database, actor)
            if earlier is None:
                raise
            return earlier
        return _answered(actor, answer, proposal)

    @get(summary="How the sign flow stands", opt={"resource": proposal_is_there}, responses=refusals(404))
    async def report(self, actor: Asker, database: Db, proposal_id: IdInPath) -> SignReport:
        async with database.transaction(actor.org_id) as tx:
            return await signing.report(tx, actor, parse_id(proposal_id))


def _answered(reader: Actor, answer: Answer, proposal: UUID) -> Response[bytes]:
    if answer.report is not None:
        location = {"location": f"/api/proposals/{proposal}/sign"}
        return Response(
            msgspec.json.encode(answer.report), status_code=202, media_type="application/json", headers=location
        )
    headers = {REPLAYED: "true"} if answer.is_replayed else {}
    shown = views.signed_for(reader, answer.result)
    return Response(shown, status_code=200, media_type="application/json", headers=headers)


async def _versions(
    request: Request[Any, Any, Any], database: Database, actor: Actor, proposal: UUID
) -> frozenset[int] | None:
    """The versions that the caller would sign; None: any. Raises NotFound, and Stale for one of `If-None-Match`."""
    asked = preconditions(request)
    if asked.but == frozenset():
        return asked.among
    async with database.transaction(actor.org_id) as tx:
        version = (await proposals.retrieve(tx, actor, proposal)).version
    if not asked.allow(version):
        raise Stale
    return frozenset({version})


def _signature(request: Request[Any, Any, Any], body: SignBody) -> Signature:
    return Signature(
        signer_name=body.signer_name,
        signature=body.signature,
        address=request.headers.get(CLIENT_ADDRESS_HEADER),
        user_agent=_user_agent(request),
    )


def _user_agent(request: Request[Any, Any, Any]) -> str | None:
    """What the caller's program calls itself, as UTF-8, cut to 512 characters."""
    sent = request.headers.get("user-agent")
    return None if sent is None else sent.encode("latin-1").decode(errors="replace")[:MAX_USER_AGENT_LENGTH]


def _wait(prefer: str | None) -> float:
    """`Prefer: wait=N` (RFC 7240): how long to wait for the flow, in seconds."""
    wanted = _WAIT.search(prefer) if prefer else None
    return min(float(wanted[1]), MAX_WAIT_SECONDS) if wanted else DEFAULT_WAIT_SECONDS
