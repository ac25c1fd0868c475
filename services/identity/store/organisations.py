"""Organisations."""

from __future__ import annotations

from datetime import datetime

from shared.database import Tx
from shared.ids import OrgId

INSERT = """
insert into organisations (org_id, name, created_at, updated_at) values ($1, $2, $3, $3)
"""


async def insert(tx: Tx, org: OrgId, name: str, at: datetime) -> None:
    """Write a new organisation."""
    await tx.run(INSERT, org, name, at)
