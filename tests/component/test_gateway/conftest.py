"""A gateway between a caller and the services that the tests play."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.component.test_gateway.neighbours import World, world
from tests.support import servers
from tests.support.servers import Broker


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def shared_broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Broker]:
    """A NATS that no test takes down."""
    async with servers.nats_server(tmp_path_factory.mktemp("gateway") / "nats") as server:
        yield server


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def shared_world(shared_broker: Broker) -> AsyncIterator[World]:
    """A gateway without a rate limit."""
    async with world(shared_broker.url("gateway")) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="session")
async def here(shared_world: World) -> World:
    """The gateway that the tests share, with nothing left of the test before."""
    await shared_world.begin_anew()
    return shared_world


@pytest_asyncio.fixture(loop_scope="session")
async def apart(broker: Broker) -> AsyncIterator[World]:
    """A gateway and a broker of this test's own, to be taken down."""
    async with world(broker.url("gateway")) as found:
        yield found
