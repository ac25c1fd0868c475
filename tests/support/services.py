"""A service in this process: the real application on real servers, called over ASGI."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from importlib import import_module

import httpx
import msgspec
from litestar import Litestar

from shared.settings import load
from shared.web.actor import Actor
from tests.support import actors
from tests.support.servers import Broker, until


class Service:
    """A running service."""

    def __init__(self, name: str, app: Litestar) -> None:
        self.name = name
        self.app = app
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)  # pyright: ignore[reportArgumentType]
        self._client = httpx.AsyncClient(transport=transport, base_url="http://service", timeout=60)

    async def call(self, actor: Actor | None, method: str, path: str, **options) -> httpx.Response:
        """Call it as `actor`; None sends no identity."""
        headers = actors.headers(actor, self.name) if actor else {}
        return await self._client.request(method, path, **{**options, "headers": headers | options.get("headers", {})})

    async def is_well(self) -> bool:
        """Whether it is ready, and lacks nothing."""
        return (await self._client.get("/health")).status_code == 200


@asynccontextmanager
async def running(name: str, dsn: str, broker: Broker, *, lacks: bool = False, **environment: str):
    """The service of that name until the block is left: well, or only started if it `lacks` something."""
    module = import_module(f"services.{name}.app")
    shape = next(
        kind
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind.__name__.endswith("Settings")
    )
    environ = {
        "SERX_NATS_URL": broker.url(name),
        "SERX_DATABASE_DSN": dsn,
        "SERX_INTERNAL_KEYS": actors.KEY,
        "SERX_SESSION_KEYS": actors.KEY,
        **environment,
    }
    service = Service(name, module.create_app(load(shape, environ)))
    started, stop = asyncio.Event(), asyncio.Event()
    # In a task of its own: a fixture is set up and torn down in different tasks, which a lifespan does not allow.
    life = asyncio.create_task(_live(service.app, started, stop))
    await asyncio.wait({life, asyncio.create_task(started.wait())}, return_when=asyncio.FIRST_COMPLETED)
    try:
        if not lacks:
            await until(service.is_well)
        yield service
    finally:
        stop.set()
        await life


async def _live(app: Litestar, started: asyncio.Event, stop: asyncio.Event) -> None:
    async with app.lifespan():
        started.set()
        await stop.wait()
