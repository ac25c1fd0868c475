"""A confirmation is a write that began after it was asked for; many share one."""

from __future__ import annotations

import asyncio

import pytest

from shared.database import confirming
from shared.database.confirming import Confirmation
from shared.database.errors import DatabaseAway


class Writes:
    """Each ends when it is told to."""

    def __init__(self) -> None:
        self.begun: list[asyncio.Future[None]] = []

    async def __call__(self) -> None:
        self.begun.append(asyncio.get_running_loop().create_future())
        await self.begun[-1]


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_those_who_come_during_a_write_share_the_next():
    writes = Writes()
    confirmation = Confirmation(writes)
    first = asyncio.create_task(confirmation.wait())
    await turns()
    later = [asyncio.create_task(confirmation.wait()) for _ in range(3)]
    await turns()
    assert len(writes.begun) == 1
    writes.begun[0].set_result(None)
    await turns()
    assert first.done()
    assert not any(task.done() for task in later), "it began before they asked"
    assert len(writes.begun) == 2
    writes.begun[1].set_result(None)
    await asyncio.gather(*later)
    assert len(writes.begun) == 2


async def test_one_that_waits_for_ever_is_waited_for_by_many_and_not_made_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(confirming, "CONFIRM_SECONDS", 0.01)
    writes = Writes()
    confirmation = Confirmation(writes)
    answers = await asyncio.gather(*(confirmation.wait() for _ in range(3)), return_exceptions=True)
    assert all(isinstance(answer, TimeoutError) for answer in answers)
    with pytest.raises(TimeoutError):
        await confirmation.wait()
    assert len(writes.begun) == 1
    writes.begun[0].set_exception(DatabaseAway("hung up"))
    await turns()
    again = asyncio.create_task(confirmation.wait())
    await turns()
    writes.begun[1].set_result(None)
    await again
