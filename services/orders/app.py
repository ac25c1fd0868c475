"""The order service: settings → pool → bus → routes → consumers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar

from services.orders.http.orders import OrderController
from services.orders.http.tasks import TaskController, TasksOfOrderController
from services.orders.messages import FILTERS, HANDLERS, answers
from services.orders.settings import OrderSettings
from shared.database import Database
from shared.messaging.bus import Bus
from shared.messaging.messenger import Messenger
from shared.web.app import run_process, service_app

NAME = "orders"


def create_app(config: OrderSettings) -> Litestar:
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
        routes=[OrderController, TasksOfOrderController, TaskController],
        state={"database": database},
        dependencies={"database": database, "bus": bus},
        probes={"database": database.is_there, **messenger.probes},
        gauges=[database.gauges, messenger.gauges],
        lifespan=[lifespan],
    )


def _messenger(config: OrderSettings, database: Database, bus: Bus) -> Messenger:
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
    run_process(NAME, OrderSettings, create_app)
