"""The broker's streams and consumers: by its monitoring, or by its own API where only an operator may ask it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
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

_AWAY: Final = (nats.errors.Error, OSError, TimeoutError, ApiRefused)


async def by_monitoring(http: aiohttp.ClientSession, url: str) -> Broker:
    """What the monitoring at `url` shows without a login."""
    (_, general), (_, jetstream) = await asyncio.gather(
        get(http, f"{url}/varz"), get(http, f"{url}/jsz?streams=true&consumers=true&config=true")
    )
    if not general or not jetstream:
        return Broker(url=url, is_up=False)
    varz, jsz = msgspec.json.decode(general), msgspec.json.decode(jetstream)
    details = chain.from_iterable(account.get("stream_detail") or () for account in jsz.get("account_details") or ())
    return Broker(
        url=url,
        is_up=True,
        version=varz.get("version", ""),
        syncs_always=bool(jsz.get("config", {}).get("sync_always")),
        connections=varz.get("connections", 0),
        streams=_streams((detail, detail.get("consumer_detail") or ()) for detail in details),
    )


async def by_login(url: str, *, patience_seconds: float) -> Broker:
    """What the operator that `url` names may ask. The server tells neither its connections nor when it syncs."""
    shown = _without_login(url)
    try:
        async with asyncio.timeout(patience_seconds), connected(url, name="serx status") as connection:
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
