"""Fixtures: the servers of this run, and what is made anew for each test."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings

from shared import telemetry
from tests.support import servers
from tests.support.databases import Databases
from tests.support.order import place_of
from tests.support.servers import Broker

TESTS = Path(__file__).parent


def pytest_configure() -> None:
    """Logs as processes write them: a library's own default draws every traceback with its locals, slowly."""
    telemetry.set_up_logging("tests", format="json", level="info")
    # As `make test` has it: a process starts faster from compiled modules, and the tests start hundreds.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # The same examples on every machine, however slow it is just now.
    unhurried = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile("serx", unhurried)
    settings.load_profile("serx")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: place_of(item.path.relative_to(TESTS).as_posix()))


def pytest_report_header() -> str:
    return f"servers: {servers.described()}"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """An administrator's DSN of the PostgreSQL of this run."""
    async with servers.postgres_server(tmp_path_factory.mktemp("postgres")) as dsn:
        yield dsn


@pytest.fixture(scope="session")
def databases(postgres: str, worker_id: str) -> Databases:
    """Makes databases."""
    return Databases(postgres, prefix="" if worker_id == "master" else f"_{worker_id}")


@pytest_asyncio.fixture(loop_scope="session")
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    """A NATS of this test's own, empty."""
    async with servers.nats_server(tmp_path / "nats") as server:
        yield server
