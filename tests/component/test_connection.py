"""A connection for what is done once: every server of the list is tried, each in its own time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import nats.errors
import pytest
import pytest_asyncio

from deploy.local.ports import HOST
from shared.messaging.connection import connected
from tests.support.ports import free_port
from tests.support.servers import Broker

DEAD = f"nats://{HOST}:1"


@pytest_asyncio.fixture(loop_scope="session")
async def silent() -> AsyncIterator[str]:
    """A server that accepts and never greets, as a frozen one does."""
    kept: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: kept.append(writer), HOST, free_port())
    try:
        yield f"nats://{HOST}:{server.sockets[0].getsockname()[1]}"
    finally:
        for writer in kept:
            writer.close()
        server.close()


async def test_a_server_that_is_away_silent_or_refuses_is_left_for_the_next(shared_broker: Broker, silent: str):
    refusing = f"nats://serx:wrong@{shared_broker.operator.rpartition('@')[2]}"
    for first in (DEAD, "nats://nowhere.invalid:4222", silent, refusing):
        async with connected(f"{first},{shared_broker.operator}", connect_timeout=1) as connection:
            await connection.flush()


async def test_nobody_waits_long_for_servers_that_are_all_away(silent: str, capsys: pytest.CaptureFixture[str]):
    began = time.monotonic()
    with pytest.raises(OSError, match="Connect call failed"):
        async with connected(f"{DEAD},{silent}", connect_timeout=1):
            raise AssertionError
    assert time.monotonic() - began < 5
    assert capsys.readouterr().err == ""


async def test_a_refusal_is_raised_rather_than_that_another_server_is_away(shared_broker: Broker):
    refusing = f"nats://serx:wrong@{shared_broker.operator.rpartition('@')[2]}"
    with pytest.raises(nats.errors.Error, match="Authorization Violation"):
        async with connected(f"{DEAD},{refusing}", connect_timeout=1):
            raise AssertionError
