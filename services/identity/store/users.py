"""Staff."""

from __future__ import annotations

from uuid import UUID

from services.identity.model.people import Founding, Person
from services.identity.model.users import User
from shared.contracts.identity import UserState
from shared.database import Tx
from shared.database.listing import NO_FILTERS, Sort, pages
from shared.database.tallies import tallied
from shared.database.windows import Page, Window
from shared.ids import OrgId
from shared.web.actor import Role

COLUMNS = """
org_id, id, version, name_f, name_l, email, role, is_enabled, password_hash, created_at, updated_at
"""
INSERT = """
insert into users (org_id, id, name_f, name_l, email, role, password_hash, created_at, updated_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $8)
"""
GET = f"""
select {COLUMNS} from users where org_id = $1 and id = $2
"""
LOCK = f"""
select {COLUMNS} from users where org_id = $1 and id = $2 for no key update
"""
SAVE = """
update users set version = $4, name_f = $5, name_l = $6, email = $7, role = $8, is_enabled = $9, password_hash = $10,
  updated_at = $11, namesake = case when email = $7 then namesake end
where org_id = $1 and id = $2 and version = $3
"""
PAGES = pages(
    tallied("users"),
    f"""
select {COLUMNS}, {{sorting}} from users where org_id = $1 and {{where}}
""",
    sorts={
        "id": Sort("id", "uuid"),
        "name_f": Sort("name_f_key", "text"),
        "name_l": Sort("name_l_key", "text"),
        "email": Sort("email_key", "text"),
        "created_at": Sort("created_at", "timestamptz"),
    },
    has_id_as_key=False,
)
# Whoever takes an administrator away holds the organisation's row, so that two cannot take the last two at once.
LOCK_ADMINISTRATION = """
select org_id from organisations where org_id = $1 for no key update
"""
HAS_ADMIN = """
select exists (select from users where org_id = $1 and id <> $2 and role = 'admin' and is_enabled)
"""
GET_STATE = """
select org_id, id, version, name_f, name_l, email, is_enabled from users where org_id = $1 and id = $2
"""
GET_PERSON = """
select u.org_id, o.name as org_name, u.id, u.role, u.name_f, u.name_l, u.email
from users u join organisations o on o.org_id = u.org_id
where u.org_id = $1 and u.id = $2
"""


async def insert_first(tx: Tx, founding: Founding) -> None:
    """Write the first administrator of an organisation."""
    await tx.run(
        INSERT,
        founding.org_id,
        founding.user_id,
        founding.name_f,
        founding.name_l,
        founding.email,
        Role.ADMIN,
        founding.password_hash,
        founding.at,
    )


async def insert(tx: Tx, user: User) -> None:
    """Write a new member of staff."""
    await tx.run(
        INSERT,
        user.org_id,
        user.id,
        user.name_f,
        user.name_l,
        user.email,
        user.role,
        user.password_hash,
        user.created_at,
    )


async def get(tx: Tx, org: OrgId, user: UUID) -> User | None:
    """The member of staff, disabled ones too."""
    return await tx.row(User, GET, org, user)


async def lock(tx: Tx, org: OrgId, user: UUID) -> User | None:
    """The member of staff, locked until the transaction ends."""
    return await tx.row(User, LOCK, org, user)


async def save(tx: Tx, before: User, after: User) -> None:
    """Write what has changed."""
    await tx.run(
        SAVE,
        before.org_id,
        before.id,
        before.version,
        after.version,
        after.name_f,
        after.name_l,
        after.email,
        after.role,
        after.is_enabled,
        after.password_hash,
        after.updated_at,
    )


async def page(tx: Tx, org: OrgId, window: Window) -> Page[User]:
    """One page, and how many there are in all."""
    return await tx.page(User, PAGES, NO_FILTERS, window, org)


async def lock_administration(tx: Tx, org: OrgId) -> None:
    """Until the transaction ends, nobody else takes an administrator away."""
    await tx.run(LOCK_ADMINISTRATION, org)


async def has_admin(tx: Tx, org: OrgId, *, besides: UUID) -> bool:
    """Whether anyone but `besides` can administer the organisation."""
    return await tx.value(HAS_ADMIN, org, besides)


async def get_state(tx: Tx, org: UUID, user: UUID) -> UserState | None:
    """The member of staff as others keep them."""
    return await tx.row(UserState, GET_STATE, org, user)


async def get_person(tx: Tx, org: OrgId, user: UUID) -> Person | None:
    """The member of staff as they see themselves."""
    return await tx.row(Person, GET_PERSON, org, user)
