"""Those who wait for runs to end: they are told, and look from time to time, in case that nobody could tell."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Final
from uuid import UUID

from shared.messaging.journal import Outcome

LOOK_SECONDS: Final = 1.0

_Told = asyncio.Future[Outcome]


class Waiting:
    """Who waits in this process, by run."""

    def __init__(self) -> None:
        self._told: defaultdict[UUID, set[_Told]] = defaultdict(set)

    def __contains__(self, saga: UUID) -> bool:
        """Whether anybody waits for it."""
        return saga in self._told

    def wake(self, saga: UUID, outcome: Outcome) -> None:
        """Tell them how it ended."""
        for told in self._told.get(saga, ()):
            if not told.done():
                told.set_result(outcome)

    async def wait(
        self, saga: UUID, seconds: float, look: Callable[[UUID], Awaitable[Outcome | None]]
    ) -> Outcome | None:
        """How the run ended, or None if that is not known within `seconds`; `look` reads its row."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        told = self._begin(saga)
        try:
            while (left := until - loop.time()) > 0:
                try:
                    async with asyncio.timeout(min(left, LOOK_SECONDS)):
                        return await told
                except TimeoutError:  # which has cancelled `told`
                    self._end(saga, told)
                    told = self._begin(saga)  # before the look: what ends meanwhile is not missed
                if (outcome := await look(saga)) is not None:
                    return outcome
            return None
        finally:
            self._end(saga, told)

    def _begin(self, saga: UUID) -> _Told:
        told: _Told = asyncio.get_running_loop().create_future()
        self._told[saga].add(told)
        return told

    def _end(self, saga: UUID, told: _Told) -> None:
        self._told[saga].discard(told)
        if not self._told[saga]:
            del self._told[saga]
