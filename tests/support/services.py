"""A service in this process: the real application on real servers, called over ASGI."""

from __future__ import annotations

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
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://service", timeout=60)

    async def call(self, actor: Actor | None, method: str, path: str, **options) -> httpx.Response:  # noqa: ANN003
        """Call it as `actor`; None sends no identity."""
        headers = actors.headers(actor, self.name) if actor else {}
        return await self._client.request(method, path, **{**options, "headers": headers | options.get("headers", {})})

    async def is_ready(self) -> bool:
        return (await self._client.get("/health/ready")).status_code == 200


@asynccontextmanager
async def running(name: str, dsn: str, broker: Broker, **environment: str):  # noqa: ANN201
    """The service of that name, ready, until the block is left."""
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
    app = module.create_app(load(shape, environ))
    service = Service(name, app)
    async with app.lifespan():
        await until(service.is_ready)
        yield service
