"""One installation for the tests that leave it whole."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.support.contract import Stage, staged
from tests.support.installation import Installation, installed


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def installation(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    """A running `serx up`."""
    async with installed(tmp_path_factory.mktemp("installation")) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stage(installation: Installation) -> Stage:
    """One thing of each kind, and a credential for each role."""
    return await staged(installation)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def document(installation: Installation) -> dict[str, Any]:
    """The API's OpenAPI document."""
    return (await installation.call("GET", "/api/openapi.json")).json()
