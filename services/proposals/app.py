"""The proposal service: settings → pool → bus → sign flow → routes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar

from services.proposals.http.proposals import ProposalController
from services.proposals.http.signing import SignController
from services.proposals.messages import FILTERS, HANDLERS
from services.proposals.model import Plan
from services.proposals.settings import ProposalSettings
from services.proposals.sign_desk import SignDesk, SignJournal
from services.proposals.sign_flow import SIGN_FLOW
from shared.database import Database
from shared.messaging.bus import Bus
from shared.messaging.messenger import Messenger
from shared.messaging.orchestrator import Orchestrator
from shared.web.app import Lifespan, run_process, service_app

NAME = "proposals"


def create_app(config: ProposalSettings) -> Litestar:
    """The service, not yet started."""
    database = Database.configured(config, name=NAME)
    bus = Bus(process=NAME, url=config.nats_url)
    messenger = Messenger(
        NAME,
        database,
        bus,
        filters=FILTERS,
        handlers=HANDLERS,
        answers={},
        at_once=config.concurrent_messages,
        monitor_url=config.nats_monitor_url,
    )
    orchestrator = Orchestrator(NAME, config.replica, SIGN_FLOW, SignJournal(database), bus)
    desk = SignDesk(database, orchestrator)
    return service_app(
        NAME,
        config,
        routes=[ProposalController, SignController],
        state={"database": database},
        dependencies={"database": database, "desk": desk},
        probes={"database": database.is_there, "broker": messenger.is_there},
        problem_kinds={},
        lifespan=[_life(database, messenger, orchestrator)],
    )


def _life(database: Database, messenger: Messenger, orchestrator: Orchestrator[Plan]) -> Lifespan:
    @asynccontextmanager
    async def life(_: Litestar) -> AsyncIterator[None]:
        await database.open()
        await orchestrator.listen()
        async with messenger.running(orchestrator.sweep()):
            yield
            await orchestrator.drain()
        await database.close()

    return life


def run() -> None:
    """Run the service as the environment configures it, until SIGTERM."""
    run_process(NAME, ProposalSettings, create_app)
