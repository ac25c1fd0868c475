"""`make bench`: what a signature and a read cost through the gateway, everything on, on a stack of its own.

Each figure is the median over repeats. The load comes from this process over keep-alive connections; its own cost is in
the figures.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import aiohttp
from rich.console import Console
from rich.table import Table

from tests.support.builders import proposal_body
from tests.support.installation import Installation, installed

REPEATS = 5
WARM_UP = 50
CALLS = 200
CONCURRENCY = 16

Call = Callable[[], Awaitable[None]]


class Figures(NamedTuple):
    """One repeat: seconds at the median and at the 99th percentile one at a time, calls a second with many at once."""

    p50: float
    p99: float
    throughput: float


class Api:
    """The gateway, as the demo's administrator."""

    def __init__(self, session: aiohttp.ClientSession, installation: Installation) -> None:
        self._session = session
        self._url = installation.ready["gateway_url"]
        self._headers = {"authorization": f"Bearer {installation.ready['demo']['admin_token']}"}

    async def call(self, method: str, path: str, **options: object) -> dict:
        async with self._session.request(method, self._url + path, headers=self._headers, **options) as answer:  # pyright: ignore[reportArgumentType]
            assert answer.status < 300, await answer.text()
            return await answer.json()

    async def sent_proposal(self) -> str:
        proposal = (await self.call("POST", "/api/proposals", json=proposal_body()))["id"]
        await self.call("POST", f"/api/proposals/{proposal}/send")
        return proposal

    async def sign(self, proposal: str) -> dict:
        return await self.call("POST", f"/api/proposals/{proposal}/sign")


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with installed(Path(folder)) as installation, aiohttp.ClientSession() as session:
            api = Api(session, installation)
            project = (await api.sign(await api.sent_proposal()))["projects"][0]["id"]
            show(
                {
                    "sign, known client, 2 items": [await signatures(api) for _ in range(REPEATS)],
                    "retrieve a project": [await reads(api, f"/api/projects/{project}") for _ in range(REPEATS)],
                    "list 20 projects": [await reads(api, "/api/projects?limit=20") for _ in range(REPEATS)],
                }
            )


async def signatures(api: Api) -> Figures:
    proposals = iter([await api.sent_proposal() for _ in range(WARM_UP + 2 * CALLS)])

    async def sign() -> None:
        await api.sign(next(proposals))

    return await measure(sign)


async def reads(api: Api, path: str) -> Figures:
    async def read() -> None:
        await api.call("GET", path)

    return await measure(read)


async def measure(call: Call) -> Figures:
    """One repeat: WARM_UP calls unmeasured, CALLS one after the other, CALLS with CONCURRENCY at once."""
    for _ in range(WARM_UP):
        await call()
    times = []
    for _ in range(CALLS):
        began = time.perf_counter()
        await call()
        times.append(time.perf_counter() - began)
    left = iter(range(CALLS))

    async def work() -> None:
        for _ in left:
            await call()

    began = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(CONCURRENCY)))
    took = time.perf_counter() - began
    quantiles = statistics.quantiles(times, n=100)
    return Figures(statistics.median(times), quantiles[98], CALLS / took)


def show(results: dict[str, list[Figures]]) -> None:
    """Medians over repeats, with the spread of the medians."""
    table = Table("", "p50 ms", "p50 min-max", "p99 ms", f"per second at {CONCURRENCY}", box=None, pad_edge=False)
    for what, repeats in results.items():
        halves = [figures.p50 * 1000 for figures in repeats]
        table.add_row(
            what,
            f"{statistics.median(halves):.2f}",
            f"{min(halves):.2f}-{max(halves):.2f}",
            f"{statistics.median(figures.p99 for figures in repeats) * 1000:.2f}",
            f"{statistics.median(figures.throughput for figures in repeats):.0f}",
        )
    Console().print(table)


if __name__ == "__main__":
    asyncio.run(main())
