"""So many at once, so many of each, and each in turn."""

from __future__ import annotations

import asyncio

import pytest

from gateway.lanes import Lane, LaneFull
from tests.support.servers import until


class Queue:
    """Callers in a lane, who stay until they are let out."""

    def __init__(self, **bounds) -> None:
        self.lane = Lane(**{"most": 4, "each": 2, "wait_seconds": 10.0, **bounds})
        self.inside: list[str] = []
        self.order: list[str] = []
        self._out: list[asyncio.Event] = []
        self.tasks: list[asyncio.Task[None]] = []

    def come(self, *names: str) -> None:
        self.tasks += [asyncio.create_task(self._stay(name)) for name in names]

    async def _stay(self, name: str) -> None:
        async with self.lane.turn_of(name):
            out = asyncio.Event()
            self._out.append(out)
            self.inside.append(name)
            self.order.append(name)
            await out.wait()
            self.inside.remove(name)

    async def let_out_all(self) -> None:
        while not all(task.done() for task in self.tasks):
            for out in self._out:
                out.set()
            await asyncio.sleep(0)


async def test_each_has_so_many_and_all_have_so_many():
    queue = Queue()
    queue.come("a", "a", "a", "a", "b", "c", "d")
    await until(lambda: len(queue.inside) == 4)
    assert sorted(queue.inside) == ["a", "a", "b", "c"]
    await queue.let_out_all()
    assert sorted(queue.order) == ["a", "a", "a", "a", "b", "c", "d"]


async def test_who_waits_is_called_up_in_turn():
    queue = Queue(most=1, each=1)
    queue.come("a", "a", "a", "a", "b", "c", "b")
    await queue.let_out_all()
    assert queue.order == ["a", "a", "b", "c", "a", "b", "a"]


async def test_who_waits_too_long_is_turned_away():
    queue = Queue(most=1, each=1, wait_seconds=0.01)
    queue.come("a", "b")
    with pytest.raises(LaneFull):
        await queue.tasks[1]
    queue.tasks.pop()
    await queue.let_out_all()
    queue.come("b")
    await until(lambda: queue.inside == ["b"])
    await queue.let_out_all()


async def test_who_goes_away_leaves_no_gap():
    queue = Queue(most=1, each=1)
    queue.come("a", "b", "c")
    await until(lambda: queue.inside == ["a"])
    queue.tasks.pop(1).cancel()
    await queue.let_out_all()
    assert queue.order == ["a", "c"]
    assert not queue.lane._under_way
    assert not queue.lane._waiting
