"""One address of a service: its connections, and whether it answers."""

from __future__ import annotations

import asyncio
import random
from time import monotonic
from typing import Final
from urllib.parse import urlsplit

from gateway.connection import Connection

LIFE_SECONDS: Final = (30.0, 60.0)
"""How long a connection is used, by chance: a balancer behind the address may choose another replica for the next one.
Less than the 75 s for which a service keeps an idle connection, so that it does not close under a request."""
BACK_OFF_SECONDS: Final = 0.5
BACK_OFF_MOST_SECONDS: Final = 10.0


class Origin:
    """A service's URL, in its parts. Raises ValueError for a port that is none."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.is_tls = parts.scheme == "https"
        self.host = parts.hostname or ""
        self.port = parts.port or (443 if self.is_tls else 80)
        self.authority = parts.netloc.encode()


class Place:
    """Where one replica is, or a balancer in front of several.

    `retry_at` (monotonic seconds) is None while the place is in use; else when to look whether it answers again.
    """

    def __init__(self, origin: Origin, address: str) -> None:
        self.origin = origin
        self.address = address
        self.retry_at: float | None = None
        self.is_looked_at = False
        self.failures = {"unreachable": 0, "silent": 0}
        """How often a connection could not be made, and how often nothing at all was heard, since it is known."""
        self._failures_in_a_row = 0
        self._heard_at = 0.0
        self._open: set[Connection] = set()
        self._idle: dict[Connection, None] = {}
        self._is_left = False

    @property
    def name(self) -> str:
        """The address with its port, as `10.0.0.1:8000` or `[::1]:8000`."""
        return f"[{self.address}]:{self.origin.port}" if ":" in self.address else f"{self.address}:{self.origin.port}"

    @property
    def opened(self) -> int:
        """How many connections there are, those that are being made included."""
        return len(self._open)

    @property
    def idle(self) -> int:
        """How many connections wait for work."""
        return len(self._idle)

    @property
    def busy(self) -> int:
        """How many connections are being made or have a request under way."""
        return len(self._open) - len(self._idle)

    def kept(self) -> Connection | None:
        """The idle connection that was used least recently: so all of them, and what is behind them, share the load."""
        now = monotonic()
        while self._idle:
            connection = next(iter(self._idle))
            del self._idle[connection]
            if connection.is_idle and now < connection.ends_at:
                return connection
            connection.close()
        return None

    def proven(self, since: float) -> Connection | None:
        """An idle connection that has answered after `since` (monotonic seconds), the last one."""
        while self._idle:
            connection, _ = self._idle.popitem()
            if connection.is_idle and connection.idle_since > since:
                return connection
            connection.close()
        return None

    async def connect(self, within_seconds: float) -> Connection:
        """Make a connection. Raises OSError or TimeoutError, and remembers that the place failed."""
        connection = Connection(on_begin=self._hear, on_idle=self._keep, on_close=self._drop)
        self._open.add(connection)
        secured = {"ssl": True, "server_hostname": self.origin.host} if self.origin.is_tls else {}
        try:
            async with asyncio.timeout(within_seconds):
                await asyncio.get_running_loop().create_connection(
                    lambda: connection, self.address, self.origin.port, **secured
                )
            if not connection.is_open:
                raise ConnectionResetError
        except (OSError, TimeoutError):
            connection.close()
            self.fail("unreachable")
            raise
        except asyncio.CancelledError:
            connection.close()
            raise
        finally:
            if not connection.is_open:
                self._drop(connection)
        connection.ends_at = monotonic() + random.uniform(*LIFE_SECONDS)  # noqa: S311 - no secret
        return connection

    def note_silence(self, since: float) -> None:
        """A request of `since` (monotonic seconds) is not answered yet.

        A place of which nothing at all was heard meanwhile may be frozen. So may be what is behind the connections
        that have been idle for longer.
        """
        if self._heard_at < since:
            self.fail("silent")
        for connection in tuple(self._idle):
            if connection.idle_since < since:
                connection.close()
                self._idle.pop(connection, None)

    def fail(self, cause: str) -> None:
        """Leave the place out for a while, longer each time. `cause` is `unreachable` or `silent`."""
        now = monotonic()
        self.failures[cause] += 1
        if self.retry_at is not None and now < self.retry_at:
            return  # one failure, of which several requests tell
        wait = min(BACK_OFF_MOST_SECONDS, BACK_OFF_SECONDS * 2.0 ** min(self._failures_in_a_row, 10))
        self._failures_in_a_row += 1
        self.retry_at = now + wait

    def recover(self) -> None:
        """It answers."""
        self.retry_at = None
        self._failures_in_a_row = 0

    def leave(self) -> None:
        """The service is no longer here: what is under way may end."""
        self._is_left = True
        for connection in tuple(self._idle):
            connection.close()
        self._idle.clear()

    def close(self) -> None:
        """Give up all connections."""
        for connection in tuple(self._open):
            connection.close()
        self._idle.clear()

    def _hear(self) -> None:
        self._heard_at = monotonic()
        if self.retry_at is not None:
            self.recover()

    def _keep(self, connection: Connection) -> None:
        now = connection.idle_since = monotonic()
        if self._is_left or now >= connection.ends_at:
            connection.close()
        else:
            self._idle[connection] = None

    def _drop(self, connection: Connection) -> None:
        self._open.discard(connection)
        self._idle.pop(connection, None)
