"""Writing, reading and telling of service templates."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from services.proposals.model.templates import Recurring, Template, TemplateFields
from services.proposals.store import templates as store
from services.proposals.store.templates import Filters
from shared.contracts.proposals import TemplateQuestion, TemplateState
from shared.currency import check_whole
from shared.database import Tx
from shared.database.windows import Page
from shared.errors import NotFound
from shared.ids import new_id
from shared.messaging import outbox, topology
from shared.web.actor import Actor
from shared.web.paging import PageQuery


async def create(tx: Tx, actor: Actor, fields: TemplateFields, at: datetime) -> Template:
    """Write a template, and tell of it. Raises InvalidInput for a price that is not whole where it has to be."""
    check_whole(fields.currency, {"price": fields.price})
    template = Template(
        id=new_id(),
        org_id=actor.org_id,
        version=1,
        created_at=at,
        updated_at=at,
        **msgspec.structs.asdict(fields),
    )
    await store.insert(tx, template)
    await _tell(tx, template)
    return template


async def retrieve(tx: Tx, actor: Actor, template: UUID | None) -> Template:
    """Raises NotFound, also for a deleted one."""
    return _there(await store.get(tx, actor.org_id, template) if template else None)


async def hold(tx: Tx, actor: Actor, template: UUID | None) -> Template:
    """The template, locked until the transaction ends. Raises NotFound, also for a deleted one."""
    return _there(await store.lock(tx, actor.org_id, template) if template else None)


async def browse(
    tx: Tx, actor: Actor, query: PageQuery, *, is_public: bool | None, recurring: Recurring | None
) -> Page[Template]:
    """One page of the organisation's templates."""
    filters = Filters(is_public=is_public, recurring=recurring)
    return await store.page(tx, actor.org_id, filters, query.window)


async def change(tx: Tx, held: Template, fields: dict[str, Any], at: datetime) -> Template:
    """Change these fields of a template that is held, and tell of it; nothing when none differs."""
    after = held.changed(fields, at)
    if after is not held:
        check_whole(after.currency, {"price": after.price})
        await store.save(tx, after)
        await _tell(tx, after)
    return after


async def delete(tx: Tx, held: Template, at: datetime) -> None:
    """Delete a template that is held, and tell of it; those who have named it still know it."""
    after = held.deleted(at)
    await store.delete(tx, after)
    await _tell(tx, after)


async def tell(tx: Tx, question: TemplateQuestion) -> TemplateState | None:
    """What others may keep of a template, also of a deleted one."""
    found = await store.find(tx, question.org_id, question.id)
    return None if found is None else state_of(found)


def state_of(template: Template) -> TemplateState:
    return TemplateState(
        org_id=template.org_id,
        id=template.id,
        version=template.version,
        name=template.name,
        price=template.price,
        currency=template.currency,
        is_deleted=template.is_deleted,
    )


def _there(found: Template | None) -> Template:
    if found is None:
        raise NotFound("service")
    return found


async def _tell(tx: Tx, template: Template) -> None:
    subject = topology.event_subject(template.org_id, "template", "changed")
    await outbox.put(tx, outbox.event(new_id(), subject, "template.changed.v1", state_of(template)))
