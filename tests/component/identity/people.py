"""People of a test, and the gateway that speaks for them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

import httpx
import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg

from services.identity.domain.organisations import found_organisation
from services.identity.domain.passwords import hash_password
from services.identity.model.credentials import new_secret
from services.identity.model.people import Founding
from shared import clock
from shared.contracts.identity import ClientClosed, ClientState, CloseClient
from shared.database import Database
from shared.ids import OrgId, new_id
from shared.web.actor import IDENTITY_HEADER, Actor, Role, sign_gateway
from tests.support.actors import KEY
from tests.support.commands import arrived
from tests.support.services import Service

T = TypeVar("T")

PASSWORD = "correct horse battery"
PASSWORD_HASH = hash_password(PASSWORD)


class Agency(msgspec.Struct, frozen=True):
    """An organisation with its administrator and that one's token."""

    founding: Founding

    @property
    def org_id(self) -> OrgId:
        return self.founding.org_id

    @property
    def admin(self) -> Actor:
        return self.staff(self.founding.user_id, Role.ADMIN)

    def staff(self, user: UUID, role: Role) -> Actor:
        return Actor(org_id=self.org_id, id=user, role=role, name="Ada Roe", email=self.founding.email)

    def client(self, client: UUID) -> Actor:
        return Actor(org_id=self.org_id, id=client, role=Role.CLIENT, name="Jane Doe", email="jane@customer.example")


async def found(database: Database, *, email: str = "ada@agency.example", name: str = "Agency") -> Agency:
    """An agency of the test's own."""
    founding = Founding(
        org_id=OrgId(new_id()),
        org_name=name,
        user_id=new_id(),
        name_f="Ada",
        name_l="Roe",
        email=email,
        password_hash=PASSWORD_HASH,
        token_id=new_id(),
        secret=new_secret(),
        at=clock.now(),
    )
    async with database.transaction(founding.org_id) as tx:
        await found_organisation(tx, founding)
    return Agency(founding)


async def add_client(database: Database, org: UUID, *, email: str = "jane@customer.example", **columns: Any) -> UUID:
    """A client with a password; `columns` as the table has them."""
    values = {"is_enabled": True, "stage": "open", "password_hash": PASSWORD_HASH} | columns
    client = new_id()
    async with database.transaction(org) as tx:
        await tx.run(
            """
            insert into clients (org_id, id, name_f, name_l, email, company, is_enabled, stage, closing_at,
              password_hash, created_at, updated_at)
            values ($1, $2, 'Jane', 'Doe', $3, 'Customer Ltd', $4, $5, case when $5 = 'closing' then now() end,
              $6, now(), now())
            """,
            org,
            client,
            email,
            values["is_enabled"],
            values["stage"],
            values["password_hash"],
        )
    return client


async def set_enabled(database: Database, table: str, org: UUID, *, is_enabled: bool) -> None:
    """Enable or disable everybody in a table of the organisation."""
    async with database.transaction(org) as tx:
        await tx.run(f"update {table} set is_enabled = $2 where org_id = $1", org, is_enabled)


class Gateway:
    """Calls the service as the gateway does: for an actor, or on its own behalf."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def login(
        self, email: str, password: str, *, address: str = "192.0.2.1", org: UUID | None = None
    ) -> httpx.Response:
        body = {"email": email, "password": password} | ({} if org is None else {"org_id": str(org)})
        return await self.plain("POST", "/api/auth/login", json=body, headers={"serx-client-address": address})

    async def verify(self, credential: str, *, key: str = KEY) -> httpx.Response:
        identity = sign_gateway(audience="identity", key=key, at=clock.now())
        body = {"credential": credential}
        return await self.plain("POST", "/internal/credentials/verify", json=body, headers={IDENTITY_HEADER: identity})

    async def call(
        self, actor: Actor, method: str, path: str, *, bearer: str | None = None, **request: Any
    ) -> httpx.Response:
        if bearer is not None:
            request["headers"] = {"authorization": f"Bearer {bearer}"}
        return await self._service.call(actor, method, path, **request)

    async def plain(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Without an actor."""
        return await self._service.call(None, method, path, **request)


class House(msgspec.Struct, frozen=True):
    """A running service with its database and its broker, for the tests of a module; each founds its own agency."""

    gateway: Gateway
    database: Database
    nats: Client
    dsn: str

    async def found(self, **options: Any) -> Agency:
        return await found(self.database, **options)

    async def call(self, actor: Actor, method: str, path: str, **request: Any) -> httpx.Response:
        return await self.gateway.call(actor, method, path, **request)

    async def made(self, actor: Actor, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """What was created."""
        answer = await self.call(actor, "POST", path, json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    @asynccontextmanager
    async def hearing(self, agency: Agency, subject: str):
        """What is said in the agency on `evt.<org>.<subject>`, one after the other: `await heard(shape)`."""
        subscription = await self.nats.subscribe(f"evt.{agency.org_id}.{subject}")
        await arrived(self.nats)

        async def heard(shape: type[T]) -> T:
            return msgspec.json.decode((await subscription.next_msg(timeout=5)).data, type=shape)

        yield heard
        await subscription.unsubscribe()

    @asynccontextmanager
    async def owners(self, **counts: int | Callable[[ClientState], Awaitable[int]]):
        """The owners named say so many things hang on any client; the others are away. Yields what they were asked."""
        asked: list[tuple[str, ClientState]] = []

        async def play(owner: str, count: int | Callable[[ClientState], Awaitable[int]], message: Msg) -> None:
            client = msgspec.json.decode(message.data, type=CloseClient).client
            asked.append((owner, client))
            told = ClientClosed(count=count if isinstance(count, int) else await count(client))
            await message.respond(msgspec.json.encode(told))

        playing: list[asyncio.Task[None]] = []

        async def hear(owner: str, message: Msg) -> None:
            # In tasks, for nats-py awaits one callback of a subscription before the next.
            playing.append(asyncio.create_task(play(owner, counts[owner], message)))

        subscriptions = [
            await self.nats.subscribe(f"ask.{owner}.close-client", cb=partial(hear, owner)) for owner in counts
        ]
        await arrived(self.nats)
        yield asked
        for subscription in subscriptions:
            await subscription.unsubscribe()
        await arrived(self.nats)
        await asyncio.gather(*playing)
