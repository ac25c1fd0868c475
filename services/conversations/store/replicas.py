"""The replica of projects: versioned rows; what is gone stays as a tombstone."""

from __future__ import annotations

from shared.contracts.engagements import ProjectState
from shared.database import Tx

KEEP_PROJECT = """
insert into projects (id, org_id, version, engagement_id, client_id, name, is_deleted)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (id) do update set
  version = excluded.version, engagement_id = excluded.engagement_id, client_id = excluded.client_id,
  name = excluded.name, is_deleted = excluded.is_deleted
where projects.version < excluded.version
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
