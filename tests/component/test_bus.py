"""The connection of a process to its broker, while something else listens in the broker's place."""

from __future__ import annotations

import asyncio

import pytest

from deploy.local.ports import HOST
from tests.support.servers import NATS_URL, Broker, until

pytestmark = pytest.mark.skipif(bool(NATS_URL), reason="needs a broker that it may kill")


async def test_a_server_that_does_not_greet_is_left_before_it_is_tried_again(broker: Broker):
    """As a broker that stands still does: the connection is made, and nothing comes."""
    ended: asyncio.Queue[bytes] = asyncio.Queue()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended.put_nowait(await reader.read())
        writer.close()

    async with broker.bus("orders") as bus:
        await broker.kill()
        async with await asyncio.start_server(listen, HOST, int(broker.operator.rpartition(":")[2])):
            async with asyncio.timeout(20):
                assert [await ended.get() for _ in range(2)] == [b"", b""]
        await broker.start()
        await until(lambda: bus.is_connected)
