"""What component tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.support import servers
from tests.support.servers import Broker


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared_broker(tmp_path_factory) -> AsyncIterator[Broker]:
    """One NATS for the tests of a module."""
    async with servers.nats_server(tmp_path_factory.mktemp("nats")) as server:
        yield server
