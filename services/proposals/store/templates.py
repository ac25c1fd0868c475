"""Service templates."""

from __future__ import annotations

from uuid import UUID

import msgspec

from services.proposals.model.templates import Recurring, Template
from shared.database import Tx
from shared.database.free_objects import free_object
from shared.database.listing import Filter, Sort, choice, pages
from shared.database.tallies import tallied
from shared.database.windows import Page, Window

COLUMNS = f"""
id, org_id, version, name, description, price, currency, recurring, is_public, deadline_days, sort_order,
{free_object("metadata")}, created_at, updated_at, deleted_at is not null as is_deleted
"""
INSERT = """
insert into templates (id, org_id, version, name, description, price, currency, recurring, is_public, deadline_days,
  sort_order, metadata, metadata_sent, created_at, updated_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12::json::text::jsonb, $12::json, $13, $13)
"""
GET = f"""
select {COLUMNS} from templates where org_id = $1 and id = $2 and deleted_at is null
"""
FIND = f"""
select {COLUMNS} from templates where org_id = $1 and id = $2
"""
LOCK = f"""
select {COLUMNS} from templates where org_id = $1 and id = $2 and deleted_at is null for update
"""
SAVE = """
update templates set version = $3, name = $4, description = $5, price = $6, currency = $7, recurring = $8,
  is_public = $9, deadline_days = $10, sort_order = $11, metadata = $12::json::text::jsonb, metadata_sent = $12::json,
  updated_at = $13
where org_id = $1 and id = $2 and version = $3 - 1 and deleted_at is null
"""
DELETE = """
update templates set version = $3, updated_at = $4, deleted_at = $4
where org_id = $1 and id = $2 and version = $3 - 1 and deleted_at is null
"""
FILTERED = "org_id = $1 and deleted_at is null and {where}"
PAGES = pages(
    f"""
select count(*) from templates where {FILTERED}
""",
    f"""
select {COLUMNS}, {{sorting}} from templates where {FILTERED}
""",
    filters={
        "is_public": Filter("is_public = $2", "$2::boolean is null"),
        "recurring": Filter("recurring = $3", "$3::smallint is null"),
    },
    sorts={
        "id": Sort("id", "uuid"),
        "name": Sort("name_key", "text"),
        "price": Sort("price", "numeric"),
        "recurring": Sort("recurring", "smallint"),
        "public": Sort("is_public", "boolean"),
        "sort_order": Sort("sort_order", "int"),
        "created_at": Sort("created_at", "timestamptz"),
    },
    counts={
        frozenset(): tallied("templates"),
        frozenset({"is_public"}): tallied("templates", status="$2::boolean::int"),
        frozenset({"recurring"}): tallied("templates", phase="$3"),
        frozenset({"is_public", "recurring"}): tallied("templates", status="$2::boolean::int", phase="$3"),
    },
)
THERE = """
select id from templates where org_id = $1 and id = any($2::uuid[]) and deleted_at is null
"""


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of templates is narrowed to."""

    is_public: bool | None = None
    recurring: Recurring | None = None


class _Id(msgspec.Struct, frozen=True):
    id: UUID


async def insert(tx: Tx, template: Template) -> None:
    await tx.run(
        INSERT,
        template.id,
        template.org_id,
        template.version,
        template.name,
        template.description,
        template.price,
        template.currency,
        template.recurring,
        template.is_public,
        template.deadline_days,
        template.sort_order,
        template.metadata,
        template.created_at,
    )


async def get(tx: Tx, org: UUID, template: UUID) -> Template | None:
    """The template, unless it is deleted."""
    return await tx.row(Template, GET, org, template)


async def find(tx: Tx, org: UUID, template: UUID) -> Template | None:
    """The template, also a deleted one."""
    return await tx.row(Template, FIND, org, template)


async def lock(tx: Tx, org: UUID, template: UUID) -> Template | None:
    """The template, unless it is deleted, locked until the transaction ends."""
    return await tx.row(Template, LOCK, org, template)


async def save(tx: Tx, template: Template) -> None:
    """Write the next version of a template that is locked."""
    await tx.run(
        SAVE,
        template.org_id,
        template.id,
        template.version,
        template.name,
        template.description,
        template.price,
        template.currency,
        template.recurring,
        template.is_public,
        template.deadline_days,
        template.sort_order,
        template.metadata,
        template.updated_at,
    )


async def delete(tx: Tx, template: Template) -> None:
    """Write the deleted version of a template that is locked."""
    await tx.run(DELETE, template.org_id, template.id, template.version, template.updated_at)


async def page(tx: Tx, org: UUID, filters: Filters, window: Window) -> Page[Template]:
    """One page, and how many there are in all."""
    arguments = (org, filters.is_public, filters.recurring)
    return await tx.page(Template, PAGES, choice(filters), window, *arguments)


async def there(tx: Tx, org: UUID, templates: list[UUID]) -> set[UUID]:
    """Those of `templates` that the organisation has, the deleted ones not counted."""
    return {row.id for row in await tx.rows(_Id, THERE, org, templates)}
