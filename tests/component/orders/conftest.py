"""A running order service, the owners of what it refers to, and staff of an organisation that nobody has used."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from shared.database import Database
from shared.web.actor import Actor
from tests.component.orders.owners import Owners, owning
from tests.support import actors
from tests.support.commands import Orchestrator, orchestrating
from tests.support.databases import Databases, opened
from tests.support.servers import Broker
from tests.support.services import Service, running


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def dsn(databases: Databases) -> AsyncIterator[str]:
    async with databases.fresh("orders") as fresh:
        yield fresh


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(dsn: str, shared_broker: Broker) -> AsyncIterator[Service]:
    async with running("orders", dsn, shared_broker) as running_service:
        yield running_service


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def database(dsn: str) -> AsyncIterator[Database]:
    """The service's database as the service's role has it, for the test's own hands."""
    async with opened(dsn) as there:
        yield there


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def orchestrator(service: Service, shared_broker: Broker) -> AsyncIterator[Orchestrator]:
    async with orchestrating(shared_broker) as player:
        yield player


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def playing_owners(service: Service, shared_broker: Broker) -> AsyncIterator[Owners]:
    async with owning(shared_broker) as players:
        yield players


@pytest.fixture
def owners(playing_owners: Owners) -> Iterator[Owners]:
    yield playing_owners
    playing_owners.silent.clear()


@pytest.fixture
def staff() -> Actor:
    """An administrator of an organisation that nobody has used."""
    return actors.admin()
