"""The command `serx listeners`: the durable consumers of services that were added to hear events."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import nats.js.errors

from deploy.environment import setting
from deploy.failure import Failure
from deploy.operators.site import Site
from shared.messaging.listeners import Listener, consumer_config, read_listener
from shared.messaging.topology import EVENTS

_BROKER: Final = "SERX_NATS_URL"
_LISTENERS: Final = "SERX_LISTENERS"


def keep_listeners(*listeners: str) -> None:
    """Make sure that every listener has its durable consumer, on exactly its events. Can be repeated.

    SERX_NATS_URL is the operator's. Run it again when the broker's store was lost: the listeners hear all that is told
    again, and know by its id what they have handled.

    Parameters
    ----------
    listeners
        As `billing=proposal.signed,order.*`; those that SERX_LISTENERS names when none is given.
    """
    try:
        wanted = [read_listener(each) for each in listeners or (setting(_LISTENERS) or "").split()]
    except ValueError as error:
        raise Failure(str(error)) from error
    if not wanted:
        raise Failure(
            f"Nobody listens: name listeners, or set {_LISTENERS}; `serx secrets --listener` makes their users."
        )
    broker = Site({}, setting(_BROKER), "SERX_NATS_URL says where it is.")
    asyncio.run(ensure_consumers(broker, wanted))
    for each in wanted:
        print(f"{each.name} listens to {', '.join(each.events)}.")


async def ensure_consumers(broker: Site, listeners: Sequence[Listener]) -> None:
    """Make the consumers, or change them to what they should be. Raises Failure when the stream is not there yet."""
    async with broker.stream() as stream:
        for each in listeners:
            try:
                await stream.add_consumer(EVENTS, consumer_config(each))
            except nats.js.errors.NotFoundError as error:
                raise Failure(f"There is no stream {EVENTS} yet: a service makes it when it starts.") from error
