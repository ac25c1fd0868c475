"""A connection to NATS for what is done once: lost, it is not established again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import nats.errors
from nats.aio.client import DEFAULT_CONNECT_TIMEOUT, Client

from shared.messaging.bus_client import login_in

_Heard = Callable[[Exception], Awaitable[None]]


@asynccontextmanager
async def connected(url: str, *, error_cb: _Heard | None = None, **options: Any) -> AsyncIterator[Client]:
    """A client of the first of the servers that lets in the user that `url` names, until the block is left.

    `options` are those of nats-py's `connect`; `connect_timeout` (seconds, 2 when not given) is for each server.
    Raises nats.errors.Error, OSError or TimeoutError when no server can be reached, or none takes the user.
    """
    client = await _first(url, error_cb or _is_raised_too, options)
    try:
        yield client
    finally:
        if client.is_connected:
            await client.close()


async def _first(url: str, error_cb: _Heard, options: dict[str, Any]) -> Client:
    """nats-py would go through the list sixty times, and stop at a server that accepts and does not greet."""
    servers, seed = login_in(url)
    obstacles: list[Exception] = []
    for server in servers:
        try:
            return await _one(server, seed, error_cb, options)
        except (nats.errors.Error, OSError, TimeoutError) as error:
            obstacles.append(error)
    # What a server said tells more than that another was not there.
    raise next((each for each in obstacles if isinstance(each, nats.errors.Error)), obstacles[0])


async def _one(server: str, seed: str | None, error_cb: _Heard, options: dict[str, Any]) -> Client:
    client = Client()
    refused: list[Exception] = []

    async def hear(error: Exception) -> None:
        if client.is_connected:
            await error_cb(error)
        else:
            refused.append(error)

    once = {"allow_reconnect": False, "max_reconnect_attempts": 1, "reconnect_time_wait": 0}
    try:
        async with asyncio.timeout(options.get("connect_timeout", DEFAULT_CONNECT_TIMEOUT)):
            await client.connect(server, nkeys_seed_str=seed, error_cb=hear, **once, **options)
    except nats.errors.NoServersError as error:
        raise (refused[0] if refused else error) from error
    except BaseException:
        # The server does not greet, or refuses the user. nats-py leaves that connection open.
        await client.close()
        raise
    return client


async def _is_raised_too(_: Exception) -> None:
    """The client prints what it raises, unless told where to put it."""
