"""The broker's streams and consumers: by its monitoring, or by its own API where only an operator may ask it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from itertools import chain
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import msgspec
import nats.errors
from nats.aio.client import Client, ServerVersion

from deploy.status.asking import get
from deploy.status.picture import Broker, Consumer, Listener, Stream
from shared.messaging.bus_client import login_in
from shared.messaging.connection import connected
from shared.messaging.listeners import USER_PREFIX
from shared.messaging.stream_api import ApiRefused, StreamApi
from shared.messaging.stream_layout import consumer_differences, stream_differences
from shared.messaging.topology import STREAMS, TRAFFIC

_CONNECT_SECONDS: Final = 1
_AWAY: Final = (nats.errors.Error, OSError, TimeoutError, ApiRefused)


_Told = tuple[dict[str, Any], dict[str, Any]]
"""What a server's monitoring says in general, and of JetStream."""


async def by_monitoring(http: aiohttp.ClientSession, urls: Sequence[str]) -> Broker:
    """What the monitoring of each server shows without a login."""
    shown = ",".join(urls)
    told: list[_Told | None] = await asyncio.gather(*(_told(http, url) for url in urls))
    up = [each for each in told if each]
    if not up:
        return Broker(url=shown, is_up=False)
    return Broker(
        url=shown,
        is_up=True,
        away=tuple(url for url, each in zip(urls, told, strict=True) if not each),
        version=", ".join(sorted({varz.get("version", "") for varz, _ in up})),
        syncs_always=all(bool(jsz.get("config", {}).get("sync_always")) for _, jsz in up),
        connections=sum(varz.get("connections", 0) for varz, _ in up),
        streams=_streams(_together(up)),
    )


async def _told(http: aiohttp.ClientSession, url: str) -> _Told | None:
    """None when the server does not answer."""
    (_, general), (_, jetstream) = await asyncio.gather(
        get(http, f"{url}/varz"), get(http, f"{url}/jsz?streams=true&consumers=true&config=true")
    )
    return (msgspec.json.decode(general), msgspec.json.decode(jetstream)) if general and jetstream else None


def _together(told: Sequence[_Told]) -> Iterator[tuple[dict[str, Any], list[Any]]]:
    """Each stream and consumer as its leader tells it: a follower may not know how far it is."""
    streams: dict[str, dict[str, Any]] = {}
    consumers: dict[tuple[str, str], dict[str, Any]] = {}
    for varz, jsz in told:
        accounts: list[dict[str, Any]] = jsz.get("account_details") or []
        details: Iterable[dict[str, Any]] = chain.from_iterable(each.get("stream_detail") or () for each in accounts)
        for detail in details:
            _take(streams, detail["name"], detail, varz)
            for consumer in detail.get("consumer_detail") or ():
                _take(consumers, (detail["name"], consumer["name"]), consumer, varz)
    for name, detail in streams.items():
        yield detail, [each for (stream, _), each in consumers.items() if stream == name]


def _take(known: dict[Any, dict[str, Any]], key: Any, detail: dict[str, Any], varz: dict[str, Any]) -> None:
    leads = (detail.get("cluster") or {}).get("leader") == varz.get("server_name")
    if leads or key not in known:
        known[key] = detail


async def by_login(url: str, *, patience_seconds: float) -> Broker:
    """What the operator that `url` names may ask. The server tells neither its connections nor when it syncs."""
    shown = _without_login(url)
    try:
        async with asyncio.timeout(patience_seconds), _connected(url) as connection:
            return Broker(
                url=shown,
                is_up=True,
                version=_spelled(connection.connected_server_version),
                syncs_always=None,
                connections=None,
                streams=await _listed(connection, patience_seconds),
            )
    except _AWAY as error:
        return Broker(url=shown, is_up=False, obstacle=str(error) or type(error).__name__)


def _connected(url: str) -> AbstractAsyncContextManager[Client]:
    return connected(url, name="serx status", connect_timeout=_CONNECT_SECONDS)


async def _listed(connection: Client, patience_seconds: float) -> tuple[Stream, ...]:
    async def ask(subject: str, body: bytes) -> bytes:
        return (await connection.request(subject, body, timeout=patience_seconds)).data

    api = StreamApi(ask)
    return _streams([(each, await api.consumers(each["config"]["name"])) for each in await api.streams()])


def _spelled(version: ServerVersion) -> str:
    return f"{version.major}.{version.minor}.{version.patch}"


def _without_login(url: str) -> str:
    """The servers, without the password."""
    parts = [urlsplit(server) for server in login_in(url)[0]]
    return ",".join(urlunsplit(each._replace(netloc=each.netloc.rpartition("@")[2])) for each in parts)


def _streams(found: Iterable[tuple[dict[str, Any], Iterable[dict[str, Any]]]]) -> tuple[Stream, ...]:
    return tuple(sorted((_stream(detail, consumers) for detail, consumers in found), key=lambda stream: stream.name))


def _stream(detail: dict[str, Any], found: Iterable[dict[str, Any]]) -> Stream:
    state, config = detail["state"], detail.get("config") or {}
    name = config.get("name") or detail["name"]
    found = tuple(found)
    return Stream(
        name=name,
        messages=state["messages"],
        bytes=state["bytes"],
        replicas=config.get("num_replicas", 1),
        consumers=tuple(
            sorted(
                (_consumer(each, name) for each in found if _is_ours(each["name"], name)), key=lambda own: own.service
            )
        ),
        differs_in=stream_differences(config) if name in STREAMS else (),
        listeners=tuple(
            sorted(
                (_listener(each) for each in found if each["name"].startswith(USER_PREFIX)), key=lambda own: own.name
            )
        ),
    )


def _consumer(detail: dict[str, Any], stream: str) -> Consumer:
    return Consumer(
        service=detail["name"],
        waiting=detail["num_pending"],
        under_way=detail["num_ack_pending"],
        redelivered=detail["num_redelivered"],
        differs_in=consumer_differences(detail.get("config") or {}, detail["name"], stream),
    )


def _listener(detail: dict[str, Any]) -> Listener:
    config = detail.get("config") or {}
    subjects = config.get("filter_subjects") or [config.get("filter_subject") or "evt.*.>"]
    return Listener(
        name=detail["name"].removeprefix(USER_PREFIX),
        hears=tuple(sorted(subject.split(".", 2)[2] for subject in subjects)),
        waiting=detail["num_pending"],
        under_way=detail["num_ack_pending"],
        redelivered=detail["num_redelivered"],
    )


def _is_ours(consumer: str, stream: str) -> bool:
    return consumer in TRAFFIC and stream in TRAFFIC[consumer].consumes
