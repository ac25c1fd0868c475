"""The command `serx streams`: the broker's streams and the services' consumers."""

from __future__ import annotations

import asyncio
import signal
from typing import Annotated, Literal

from cyclopts import Parameter

from deploy.environment import number, setting
from deploy.failure import Failure
from shared.messaging.stream_api import ApiRefused
from shared.messaging.stream_keeper import AWAY, Look, connected, keep

_BROKER = "SERX_NATS_URL"
_REPLICAS = "SERX_STREAM_REPLICAS"
_MOST_REPLICAS = 5


def streams(
    *,
    watch: Annotated[bool, Parameter(negative="")] = False,
    renew: Literal["COMMANDS", "EVENTS"] | None = None,
    lower: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Make the broker's streams and the services' consumers where they are missing, and put right what differs.

    SERX_NATS_URL names the broker and its user `streams`, or the operator. SERX_STREAM_REPLICAS is on how many NATS
    servers each stream is kept at least: 1 when not set, at most as many as there are. Services only look at
    streams: an installation runs one `serx streams --watch`. `serx up` does this by itself.

    Parameters
    ----------
    watch
        Go on until SIGTERM or Ctrl-C: look every 2 s, and report what was put right.
    renew
        First delete this stream, with all that is in it: for what a server does not let be changed, such as a sealed
        stream. Needs the operator. Services publish the last day's events again, flows send their commands again.
    lower
        Also take copies away from a stream that is kept on more servers than SERX_STREAM_REPLICAS says. Not with
        --watch.
    """
    url = setting(_BROKER)
    if not url:
        raise Failure(f"Where the broker is, is not known: set {_BROKER}, with the user `streams` or the operator's.")
    replicas = number(_REPLICAS, 1, most=_MOST_REPLICAS)
    if watch and lower:
        raise Failure("--lower is done once, by an operator: leave --watch out.")
    if watch and renew is None:
        asyncio.run(_watch(url, replicas))
        return
    look = asyncio.run(_once(url, replicas, renew, may_lower=lower))
    for deed in look.deeds:
        print(deed.sentence)
    if look.refused:
        raise Failure("Not everything is as it is to be.", list(look.refused))
    print("Streams and consumers are as they are to be.")


async def _once(url: str, replicas: int, renew: str | None, *, may_lower: bool) -> Look:
    try:
        async with connected(url, replicas=replicas, may_lower=may_lower) as keeper:
            if renew is not None:
                await keeper.renew(renew)
            return await keeper.look()
    except ApiRefused as error:
        raise Failure("The broker did not do it.", [str(error)]) from error
    except AWAY as error:
        raise Failure(f"The broker cannot be reached, or does not let us in ({error!r}).") from error


async def _watch(url: str, replicas: int) -> None:
    stop = asyncio.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    print("Watching over streams and consumers.", flush=True)
    task = asyncio.create_task(keep(url, lambda sentence: print(sentence, flush=True), replicas=replicas))
    try:
        await asyncio.wait({task, asyncio.create_task(stop.wait())}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        task.cancel()
    if task.done() and not task.cancelled():
        await task  # a bug: raise what ended it
