"""Guards: calls that a role may never make. Litestar runs them before the body is looked at.

They are coroutines because Litestar would run a plain function in a thread: 0.1 ms a call, and two wake-ups.
"""

from __future__ import annotations

from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from shared.web.actor import require_admin, require_staff

Connection = ASGIConnection[Any, Any, Any, Any]


async def staff_only(connection: Connection, _: BaseRouteHandler) -> None:
    """Raises Forbidden for a client."""
    require_staff(connection.state["actor"])


async def admins_only(connection: Connection, _: BaseRouteHandler) -> None:
    """Raises Forbidden for anyone but an administrator."""
    require_admin(connection.state["actor"])
