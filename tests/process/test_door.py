"""The storms on the door, shortened: what holds whatever the speed of the machine. All: `python -m tests.door`."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.door.attacks import ATTACKS
from tests.door.storm import long_conversation, peak_megabytes, storm
from tests.support.installation import Installation, installed

MEGABYTES_MOST = 200


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def apart(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    """An installation whose memory nobody else has used."""
    async with installed(tmp_path_factory.mktemp("door")) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def conversation(apart: Installation) -> str:
    return await long_conversation(apart)


@pytest.mark.parametrize("name", ATTACKS)
async def test_a_storm_fills_no_memory_and_no_good_caller_is_refused(apart: Installation, conversation: str, name: str):
    found = await storm(apart, name, conversation, seconds=4.0, share=0.3)
    assert found.refused == []
    assert found.times
    peaks = peak_megabytes(apart)
    assert {name: peak for name, peak in peaks.items() if peak > MEGABYTES_MOST} == {}
