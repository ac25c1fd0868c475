"""Copies made anew from what their owners tell, while events go on arriving."""

from __future__ import annotations

from typing import Final

from shared.database import replicas

_VERSIONED: Final = {"id": "uuid", "org_id": "uuid", "version": "int"}
IDS: Final = {table: replicas.ids(table) for table in ("projects", "senders")}
VERSIONS: Final = {table: replicas.versions(table) for table in IDS}
REMOVE: Final = {table: replicas.removal(table) for table in IDS}
_PROJECT: Final = {"engagement_id": "uuid", "client_id": "uuid", "name": "text", "is_deleted": "boolean"}
MEND: Final = {
    "projects": replicas.mending("projects", {**_VERSIONED, **_PROJECT}),
    "senders": replicas.mending(
        "senders",
        {**_VERSIONED, "name_f": "text", "name_l": "text", "email": "text"},
        {
            "id": "id",
            "org_id": "org_id",
            "version": "version",
            "name": "concat_ws(' ', name_f, nullif(name_l, ''))",
            "email": "email",
        },
    ),
}
