"""A running identity service on a database and a broker of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio
from nats.aio.client import Client

from shared.database import Database
from shared.messaging.topology import answers_prefix
from tests.component.identity.people import Gateway, House
from tests.support.databases import Databases, opened
from tests.support.servers import Broker
from tests.support.services import Service, running

Start = Callable[[], Awaitable[Gateway]]


@pytest.fixture
async def dsn(databases: Databases) -> AsyncIterator[str]:
    """A database of the test's own, as the service's role."""
    async with databases.fresh("identity") as named:
        yield named


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    """The service's database as the service's role has it, for the test's own hands."""
    async with opened(dsn) as there:
        yield there


@pytest.fixture
async def nats(broker: Broker) -> AsyncIterator[Client]:
    """The broker, for a test that plays the neighbours."""
    client = Client()
    await client.connect(broker.operator, inbox_prefix=answers_prefix("proposals"))
    yield client
    await client.close()


@pytest.fixture
async def start(dsn: str, broker: Broker) -> AsyncIterator[Start]:
    """Starts a replica of the service and waits until it is ready; stopped when the test ends."""
    stop, replicas = asyncio.Event(), list[asyncio.Task[None]]()

    async def live(ready: asyncio.Future[Service]) -> None:
        # In one task, as the application's cancel scopes want it.
        async with running("identity", dsn, broker) as service:
            ready.set_result(service)
            await stop.wait()

    async def begin() -> Gateway:
        ready: asyncio.Future[Service] = asyncio.get_running_loop().create_future()
        replicas.append(asyncio.create_task(live(ready)))
        await asyncio.wait([ready, replicas[-1]], return_when=asyncio.FIRST_COMPLETED)
        return Gateway(await ready if ready.done() else await _raised(replicas[-1]))

    yield begin
    stop.set()
    await asyncio.gather(*replicas)


async def _raised(replica: asyncio.Task[None]) -> Service:
    await replica
    raise AssertionError("the service ended before it was ready")


@pytest.fixture
async def identity(start: Start) -> Gateway:
    """The service as the gateway sees it."""
    return await start()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(databases: Databases, shared_broker: Broker) -> AsyncIterator[House]:
    """The service for all tests of a module."""
    async with databases.fresh("identity") as named, running("identity", named, shared_broker) as service:
        client = Client()
        await client.connect(shared_broker.operator, inbox_prefix=answers_prefix("proposals"))
        async with opened(named) as there:
            yield House(Gateway(service), there, client, named)
        await client.close()
