"""The totals that lists say, which are kept by triggers, held against what there is to count."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import msgspec

LISTS: Final = {
    ("identity", "users"): ("true", "0", "0"),
    ("identity", "clients"): ("stage <> 'deleted'", "0", "0"),
    ("identity", "api_tokens"): ("true", "0", "0"),
    ("proposals", "proposals"): ("deleted_at is null", "status", "0"),
    ("proposals", "templates"): ("deleted_at is null", "is_public::int", "recurring"),
    ("engagements", "engagements"): ("cancelled_at is null", "status", "0"),
    ("engagements", "projects"): ("cancelled_at is null and deleted_at is null", "status", "phase"),
    ("conversations", "conversations"): ("true", "status", "0"),
    ("orders", "orders"): ("cancelled_at is null and deleted_at is null", "status", "0"),
}
"""A list whose totals are tallied: which rows are in it, and what they are told apart by."""
MISCOUNTS: Final = """
select coalesce(t.org_id, c.org_id) as org_id, coalesce(t.number, 0) as tallied, coalesce(c.number, 0) as counted
from (
  select org_id, status, phase, sum(number)::bigint as number from tallies where subject = '{table}' group by 1, 2, 3
) t full join (
  select org_id, ({status})::smallint as status, ({phase})::smallint as phase, count(*) as number
  from {table} where {condition} group by 1, 2, 3
) c using (org_id, status, phase)
where coalesce(t.number, 0) <> coalesce(c.number, 0)
"""


class Miscount(msgspec.Struct, frozen=True):
    """A list that is not as long as it says."""

    service: str
    table: str
    org_id: UUID
    tallied: int
    counted: int


async def miscounts(links: Mapping[str, Any]) -> list[Miscount]:
    """The lists that are not as long as they say; `links` are connections by service, over all organisations."""
    found: list[Miscount] = []
    for (service, table), (condition, status, phase) in LISTS.items():
        query = MISCOUNTS.format(table=table, condition=condition, status=status, phase=phase)
        for row in await links[service].fetch(query):
            org = UUID(int=row["org_id"].int)  # asyncpg's own UUID is a subclass
            found.append(Miscount(service, table, org, row["tallied"], row["counted"]))
    return found
