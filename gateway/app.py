"""Wiring, top to bottom: settings → services → credentials → bus → the gateway's own pages → the door."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

from litestar import Litestar
from litestar.config.compression import CompressionConfig
from litestar.datastructures import State
from litestar.openapi.config import OpenAPIConfig
from prometheus_client.metrics_core import Metric

from gateway.authentication import Identity
from gateway.cors import Cors
from gateway.credentials import Credentials
from gateway.documents import Documents
from gateway.door import Door
from gateway.forwarding import Forwarding
from gateway.headers import networks
from gateway.limiter import Limiter
from gateway.pages import pages
from gateway.refusals import ServiceAway
from gateway.revocations import Hearing, listen
from gateway.routes import Service
from gateway.settings import GatewaySettings
from gateway.upstream import Upstream
from gateway.upstream_metrics import places_seen
from shared import metrics
from shared.loops import started
from shared.messaging.bus import Bus, end
from shared.messaging.failover import Failover
from shared.metrics import version
from shared.web import problems
from shared.web.app import Lifespan, run_process
from shared.web.bounds import Bounds
from shared.web.health import Health, Probe, probe_routes
from shared.web.scrape import exposed
from shared.web.serving import bounds_of

PROBE_SECONDS = 1.0
IDLE_SECONDS = 55.0
"""How long a caller's connection is kept between two requests."""


def create_app(told: GatewaySettings) -> Door:
    """The gateway as an ASGI application."""
    upstreams = {service: Upstream(service, *getattr(told, f"{service}_url")) for service in Service}
    keys = {service: getattr(told, f"{service}_key") for service in Service}
    bus = Bus(process="gateway", url=told.nats_url)
    hearing = Hearing(bus)
    identity = Identity(upstreams[Service.IDENTITY], keys[Service.IDENTITY])
    credentials = Credentials(identity.verify, remember_seconds=told.credential_cache_seconds, is_heard=hearing)
    forwarding = Forwarding(
        upstreams,
        keys,
        identity=identity,
        credentials=credentials,
        public_url=told.public_url,
        trusted_proxies=networks(told.trusted_proxies),
    )
    health = Health("gateway", _probes(upstreams, bus))
    scrape = partial(metrics.rendered, "gateway", told.replica, [_gauges(upstreams, bus), health.gauges])
    running = _life(bus, hearing, credentials, upstreams, exposed(scrape, health, told.host, told.metrics_port))
    own = _own_pages(upstreams, health, running, server=told.public_url or "/")
    return Door(
        own,
        credentials=credentials,
        limiter=Limiter(told.rate_limit),
        forwarding=forwarding,
        cors=Cors(told.cors_origins),
    )


def _life(
    bus: Bus,
    hearing: Hearing,
    credentials: Credentials,
    upstreams: dict[Service, Upstream],
    metered: AbstractAsyncContextManager[None],
) -> Lifespan:
    @asynccontextmanager
    async def life(_: Litestar) -> AsyncIterator[None]:
        await listen(bus, hearing, credentials)
        await bus.open()
        failover = started(Failover("gateway", bus).run())
        async with metered:
            yield
        await end([failover])
        await bus.close()
        for upstream in upstreams.values():
            upstream.close()

    return life


def bounding(told: GatewaySettings) -> Bounds:
    """What callers may hold of the gateway: strangers reach it, so each address has a share."""
    return bounds_of(
        told,
        of_an_address=told.connections_of_an_address,
        trusted=networks(told.trusted_proxies),
        idle_seconds=IDLE_SECONDS,
    )


def run() -> None:
    """Run the gateway as the environment says, until it is told to stop."""
    run_process("gateway", GatewaySettings, create_app, bounding=bounding)


def _own_pages(upstreams: dict[Service, Upstream], health: Health, running: Lifespan, *, server: str) -> Litestar:
    """The gateway's own pages, an application behind the door; it lives as long as the gateway does."""

    def own_document() -> dict[str, Any]:
        return own.openapi_schema.to_schema()

    documents = Documents(upstreams, own_document, version=version(), server=server)
    own = Litestar(
        route_handlers=pages(probe_routes(health), documents.merged),
        exception_handlers={Exception: problems.answer},
        state=State({"problems": {ServiceAway: problems.AWAY}}),
        lifespan=[running],
        compression_config=CompressionConfig(backend="gzip"),
        openapi_config=OpenAPIConfig(title="gateway", version=version(), path="/schema"),
        logging_config=None,
    )
    return own


def _gauges(upstreams: dict[Service, Upstream], bus: Bus) -> metrics.Gauges:
    async def gauges() -> list[Metric]:
        connected = metrics.gauge("serx_broker_connected", "Whether the broker is connected.", float(bus.is_connected))
        return [connected, *places_seen(upstreams)]

    return gauges


def _probes(upstreams: dict[Service, Upstream], bus: Bus) -> dict[str, Probe]:
    async def hears() -> bool:
        return bus.is_connected

    probes: dict[str, Probe] = {"broker": hears}
    return probes | {str(service): partial(_is_live, upstream) for service, upstream in upstreams.items()}


async def _is_live(upstream: Upstream) -> bool:
    try:
        answer = await upstream.exchange("GET", b"/health/live", [], patience_seconds=PROBE_SECONDS)
    except ServiceAway:
        return False
    return answer.status == 200
