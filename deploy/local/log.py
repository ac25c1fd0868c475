"""The log of one child: a file that it appends to, and that we quote from when it dies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

KEPT_BYTES = 20 * 1024 * 1024
_QUOTED_BYTES = 8192
_QUOTED_CHARACTERS = 300
_TELLING_KEYS = ("exception", "error", "event", "message")


class Log:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._life_began_at = 0
        if path.exists() and path.stat().st_size > KEPT_BYTES:
            path.replace(path.with_suffix(".log.old"))

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
