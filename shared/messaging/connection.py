"""A connection to NATS for what is done once: lost, it is not established again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from nats.aio.client import Client

from shared.messaging.bus import login_in


@asynccontextmanager
async def connected(url: str, **options: Any) -> AsyncIterator[Client]:
    """A client, as the user that `url` names, until the block is left; `options` are those of nats-py's `connect`.

    Raises nats.errors.Error, OSError or TimeoutError when the servers cannot be reached or refuse the user.
    """
    servers, seed = login_in(url)
    client = Client()
    try:
        await client.connect(list(servers), nkeys_seed_str=seed, allow_reconnect=False, **options)
        yield client
    finally:
        # Connecting: the server does not greet, or refuses the user. nats-py leaves that connection open.
        if client.is_connecting or client.is_connected:
            await client.close()
