"""Those who write and read at both gateways while faults go on, and remember every promise that they were given."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any
from uuid import uuid4

import aiohttp
import msgspec

from deploy.proof.cluster.promises import SENT, Written
from deploy.proof.signers import Agency

AGAIN_SECONDS = 0.1
READ_SECONDS = 0.1
_TIMEOUT = aiohttp.ClientTimeout(total=60, sock_connect=2)
_READ_TIMEOUT = aiohttp.ClientTimeout(total=2, sock_connect=1)


class Writers:
    """Write a proposal and send it, again and again, each call repeated under its key until it is answered."""

    def __init__(self, gateways: Sequence[str], agencies: Sequence[Agency]) -> None:
        self._gateways = tuple(gateways)
        self._agencies = tuple(agencies)
        self._is_over = False
        self.written: dict[str, Written] = {}
        self.calls = 0
        self.refusals: dict[int, int] = {}
        """Answers other than success, by status; 0: none came."""
        self.faults: list[str] = []
        """Answers that nobody may get: any but success and 503."""

    async def work(self, seed: str) -> None:
        """Two at each gateway, until `end`."""
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session, asyncio.TaskGroup() as tasks:
            for number, gateway in enumerate(self._gateways * 2):
                tasks.create_task(self._write(session, gateway, random.Random(f"{seed}.writer.{number}")))  # noqa: S311

    def end(self) -> None:
        self._is_over = True

    async def _write(self, session: aiohttp.ClientSession, gateway: str, chance: random.Random) -> None:
        while not self._is_over:
            agency = chance.choice(self._agencies)
            body = {
                "client_email": chance.choice(agency.clients),
                "client_name_f": "Writer",
                "client_name_l": "-",
                "items": [{"name": "Item", "description": "-", "price": f"{chance.randrange(1, 10**6) / 100:.2f}"}],
            }
            answer = await self._insist(session, gateway, agency, "/api/proposals", body)
            if answer is None:
                return
            proposal: str = answer["id"]
            self.written[proposal] = Written(gateway)
            if await self._insist(session, gateway, agency, f"/api/proposals/{proposal}/send", None) is not None:
                self.written[proposal].status = SENT
            await asyncio.sleep(chance.random() * 0.2)

    async def _insist(
        self, session: aiohttp.ClientSession, gateway: str, agency: Agency, path: str, body: Any
    ) -> dict[str, Any] | None:
        """Ask until there is a success, under one key; None when all is over first."""
        headers = {"Authorization": f"Bearer {agency.token}", "Idempotency-Key": str(uuid4())}
        while not self._is_over:
            self.calls += 1
            status, content = 0, b""
            with suppress(aiohttp.ClientError, OSError, TimeoutError):
                async with session.post(gateway + path, json=body, headers=headers) as response:
                    status, content = response.status, await response.read()
            if status in (200, 201):
                return msgspec.json.decode(content)
            self.refusals[status] = self.refusals.get(status, 0) + 1
            if status not in (0, 503) and not (status == 409 and b"still running" in content):
                self.faults.append(f"POST {path} at {gateway}: {status} {content[:200].decode(errors='replace')}")
            await asyncio.sleep(AGAIN_SECONDS)
        return None


class Readers:
    """One at each gateway reads a list, ten times a second; what matters is how long nobody got any."""

    def __init__(self, gateways: Sequence[str], agencies: Sequence[Agency]) -> None:
        self._gateways = tuple(gateways)
        self._agency = agencies[0]
        self._is_over = False
        self.answered: list[float] = []
        """When a read was answered with 200, in monotonic seconds."""

    async def work(self) -> None:
        """Read until `end`."""
        async with aiohttp.ClientSession(timeout=_READ_TIMEOUT) as session, asyncio.TaskGroup() as tasks:
            for gateway in self._gateways:
                tasks.create_task(self._read(session, gateway))

    def end(self) -> None:
        self._is_over = True

    async def _read(self, session: aiohttp.ClientSession, gateway: str) -> None:
        headers: Mapping[str, str] = {"Authorization": f"Bearer {self._agency.token}"}
        while not self._is_over:
            with suppress(aiohttp.ClientError, OSError, TimeoutError):
                async with session.get(f"{gateway}/api/orders?limit=1", headers=headers) as response:
                    await response.read()
                    if response.status == 200:
                        self.answered.append(time.monotonic())
            await asyncio.sleep(READ_SECONDS)


def longest_gap(times: Sequence[float], since: float, until: float) -> float:
    """The longest time in seconds between two of `times`, of those between `since` and `until`, these included."""
    inside = [since, *sorted(each for each in times if since < each < until), until]
    return max(later - earlier for earlier, later in pairwise(inside))
