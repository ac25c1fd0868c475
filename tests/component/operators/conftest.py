"""The proposal and order services on real servers, and the site that operators' commands work on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from deploy.operators.site import Site
from shared.messaging.topology import SERVICES
from tests.support.databases import Databases
from tests.support.servers import Broker
from tests.support.services import Service, running


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def dsns(databases: Databases) -> AsyncIterator[dict[str, str]]:
    """A fresh database of each service."""
    async with AsyncExitStack() as stack:
        yield {service: await stack.enter_async_context(databases.fresh(service)) for service in SERVICES}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def proposals(dsns: dict[str, str], shared_broker: Broker) -> AsyncIterator[Service]:
    async with running("proposals", dsns["proposals"], shared_broker) as service:
        yield service


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def orders(dsns: dict[str, str], shared_broker: Broker) -> AsyncIterator[Service]:
    async with running("orders", dsns["orders"], shared_broker) as service:
        yield service


@pytest.fixture
def site(dsns: dict[str, str], shared_broker: Broker) -> Site:
    return Site(dsns, shared_broker.operator, "Is everything running?")
