"""When a process is ready: it can serve something. What it lacks beyond that, it tells its operator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import uvicorn
from litestar import Litestar, get

from deploy.local.ports import HOST
from deploy.local.probes import http_well
from shared.messaging.topology import SERVICES
from shared.web.health import Health, health_route, probe_routes
from tests.component.test_gateway.neighbours import serve
from tests.support.databases import Databases
from tests.support.servers import Broker, until
from tests.support.services import running

AWAY = Broker("nats://127.0.0.1:1")
NO_DATABASE = "postgresql://nobody:nothing@127.0.0.1:1/none"


@pytest.mark.parametrize("name", SERVICES)
async def test_a_service_is_ready_without_broker_and_peers_and_tells_what_it_lacks(databases: Databases, name: str):
    async with databases.fresh(name) as dsn, running(name, dsn, AWAY, lacks=True) as service:
        assert (await service.call(None, "GET", "/health/ready")).json() == {"status": "ready"}
        told = await service.call(None, "GET", "/health")
        checks = {"database": True, "broker": False, "streams": False}
        assert (told.status_code, told.json()) == (503, {"process": name, "is_ready": True, "checks": checks})
        gauges = (await service.call(None, "GET", "/metrics")).text.splitlines()
        for dependency, is_there in checks.items():
            assert f'serx_dependency_up{{dependency="{dependency}"}} {float(is_there)}' in gauges


@pytest.mark.parametrize("name", SERVICES)
async def test_a_service_that_has_never_reached_its_database_takes_no_place(name: str):
    """As one with a wrong password: a rollout stops at it."""
    async with running(name, NO_DATABASE, AWAY, lacks=True) as service:
        answer = await service.call(None, "GET", "/health/ready")
        assert (answer.status_code, answer.json()) == (503, {"status": "not ready"})
        assert (await service.call(None, "GET", "/health/live")).status_code == 200


@asynccontextmanager
async def slow(health: Health) -> AsyncIterator[tuple[uvicorn.Server, httpx.AsyncClient, asyncio.Event, asyncio.Event]]:
    """A process with one call that lasts until it is let go."""
    begun, let_go = asyncio.Event(), asyncio.Event()

    @get("/slow")
    async def wait() -> str:
        begun.set()
        await let_go.wait()
        return "done"

    app = Litestar(route_handlers=[*probe_routes(health), health_route(health), wait], openapi_config=None)
    server, serving, url = await serve(app)
    async with httpx.AsyncClient(base_url=url, trust_env=False) as caller:
        yield server, caller, begun, let_go
    server.should_exit = True
    await serving


async def test_a_process_that_is_told_to_stop_is_ready_no_more_and_ends_what_it_has_begun():
    async def is_there() -> bool:
        return True

    async with slow(Health("orders", {"database": is_there}, first="database")) as (server, caller, begun, let_go):
        assert await http_well(caller.base_url.port or 0)
        call = asyncio.create_task(caller.get("/slow"))
        await begun.wait()
        server.should_exit = True  # as SIGTERM does

        async def refuses() -> bool:
            try:
                _, writer = await asyncio.open_connection(HOST, caller.base_url.port)
            except ConnectionError:  # refused, or reset when it comes in the very moment
                return True
            writer.close()
            return False

        await until(refuses, within_seconds=1)
        assert not call.done()
        let_go.set()
        assert (await call).text == "done"
