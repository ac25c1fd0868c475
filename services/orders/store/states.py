"""What orders can tell of what the sign flow made, for what is compared after a restore."""

from __future__ import annotations

from typing import Final

OF_FLOWS: Final = """
select saga_id, org_id, client_id from orders where saga_id is not null and cancelled_at is null
"""
