"""The replicas of projects and of senders: versioned rows; what is gone stays as a tombstone."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec

from services.conversations.model import Project
from shared.contracts.engagements import ProjectState
from shared.contracts.identity import ClientState, UserState
from shared.database import Tx
from shared.messaging.gathering import newest

KEEP_PROJECT = """
select keep_project($1, $2, $3, $4, $5, $6, $7)
"""
KEEP_PROJECTS = """
select keep_projects($1, $2)
"""
GET_PROJECT = """
select id, engagement_id, client_id, name, is_deleted from projects where org_id = $1 and id = $2
"""
KEEP_SENDER = """
insert into senders (id, org_id, version, name, email) values ($1, $2, $3, $4, $5)
on conflict (id) do update set version = excluded.version, name = excluded.name, email = excluded.email
where senders.version < excluded.version
"""


async def keep_project(tx: Tx, project: ProjectState) -> None:
    """Keep what the engagement service says, unless something newer is known."""
    await tx.run(
        KEEP_PROJECT,
        project.id,
        project.org_id,
        project.version,
        project.engagement_id,
        project.client_id,
        project.name,
        project.is_deleted,
    )


async def keep_projects(tx: Tx, org: UUID, projects: Sequence[ProjectState]) -> None:
    """`keep_project` for many of one organisation, of each of which the newest counts."""
    await tx.run(KEEP_PROJECTS, org, msgspec.json.encode(newest(projects)))


async def get_project(tx: Tx, org: UUID, project: UUID) -> Project | None:
    """What is kept of the project, a tombstone included; None when this service has never heard of it."""
    return await tx.row(Project, GET_PROJECT, org, project)


async def keep_sender(tx: Tx, sender: ClientState | UserState) -> None:
    """Keep what identity says, unless something newer is known."""
    await tx.run(KEEP_SENDER, sender.id, sender.org_id, sender.version, sender.name, sender.email)
