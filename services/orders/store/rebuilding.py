"""Copies made anew from what their owners tell, while events go on arriving."""

from __future__ import annotations

from typing import Final

from shared.database import replicas

_VERSIONED: Final = {"id": "uuid", "org_id": "uuid", "version": "int"}
IDS: Final = {table: replicas.ids(table) for table in ("clients", "staff", "templates", "engagements")}
VERSIONS: Final = {table: replicas.versions(table) for table in IDS}
REMOVE: Final = {table: replicas.removal(table) for table in IDS}
_CLIENT: Final = {
    "name_f": "text",
    "name_l": "text",
    "email": "text",
    "company": "text",
    "phone": "text",
    "billing": "jsonb",
    "is_closed": "boolean",
    "is_deleted": "boolean",
}
_STAFF: Final = {"name_f": "text", "name_l": "text", "is_enabled": "boolean"}
_TEMPLATE: Final = {"name": "text", "price": "numeric", "currency": "text", "is_deleted": "boolean"}
MEND: Final = {
    "clients": replicas.mending("clients", {**_VERSIONED, **_CLIENT}),
    "staff": replicas.mending("staff", {**_VERSIONED, **_STAFF}),
    "templates": replicas.mending("templates", {**_VERSIONED, **_TEMPLATE}),
    "engagements": replicas.mending("engagements", {**_VERSIONED, "client_id": "uuid", "is_cancelled": "boolean"}),
}
