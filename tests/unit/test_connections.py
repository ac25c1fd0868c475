"""A service's connections: how many, who gets the next one, and what becomes of a caller who leaves."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from shared.database.connections import OPENED_AT_ONCE, Connections
from shared.database.driver import Connection

SIZE = 4


class Wire:
    """A connection as the pool sees one."""

    def __init__(self, server: str = "one") -> None:
        self.server = server
        self._is_closed = False

    def is_closed(self) -> bool:
        return self._is_closed

    def terminate(self) -> None:
        self._is_closed = True

    hang_up = terminate


class Server:
    """Opens connections when it is told to."""

    def __init__(self) -> None:
        self.asked: list[asyncio.Future[Connection]] = []

    async def connect(self) -> Connection:
        answer: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
        self.asked.append(answer)
        return await answer

    @property
    def opening(self) -> int:
        return sum(not each.done() for each in self.asked)

    async def answer(self, error: Exception | None = None, server: str = "one") -> None:
        """To the call that has waited longest."""
        waiting = next(each for each in self.asked if not each.done())
        if error is None:
            waiting.set_result(cast("Connection", Wire(server)))
        else:
            waiting.set_exception(error)
        await turns()


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def connections(server: Server) -> Connections:
    return Connections(server.connect, size=SIZE, wait_seconds=60)


def takers(connections: Connections, count: int) -> list[asyncio.Task[Connection]]:
    return [asyncio.create_task(connections.take()) for _ in range(count)]


async def taken(tasks: list[asyncio.Task[Connection]]) -> list[Connection]:
    await turns()
    return [task.result() for task in tasks if task.done()]


async def end(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_few_are_opened_at_once_and_those_who_wait_get_the_first(server: Server, connections: Connections):
    tasks = takers(connections, 8)
    await turns()
    assert server.opening == OPENED_AT_ONCE
    await server.answer()
    (first,) = await taken(tasks)
    assert server.opening == OPENED_AT_ONCE
    connections.give_back(first)
    assert await taken(tasks) == [first, first]
    assert connections.use.in_use == 1
    await end(*tasks)


async def test_there_are_never_more_than_its_size(server: Server, connections: Connections):
    tasks = takers(connections, 3 * SIZE)
    for _ in range(SIZE):
        await turns()
        await server.answer()
    assert len(await taken(tasks)) == SIZE
    assert server.opening == 0
    connections.throw_away(tasks[0].result())
    await turns()
    assert server.opening == 1
    connections.give_back(tasks[1].result())
    await server.answer()
    assert connections.use.in_use == SIZE
    await end(*tasks)


async def test_one_whom_nothing_is_left_for_is_told_in_time(server: Server):
    connections = Connections(server.connect, size=SIZE, wait_seconds=0.05)
    with pytest.raises(TimeoutError):
        await connections.take()
    tasks = takers(connections, 3)
    await asyncio.wait(tasks)
    assert all(isinstance(task.exception(), TimeoutError) for task in tasks)
    assert connections.use.waiting == connections.use.in_use == 0


async def test_a_failure_is_its_callers_and_the_next_tries(server: Server, connections: Connections):
    tasks = takers(connections, OPENED_AT_ONCE + 1)
    await turns()
    await server.answer(OSError("refused"))
    assert isinstance(tasks[0].exception(), OSError)
    assert server.opening == OPENED_AT_ONCE
    await server.answer()
    assert tasks[1].done()
    await end(*tasks)


async def test_what_comes_to_a_caller_who_has_left_goes_to_the_next(server: Server, connections: Connections):
    tasks = takers(connections, OPENED_AT_ONCE + 2)
    await turns()
    await server.answer()
    connection = tasks[0].result()
    connections.give_back(connection)
    tasks[OPENED_AT_ONCE].cancel()  # it has been given the connection, and does not know yet
    assert (await taken(tasks[-1:])) == [connection]
    connections.give_back(connection)
    assert connections.use == (0, 1, SIZE, 0, 2)
    await end(*tasks)


async def test_a_connection_that_broke_meanwhile_is_room_for_another(server: Server, connections: Connections):
    tasks = takers(connections, OPENED_AT_ONCE + 1)
    await turns()
    await server.answer()
    await server.answer()
    first, second = (task.result() for task in tasks[:2])
    assert server.opening == 1
    connections.give_back(first)
    first.terminate()
    await turns()
    assert not tasks[2].done()
    connections.give_back(second)
    await server.answer()
    assert tasks[2].result() != first
    await end(*tasks)


async def test_all_of_a_former_server_are_left(server: Server, connections: Connections):
    tasks = takers(connections, 3)
    for name in ("former", "former", "new"):
        await turns()
        await server.answer(server=name)
    used, free, new = (task.result() for task in tasks)
    connections.give_back(free)
    assert connections.leave_all_but("new") == 2
    assert [each.is_closed() for each in (used, free, new)] == [True, True, False]
    connections.throw_away(used)
    connections.give_back(new)
    assert await connections.take() is new
    assert connections.longest_use_seconds >= 0
