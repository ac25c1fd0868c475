"""The engagement service: settings → pool → bus → routes → consumers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar

from services.engagements.http.engagements import EngagementController
from services.engagements.http.projects import ProjectController
from services.engagements.messages import FILTERS, HANDLERS, answers
from services.engagements.settings import EngagementSettings
from shared.database import Database
from shared.messaging.bus import Bus
from shared.messaging.messenger import Messenger
from shared.web.app import run_process, service_app

NAME = "engagements"


def create_app(config: EngagementSettings) -> Litestar:
    """The service, not yet started."""
    database = Database.configured(config, name=NAME)
    bus = Bus(process=NAME, url=config.nats_url)
    messenger = _messenger(config, database, bus)

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        await database.open()
        async with messenger.running():
            yield
        await database.close()

    return service_app(
        NAME,
        config,
        routes=[EngagementController, ProjectController],
        state={"database": database},
        dependencies={"database": database, "bus": bus},
        probes={"database": database.is_there, **messenger.probes},
        gauges=[database.gauges, messenger.gauges],
        lifespan=[lifespan],
    )


def _messenger(config: EngagementSettings, database: Database, bus: Bus) -> Messenger:
    return Messenger(
        NAME,
        database,
        bus,
        filters=FILTERS,
        handlers=HANDLERS,
        answers=answers(database),
        at_once=config.concurrent_messages,
        monitor_url=config.nats_monitor_url,
    )


def run() -> None:
    """Run the service as the environment configures it, until SIGTERM."""
    run_process(NAME, EngagementSettings, create_app)
