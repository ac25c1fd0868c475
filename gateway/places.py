"""All addresses of a service: those of its URLs, and those to which its names resolve now."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Container, Iterator
from ipaddress import ip_address
from time import monotonic
from typing import Final

from gateway.place import Origin, Place
from shared.sparing import Sparing
from shared.telemetry import log

LOOK_SECONDS: Final = 5.0
"""How often a name is resolved again while there are requests."""
LOOK_AGAIN_SECONDS: Final = 0.5
"""The same, after a look that found nothing."""
MOST_PLACES: Final = 64
"""Of one name; more are not used."""

_often: Final = Sparing(log("gateway.places"))


class Places:
    """Which places there are, and which is next. `on_due` hears of a place that failed and may be looked at again."""

    def __init__(self, urls: tuple[str, ...], *, on_due: Callable[[Place], None]) -> None:
        self._parts = [_Name(Origin(url)) for url in dict.fromkeys(urls)]
        self._names = [part for part in self._parts if not part.is_address]
        self._on_due = on_due
        self._turn = 0

    def __iter__(self) -> Iterator[Place]:
        for part in self._parts:
            yield from part.places

    def next_of(self, tried: Container[Place] = ()) -> Place | None:
        """The place with the least under way, in turn, of those that answer; of all, when none does.

        None when all were tried, or none is known yet.
        """
        now = monotonic()
        for name in self._names:
            name.look_if_due(now)
        known = [place for part in self._parts for place in part.places]
        if len(known) == 1:
            return None if known[0] in tried else known[0]
        untried = [place for place in known if place not in tried]
        answering = [place for place in untried if place.retry_at is None]
        if len(answering) < len(untried) and answering:
            for place in untried:
                if place.retry_at is not None and place.retry_at <= now and not place.is_looked_at:
                    self._on_due(place)
        candidates = answering or untried
        if len(candidates) < 2:
            return candidates[0] if candidates else None
        self._turn += 1
        start = self._turn % len(candidates)
        return min(candidates[start:] + candidates[:start], key=lambda place: place.busy)

    def has_another(self, place: Place) -> bool:
        """Whether a place other than this one answers."""
        return any(other is not place and other.retry_at is None for other in self)

    async def look(self, within_seconds: float) -> None:
        """Resolve the names now; return when all have been, or `within_seconds` have passed."""
        looks = [look for name in self._names if (look := name.look()) is not None]
        if looks:
            await asyncio.wait(looks, timeout=within_seconds)

    def close(self) -> None:
        """Give up all connections, and look no more."""
        for part in self._parts:
            part.close()


class _Name:
    """One URL: an address, or a name and the addresses that it had when it was last resolved."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._look: asyncio.Task[None] | None = None
        self._look_at = 0.0
        self._looked_at = float("-inf")
        self.is_address = _is_address(origin.host)
        self.places = [Place(origin, origin.host)] if self.is_address else []

    def look_if_due(self, now: float) -> None:
        if now >= self._look_at:
            self.look()

    def look(self) -> asyncio.Task[None] | None:
        """The look that is under way, one at a time, however long the resolver takes; None right after one."""
        if self._look is None or self._look.done():
            if monotonic() - self._looked_at < LOOK_AGAIN_SECONDS:
                return None
            self._look = asyncio.create_task(self._resolve())
        return self._look

    def close(self) -> None:
        if self._look is not None:
            self._look.cancel()
        for place in self.places:
            place.close()

    async def _resolve(self) -> None:
        self._look_at = float("inf")
        origin, found = self._origin, list[str]()
        try:
            told = await asyncio.get_running_loop().getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
            found = sorted({str(address[0]) for *_, address in told})[:MOST_PLACES]
        except (OSError, UnicodeError) as error:
            _often.warning("name not resolved", origin.host, cause=repr(error))
        self._looked_at = monotonic()
        self._look_at = self._looked_at + (LOOK_SECONDS if found else LOOK_AGAIN_SECONDS)
        if found:
            self._replace(found)

    def _replace(self, found: list[str]) -> None:
        known = {place.address: place for place in self.places}
        self.places = [known.pop(address, None) or Place(self._origin, address) for address in found]
        for place in known.values():
            place.leave()


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
