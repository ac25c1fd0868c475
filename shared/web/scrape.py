"""`/metrics`: at a service, on the port that only the gateway and the operator reach; at the gateway, on one apart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from litestar import Response, get
from litestar.types import ControllerRouterHandler

from shared.metrics import CONTENT_TYPE

Scrape = Callable[[], Awaitable[bytes]]

REQUEST_SECONDS: Final = 10.0


def metrics_route(scrape: Scrape) -> ControllerRouterHandler:
    """`GET /metrics`, which needs no identity."""

    @get("/metrics", include_in_schema=False, opt={"public": True})
    async def read_metrics() -> Response[bytes]:
        return Response(await scrape(), headers={"content-type": CONTENT_TYPE})

    return read_metrics


@asynccontextmanager
async def exposed(scrape: Scrape, host: str, port: int) -> AsyncIterator[None]:
    """`GET /metrics`, and nothing else, on a port of its own until the block is left; 0 exposes nothing."""
    if not port:
        yield
        return

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(await _answer(scrape, head))
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


async def _answer(scrape: Scrape, head: bytes) -> bytes:
    method, _, rest = head.partition(b" ")
    path = rest.partition(b" ")[0].partition(b"?")[0]
    if method != b"GET" or path != b"/metrics":
        return b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    body = await scrape()
    told = (
        f"HTTP/1.1 200 OK\r\ncontent-type: {CONTENT_TYPE}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return told.encode() + body
