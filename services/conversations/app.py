"""The conversation service: settings → pool → bus → routes → consumers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar

from services.conversations.http.aliases import AliasController
from services.conversations.http.conversations import ConversationController, ProjectConversationController
from services.conversations.http.inbox import InboxController
from services.conversations.http.summaries import SummaryController
from services.conversations.messages import FILTERS, HANDLERS
from services.conversations.settings import ConversationSettings
from shared.database import Database
from shared.messaging.bus import Bus
from shared.messaging.messenger import Messenger
from shared.web.app import run_process, service_app

NAME = "conversations"
ROUTES = (ProjectConversationController, ConversationController, InboxController, AliasController, SummaryController)


def create_app(config: ConversationSettings) -> Litestar:
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
        routes=ROUTES,
        state={"database": database, "bus": bus},
        dependencies={"database": database},
        probes={"database": database.is_there, **messenger.probes},
        gauges=[database.gauges, messenger.gauges],
        lifespan=[lifespan],
    )


def _messenger(config: ConversationSettings, database: Database, bus: Bus) -> Messenger:
    return Messenger(
        NAME,
        database,
        bus,
        filters=FILTERS,
        handlers=HANDLERS,
        answers={},
        at_once=config.concurrent_messages,
        monitor_url=config.nats_monitor_url,
    )


def run() -> None:
    """Run the service as the environment configures it, until SIGTERM."""
    run_process(NAME, ConversationSettings, create_app)
