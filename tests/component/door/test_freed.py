"""A connection that has ended is freed at once: strangers by the thousand leave no work to the garbage collector."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable, Iterator

import pytest

from shared.web.bounds import Bounds
from shared.web.protocol import CallerConnection
from tests.component.door.wire import GET, LAST, Server, served
from tests.support.servers import until

TIMES = 5


async def _answered(here: Server) -> None:
    caller = await here.caller()
    caller.write(GET)
    await caller.answer()
    caller.close()


async def _answered_at_last(here: Server) -> None:
    caller = await here.caller()
    caller.write(LAST)
    await caller.until_closed()


async def _silent(here: Server) -> None:
    await (await here.caller()).until_closed()


async def _malformed(here: Server) -> None:
    caller = await here.caller()
    caller.write(b"what is this?\r\n\r\n")
    await caller.until_closed()
    caller.close()


async def _turned_away(here: Server) -> None:
    first = await here.caller()
    first.write(GET)
    await first.answer()
    second = await here.caller()
    second.write(GET)
    await second.until_closed()
    second.close()
    first.close()


async def _gone_before_the_answer(here: Server) -> None:
    taken = len(here.heard)
    caller = await here.caller()
    caller.write(b"GET /wait HTTP/1.1\r\nHost: serx\r\n\r\n", GET)
    await until(lambda: len(here.heard) > taken, within_seconds=5)
    caller.close()


ENDS: list[Callable[[Server], Awaitable[None]]] = [
    _answered,
    _answered_at_last,
    _silent,
    _malformed,
    _turned_away,
    _gone_before_the_answer,
]


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Nothing is freed but by counting references."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def alive() -> int:
    return sum(isinstance(each, CallerConnection) for each in gc.get_objects())


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__.strip("_"))
async def test_a_connection_that_has_ended_is_freed(end: Callable[[Server], Awaitable[None]]):
    before = alive()
    share = 1 if end is _turned_away else 2 * TIMES
    async with served(Bounds(still_seconds=0.5, transfer_seconds=3.0, idle_seconds=0.5, of_an_address=share)) as here:
        for _ in range(TIMES):
            await end(here)
        here.go.set()
        await until(lambda: alive() == before, within_seconds=5)
