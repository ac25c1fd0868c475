from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.component.door.wire import Server, served


@pytest_asyncio.fixture(loop_scope="session")
async def here() -> AsyncIterator[Server]:
    """A server with the bounds that a service has."""
    async with served() as server:
        yield server
