"""Liveness and readiness, on every process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from litestar import Response, get
from litestar.types import ControllerRouterHandler

Probe = Callable[[], Awaitable[bool]]


def health_routes(probes: Mapping[str, Probe]) -> list[ControllerRouterHandler]:
    """`/health/live` says that the process runs; `/health/ready` asks each probe and is 503 unless all say yes."""

    @get("/health/live", include_in_schema=False, opt={"public": True})
    async def live() -> dict[str, str]:
        return {"status": "live"}

    @get("/health/ready", include_in_schema=False, opt={"public": True})
    async def ready() -> Response[dict[str, object]]:
        checks = {name: await probe() for name, probe in probes.items()}
        is_ready = all(checks.values())
        body: dict[str, object] = {"status": "ready" if is_ready else "not ready", "checks": checks}
        return Response(body, status_code=200 if is_ready else 503)

    return [live, ready]
