"""All connections of a process: who is let in, who has to go, and what all of them together may hold in memory."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Final, Protocol

from shared import metrics
from shared.sparing import Sparing
from shared.telemetry import log
from shared.web import heads
from shared.web.bounds import Bounds, is_within, place_of
from shared.web.heads import Fault

LOOK_SECONDS: Final = 1.0
QUIET_SECONDS: Final = 1.0
"""Whoever is waited for so long makes room when there is none."""
MADE_AT_ONCE: Final = 8
LINGERING_MOST: Final = 256
EVERYWHERE: Final = "*"

_log = Sparing(log(__name__))


class Connection(Protocol):
    """What is asked of a connection."""

    place: str
    is_served: bool
    is_arriving: bool
    taken_bytes: int

    @property
    def unread_bytes(self) -> int: ...

    def look(self, now: float) -> None: ...

    def quiet_seconds(self, now: float) -> float: ...

    def end(self, cause: str) -> None: ...

    def refuse(self, fault: Fault) -> None: ...


class Connections:
    """Looks at every connection again and again, while there is one; `now` is the time of the last look."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.now = 0.0
        self._look_seconds = min(LOOK_SECONDS, bounds.still_seconds / 4)
        self._open: set[Connection] = set()
        self._turned_away: set[Connection] = set()
        self._of_place: Counter[str] = Counter()
        self._unread: dict[Connection, None] = {}
        self._taken_bytes = 0
        self._is_looking = False
        self._hopeless: set[str] = set()

    def admit(self, connection: Connection, address: str) -> Fault | None:
        """A connection has been made: None when it may stay, else why it may not."""
        if not self._is_looking:
            self._is_looking = True
            loop = asyncio.get_running_loop()
            self.now = loop.time()
            loop.call_later(self._look_seconds, self._look, loop)
        place = "" if is_within(address, self.bounds.trusted) else place_of(address)
        fault = self._fault_with(place)
        if fault is not None:
            self._turned_away.add(connection)
            return fault
        connection.place = place
        self._open.add(connection)
        self._of_place[place] += 1
        metrics.CONNECTIONS.set(len(self._open))
        return None

    def remove(self, connection: Connection) -> None:
        """It is gone."""
        self.release(connection)
        self._unread.pop(connection, None)
        self._turned_away.discard(connection)
        if connection in self._open:
            self._open.remove(connection)
            self._of_place[connection.place] -= 1
            if not self._of_place[connection.place]:
                del self._of_place[connection.place]
            metrics.CONNECTIONS.set(len(self._open))

    @property
    def may_linger(self) -> bool:
        """Whether one that was turned away may stay for a moment, to be told why."""
        return len(self._turned_away) <= LINGERING_MOST

    # What they hold.

    def takes_too_much(self, connection: Connection, size: int) -> bool:
        """`size` more bytes of a body: whether that was too much and `connection` had to go.

        Who has been waited for longest goes first.
        """
        self._taken_bytes += size
        if self._taken_bytes <= self.bounds.taken_bytes:
            return False
        quiet = [one for one in self._open if one.taken_bytes and one.is_arriving and one.quiet_seconds(self.now) > 0]
        for one in sorted(quiet, key=lambda one: one.quiet_seconds(self.now), reverse=True):
            one.refuse(heads.TOO_MUCH_HELD)
            self.release(one)
            if self._taken_bytes <= self.bounds.taken_bytes * 3 // 4:
                break
        if self._taken_bytes <= self.bounds.taken_bytes:
            return not connection.taken_bytes
        connection.refuse(heads.TOO_MUCH_HELD)
        self.release(connection)
        return True

    def release(self, connection: Connection) -> None:
        """Its bodies are answered."""
        self._taken_bytes -= connection.taken_bytes
        connection.taken_bytes = 0

    def unread_grows(self, connection: Connection) -> None:
        """More is written than the caller reads: over the bound, who has not read for longest goes."""
        self._unread[connection] = None
        total = sum(one.unread_bytes for one in self._unread)
        while total > self.bounds.unread_bytes and len(self._unread) > 1:
            slowest = next(iter(self._unread))
            del self._unread[slowest]
            total -= slowest.unread_bytes
            slowest.end("memory")

    def is_read(self, connection: Connection) -> None:
        """The caller has read nearly all."""
        self._unread.pop(connection, None)

    # What becomes of them.

    def refused(self, fault: Fault) -> None:
        """Count a request that could not be read."""
        metrics.request_refused(str(fault.kind.status))
        _log.warning("request refused", fault.detail)

    def ended(self, cause: str) -> None:
        """Count a connection that was ended."""
        metrics.connection_ended(cause)
        if cause != "idle":
            _log.warning("connection ended", cause)

    def _fault_with(self, place: str) -> Fault | None:
        bounds = self.bounds
        if place and self._of_place[place] >= bounds.of_an_address and not self._has_room(place):
            return heads.TOO_MANY_OF_ONE
        if len(self._open) >= bounds.most and not self._has_room(EVERYWHERE):
            return heads.FULL
        return None

    def _has_room(self, place: str) -> bool:
        """Whether room could be made: who has never been served goes first, then who has been quiet for longest."""
        if place in self._hopeless:
            return False
        meant = [
            one
            for one in self._open
            if place in (EVERYWHERE, one.place) and one.quiet_seconds(self.now) >= QUIET_SECONDS
        ]
        if not meant:
            self._hopeless.add(place)  # until the next look
            return False
        meant.sort(key=lambda one: (one.is_served, -one.quiet_seconds(self.now)))
        for one in meant[:MADE_AT_ONCE]:
            one.end("room")
            self.remove(one)
        return True

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self.now = loop.time()
        self._hopeless.clear()
        for connection in (*self._open, *self._turned_away):
            connection.look(self.now)
        self._is_looking = bool(self._open or self._turned_away)
        if self._is_looking:
            loop.call_later(self._look_seconds, self._look, loop)
