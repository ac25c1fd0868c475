"""Projects, each with its engagement and its service."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from services.engagements.model import (
    MOST_PROJECTS,
    EngagementRef,
    EngagementStatus,
    Phase,
    Project,
    ProjectStatus,
    Template,
)
from shared.contracts.engagements import ProjectState
from shared.database import Tx
from shared.database.listing import Filter, Sort, by_itself, choice, pages
from shared.database.tallies import tallied
from shared.database.windows import Page, Window

COLUMNS = """
p.id, p.org_id, p.version, p.engagement_id, e.name as engagement_name, e.client_id, e.status as engagement_status,
p.name, p.description, p.status, p.phase, p.service_id, t.name as service_name, p.created_at, p.updated_at,
p.completed_at
"""
REFERRED = """
join engagements e on e.org_id = p.org_id and e.id = p.engagement_id
left join templates t on t.org_id = p.org_id and t.id = p.service_id
"""
JOINED = f"projects p {REFERRED}"
# A client sees their own.
READABLE = """
p.org_id = $1 and p.deleted_at is null and p.cancelled_at is null and ($2::uuid is null or p.client_id = $2)
"""
GET = by_itself(f"""
select {COLUMNS} from {JOINED} where {READABLE} and p.id = $3
""")
LOCK = f"""
select {COLUMNS} from {JOINED}
where p.org_id = $1 and p.deleted_at is null and p.cancelled_at is null and p.id = $2 for update of p
"""
STATE = """
select org_id, id, version, engagement_id, client_id, name,
  deleted_at is not null or cancelled_at is not null as is_deleted
from projects where org_id = $1 and id = $2
"""
INSERT = """
insert into projects (id, org_id, version, engagement_id, client_id, name, description, status, phase, service_id,
  created_at, updated_at, completed_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
"""
SAVE = """
update projects set version = $3, name = $4, description = $5, status = $6, phase = $7, updated_at = $8,
  completed_at = $9
where org_id = $1 and id = $2
"""
DELETE = """
update projects set version = version + 1, deleted_at = $3, updated_at = $3
where org_id = $1 and id = $2 and deleted_at is null
returning org_id, id, version, engagement_id, client_id, name, true as is_deleted
"""
# Their descriptions, of up to 64 KiB each, are not shown there.
OF_ENGAGEMENT = f"""
select {COLUMNS.replace("p.description", "null as description")} from {JOINED}
where p.org_id = $1 and p.engagement_id = $2 and p.deleted_at is null and p.cancelled_at is null
order by p.created_at, p.id limit {MOST_PROJECTS}
"""
FILTERED = "p.org_id = $1 and p.deleted_at is null and p.cancelled_at is null and {where}"
# What a project refers to is looked for once the page is known, for its rows only.
PAGES = pages(
    f"""
select count(*) from projects p where {FILTERED}
""",
    f"""
select p.*, {{sorting}} from projects p where {FILTERED}
""",
    shown=f"select {COLUMNS}, p.sorting from ({{rows}}) p {REFERRED} {{order}}",
    filters={
        "only_of": Filter("p.client_id = $2", "$2::uuid is null"),
        "status": Filter("p.status = $3", "$3::smallint is null"),
        "phase": Filter("p.phase = $4", "$4::smallint is null"),
        "engagement_id": Filter("p.engagement_id = $5", "$5::uuid is null"),
    },
    sorts={
        "id": Sort("p.id", "uuid"),
        "name": Sort("p.name_key", "text"),
        "status": Sort("p.status", "smallint"),
        "phase": Sort("p.phase", "smallint"),
        "created_at": Sort("p.created_at", "timestamptz"),
        "updated_at": Sort("p.updated_at", "timestamptz"),
    },
    id="p.id",
    counts={
        frozenset(): tallied("projects"),
        frozenset({"status"}): tallied("projects", status="$3"),
        frozenset({"phase"}): tallied("projects", phase="$4"),
        frozenset({"status", "phase"}): tallied("projects", status="$3", phase="$4"),
    },
)


class _Row(msgspec.Struct, frozen=True):
    id: UUID
    org_id: UUID
    version: int
    engagement_id: UUID
    engagement_name: str
    client_id: UUID
    engagement_status: EngagementStatus
    name: str
    description: str | None
    status: ProjectStatus
    phase: Phase
    service_id: UUID | None
    service_name: str | None
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None

    def project(self) -> Project:
        return Project(
            id=self.id,
            org_id=self.org_id,
            version=self.version,
            engagement=EngagementRef(
                id=self.engagement_id,
                name=self.engagement_name,
                client_id=self.client_id,
                status=self.engagement_status,
            ),
            name=self.name,
            description=self.description,
            status=self.status,
            phase=self.phase,
            service=Template(id=self.service_id, name=self.service_name or "") if self.service_id else None,
            created_at=self.created_at,
            updated_at=self.updated_at,
            completed_at=self.completed_at,
        )


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of projects is narrowed to; `only_of` is the client who asks."""

    only_of: UUID | None = None
    status: ProjectStatus | None = None
    phase: Phase | None = None
    engagement_id: UUID | None = None


async def get(tx: Tx, org: UUID, project: UUID, *, only_of: UUID | None) -> Project | None:
    """The project, if the caller may see it."""
    row = await tx.row(_Row, GET, org, only_of, project)
    return None if row is None else row.project()


async def lock(tx: Tx, org: UUID, project: UUID) -> Project | None:
    """The project, which nobody else changes until the transaction ends."""
    row = await tx.row(_Row, LOCK, org, project)
    return None if row is None else row.project()


async def get_state(tx: Tx, org: UUID, project: UUID) -> ProjectState | None:
    """The project as others keep it; a deleted or cancelled one is a tombstone."""
    return await tx.row(ProjectState, STATE, org, project)


async def insert(tx: Tx, project: Project) -> None:
    """Write a new project."""
    await tx.run(
        INSERT,
        project.id,
        project.org_id,
        project.version,
        project.engagement.id,
        project.engagement.client_id,
        project.name,
        project.description,
        project.status,
        project.phase,
        project.service.id if project.service else None,
        project.created_at,
        project.updated_at,
        project.completed_at,
    )


async def save(tx: Tx, project: Project) -> None:
    """Write what may change of a project that this transaction has locked."""
    await tx.run(
        SAVE,
        project.org_id,
        project.id,
        project.version,
        project.name,
        project.description,
        project.status,
        project.phase,
        project.updated_at,
        project.completed_at,
    )


async def delete(tx: Tx, org: UUID, project: UUID, at: datetime) -> ProjectState | None:
    """Mark the project as deleted; its last state, a tombstone."""
    return await tx.row(ProjectState, DELETE, org, project, at)


async def of_engagement(tx: Tx, org: UUID, engagement: UUID) -> list[Project]:
    """The projects of an engagement, in the order in which they were made."""
    return [row.project() for row in await tx.rows(_Row, OF_ENGAGEMENT, org, engagement)]


async def page(tx: Tx, org: UUID, filters: Filters, window: Window) -> Page[Project]:
    """One page, and how many there are in all."""
    arguments = (org, filters.only_of, filters.status, filters.phase, filters.engagement_id)
    found = await tx.page(_Row, PAGES, choice(filters), window, *arguments)
    return found.of(_Row.project)
