"""What engagements can tell of everything it owns, for copies that are made anew; those deleted and cancelled too."""

from __future__ import annotations

from typing import Final

from shared.database import replicas

IDS: Final = {"engagements": replicas.ids("engagements"), "projects": replicas.ids("projects")}
STATES: Final = {
    "engagements": """
select org_id, id, version, client_id, proposal_id, name, status, cancelled_at is not null as is_cancelled
from engagements where id = any($1::uuid[])
""",
    "projects": """
select org_id, id, version, engagement_id, client_id, name,
  deleted_at is not null or cancelled_at is not null as is_deleted
from projects where id = any($1::uuid[])
""",
}
OF_FLOWS: Final = """
select saga_id, org_id, client_id from engagements where saga_id is not null and cancelled_at is null
"""
