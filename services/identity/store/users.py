"""Staff."""

from __future__ import annotations

from uuid import UUID

from services.identity.model.people import Founding, Person
from shared.database import Tx
from shared.ids import OrgId
from shared.web.actor import Role

INSERT = """
insert into users (org_id, id, name_f, name_l, email, role, password_hash, created_at, updated_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $8)
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


async def get_person(tx: Tx, org: OrgId, user: UUID) -> Person | None:
    """The member of staff as they see themselves."""
    return await tx.row(Person, GET_PERSON, org, user)
