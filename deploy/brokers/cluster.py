"""A cluster of NATS servers, as its system account sees it.

Streams are made and moved by the meta group, whose members are all servers that ever joined: one that is gone for good
counts for the majority until it is removed. See
https://docs.nats.io/running-a-nats-service/configuration/clustering/jetstream_clustering/administration.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final

import msgspec
import nats.errors
from nats.aio.client import Client

from shared.messaging.bus_client import login_in
from shared.messaging.connection import connected

ANSWER_SECONDS: Final = 2.0
_LOOK: Final = "$SYS.REQ.SERVER.PING.JSZ"
_WANTED: Final = b'{"accounts": true, "streams": true, "config": true}'


class NoSystemAccount(Exception):
    """The user is none of the system account, or the servers are no cluster."""


class ApiRefused(Exception):
    """The cluster did not do what was asked, and why."""


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """One server: it answers, or the meta group still counts it."""

    name: str
    id: str
    """Its id in the meta group; empty for one that is not in it."""
    is_up: bool
    version: str = ""
    has_jetstream: bool = False
    is_leader: bool = False
    """Of the meta group."""


class Copy(msgspec.Struct, frozen=True):
    """One server's copy of a stream."""

    server: str
    is_current: bool


class Replicated(msgspec.Struct, frozen=True, kw_only=True):
    """A stream's copies; `leader` is None when no server leads it."""

    name: str
    leader: str | None
    copies: tuple[Copy, ...]
    wanted: int = 0
    """How many copies it is to have; 0 where nobody says."""


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """All servers and streams at one moment."""

    servers: tuple[Server, ...]
    streams: tuple[Replicated, ...]
    unknown: int = 0
    """How many servers of the URL neither answer nor are known by name."""

    @property
    def leader(self) -> str | None:
        """Of the meta group."""
        return next((each.name for each in self.servers if each.is_leader), None)


class _Peer(msgspec.Struct):
    name: str
    peer: str = ""
    current: bool = False
    offline: bool = False
    lag: int = 0


class _Group(msgspec.Struct):
    leader: str = ""
    peer: str = ""
    replicas: tuple[_Peer, ...] = ()


class _Config(msgspec.Struct):
    num_replicas: int = 0


class _Stream(msgspec.Struct):
    name: str
    cluster: _Group | None = None
    config: _Config = msgspec.field(default_factory=_Config)


class _Account(msgspec.Struct):
    stream_detail: tuple[_Stream, ...] = ()


class _Data(msgspec.Struct):
    meta_cluster: _Group | None = None
    account_details: tuple[_Account, ...] = ()


class _Info(msgspec.Struct):
    name: str
    ver: str
    jetstream: bool = False


class _Told(msgspec.Struct):
    """What one server answers."""

    server: _Info
    data: _Data = msgspec.field(default_factory=_Data)

    @property
    def group(self) -> _Group:
        return self.data.meta_cluster or _Group()

    @property
    def leads(self) -> bool:
        """A server repeats what it last heard: only a leader's own word says that it leads."""
        return self.group.leader == self.server.name

    @property
    def streams(self) -> Mapping[str, _Group]:
        return {each.name: each.cluster or _Group() for each in self._details}

    @property
    def wanted(self) -> Mapping[str, int]:
        return {each.name: each.config.num_replicas for each in self._details}

    @property
    def _details(self) -> Sequence[_Stream]:
        return [stream for account in self.data.account_details for stream in account.stream_detail]


