"""The proposal service: settings → pool → bus → sign flow → routes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar

from services.proposals.http.proposals import ProposalController
from services.proposals.http.services import ServiceController
from services.proposals.http.signing import SignController
from services.proposals.messages import FILTERS, HANDLERS, answers
from services.proposals.settings import ProposalSettings
from services.proposals.sign_desk import SignDesk, SignJournal
from services.proposals.sign_flow import SIGN_FLOW
from shared.database import Database
from shared.messaging.bus import Bus
from shared.messaging.messenger import Messenger
from shared.messaging.orchestrator import Orchestrator
from shared.web.app import run_process, service_app

NAME = "proposals"


def create_app(config: ProposalSettings) -> Litestar:
    """The service, not yet started."""
    database = Database.configured(config, name=NAME)
    bus = Bus(process=NAME, url=config.nats_url)
    messenger = _messenger(config, database, bus)
    journal = SignJournal(database)
    orchestrator = Orchestrator(NAME, config.replica, SIGN_FLOW, journal, bus)
    desk = SignDesk(database, orchestrator)

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        await database.open()
        await orchestrator.listen()
        async with messenger.running(orchestrator.sweep()):
            yield
            await orchestrator.drain()
        await database.close()

    return service_app(
        NAME,
        config,
        routes=[ServiceController, ProposalController, SignController],
        state={"database": database, "desk": desk},
        dependencies={"database": database, "bus": bus, "desk": desk},
        probes={"database": database.is_there, **messenger.probes},
        gauges=[database.gauges, messenger.gauges, orchestrator.gauges, journal.gauges],
        lifespan=[lifespan],
    )


def _messenger(config: ProposalSettings, database: Database, bus: Bus) -> Messenger:
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
    run_process(NAME, ProposalSettings, create_app)
