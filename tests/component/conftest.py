"""What component tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.support import servers
from tests.support.neighbours import Neighbours, played
from tests.support.servers import Broker
from tests.support.services import Service


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared_broker(tmp_path_factory) -> AsyncIterator[Broker]:
    """One NATS for the tests of a module."""
    async with servers.nats_server(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def neighbours(service: Service, shared_broker: Broker) -> AsyncIterator[Neighbours]:
    """Those whom a module's proposal service commands."""
    async with played(shared_broker) as players:
        yield players
