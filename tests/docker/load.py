"""Proposals written, sent and signed without a pause; and what became of them.

A call that fails is repeated once, when its answer says so (`Retry-After`).
"""

from __future__ import annotations

import asyncio
import itertools
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from shared.ids import new_id
from tests.support.builders import proposal_body
from tests.support.servers import until

SIGNERS = 4
READY_SECONDS = 90


@dataclass
class Load:
    """`signed` are the ids of proposals whose signature was answered with 200."""

    gateways: list[str]
    token: str
    signed: list[str] = field(default_factory=list)
    repeated: int = 0
    failed: list[str] = field(default_factory=list)
    _turn: Any = field(default_factory=itertools.count)

    async def sign_one(self, http: httpx.AsyncClient) -> None:
        try:
            written = await self._call(http, "/api/proposals", 201, json=proposal_body())
            proposal = written["id"]
            await self._call(http, f"/api/proposals/{proposal}/send", 200)
            await self._call(http, f"/api/proposals/{proposal}/sign", 200)
            self.signed.append(proposal)
        except RuntimeError as error:
            self.failed.append(str(error))

    async def _call(self, http: httpx.AsyncClient, path: str, status: int, **options: Any) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {self.token}", "idempotency-key": str(new_id())}
        told = ""
        for attempt in range(2):
            try:
                answer = await http.post(await self._gateway(http) + path, headers=headers, **options)
                if answer.status_code == status:
                    return answer.json()
                if "still running" in answer.text:  # the first call got through, and was cut off before its answer
                    return await self._settled(http, path)
                told = f"{path}: {answer.status_code} {answer.text[:200]}"
                if attempt == 0:
                    await asyncio.sleep(float(answer.headers.get("retry-after", "0")))
            except httpx.TransportError as error:
                told = f"{path}: {error!r}"
            if attempt == 0:
                self.repeated += 1
        raise RuntimeError(told)

    async def _settled(self, http: httpx.AsyncClient, path: str) -> dict[str, Any]:
        """The report of a flow that goes on by itself, once it is through."""

        async def completed() -> dict[str, Any] | None:
            headers = {"authorization": f"Bearer {self.token}"}
            report = (await http.get(await self._gateway(http) + path, headers=headers)).json()
            return report if report.get("status") == "completed" else None

        return await until(completed, within_seconds=READY_SECONDS)

    async def _gateway(self, http: httpx.AsyncClient) -> str:
        """The next gateway that says it is ready, as a load balancer would choose it."""

        async def ready() -> str | None:
            url = self.gateways[next(self._turn) % len(self.gateways)]
            try:
                return url if (await http.get(f"{url}/health/ready")).status_code == 200 else None
            except httpx.TransportError:
                return None

        return await until(ready, within_seconds=READY_SECONDS)


@asynccontextmanager
async def under_load(load: Load):
    """Sign until the block is left; what has been begun by then is finished."""
    is_over = asyncio.Event()

    async def sign(http: httpx.AsyncClient) -> None:
        while not is_over.is_set():
            await load.sign_one(http)

    async with httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_keepalive_connections=0)) as http:
        tasks = [asyncio.create_task(sign(http)) for _ in range(SIGNERS)]
        try:
            yield
        finally:
            is_over.set()
            await asyncio.gather(*tasks)
