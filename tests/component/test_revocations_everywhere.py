"""A credential that is revoked is good at no gateway any more, whatever the broker does: identity, and two gateways."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest

from gateway.app import create_app as create_gateway
from gateway.routes import Service
from gateway.settings import GatewaySettings
from services.identity.announcing import BELIEVED_SECONDS
from services.identity.app import create_app as create_identity
from services.identity.settings import IdentitySettings
from shared.settings import load
from tests.component.identity.people import Agency, add_client, found
from tests.component.test_gateway.neighbours import serve
from tests.support.actors import KEY
from tests.support.databases import Databases, opened
from tests.support.ports import free_port
from tests.support.servers import Broker, until

MADE_BY = """
update api_tokens set made_by = $2 where org_id = $1 and client_id = $3
"""


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A caller of the application, on a port of its own."""
    server, serving, url = await serve(app)
    try:
        async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as caller:
            yield caller
    finally:
        server.should_exit = True
        await serving


@asynccontextmanager
async def house(databases: Databases, broker: Broker, of_gateways: Broker):
    """An agency, and two gateways before one identity service, each with its own way to a broker."""
    async with AsyncExitStack() as stack:
        dsn = await stack.enter_async_context(databases.fresh("identity"))
        environ = {
            "SERX_NATS_URL": broker.url("identity"),
            "SERX_DATABASE_DSN": dsn,
            "SERX_INTERNAL_KEYS": KEY,
            "SERX_SESSION_KEYS": KEY,
        }
        identity = await stack.enter_async_context(served(create_identity(load(IdentitySettings, environ))))
        await until(lambda: is_well(identity, ""), within_seconds=30)
        urls: dict[str, Any] = {f"{name}_url": ("http://127.0.0.1:1",) for name in Service}
        urls["identity_url"] = (str(identity.base_url).rstrip("/"),)
        keys: dict[str, Any] = {f"{name}_key": KEY for name in Service}
        gateways = []
        for _ in range(2):
            port, url = free_port(), of_gateways.url("gateway")
            settings = GatewaySettings(nats_url=url, rate_limit=0.0, metrics_port=port, **urls, **keys)
            gateways.append(await stack.enter_async_context(served(create_gateway(settings))))
            await until(lambda port=port: is_well(gateways[-1], f"http://127.0.0.1:{port}"), within_seconds=30)
        database = await stack.enter_async_context(opened(dsn))
        yield await found(database), database, gateways


async def is_well(process: httpx.AsyncClient, place: str) -> bool:
    """Whether it has the broker; `place` is where it says so, if that is not where it serves."""
    return (await process.get(f"{place}/health")).json()["checks"]["broker"]


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


async def statuses(gateways: list[httpx.AsyncClient], secret: str) -> list[int]:
    return [(await gateway.get("/api/auth/me", headers=bearer(secret))).status_code for gateway in gateways]


async def token(gateway: httpx.AsyncClient, agency: Agency, **body: Any) -> dict[str, Any]:
    headers = bearer(agency.founding.secret)
    made = await gateway.post("/api/tokens", json={"name": "x", "role": "member", **body}, headers=headers)
    assert made.status_code == 201, made.text
    return made.json()


# nats-py lets the socket of a connection that is stale go without closing it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("fault", ["none", "killed", "frozen"])
async def test_no_gateway_takes_a_token_after_its_revocation_was_answered(
    databases: Databases, broker: Broker, shared_broker: Broker, fault: str
):
    """With a fault the gateways have a broker of their own: nothing that identity says ever reaches them."""
    async with house(databases, broker, broker if fault == "none" else shared_broker) as (agency, _, gateways):
        doomed = await token(gateways[0], agency)
        assert await statuses(gateways, doomed["token"]) == [200, 200]
        process = broker._process
        if fault == "killed":
            await broker.kill()
        if fault == "frozen" and process is not None:
            os.kill(process.pid, signal.SIGSTOP)
        try:
            begun = asyncio.get_running_loop().time()
            path, headers = f"/api/tokens/{doomed['id']}", bearer(agency.founding.secret)
            assert (await gateways[0].delete(path, headers=headers)).status_code == 204
            assert await statuses(gateways, doomed["token"]) == [401, 401]
            if fault != "none":  # nobody told them: it was answered when nobody believed any more
                assert asyncio.get_running_loop().time() - begun >= BELIEVED_SECONDS
        finally:
            if fault == "frozen" and process is not None:
                os.kill(process.pid, signal.SIGCONT)


async def test_while_identity_has_no_broker_nothing_that_it_says_is_believed(
    databases: Databases, broker: Broker, shared_broker: Broker
):
    async with house(databases, broker, shared_broker) as (agency, database, gateways):
        await broker.kill()
        doomed = await token(gateways[0], agency)

        assert await statuses(gateways, doomed["token"]) == [200, 200]
        async with database.transaction(agency.org_id) as tx:
            await tx.run("delete from api_tokens where org_id = $1 and id = $2", agency.org_id, doomed["id"])
        assert await statuses(gateways, doomed["token"]) == [401, 401]


async def test_a_clients_tokens_are_good_while_the_client_is_enabled_whoever_made_them(
    databases: Databases, broker: Broker
):
    """They stand for the client, not for who made them; and are good at once when the client is back."""
    async with house(databases, broker, broker) as (agency, database, gateways):
        client = await add_client(database, agency.org_id)
        admin = bearer(agency.founding.secret)
        person = {"name_f": "Bo", "name_l": "Li", "email": "bo@agency.example", "role": "admin"}
        colleague = (await gateways[0].post("/api/users", json=person, headers=admin)).json()["id"]
        of_client = (await token(gateways[0], agency, role="client", client_id=str(client)))["token"]
        async with database.transaction(agency.org_id) as tx:
            await tx.run(MADE_BY, agency.org_id, colleague, client)
        assert (await gateways[0].delete(f"/api/users/{colleague}", headers=admin)).status_code == 204
        for status, expected in ((0, [401, 401]), (1, [200, 200]), (0, [401, 401]), (1, [200, 200])):
            changed = await gateways[0].put(f"/api/clients/{client}", json={"status": status}, headers=admin)
            assert changed.status_code == 200
            assert await statuses(gateways, of_client) == expected
