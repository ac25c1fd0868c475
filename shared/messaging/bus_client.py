"""nats-py's client as a process uses it: which servers it tries in which order, and which one it is at.

Of nats-py's private names those are used here, and nowhere else, for which it has no public one; tests in
tests/component/test_bus.py and test_broker_cluster.py hold what they do.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import msgspec
from nats.aio.client import Client, Srv

from shared.messaging.topology import inbox_prefix

RECONNECT_WAIT_SECONDS: Final = 0.05

Hook = Callable[[], Awaitable[None]]


class Hooks(msgspec.Struct, frozen=True):
    """What is called when something happens to a connection."""

    error: Callable[[Exception], Awaitable[None]]
    disconnected: Hook
    reconnected: Hook
    closed: Hook


class BusClient(Client):
    """Closes a connection that led to nothing before it makes the next, which nats-py's does not."""

    @property
    def server_id(self) -> str:
        """Which server it is connected to, whatever name led there; empty when it never was."""
        return str(self._server_info.get("server_id", ""))

    async def open(self, process: str, servers: Sequence[str], seed: str | None, hooks: Hooks) -> None:
        """Connect to the first of `servers` that takes it, for ever; when that is lost, to the next, in that order.

        Raises nats.errors.Error, OSError or TimeoutError when the user is refused.
        """
        await self.connect(
            list(servers),
            dont_randomize=True,  # it shuffles anew at each loss, and may go back to the server that it has just lost
            nkeys_seed_str=seed,
            name=process,
            inbox_prefix=inbox_prefix(process),
            reconnect_time_wait=RECONNECT_WAIT_SECONDS,  # pyright: ignore[reportArgumentType]  # typed int, takes any number
            max_reconnect_attempts=-1,
            connect_timeout=2,
            ping_interval=1,
            max_outstanding_pings=2,
            error_cb=hooks.error,
            disconnected_cb=hooks.disconnected,
            reconnected_cb=hooks.reconnected,
            closed_cb=hooks.closed,
        )

    def is_at(self, server: str) -> bool:
        """Whether it was connected by this address."""
        url = self.connected_url
        return url is not None and url.netloc == server.rpartition("//")[2]

    async def _connect_to_server(self, s: Srv) -> None:
        if self._transport is not None:
            self._transport.close()
        await super()._connect_to_server(s)


def login_in(url: str) -> tuple[tuple[str, ...], str | None]:
    """The servers in a comma-separated `url`, and the nkey's seed that stands there where a user would.

    A user with a password stays in its server's address.
    """
    servers: list[str] = []
    seed: str | None = None
    for server in url.split(","):
        parts = urlsplit(server.strip())
        login, _, place = parts.netloc.rpartition("@")
        if login and ":" not in login:
            seed = login
            parts = parts._replace(netloc=place)
        servers.append(urlunsplit(parts))
    return tuple(servers), seed


def shuffled(servers: Sequence[str]) -> list[str]:
    """An order of its own for each process, so that they spread over the servers, also when one is lost."""
    return random.sample(servers, len(servers))