class SystemAccount:
    """What its user may ask. Every method raises what nats-py raises when the servers are away."""

    def __init__(self, client: Client, servers: int) -> None:
        self._client = client
        self._servers = servers

    async def look(self, *, patience_seconds: float = ANSWER_SECONDS) -> Cluster:
        """The cluster now: waits as long for servers that do not answer. Raises NoSystemAccount."""
        told: dict[str, _Told] = {}
        async with aclosing(self._answers(patience_seconds)) as answers:
            async for each in answers:
                told[each.server.name] = each
                if len(told) >= self._servers and told.keys() >= _believed_up(told.values()):
                    break
        if not any(each.data.meta_cluster for each in told.values()):
            raise NoSystemAccount
        return _cluster(told, self._servers)

    async def remove(self, server: Server) -> None:
        """Take a server out of the meta group; streams that it had get a copy elsewhere. Raises ApiRefused."""
        await self._call("$JS.API.SERVER.REMOVE", {"peer": "" if server.id else server.name, "peer_id": server.id})

    async def step_down(self) -> None:
        """Have the meta group choose another leader. Raises ApiRefused."""
        await self._call("$JS.API.META.LEADER.STEPDOWN", {})

    async def _answers(self, patience_seconds: float) -> AsyncGenerator[_Told, None]:
        inbox = self._client.new_inbox()
        subscription = await self._client.subscribe(inbox)
        await self._client.publish(_LOOK, _WANTED, reply=inbox)
        try:
            async with asyncio.timeout(patience_seconds):
                while True:
                    message = await subscription.next_msg(timeout=None)
                    if not message.data:  # nobody hears it: another account
                        raise NoSystemAccount
                    yield msgspec.json.decode(message.data, type=_Told)
        except TimeoutError:
            return
        finally:
            await subscription.unsubscribe()

    async def _call(self, subject: str, body: Mapping[str, Any]) -> None:
        try:
            answer = await self._client.request(subject, msgspec.json.encode(body), timeout=ANSWER_SECONDS)
        except nats.errors.NoRespondersError as error:
            raise NoSystemAccount from error
        except TimeoutError as error:
            raise ApiRefused("the servers have no leader") from error
        if refused := msgspec.json.decode(answer.data).get("error"):
            raise ApiRefused(str(refused.get("description", "")))


@asynccontextmanager
async def system_account(url: str) -> AsyncIterator[SystemAccount]:
    """As the user that `url` names. Raises nats.errors.Error, OSError or TimeoutError."""
    async with connected(url, name="serx brokers") as client:
        yield SystemAccount(client, len(login_in(url)[0]))


def _believed_up(told: Iterable[_Told]) -> set[str]:
    """Whose answer is worth waiting for: the leader has not lost sight of them."""
    return {peer.name for each in told if each.leads for peer in each.group.replicas if not peer.offline}


def _cluster(told: Mapping[str, _Told], expected: int) -> Cluster:
    leader = next((each for each in told.values() if each.leads), None)
    asked = [leader] if leader else told.values()
    members = {peer.name: peer.peer for each in asked for peer in each.group.replicas}
    if leader:
        members[leader.server.name] = leader.group.peer
    servers = [_server(name, members.get(name, ""), told.get(name)) for name in members.keys() | told.keys()]
    return Cluster(
        servers=tuple(sorted(servers, key=lambda server: server.name)),
        streams=tuple(_replicated(name, told) for name in sorted({n for each in told.values() for n in each.streams})),
        unknown=max(0, expected - len(servers)),
    )


def _server(name: str, id: str, told: _Told | None) -> Server:
    if told is None:
        return Server(name=name, id=id, is_up=False)
    found = told.server
    return Server(name=name, id=id, is_up=True, version=found.ver, has_jetstream=found.jetstream, is_leader=told.leads)


def _replicated(name: str, told: Mapping[str, _Told]) -> Replicated:
    groups = {server: each.streams[name] for server, each in told.items() if name in each.streams}
    leader = next((server for server, group in groups.items() if group.leader == server), None)
    own = groups[leader] if leader is not None else next(iter(groups.values()))
    copies = {peer.name: peer.current and not peer.offline and peer.name in told for peer in own.replicas}
    copies |= {server: server == leader or copies.get(server, False) for server in groups}
    return Replicated(
        name=name,
        leader=leader,
        copies=tuple(Copy(server, current) for server, current in sorted(copies.items())),
        wanted=max(each.wanted.get(name, 0) for each in told.values()),
    )
