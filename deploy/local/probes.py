"""Is it there yet? One question per kind of process, each answered at once, yes or no."""

from __future__ import annotations

import asyncio

import asyncpg

from deploy.local.ports import HOST
from shared.database.errors import LINK_ERRORS

TIMEOUT_SECONDS = 2.0


async def http_well(port: int) -> bool:
    """Whether `GET /health` answers 200: the process is ready, and nothing that it needs is away.

    Spoken by hand: an HTTP client takes longer to import than to wait.
    """
    return b" 200 " in await _first_line(port, b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")


async def nats_ready(port: int) -> bool:
    """Whether NATS greets; it listens only after JetStream has recovered its streams."""
    return (await _first_line(port)).startswith(b"INFO ")


async def nats_is_sick(monitor_port: int) -> bool:
    """Whether NATS says that a stream cannot be written: after a full disk it stays so until it is started again."""
    return b" 503 " in await _first_line(
        monitor_port, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )


async def postgres_ready(dsn: str) -> bool:
    """Whether PostgreSQL takes logins; during crash recovery it listens and refuses.

    Raises asyncpg.InvalidPasswordError: that will not be better in a while.
    """
    try:
        connection = await asyncpg.connect(dsn, timeout=TIMEOUT_SECONDS)
    except asyncpg.InvalidPasswordError:
        raise
    except LINK_ERRORS:
        return False
    await connection.close()
    return True


async def _first_line(port: int, request: bytes = b"") -> bytes:
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            reader, writer = await asyncio.open_connection(HOST, port)
            try:
                writer.write(request)
                return await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError):  # ValueError: a line without an end
        return b""
