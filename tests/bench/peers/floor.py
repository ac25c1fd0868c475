"""The floor: the same rows in one statement by raw asyncpg, the answer made by PostgreSQL, behind a bare ASGI function.

No framework, no ORM, no validation, no service: what the hardware, PostgreSQL, asyncpg and uvicorn cost by themselves.
"""

from __future__ import annotations

import hashlib
import os
from typing import Any
from uuid import UUID

import asyncpg

from tests.bench.peers.statements import LIST, READY, RETRIEVE, SIGN

POOL_SIZE = 16
_JSON = [(b"content-type", b"application/json")]

_pool: asyncpg.Pool | None = None


class _Connection(asyncpg.Connection):
    """Nothing is ever set on a connection, so nothing is reset when it goes back to the pool."""

    def get_reset_query(self) -> str:
        return ""


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    assert _pool is not None
    body = await _answer(_pool, scope)
    head = [*_JSON, (b"content-length", str(len(body or b"")).encode())]
    await send({"type": "http.response.start", "status": 200 if body else 404, "headers": head})
    await send({"type": "http.response.body", "body": body or b""})


async def _answer(pool: Any, scope: dict[str, Any]) -> bytes | None:
    headers = dict(scope["headers"])
    match scope["method"], scope["path"].split("/"):
        case "POST", ["", "api", "proposals", proposal, "sign"]:
            agent = headers.get(b"user-agent", b"").decode()
            found = await pool.fetchval(SIGN, _digest(headers), UUID(proposal), scope["client"][0], agent)
        case "GET", ["", "api", "projects", project]:
            found = await pool.fetchval(RETRIEVE, _digest(headers), UUID(project))
        case "GET", ["", "api", "projects"]:
            found = await pool.fetchval(LIST, _digest(headers), 20)
        case _:
            found = await pool.fetchval(READY)
    return found.encode() if found else None


def _digest(headers: dict[bytes, bytes]) -> bytes:
    return hashlib.sha256(headers[b"authorization"].removeprefix(b"Bearer ")).digest()


async def _live(receive: Any, send: Any) -> None:
    global _pool  # noqa: PLW0603  # the process has one
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            _pool = await asyncpg.create_pool(
                os.environ["PEER_DSN"], min_size=POOL_SIZE, max_size=POOL_SIZE, connection_class=_Connection
            )
            await send({"type": "lifespan.startup.complete"})
        else:
            if _pool is not None:
                await _pool.close()
            await send({"type": "lifespan.shutdown.complete"})
            return
