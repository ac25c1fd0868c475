"""One service as the gateway reaches it: a pool of connections, and what happens when there is none to be had."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Final
from urllib.parse import urlsplit

from gateway.answers import Answer, Headers
from gateway.connection import Connection
from gateway.patience import READ_SECONDS
from gateway.refusals import ServiceAway
from gateway.routes import Service
from gateway.streams import ConnectionLost

CONNECT_SECONDS: Final = 2.0
IDLE_SECONDS: Final = 60.0
"""Shorter than the 75 s for which a service keeps an idle connection, so that it does not close under a request."""
MOST_CONNECTIONS: Final = 1000
"""More under way at once means that the service stands still: better an honest 503 than one more in the queue."""

_REPEATABLE: Final = frozenset({"GET", "HEAD"})


class Upstream:
    """Sends requests to one service and brings back its answers."""

    def __init__(self, service: Service, url: str) -> None:
        parts = urlsplit(url)
        self.service = service
        self._is_tls = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._is_tls else 80)
        self._authority = parts.netloc.encode()
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()

    @property
    def connections(self) -> tuple[int, int]:
        """How many are open, and how many of them wait for work."""
        return len(self._open), len(self._idle)

    async def exchange(
        self,
        method: str,
        target: bytes,
        headers: Headers,
        body: bytes = b"",
        *,
        is_repeatable: bool = False,
        patience_seconds: float = READ_SECONDS,
    ) -> Answer:
        """Send one request. Raises ServiceAway when it cannot be reached, breaks off, or does not answer in time.

        Only what changes nothing (GET, HEAD, `is_repeatable`) is sent again, once, and only when a connection that had
        served before turned out to be closed.
        """
        request = self._rendered(method, target, headers, body)
        reused = self._reusable()
        if reused is not None:
            try:
                return await self._on(reused, request, method, patience_seconds)
            except ConnectionLost as error:
                if reused.is_timed_out or not (is_repeatable or method in _REPEATABLE):
                    raise ServiceAway(self.service, str(error)) from error
        try:
            return await self._on(await self._connect(), request, method, patience_seconds)
        except ConnectionLost as error:
            raise ServiceAway(self.service, str(error)) from error

    def close(self) -> None:
        """Give up all connections."""
        for connection in tuple(self._open):
            connection.close()
        self._idle.clear()

    async def _on(self, connection: Connection, request: bytes, method: str, patience_seconds: float) -> Answer:
        return await connection.exchange(request, is_head=method == "HEAD", patience_seconds=patience_seconds)

    def _reusable(self) -> Connection | None:
        freshest = monotonic() - IDLE_SECONDS
        while self._idle:
            connection = self._idle.pop()
            if connection.is_idle and connection.idle_since > freshest:
                return connection
            connection.close()
        return None

    async def _connect(self) -> Connection:
        if len(self._open) >= MOST_CONNECTIONS:
            raise ServiceAway(self.service, "too many requests under way")
        connection = Connection(on_idle=self._keep, on_close=self._open.discard)
        self._open.add(connection)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await asyncio.get_running_loop().create_connection(
                    lambda: connection, self._host, self._port, ssl=True if self._is_tls else None
                )
        except (OSError, TimeoutError) as error:
            raise ServiceAway(self.service, f"cannot connect: {type(error).__name__}") from error
        finally:
            if not connection.is_open:
                self._open.discard(connection)
        return connection

    def _keep(self, connection: Connection) -> None:
        connection.idle_since = monotonic()
        self._idle.append(connection)

    def _rendered(self, method: str, target: bytes, headers: Headers, body: bytes) -> bytes:
        parts = [method.encode(), b" ", target, b" HTTP/1.1\r\nhost: ", self._authority]
        for name, value in headers:
            parts += (b"\r\n", name, b": ", value)
        if body or method not in _REPEATABLE:
            parts += (b"\r\ncontent-length: ", str(len(body)).encode())
        parts += (b"\r\n\r\n", body)
        return b"".join(parts)
