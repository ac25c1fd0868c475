"""One installation for the tests that leave it whole."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.installation import Installation, installed


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def installation(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    """A running `serx up`."""
    async with installed(tmp_path_factory.mktemp("installation")) as running:
        yield running
