"""A lane on the way to a service: so many at once, so many of each caller, and each caller in turn."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class LaneFull(Exception):
    """No turn came in time."""


class Lane:
    """At most `most` at once, and `each` of one caller; who waits longer than `wait_seconds` is turned away."""

    def __init__(self, *, most: int, each: int, wait_seconds: float) -> None:
        self._most = most
        self._each = each
        self._wait_seconds = wait_seconds
        self._under_way: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def turn_of(self, caller: str) -> AsyncIterator[None]:
        """The block runs when it is the caller's turn. Raises LaneFull."""
        if not self._may_go(caller):
            await self._wait(caller)
        else:
            self._under_way[caller] += 1
        try:
            yield
        finally:
            self._leave(caller)

    def _may_go(self, caller: str) -> bool:
        return self._under_way.total() < self._most and self._under_way[caller] < self._each

    async def _wait(self, caller: str) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(caller, deque()).append(turn)
        try:
            async with asyncio.timeout(self._wait_seconds):
                await turn
        except BaseException as error:
            self._give_up(caller, turn)
            if isinstance(error, TimeoutError):
                raise LaneFull from error
            raise

    def _give_up(self, caller: str, turn: asyncio.Future[None]) -> None:
        if turn.done() and not turn.cancelled():
            self._leave(caller)  # it was given at the same moment
            return
        waiting = self._waiting.get(caller)
        if waiting is not None and turn in waiting:
            waiting.remove(turn)
            if not waiting:
                del self._waiting[caller]

    def _leave(self, caller: str) -> None:
        self._under_way[caller] -= 1
        if not self._under_way[caller]:
            del self._under_way[caller]
        following = next((one for one in self._waiting if self._may_go(one)), None)
        if following is not None:
            self._call_up(following)

    def _call_up(self, caller: str) -> None:
        """The next of this caller, who then stands behind all others."""
        waiting = self._waiting[caller]
        self._under_way[caller] += 1
        turn = waiting.popleft()
        if waiting:
            self._waiting.move_to_end(caller)
        else:
            del self._waiting[caller]
        if turn.done():
            self._leave(caller)
        else:
            turn.set_result(None)
