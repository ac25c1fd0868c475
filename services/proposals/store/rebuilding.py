"""Copies made anew from what their owners tell, while events go on arriving."""

from __future__ import annotations

from typing import Final

from shared.database import replicas

_VERSIONED: Final = {"id": "uuid", "org_id": "uuid", "version": "int"}
IDS: Final = {table: replicas.ids(table) for table in ("clients",)}
VERSIONS: Final = {table: replicas.versions(table) for table in IDS}
REMOVE: Final = {table: replicas.removal(table) for table in IDS}
_CLIENT: Final = {
    "name_f": "text",
    "name_l": "text",
    "email": "text",
    "company": "text",
    "phone": "text",
    "is_enabled": "boolean",
    "is_closed": "boolean",
    "is_deleted": "boolean",
    "billing": "jsonb",
}
BIND: Final = {
    "clients": """
select bind_proposals_to(org_id, array_agg(email_key)) from clients where id = any($1::uuid[]) group by org_id
"""
}
"""What hangs on copies that were written or are about to be removed, by table: bound anew, by their ids."""
MEND: Final = {"clients": replicas.mending("clients", {**_VERSIONED, **_CLIENT})}
