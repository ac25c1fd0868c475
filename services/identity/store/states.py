"""What identity can tell of everything it owns, for copies that are made anew; those deleted and disabled too."""

from __future__ import annotations

from typing import Final

from services.identity.store.clients import STATE
from shared.database import replicas

IDS: Final = {"clients": replicas.ids("clients"), "users": replicas.ids("users")}
STATES: Final = {
    "clients": f"""
select {STATE} from clients c where c.id = any($1::uuid[])
""",
    "users": """
select org_id, id, version, name_f, name_l, email, is_enabled from users where id = any($1::uuid[])
""",
}
