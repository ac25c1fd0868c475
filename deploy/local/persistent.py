"""A file that has to be as things are, on a disk that may be full: what it describes goes on, written or not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

_AGAIN_SECONDS = 0.5


class Persistent:
    """Writes `path` by `write`; when the disk refuses, again and again until it has taken what is then true."""

    def __init__(self, path: Path, write: Callable[[], None], report: Callable[[str], None]) -> None:
        self._path = path
        self._write = write
        self._report = report
        self._again: asyncio.Task[None] | None = None

    def update(self) -> None:
        """Write it now or as soon as that is possible. Never raises OSError."""
        if self._again is not None:
            return
        try:
            self._write()
        except OSError as error:
            reason = error.strerror or str(error)
            self._report(f"{self._path} cannot be written ({reason}); everything goes on, and it is tried again")
            self._again = asyncio.create_task(self._until_written())

    async def close(self) -> None:
        """Give up what is not written yet."""
        if self._again is not None:
            self._again.cancel()
            await asyncio.gather(self._again, return_exceptions=True)
            self._again = None

    async def _until_written(self) -> None:
        while not self._is_written():  # noqa: ASYNC110 - nobody sets an event when a disk has room again
            await asyncio.sleep(_AGAIN_SECONDS)
        self._again = None
        self._report(f"{self._path} is written again")

    def _is_written(self) -> bool:
        try:
            self._write()
        except OSError:
            return False
        return True
