"""What is wrong in a picture, in sentences for whoever has to do something about it. The bounds are the alerts' own."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from deploy.status.picture import Broker, Flows, Process, Store, Stream
from shared.messaging.topology import STREAMS, TRAFFIC

OUTBOX_OLDEST_SECONDS = 30
FLOW_OLDEST_SECONDS = 30
CONSUMER_WAITING = 1000


def of_process(process: Process, *, alone: bool = True) -> Iterator[str]:
    """What is wrong with a replica, which is named by its address if it is not `alone`."""
    name = process.name if alone else f"{process.name} at {process.url}"
    lacking = " and ".join(name for name, is_there in process.checks.items() if not is_there)
    if not process.answers:
        yield f"{process.name} does not answer at {process.url}."
    elif not process.is_ready:
        yield f"{name} runs, and is not ready{f': it lacks {lacking}' if lacking else ''}."
    elif lacking:
        yield f"{name} lacks {lacking}."


def of_store(store: Store) -> Iterator[str]:
    if not store.is_up:
        yield f"The database of {store.service} does not answer it."
    if store.parked:
        yield f"{store.service} has parked messages: {store.parked:.0f}. They wait for an operator."
    if (store.oldest_unpublished_seconds or 0) > OUTBOX_OLDEST_SECONDS:
        yield f"{store.service} has an event that has not been published for {store.oldest_unpublished_seconds:.0f} s."
    if store.waiting:
        yield f"{store.service} has no connection to its database left; so many wait for one: {store.waiting:.0f}."


def of_broker(broker: Broker, *, without_leader: Collection[str] = ()) -> Iterator[str]:
    """What is wrong with streams and consumers; those streams that have no leader do not tell theirs."""
    if not broker.is_up:
        yield f"The broker does not answer at {broker.url}{f' ({broker.obstacle})' if broker.obstacle else ''}."
        return
    for url in broker.away:
        yield f"A broker does not answer at {url}."
    if broker.syncs_always is False:
        yield "The broker acknowledges events before they are on its disk: set sync_interval to always."
    yield from _differences(broker.streams, without_leader)
    found = {(consumer.service, stream.name): consumer for stream in broker.streams for consumer in stream.consumers}
    for process, traffic in TRAFFIC.items():
        for stream in traffic.consumes:
            if stream in without_leader:
                continue
            consumer = found.get((process, stream))
            if consumer is None:
                yield f"{process} has no consumer on the stream {stream}."
            elif consumer.waiting > CONSUMER_WAITING:
                yield f"{process} is behind: {consumer.waiting} messages of {stream} wait for it."


def _differences(streams: Sequence[Stream], without_leader: Collection[str]) -> Iterator[str]:
    for stream in streams:
        if stream.differs_in:
            yield _different(f"The stream {stream.name}", stream.differs_in)
        for consumer in stream.consumers:
            if consumer.differs_in:
                yield _different(f"The consumer of {consumer.service} on {stream.name}", consumer.differs_in)
    for name in set(STREAMS) - {stream.name for stream in streams} - set(without_leader):
        yield f"There is no stream {name}: run `serx streams`."


def _different(what: str, fields: tuple[str, ...]) -> str:
    return f"{what} is not as it is to be ({', '.join(fields)}): run `serx streams`."


def of_flows(flows: Flows) -> Iterator[str]:
    if parked := flows.open.get("parked"):
        yield f"Signatures that wait for an operator: {parked:.0f}."
    for state, seconds in flows.oldest_seconds.items():
        if state != "parked" and seconds > FLOW_OLDEST_SECONDS:
            yield f"A signature has been {state} for {seconds:.0f} s."
