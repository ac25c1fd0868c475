"""The key with which the gateway vouches for callers is replaced under way; docs/operations.md has the order."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack

from shared import clock
from shared.web.actor import IDENTITY_HEADER, sign_identity
from tests.support import actors
from tests.support.databases import Databases
from tests.support.servers import Broker
from tests.support.services import Service, running

OLD, NEW = "the key of yesterday".ljust(40, "."), "the key of tomorrow".ljust(40, ".")


class Replicas:
    """Two replicas of a service, replaced one after the other: the next is ready before the last one goes."""

    def __init__(self, dsn: str, broker: Broker) -> None:
        self._dsn = dsn
        self._broker = broker
        self._lives: list[AsyncExitStack] = []
        self.services: list[Service] = []

    async def add(self, *keys: str) -> None:
        life = AsyncExitStack()
        service = running("orders", self._dsn, self._broker, SERX_INTERNAL_KEYS=",".join(keys))
        self.services.append(await life.enter_async_context(service))
        self._lives.append(life)

    async def take_out_the_oldest(self) -> None:
        self.services.pop(0)
        await self._lives.pop(0).aclose()

    async def replace(self, *keys: str, while_gateways_have: Sequence[str]) -> None:
        for _ in range(len(self.services)):
            await self.add(*keys)
            assert await self.answers(*while_gateways_have) == {200}
            await self.take_out_the_oldest()
            assert await self.answers(*while_gateways_have) == {200}

    async def answers(self, *keys: str) -> set[int]:
        """What gateways with these keys are answered by any replica."""
        staff = actors.admin()
        statuses: set[int] = set()
        for key in keys:
            identity = sign_identity(staff, audience="orders", key=key, at=clock.now())
            for service in self.services:
                answer = await service.call(None, "GET", "/api/orders", headers={IDENTITY_HEADER: identity})
                statuses.add(answer.status_code)
        return statuses

    async def close(self) -> None:
        while self.services:
            await self.take_out_the_oldest()


async def test_the_key_of_the_internal_identity_is_replaced_and_no_call_is_refused_meanwhile(
    databases: Databases, shared_broker: Broker
):
    async with databases.fresh("orders") as dsn, AsyncExitStack() as stack:
        replicas = Replicas(dsn, shared_broker)
        stack.push_async_callback(replicas.close)
        await replicas.add(OLD)
        await replicas.add(OLD)
        await replicas.replace(OLD, NEW, while_gateways_have=[OLD])
        assert await replicas.answers(OLD, NEW) == {200}, "gateways are replaced one after the other too"
        await replicas.replace(NEW, while_gateways_have=[NEW])
        assert await replicas.answers(OLD) == {401}, "the old key is worth nothing any more"
