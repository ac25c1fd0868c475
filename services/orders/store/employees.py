"""The members of staff on an order or a task, in the order in which they were named."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from services.orders.model import Employee
from shared.database import Tx

# A name that has not been heard of is empty, so that nobody is lost from the row.
EMPLOYEES_OF = """
(select coalesce(jsonb_agg(jsonb_build_object(
    'id', e.id, 'name_f', coalesce(s.name_f, ''), 'name_l', coalesce(s.name_l, '')) order by e.position), '[]')
 from unnest({row}.employee_ids) with ordinality as e (id, position)
 left join staff s on s.org_id = {row}.org_id and s.id = e.id) as employees
"""
ON_ORDER = EMPLOYEES_OF.format(row="o")
ON_TASK = EMPLOYEES_OF.format(row="t")
NAMED = """
select id, name_f, name_l from staff
where org_id = $1 and id = any($2::uuid[]) and (is_enabled or id = any($3::uuid[]))
"""


async def named(tx: Tx, org: UUID, ids: Sequence[UUID], *, there_already: Collection[UUID]) -> dict[UUID, Employee]:
    """Those of `ids` who are members of staff now, or were when they were put there."""
    found = await tx.rows(Employee, NAMED, org, list(ids), list(there_already))
    return {employee.id: employee for employee in found}
