"""The services, as these tests play them: HTTP servers that answer as they are told and remember what they heard."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import uvicorn

from gateway.app import bounding, create_app
from gateway.door import Door
from gateway.routes import Service
from gateway.settings import GatewaySettings
from shared import clock
from shared.ids import new_id
from shared.web.actor import Actor, verify_gateway, verify_identity
from shared.web.bounds import Bounds
from shared.web.serving import configured
from tests.support.actors import KEY, admin
from tests.support.ports import free_port
from tests.support.servers import until

Answer = Callable[["Heard", Any], Awaitable[None]]


@dataclass
class Heard:
    """One request, as it arrived."""

    method: str
    path: str
    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value.decode() for known, value in self.headers if known == name.encode()), None)

    def actor(self, audience: str) -> Actor:
        return verify_identity(self.header("serx-identity") or "", audience=audience, keys=[KEY], at=clock.now())


def reply(status: int = 200, content: Any = None, headers: dict[str, str] | None = None) -> Answer:
    """An answer with a JSON body, or none."""

    async def answer(_: Heard, send: Any) -> None:
        body = b"" if content is None else json.dumps(content).encode()
        told = {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
        if content is None:
            del told["content-type"]
        pairs = [(name.encode(), value.encode()) for name, value in told.items()]
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        await send({"type": "http.response.body", "body": body})

    return answer


@dataclass
class Neighbour:
    """A service: answers `{"service": its name}` wherever it was not told otherwise."""

    name: str
    url: str = ""
    heard: list[Heard] = field(default_factory=list)
    answers: dict[str, Answer] = field(default_factory=dict)
    credentials: dict[str, dict[str, Any]] = field(default_factory=dict)
    verified: int = 0
    _server: uvicorn.Server | None = None
    _serving: asyncio.Task[None] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        query = b"?" + scope["query_string"] if scope["query_string"] else b""
        heard = Heard(scope["method"], scope["path"], scope["raw_path"] + query, scope["headers"], body)
        if heard.path == "/internal/credentials/verify" and heard.path not in self.answers:
            await self._verify(heard, send)
            return
        if heard.path == "/health/live":
            await reply(200, {"status": "live"})(heard, send)
            return
        self.heard.append(heard)
        await self.answers.get(heard.path, reply(200, {"service": self.name}))(heard, send)

    async def _verify(self, heard: Heard, send: Any) -> None:
        verify_gateway(heard.header("serx-identity") or "", audience="identity", keys=[KEY], at=clock.now())
        self.verified += 1
        known = self.credentials.get(json.loads(heard.body)["credential"])
        await (reply(200, known) if known else reply(401, {}))(heard, send)

    async def start(self) -> None:
        """Begin to serve, on the same port as before if there was one."""
        port = int(self.url.rpartition(":")[2]) if self.url else 0
        self._server, self._serving, self.url = await serve(self, port)

    async def stop(self) -> None:
        """Away: connections are closed, and no more are taken."""
        if self._server is not None and self._serving is not None:
            self._server.should_exit = self._server.force_exit = True
            await self._serving
            self._server = None

    @property
    def is_up(self) -> bool:
        return self._server is not None

    @property
    def last(self) -> Heard:
        return self.heard[-1]


async def serve(
    app: Any, port: int = 0, *, of_callers: Bounds | None = None
) -> tuple[uvicorn.Server, asyncio.Task[None], str]:
    """Serve an ASGI application on loopback, on a free port unless one is given."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    lifespan = "off" if isinstance(app, Neighbour) else "on"
    config = configured(app, of_callers or Bounds(), lifespan=lifespan, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    await until(lambda: server.started)
    return server, serving, f"http://127.0.0.1:{listener.getsockname()[1]}"


@dataclass
class World:
    """A gateway, its neighbours, and a caller in front of it."""

    services: dict[str, Neighbour]
    url: str
    caller: httpx.AsyncClient
    actor: Actor
    door: Door
    metrics_url: str

    async def health(self) -> dict[str, Any]:
        """What the gateway tells its operator, at the port that is not for callers."""
        return (await self.caller.get(f"{self.metrics_url}/health", headers={"authorization": ""})).json()

    async def lacks(self) -> list[str]:
        """What is away, as the gateway tells it."""
        return [name for name, is_there in (await self.health())["checks"].items() if not is_there]

    async def begin_anew(self) -> None:
        """All services are there, have heard nothing and been told nothing; the gateway remembers nobody."""
        self.caller.cookies.clear()
        for service in self.services.values():
            service.heard.clear()
            service.answers.clear()
            service.verified = 0
            service.credentials = {"serx_admin": credential(self.actor)} if service.name == "identity" else {}
            if not service.is_up:
                await service.start()
        self.door._credentials.forget_all()

    def __getattr__(self, name: str) -> Neighbour:
        return self.services[name]

    @property
    def heard(self) -> int:
        """How many requests have reached any service."""
        return sum(len(service.heard) for service in self.services.values())


def credential(actor: Actor, **extra: Any) -> dict[str, Any]:
    """What identity says about a credential of `actor`."""
    told = {name: str(getattr(actor, name)) for name in ("org_id", "id", "name", "email")}
    return {"actor": told | {"role": actor.role.value}, "credential_id": str(new_id()), "expires_at": None, **extra}


@asynccontextmanager
async def world(nats_url: str, *, hears: bool = True, **told: Any) -> AsyncIterator[World]:
    """Everything up; the caller's credential is `serx_admin`."""
    services = {str(service): Neighbour(str(service)) for service in Service}
    await asyncio.gather(*(service.start() for service in services.values()))
    actor = admin()
    services["identity"].credentials["serx_admin"] = credential(actor)
    addresses = {f"{name}_url": (service.url,) for name, service in services.items()}
    keys = {f"{name}_key": KEY for name in services}
    metrics_port = free_port()
    ports = {"metrics_port": metrics_port}
    settings = GatewaySettings(nats_url=nats_url, **addresses, **keys, **ports, **{"rate_limit": 0.0, **told})
    door = create_app(settings)
    server, serving, url = await serve(door, of_callers=bounding(settings))
    headers = {"authorization": "Bearer serx_admin"}
    try:
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30, trust_env=False) as caller:
            here = World(services, url, caller, actor, door, f"http://127.0.0.1:{metrics_port}")
            if hears:
                await until(lambda: _lacks_nothing(here))
            yield here
    finally:
        server.should_exit = True
        await asyncio.gather(serving, *(service.stop() for service in services.values()))


async def _lacks_nothing(here: World) -> bool:
    return not await here.lacks()
