"""The log of one child: a file that it appends to, and that we quote from when it dies."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

KEPT_BYTES = 20 * 1024 * 1024
LOOK_SECONDS = 5.0
_QUOTED_BYTES = 8192
_QUOTED_CHARACTERS = 300
_TELLING_KEYS = ("exception", "error", "event", "message")


class Log:
    """At most KEPT_BYTES, and as many of what was before; looked at every LOOK_SECONDS while `stay_short` runs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._life_began_at = 0
        if self._is_long():
            path.replace(path.with_suffix(".log.old"))

    async def stay_short(self) -> None:
        """Rotate it whenever it is too long, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self._is_long():
                await asyncio.to_thread(self.rotate)

    def rotate(self) -> None:
        """Keep a copy, and empty the file: the child goes on appending to it. Without room for a copy there is none."""
        old = self.path.with_suffix(".log.old")
        try:
            shutil.copyfile(self.path, old)
        except OSError:
            with suppress(OSError):
                old.unlink(missing_ok=True)
        with suppress(OSError):
            os.truncate(self.path, 0)
            self._life_began_at = 0

    def _is_long(self) -> bool:
        try:
            return self.path.stat().st_size > KEPT_BYTES
        except OSError:
            return False

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        with self.path.open("ab") as file:
            yield file

    def mark(self) -> None:
        """A new life begins here; earlier lines are no explanation of its end."""
        self._life_began_at = self.path.stat().st_size if self.path.exists() else 0

    def last_lines(self, count: int = 8) -> list[str]:
        """What the last life said at its end, newest last."""
        if not self.path.exists():
            return []
        with self.path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(self._life_began_at, size - _QUOTED_BYTES))
            text = file.read(_QUOTED_BYTES).decode(errors="replace")
        return [line.rstrip() for line in text.splitlines() if line.strip()][-count:]

    def last_line(self) -> str:
        """The last thing it said, readable: of a JSON line only what it tells; PostgreSQL's cause before its hints."""
        lines = self.last_lines()
        fatal = [line.partition("FATAL:")[2] for line in lines if "FATAL:" in line]
        told = fatal[-1:] or [_told(line) for line in lines[-1:]]
        return told[0].strip()[:_QUOTED_CHARACTERS] if told else "it said nothing"


def _told(line: str) -> str:
    try:
        entry: object = json.loads(line)
    except ValueError:
        return line.strip()
    if not isinstance(entry, dict):
        return line.strip()
    fields = cast("dict[str, object]", entry)
    told = [str(fields[key]).strip().splitlines()[-1] for key in _TELLING_KEYS if fields.get(key)]
    return told[0] if told else line.strip()
