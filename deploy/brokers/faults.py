"""What is wrong with a cluster of brokers, in sentences for whoever has to do something about it."""

from __future__ import annotations

from collections.abc import Iterator

from deploy.brokers.cluster import Cluster, Replicated


def of_cluster(cluster: Cluster) -> Iterator[str]:
    """Nothing if all is well."""
    for each in cluster.servers:
        if not each.is_up:
            yield f"The broker {each.name} does not answer. If it is gone for good: `serx brokers remove {each.name}`."
        elif not each.has_jetstream:
            yield f"The broker {each.name} runs without JetStream: it stores nothing."
    if cluster.unknown:
        yield f"So many brokers of SERX_SYSTEM_NATS_URL do not answer, and are not in the cluster: {cluster.unknown}."
    if cluster.leader is None:
        yield "The brokers have no leader: until most of them answer no stream can be made or changed."
    for stream in cluster.streams:
        yield from _of_stream(stream)


def _of_stream(stream: Replicated) -> Iterator[str]:
    if stream.leader is None:
        yield f"The stream {stream.name} has no leader: nothing is stored in it."
        return
    for copy in stream.copies:
        if not copy.is_current:
            yield f"The copy of {stream.name} at {copy.server} is not current."
    if len(stream.copies) < stream.wanted:
        yield f"{stream.name} has {len(stream.copies)} of {stream.wanted} copies."
