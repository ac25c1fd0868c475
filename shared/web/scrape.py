"""`/metrics` and `/health`, for operators alone: at a service, on the port that only the gateway and they reach; at the
gateway, on one apart.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final

import msgspec
from litestar import Response, get
from litestar.types import ControllerRouterHandler

from shared.metrics import CONTENT_TYPE
from shared.web.health import Health

Scrape = Callable[[], Awaitable[bytes]]

REQUEST_SECONDS: Final = 10.0


def metrics_route(scrape: Scrape) -> ControllerRouterHandler:
    """`GET /metrics`, which needs no identity."""

    @get("/metrics", include_in_schema=False, opt={"public": True})
    async def read_metrics() -> Response[bytes]:
        return Response(await scrape(), headers={"content-type": CONTENT_TYPE})

    return read_metrics


@asynccontextmanager
async def exposed(scrape: Scrape, health: Health, host: str, port: int) -> AsyncIterator[None]:
    """`GET /metrics` and `GET /health` on a port of their own until the block is left; 0 exposes nothing."""
    if not port:
        yield
        return

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(await _answer(scrape, health, head))
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asked is gone, or never asked
        finally:
            writer.close()

    server = await asyncio.start_server(serve, host, port)
    try:
        yield
    finally:
        server.close()


async def _answer(scrape: Scrape, health: Health, head: bytes) -> bytes:
    method, _, rest = head.partition(b" ")
    path = rest.partition(b" ")[0].partition(b"?")[0]
    if method == b"GET" and path == b"/metrics":
        return _response(HTTPStatus.OK, CONTENT_TYPE, await scrape())
    if method == b"GET" and path == b"/health":
        told = await health.told()
        status = HTTPStatus.OK if told.is_well else HTTPStatus.SERVICE_UNAVAILABLE
        return _response(status, "application/json", msgspec.json.encode(told))
    return b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


def _response(status: HTTPStatus, content_type: str, body: bytes) -> bytes:
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: {content_type}\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
