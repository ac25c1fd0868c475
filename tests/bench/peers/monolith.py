"""The peer that people would write instead: FastAPI and SQLAlchemy 2, one process, one database, one transaction."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import FastAPI, Header, HTTPException, Query, Request
from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

from tests.bench.peers import signing
from tests.bench.peers.access import Reader, Reading, Writer, Writing
from tests.bench.peers.answers import ProjectPage, ProjectSummary, ProjectView, Signed, links_of, meta_of
from tests.bench.peers.tables import Project

app = FastAPI()


@app.get("/health/ready")
async def ready(session: Reading) -> dict[str, int]:
    return {"ready": await session.scalar(select(1)) or 0}


@app.post("/api/proposals/{proposal_id}/sign", response_model=Signed)
async def sign(
    proposal_id: UUID, request: Request, org: Writer, session: Writing, user_agent: Annotated[str, Header()] = ""
) -> dict[str, object]:
    proposal = await signing.locked(session, org, proposal_id)
    at = signing.now()
    _require_signable(proposal.status, proposal.valid_until, at)
    client = await signing.ensure_client(session, proposal, at)
    engagement = signing.engagement_of(proposal, client, at)
    projects = signing.projects_of(proposal, engagement, at)
    order = signing.order_of(proposal, client, engagement.id, at)
    session.add_all([engagement, *projects, order])
    await session.flush()  # the proposal points at both
    address = request.client.host if request.client else ""
    signing.mark_signed(proposal, engagement.id, order.id, (address, user_agent), at)
    await session.commit()
    return {"proposal": proposal, "engagement": engagement, "projects": projects, "order": order}


@app.get("/api/projects/{project_id}", response_model=ProjectView)
async def retrieve(project_id: UUID, org: Reader, session: Reading) -> Project:
    project = await session.scalar(
        select(Project)
        .where(Project.id == project_id, Project.org_id == org, Project.deleted_at.is_(None))
        .options(joinedload(Project.engagement, innerjoin=True), joinedload(Project.service))
    )
    if project is None:
        raise HTTPException(404)
    return project


@app.get("/api/projects")
async def page(
    request: Request,
    org: Reader,
    session: Reading,
    page: Annotated[int, Query(ge=1)] = 1,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> ProjectPage:
    mine = (Project.org_id == org, Project.deleted_at.is_(None))
    total = await session.scalar(select(func.count()).select_from(Project).where(*mine)) or 0
    newest = select(Project).where(*mine).order_by(Project.created_at.desc(), Project.id)
    found = (await session.scalars(newest.limit(limit).offset((page - 1) * limit))).all()
    path = str(request.base_url)[:-1] + request.url.path
    return ProjectPage.model_construct(
        data=[ProjectSummary.model_validate(project) for project in found],
        links=links_of(path, page=page, limit=limit, total=total),
        meta=meta_of(path, page=page, limit=limit, total=total, count=len(found)),
    )


def _require_signable(status: int, valid_until: datetime | None, at: datetime) -> None:
    if status != signing.SENT or (valid_until is not None and valid_until <= at):
        raise HTTPException(409)
