"""The sign flow as a DBOS workflow: the two creations are its steps, each a transaction; a crash resumes between them.

Nothing else differs from the monolith: same tables, same ORM, same answer. Ids are the database's facts of the first
step, so that a step which ran before it was recorded finds what it made.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any
from uuid import UUID

from dbos import DBOS, SetWorkflowID
from fastapi import FastAPI, Header, HTTPException, Request, Response
from pydantic_core import to_json
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload

from tests.bench.peers import signing
from tests.bench.peers.access import POOL_SIZE, Authorization, Reading, organisation_of, reading, writing
from tests.bench.peers.answers import EngagementView, OrderView, ProjectView, ProposalView
from tests.bench.peers.tables import Engagement, Project

DBOS(
    config={
        "name": "serx-bench-peer",
        "system_database_url": os.environ["PEER_DSN"].replace("postgresql://", "postgresql+psycopg://"),
        "sys_db_pool_size": POOL_SIZE,
        "log_level": "WARNING",
    }
)


@asynccontextmanager
async def launched(_app: FastAPI) -> AsyncIterator[None]:
    DBOS.launch()
    yield
    DBOS.destroy()


app = FastAPI(lifespan=launched)


@app.get("/health/ready")
async def ready(session: Reading) -> dict[str, int]:
    return {"ready": await session.scalar(select(1)) or 0}


@app.post("/api/proposals/{proposal_id}/sign")
async def sign(
    proposal_id: UUID, request: Request, authorization: Authorization, user_agent: Annotated[str, Header()] = ""
) -> Response:
    async with reading() as session:  # given back before the steps take theirs: nobody waits for a second one
        org = await organisation_of(session, authorization)
    signer = (request.client.host if request.client else "", user_agent)
    with SetWorkflowID(str(proposal_id)):
        answer = await sign_flow(str(org), str(proposal_id), signer)
    return Response(answer, media_type="application/json")


@DBOS.workflow()
async def sign_flow(org: str, proposal: str, signer: tuple[str, str]) -> str:
    opened = await open_engagement(org, proposal)
    placed = await place_order(org, proposal, signer)
    return f"{{{opened},{placed}}}"


@DBOS.step()
async def open_engagement(org: str, proposal: str) -> str:
    """Sent → Signing, with the client, the engagement and its projects; the same again when it was done before."""
    async with writing() as session:
        found = await signing.locked(session, UUID(org), UUID(proposal))
        if found.status == signing.SIGNING:
            return await _opened_before(session, found.id)
        if found.status != signing.SENT:
            raise HTTPException(409)
        at = signing.now()
        client = await signing.ensure_client(session, found, at)
        engagement = signing.engagement_of(found, client, at)
        projects = signing.projects_of(found, engagement, at)
        session.add_all([engagement, *projects])
        found.status, found.updated_at = signing.SIGNING, at
        await session.commit()
    return _opened(engagement, projects)


@DBOS.step()
async def place_order(org: str, proposal: str, signer: tuple[str, str]) -> str:
    """The order, and Signing → Signed."""
    async with writing() as session:
        found = await signing.locked(session, UUID(org), UUID(proposal))
        engagement = await _engagement(session, found.id)
        at = signing.now()
        order = signing.order_of(found, engagement.client, engagement.id, at)
        session.add(order)
        await session.flush()
        signing.mark_signed(found, engagement.id, order.id, signer, at)
        await session.commit()
    return f'"proposal":{_json(ProposalView.model_validate(found))},"order":{_json(OrderView.model_validate(order))}'


async def _opened_before(session: AsyncSession, proposal: UUID) -> str:
    """A crash came between the commit of this step and its record: what it made then."""
    engagement = await _engagement(session, proposal)
    made = select(Project).where(Project.engagement_id == engagement.id).order_by(Project.id)
    projects = await session.scalars(made.options(joinedload(Project.engagement), joinedload(Project.service)))
    return _opened(engagement, list(projects))


async def _engagement(session: AsyncSession, proposal: UUID) -> Engagement:
    with_client = joinedload(Engagement.client, innerjoin=True)
    made = await session.scalars(select(Engagement).where(Engagement.proposal_id == proposal).options(with_client))
    return made.one()


def _opened(engagement: Engagement, projects: list[Project]) -> str:
    shown = [ProjectView.model_validate(project) for project in projects]
    return f'"engagement":{_json(EngagementView.model_validate(engagement))},"projects":{_json(shown)}'


def _json(shown: Any) -> str:
    return to_json(shown, by_alias=True).decode()
