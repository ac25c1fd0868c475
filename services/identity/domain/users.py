"""Members of staff: making, reading, changing and disabling them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from msgspec import UNSET, UnsetType

from services.identity.domain import credentials
from services.identity.model import users as model
from services.identity.model.errors import EmailTaken, LastAdmin
from services.identity.model.users import NewUser, User, UserChanges
from services.identity.store import emails, users
from shared.contracts.identity import UserQuestion, UserState
from shared.database import Tx
from shared.database.windows import Page
from shared.errors import NotFound
from shared.ids import new_id
from shared.messaging import outbox
from shared.messaging.outbox import Event, event
from shared.messaging.topology import event_subject
from shared.web.actor import Actor
from shared.web.paging import PageQuery


async def create(tx: Tx, actor: Actor, new: NewUser, at: datetime) -> User:
    """A new member of staff. Raises EmailTaken."""
    user = model.made(new, org=actor.org_id, id=new_id(), at=at)
    await emails.lock(tx, user.org_id, user.email)
    await _require_free(tx, user)
    await users.insert(tx, user)
    await outbox.put(tx, changed(user))
    return user


async def retrieve(tx: Tx, actor: Actor, user: UUID | None) -> User:
    """The member of staff, a disabled one too. Raises NotFound."""
    found = await users.get(tx, actor.org_id, user) if user else None
    if found is None:
        raise NotFound("user")
    return found


async def browse(tx: Tx, actor: Actor, query: PageQuery) -> Page[User]:
    """One page of the organisation's staff."""
    return await users.page(tx, actor.org_id, query.window)


async def lock(tx: Tx, actor: Actor, user: UUID | None, *, email: str | UnsetType = UNSET) -> User:
    """The member of staff, locked, and before them the e-mail that they are to have, if any. Raises NotFound."""
    if email is not UNSET:
        await emails.lock(tx, actor.org_id, email)
    await users.lock_administration(tx, actor.org_id)
    found = await users.lock(tx, actor.org_id, user) if user else None
    if found is None:
        raise NotFound("user")
    return found


async def change(tx: Tx, found: User, changes: UserChanges, at: datetime) -> User:
    """Change a member of staff who is locked; nothing is written when nothing differs. Raises EmailTaken, LastAdmin.

    One who is enabled again logs in anew; the API tokens that they had made are good again.
    """
    after = found.changed(changes, at)
    if after is found:
        return found
    if after.email != found.email:
        await _require_free(tx, after)
    return await _save(tx, found, after)


async def disable(tx: Tx, found: User, at: datetime) -> None:
    """Disable a member of staff who is locked, and end their sessions. Raises LastAdmin."""
    after = found.disabled(at)
    if after is not found:
        await _save(tx, found, after)


async def tell_user(tx: Tx, question: UserQuestion) -> UserState | None:
    """The member of staff as others keep them, or None when there never was one."""
    return await users.get_state(tx, question.org_id, question.id)


async def _save(tx: Tx, before: User, after: User) -> User:
    takes_admin_away = before.administers and not after.administers
    if takes_admin_away and not await users.has_admin(tx, before.org_id, besides=before.id):
        raise LastAdmin
    await users.save(tx, before, after)
    await outbox.put(tx, changed(after))
    await credentials.follow(tx, before, after)
    return after


async def _require_free(tx: Tx, user: User) -> None:
    holder = await emails.holder(tx, user.org_id, user.email, besides=user.id)
    if holder is not None:
        raise EmailTaken(holder)


def changed(user: User) -> Event:
    """The event that tells everybody how a member of staff is now."""
    return event(new_id(), event_subject(user.org_id, "user", "changed"), "user.changed.v1", user.state)
