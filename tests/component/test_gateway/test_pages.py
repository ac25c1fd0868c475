"""What the gateway answers by itself."""

from __future__ import annotations

import asyncio

import httpx

from gateway.routes import OWN_PATHS, Service
from tests.component.test_gateway.neighbours import World, reply

DOCUMENT = "/schema/openapi.json"


def _anyone(here: World) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=here.url, trust_env=False)


def _document(path: str) -> dict[str, object]:
    return {"openapi": "3.1.0", "paths": {path: {"get": {"operationId": path, "responses": {}}}}, "components": {}}


async def test_the_index_says_where_everything_is(here: World) -> None:
    async with _anyone(here) as caller:
        body = (await caller.get("/api")).json()
        assert (await caller.get("/")).json() == body
    assert body["name"] == "Service-Engine-X"
    assert body["version"]
    assert body["endpoints"]["health"] == "/api/health"
    assert body["endpoints"]["clients"] == "/api/clients"


async def test_health_is_cheap_and_public(here: World) -> None:
    async with _anyone(here) as caller:
        body = (await caller.get("/api/health")).json()
        assert (await caller.get("/health/live")).json() == {"status": "live"}
        head = await caller.head("/api/health")
    assert body["status"] == "healthy"
    assert body["timestamp"].endswith("Z")
    assert (head.status_code, head.content) == (200, b"")


async def test_a_gateway_is_ready_whatever_is_away_and_tells_its_operator_what_is(here: World) -> None:
    everything = {"broker": True} | {str(service): True for service in Service}
    assert await here.health() == {"process": "gateway", "is_ready": True, "checks": everything}
    await asyncio.gather(here.orders.stop(), here.identity.stop())
    async with _anyone(here) as caller:
        answer = await caller.get("/health/ready")
        assert (answer.status_code, answer.json()) == (200, {"status": "ready"})
        told = await caller.get(f"{here.metrics_url}/health")
        metrics = (await caller.get(f"{here.metrics_url}/metrics")).text
    away = {"orders": False, "identity": False}
    assert (told.status_code, told.json()["checks"]) == (503, everything | away)
    gauges = [line for line in metrics.splitlines() if line.startswith("serx_dependency_up{")]
    assert sorted(line.partition('"')[2].partition('"')[0] for line in gauges if line.endswith(" 0.0")) == sorted(away)
    assert len(gauges) == len(everything)


async def test_callers_are_not_told_what_the_gateway_lacks(here: World) -> None:
    assert (await here.caller.get("/health")).status_code == 404
    async with _anyone(here) as caller:
        assert (await caller.get("/health")).status_code == 401


async def test_an_unknown_health_page_is_404(here: World) -> None:
    async with _anyone(here) as caller:
        answer = await caller.get("/health/nothing")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_half_an_api_is_never_shown_nor_kept(apart: World) -> None:
    for name, path in {"orders": "/api/orders", "identity": "/api/users", "proposals": "/api/proposals"}.items():
        apart.services[name].answers[DOCUMENT] = reply(200, _document(path))
    apart.engagements.answers[DOCUMENT] = apart.conversations.answers[DOCUMENT] = reply(200, _document("/internal/x"))
    await apart.orders.stop()
    async with _anyone(apart) as caller:
        answer = await caller.get("/api/openapi.json")
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        await apart.orders.start()
        answer = await caller.get("/api/openapi.json")
        assert answer.headers["content-type"].startswith("application/json")
        paths = answer.json()["paths"]
        assert set(paths) == OWN_PATHS | {"/api/orders", "/api/users", "/api/proposals"}
        await apart.orders.stop()
        assert (await caller.get("/api/openapi.json")).json()["paths"] == paths, "what was whole once is kept"


async def test_the_docs_page_runs_nothing_but_itself(here: World) -> None:
    async with _anyone(here) as caller:
        answer = await caller.get("/api/docs")
    assert answer.headers["content-type"].startswith("text/html")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert policy.count("'sha256-") == 2
    assert "http://" not in answer.text
    assert "https://" not in answer.text
    assert "style=" not in answer.text
