"""Warnings that may come by the thousand: the first at once, the rest as one line with their number."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import structlog

INTERVAL_SECONDS: Final = 10.0


class Sparing:
    """Logs each event at most once in INTERVAL_SECONDS; `about` tells apart what is counted apart, of a closed set."""

    def __init__(self, log: structlog.stdlib.BoundLogger, *, interval_seconds: float = INTERVAL_SECONDS) -> None:
        self._log = log
        self._interval_seconds = interval_seconds
        self._held_back: dict[tuple[str, str], tuple[int, dict[str, Any]]] = {}

    def warning(self, event: str, about: str, **facts: Any) -> None:
        """Log it now, or count it for the line that follows; that one has the last `facts` and how many `times`."""
        key = (event, about)
        known = self._held_back.get(key)
        if known is not None:
            self._held_back[key] = (known[0] + 1, facts)
            return
        self._log.warning(event, about=about, **facts)
        self._held_back[key] = (0, {})
        asyncio.get_running_loop().call_later(self._interval_seconds, self._tell, key)

    def _tell(self, key: tuple[str, str]) -> None:
        times, facts = self._held_back.pop(key)
        if times:
            event, about = key
            self._log.warning(event, about=about, times=times, **facts)
