"""The part of NATS' JetStream API that looks at streams and consumers, and changes them.

Configurations are JSON as the server has them: a client library shows the fields that it knows, and one that it does
not know may be the one that was changed (https://docs.nats.io/reference/reference-protocols/nats_api_reference).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from shared.messaging.stream_layout import Config, consumer_config, stream_config

NOT_FOUND: Final = 404
UNAVAILABLE: Final = 503
"""Of a server that does not know who could answer: there is no leader, or it has lost its way to it."""

Ask = Callable[[str, bytes], Awaitable[bytes]]
"""Sends a request and waits for the answer."""


class ApiRefused(Exception):
    """The server did not do what was asked, and why."""

    def __init__(self, code: int, description: str) -> None:
        super().__init__(description)
        self.code = code


class Peer(msgspec.Struct, frozen=True):
    """A server with a copy, as the leader sees it."""

    name: str
    current: bool = False
    """Whether it has all that the leader has."""
    active: int = 0
    """Nanoseconds since the leader heard from it; 0 if it never did."""


class Copies(msgspec.Struct, frozen=True):
    """On which servers of a cluster a stream or a consumer is: on the leader, and on the others."""

    leader: str = ""
    replicas: tuple[Peer, ...] = ()


class Found(msgspec.Struct, frozen=True):
    """A stream or a consumer that is there; a server that stands alone tells nothing of copies."""

    config: dict[str, Any]
    created: datetime
    cluster: Copies | None = None

    @property
    def copies(self) -> int:
        """On how many servers it is."""
        return 1 if self.cluster is None else 1 + len(self.cluster.replicas)


class _Error(msgspec.Struct, frozen=True):
    code: int
    description: str = ""


class _Answer(msgspec.Struct, frozen=True):
    error: _Error | None = None


class StreamApi:
    """Every method raises ApiRefused (with NOT_FOUND for what is not there), and what `ask` raises."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def stream(self, name: str) -> Found:
        return _found(await self._call(f"STREAM.INFO.{name}"))

    async def consumer(self, stream: str, name: str) -> Found:
        return _found(await self._call(f"CONSUMER.INFO.{stream}.{name}"))

    async def streams(self) -> list[dict[str, Any]]:
        """Every stream, with its `config` and `state`, as the server has them."""
        return await self._listed("STREAM.LIST", "streams")

    async def consumers(self, stream: str) -> list[dict[str, Any]]:
        """Every consumer of the stream, with its `config` and how far it is, as the server has them."""
        return await self._listed(f"CONSUMER.LIST.{stream}", "consumers")

    async def _listed(self, call: str, of: str) -> list[dict[str, Any]]:
        """All pages of a list: the server gives 256 at a time."""
        listed: list[dict[str, Any]] = []
        while True:
            page = msgspec.json.decode(await self._call(call, {"offset": len(listed)}))
            listed += page[of] or ()
            if not page[of] or len(listed) >= page["total"]:
                return listed

    async def make_stream(self, name: str, *, replicas: int) -> None:
        """Make it; nothing if it is there and as it is to be."""
        await self._call(f"STREAM.CREATE.{name}", stream_config(name, replicas=replicas).as_dict())

    async def change_stream(self, name: str, *, replicas: int) -> None:
        """Make it as it is to be."""
        await self._call(f"STREAM.UPDATE.{name}", stream_config(name, replicas=replicas).as_dict())

    async def delete_stream(self, name: str) -> None:
        """With all that is in it."""
        await self._call(f"STREAM.DELETE.{name}")

    async def ensure_consumer(self, process: str, stream: str) -> None:
        """Make the consumer of a process, or make it as it is to be."""
        wanted = {"stream_name": stream, "config": consumer_config(process, stream).as_dict(), "action": ""}
        await self._call(f"CONSUMER.CREATE.{stream}.{process}", wanted)

    async def delete_consumer(self, stream: str, name: str) -> None:
        """A stream keeps what it has not settled."""
        await self._call(f"CONSUMER.DELETE.{stream}.{name}")

    async def _call(self, call: str, body: Config | None = None) -> bytes:
        answer = await self._ask(f"$JS.API.{call}", b"" if body is None else msgspec.json.encode(body))
        error = msgspec.json.decode(answer, type=_Answer).error
        if error is not None:
            raise ApiRefused(error.code, f"{call}: {error.description} ({error.code})")
        return answer


def _found(answer: bytes) -> Found:
    raw = msgspec.json.decode(answer)
    return Found(raw["config"], _moment(raw["created"]), msgspec.convert(raw.get("cluster"), Copies | None))


def _moment(text: str) -> datetime:
    """The server writes nanoseconds: cut, not rounded."""
    seconds, _, rest = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{seconds}.{rest[:6].ljust(6, '0')}").replace(tzinfo=UTC)
