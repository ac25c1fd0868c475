"""What proposals can tell of every service template, for copies that are made anew; the deleted ones too."""

from __future__ import annotations

from typing import Final

from shared.database import replicas

IDS: Final = {"templates": replicas.ids("templates")}
STATES: Final = {
    "templates": """
select org_id, id, version, name, price, currency, deleted_at is not null as is_deleted from templates
where id = any($1::uuid[])
""",
}
