"""What the processes of an installation logged as an error: nothing that a caller sends may make them do so."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

_OF_POSTGRES = re.compile(r" (ERROR|FATAL|PANIC): ")
_WHILE_IT_STARTS = "the database system is starting up"
_LEVELS = {"error", "critical"}

Marks = dict[str, int]
"""How long each log is, in bytes, by its name."""


def marks(folder: Path) -> Marks:
    """How long the logs of the installation in `folder` are now."""
    return {path.name: path.stat().st_size for path in (folder / "logs").glob("*.log")}


def complaints(folder: Path, since: Marks) -> list[str]:
    """Every line after `since` that tells of an error, and every line of ours that is none of our logger's."""
    return [
        f"{path.name}: {line}"
        for path in sorted((folder / "logs").glob("*.log"))
        for line in _lines(path, since.get(path.name, 0))
        if _is_complaint(path.stem, line)
    ]


def _lines(path: Path, begin: int) -> Iterator[str]:
    yield from path.read_bytes()[begin:].decode(errors="replace").splitlines()


def _is_complaint(process: str, line: str) -> bool:
    if process == "postgres":
        return bool(_OF_POSTGRES.search(line)) and _WHILE_IT_STARTS not in line
    if process == "nats":
        return "[ERR]" in line or "[FTL]" in line
    if process in ("initdb", "standby") or line.startswith("---"):
        return False
    try:
        return json.loads(line)["level"] in _LEVELS
    except (ValueError, KeyError, TypeError):
        return True  # a traceback
