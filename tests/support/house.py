"""All five services in this process, on real servers, without a gateway: to break one rule and see the consequence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import nats
from nats.aio.msg import Msg

from deploy.proof.checker import check
from deploy.proof.evidence import Evidence, gather
from deploy.proof.violations import Violation
from shared import failpoints
from shared.database import Database
from shared.messaging.envelope import MESSAGE_ID
from shared.messaging.topology import SERVICES, kept_subject
from shared.web.actor import Actor
from tests.component.identity.people import found
from tests.support.builders import sent_proposal
from tests.support.databases import Databases, opened
from tests.support.servers import Broker, until
from tests.support.services import Service, running


class House:
    """The services, their databases, their broker; `failpoints` is where points are armed and rules switched off."""

    def __init__(self, dsns: dict[str, str], admin_dsns: dict[str, str], broker: Broker, failpoints: Path) -> None:
        self.dsns = dsns
        self.broker = broker
        self.failpoints = failpoints
        self.commands: list[Msg] = []
        """Every command that was sent, in order."""
        self._admin_dsns = admin_dsns
        self._services: dict[str, Service] = {}
        self._lives: dict[str, AsyncExitStack] = {}

    def __getitem__(self, name: str) -> Service:
        return self._services[name]

    @property
    def names(self) -> tuple[str, ...]:
        """The services that run."""
        return tuple(self._lives)

    def database(self, name: str) -> Database:
        """A service's database as its role has it."""
        return self[name].app.state.database

    async def administrator(self, name: str) -> asyncpg.Connection:
        """A connection that sees the rows of all organisations; to be closed."""
        return await asyncpg.connect(self._admin_dsns[name])

    async def start(self, name: str) -> None:
        life = self._lives[name] = AsyncExitStack()
        self._services[name] = await life.enter_async_context(running(name, self.dsns[name], self.broker))

    async def stop(self, name: str) -> None:
        await self._lives.pop(name).aclose()

    async def agency(self) -> Actor:
        """The administrator of an organisation of its own, who is known everywhere."""
        async with opened(self.dsns["identity"]) as database:
            founded = await found(database, email="ada@agency.example")
        return founded.admin

    async def client(self, staff: Actor, email: str) -> dict[str, Any]:
        """A client whom the proposal service knows."""
        body = {"name_f": "Jane", "name_l": "Roe", "email": email}
        made = await self["identity"].call(staff, "POST", "/api/clients", json=body)
        assert made.status_code == 201, made.text

        async def is_known() -> bool:
            async with self.database("proposals").transaction(staff.org_id) as tx:
                return await tx.value("select true from clients where id = $1::uuid", made.json()["id"])

        await until(is_known)
        return made.json()

    async def sent(self, staff: Actor, email: str) -> str:
        """The id of a proposal that can be signed."""
        return await sent_proposal(self["proposals"], staff, client_email=email)

    async def sign(self, staff: Actor, proposal: str, *, wait_seconds: int = 10) -> Any:
        headers = {"prefer": f"wait={wait_seconds}"}
        return await self["proposals"].call(staff, "POST", f"/api/proposals/{proposal}/sign", headers=headers)

    async def report(self, staff: Actor, proposal: str) -> dict[str, Any]:
        return (await self["proposals"].call(staff, "GET", f"/api/proposals/{proposal}/sign")).json()

    async def ends(self, staff: Actor, proposal: str) -> str:
        """How the flow ends; `stuck` if it was taken over twice and did not."""

        async def outcome() -> str | None:
            status = (await self.report(staff, proposal)).get("status")
            if status in ("completed", "rejected"):
                return status
            async with self.database("proposals").transaction(staff.org_id) as tx:
                query = "select attempt from sagas where proposal_id = $1::uuid order by started_at desc limit 1"
                return "stuck" if (await tx.value(query, proposal) or 0) >= 5 else None

        return await until(outcome, within_seconds=20)

    async def say_again(self, message: Msg) -> None:
        """Another copy of a command, under a message id of its own."""
        headers = dict(message.headers or {})
        async with await nats.connect(self.broker.operator) as connection:
            copy = headers | {MESSAGE_ID: f"{headers[MESSAGE_ID]}.copy"}
            await connection.jetstream().publish(kept_subject(message.subject), message.data, headers=copy)

    async def quiet(self) -> None:
        """Wait until no command or event waits for anybody, and none waits to be published."""

        async def is_quiet() -> bool:
            evidence = await self.evidence()
            return not evidence.commands_left and all(event.is_published for event in evidence.events)

        await until(is_quiet, within_seconds=20)
        await until(self._are_events_handled, within_seconds=20)

    async def evidence(self) -> Evidence:
        return await gather(self._admin_dsns, self.broker.operator)

    async def violations(self) -> set[Violation]:
        return set(check(await self.evidence()))

    async def _are_events_handled(self) -> bool:
        connection = await nats.connect(self.broker.operator)
        try:
            names = [name for name in SERVICES if name != "identity" and name in self._lives]
            infos = [await connection.jetstream().consumer_info("EVENTS", name) for name in names]
        finally:
            await connection.close()
        return not any(info.num_pending or info.num_ack_pending for info in infos)


@asynccontextmanager
async def standing(databases: Databases, broker: Broker, points: Path) -> AsyncIterator[House]:
    """A house, until the block is left."""
    failpoints.arm({"SERX_FAILPOINTS_DIR": str(points)})
    async with AsyncExitStack() as stack:
        dsns = {name: await stack.enter_async_context(databases.fresh(name)) for name in SERVICES}
        place = databases.admin_dsn.rpartition("/")[0]
        admin_dsns = {name: f"{place}/{dsn.rpartition('/')[2]}" for name, dsn in dsns.items()}
        house = House(dsns, admin_dsns, broker, points)
        connection = await nats.connect(broker.operator)
        stack.push_async_callback(connection.close)

        async def note(message: Msg) -> None:
            house.commands.append(message)

        for subject in ("now.>", "cmd.>"):
            await connection.subscribe(subject, cb=note)
        try:
            for name in SERVICES:
                await house.start(name)
            yield house
        finally:
            failpoints.arm({})
            await asyncio.gather(*(house.stop(name) for name in house.names))


def spelled(violations: set[Violation]) -> list[str]:
    """For an assertion that a person reads."""
    return [msgspec.json.encode(violation).decode() for violation in violations]
