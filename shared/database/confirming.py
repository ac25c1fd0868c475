"""Whether the server is still the primary: what was read there holds if a write made afterwards reaches the standby."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

CONFIRM_SECONDS: Final = 3.0
"""A standby that is there has it in milliseconds."""
WRITE_IF_SYNCHRONOUS: Final = """
select case when current_setting('synchronous_standby_names') <> ''
    then pg_logical_emit_message(true, 'serx', '') end is null
"""


class Confirmation:
    """Writes by `write`, one at a time: whoever comes while one is under way shares the next."""

    def __init__(self, write: Callable[[], Awaitable[object]]) -> None:
        self._write = write
        self._begun = self._confirmed = 0
        self._under_way: asyncio.Task[None] | None = None

    async def wait(self) -> None:
        """Return when a write that began after this call is done. Raises TimeoutError, and what writing raises."""
        wanted = self._begun + 1
        async with asyncio.timeout(CONFIRM_SECONDS):
            while self._confirmed < wanted:
                if self._under_way is None:
                    self._begun += 1
                    self._under_way = asyncio.create_task(self._confirm(self._begun))
                    self._under_way.add_done_callback(_retrieved)
                await asyncio.shield(self._under_way)

    async def _confirm(self, number: int) -> None:
        try:
            await self._write()
            self._confirmed = number
        finally:
            self._under_way = None


def _retrieved(task: asyncio.Task[None]) -> None:
    """Nobody may be waiting any more for what it raises."""
    if not task.cancelled():
        task.exception()
