"""Liveness, readiness, and what a process lacks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec
from litestar import Response, get
from litestar.types import ControllerRouterHandler
from prometheus_client.metrics_core import Metric

from shared import metrics

Probe = Callable[[], Awaitable[bool]]


class Told(msgspec.Struct, frozen=True):
    """What `/health` answers, at every process alike."""

    process: str
    is_ready: bool
    checks: dict[str, bool]
    """Whether what it needs is there, by name."""

    @property
    def is_well(self) -> bool:
        return self.is_ready and all(self.checks.values())


class Health:
    """How a process is: `probes` ask whether what it needs is there.

    It is ready when it can serve something. What is away for a while makes it unwell, never unready: the broker, other
    services and the database are the same for all replicas, and a balancer would take all of them away at once. Only
    `first`, if it is named, has to have been there once since the start: a replica with wrong settings takes no place.
    """

    def __init__(self, process: str, probes: Mapping[str, Probe], *, first: str | None = None) -> None:
        self._process = process
        self._probes = probes
        self._first = first

    async def is_ready(self) -> bool:
        if self._first is not None and await self._probes[self._first]():
            self._first = None
        return self._first is None

    async def told(self) -> Told:
        answers = await asyncio.gather(self.is_ready(), *(probe() for probe in self._probes.values()))
        return Told(self._process, answers[0], dict(zip(self._probes, answers[1:], strict=True)))

    async def gauges(self) -> Sequence[Metric]:
        """For `/metrics`."""
        found = [(name, float(is_there)) for name, is_there in (await self.told()).checks.items()]
        return [metrics.gauges("serx_dependency_up", "Whether what the process needs is there.", "dependency", found)]


def probe_routes(health: Health) -> list[ControllerRouterHandler]:
    """`/health/live`: the process runs. `/health/ready`: it can serve something, else 503. Neither tells more."""

    @get("/health/live", include_in_schema=False, opt={"public": True})
    async def live() -> dict[str, str]:
        return {"status": "live"}

    @get("/health/ready", include_in_schema=False, opt={"public": True})
    async def ready() -> Response[dict[str, str]]:
        is_ready = await health.is_ready()
        return Response({"status": "ready" if is_ready else "not ready"}, status_code=200 if is_ready else 503)

    return [live, ready]


def health_route(health: Health) -> ControllerRouterHandler:
    """`GET /health`, for where no stranger asks: 200 if nothing is away, else 503."""

    @get("/health", include_in_schema=False, opt={"public": True})
    async def read_health() -> Response[Told]:
        told = await health.told()
        return Response(told, status_code=200 if told.is_well else 503)

    return read_health
