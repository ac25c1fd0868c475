"""Credentials that nobody knows, counted by the address that they come from."""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Final

import msgspec

UNKNOWN_MOST: Final = 100
WINDOW: Final = timedelta(minutes=1)
PLACES: Final = 10_000


class _Window(msgspec.Struct):
    ends_at: datetime
    seen: set[bytes]


class Strangers:
    """At most UNKNOWN_MOST different unknown credentials of one place in a WINDOW; the same one again is no further."""

    def __init__(self) -> None:
        self._windows: OrderedDict[str, _Window] = OrderedDict()

    def wait_seconds(self, place: str, *, at: datetime) -> float:
        """0.0 while a credential from `place` may be asked about, else how many seconds it may not."""
        window = self._windows.get(place)
        if window is None or at >= window.ends_at or len(window.seen) < UNKNOWN_MOST:
            return 0.0
        return (window.ends_at - at).total_seconds()

    def note(self, place: str, digest: bytes, *, at: datetime) -> None:
        """A credential from `place` was unknown."""
        window = self._windows.get(place)
        if window is None or at >= window.ends_at:
            window = self._windows[place] = _Window(at + WINDOW, set())
            self._windows.move_to_end(place)
            while len(self._windows) > PLACES:
                self._windows.popitem(last=False)
        window.seen.add(digest)
