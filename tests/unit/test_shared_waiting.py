"""Whoever waits for a run hears of its end: because they are told, or because they look."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from shared.ids import new_id
from shared.messaging import waiting
from shared.messaging.journal import Outcome
from shared.messaging.saga import SagaStatus
from shared.messaging.waiting import Waiting

ENDED = Outcome(status=SagaStatus.COMPLETED, result=b"{}")


class Row:
    """What a look finds, and how often somebody looked; a look takes until it is let through."""

    def __init__(self) -> None:
        self.outcome: Outcome | None = None
        self.looks = 0
        self.looked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def look(self, _: UUID) -> Outcome | None:
        found = self.outcome
        self.looks += 1
        self.looked.set()
        await self.may_answer.wait()
        return found


@pytest.fixture
def row() -> Row:
    return Row()


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look follows a look after a moment."""
    monkeypatch.setattr(waiting, "LOOK_SECONDS", 0.01)


async def begun(those: Waiting, saga: UUID, row: Row, *, seconds: float = 30) -> asyncio.Task[Outcome | None]:
    task = asyncio.create_task(those.wait(saga, seconds, row.look))
    await asyncio.sleep(0)  # it has had its turn
    assert saga in those
    return task


async def test_all_who_wait_for_a_run_are_told_and_nobody_else(row: Row):
    those, saga, other = Waiting(), new_id(), new_id()
    first, second = await begun(those, saga, row), await begun(those, saga, row)
    third = await begun(those, other, row)
    those.wake(saga, ENDED)
    assert (await first, await second) == (ENDED, ENDED)
    assert not third.done()
    assert saga not in those
    those.wake(other, ENDED)
    assert await third is ENDED
    assert row.looks == 0


@pytest.mark.usefixtures("soon")
async def test_whoever_is_not_told_looks(row: Row):
    waits = await begun(Waiting(), new_id(), row)
    await row.looked.wait()
    row.outcome = ENDED
    assert await waits is ENDED


@pytest.mark.usefixtures("soon")
async def test_what_ends_while_somebody_looks_is_not_missed(row: Row, monkeypatch: pytest.MonkeyPatch):
    row.may_answer.clear()
    those, saga = Waiting(), new_id()
    waits = await begun(those, saga, row)
    await row.looked.wait()  # and has found nothing
    monkeypatch.setattr(waiting, "LOOK_SECONDS", 30)
    those.wake(saga, ENDED)
    row.may_answer.set()
    async with asyncio.timeout(10):
        assert await waits is ENDED
    assert row.looks == 1


@pytest.mark.usefixtures("soon")
async def test_nobody_waits_longer_than_they_said(row: Row):
    those, saga = Waiting(), new_id()
    assert await those.wait(saga, 0.05, row.look) is None
    assert await those.wait(saga, 0, row.look) is None
    assert saga not in those


async def test_who_gives_up_leaves_nothing_behind(row: Row):
    those, saga = Waiting(), new_id()
    waits = await begun(those, saga, row)
    waits.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waits
    assert saga not in those
    those.wake(saga, ENDED)
