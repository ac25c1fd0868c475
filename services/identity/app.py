"""The identity service: settings → pool → bus → routes → consumers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar

from services.identity.announcing import Announcements
from services.identity.closing import Closer
from services.identity.domain.passwords import Passwords
from services.identity.forgetting import forget_for_ever
from services.identity.http.auth import AuthController
from services.identity.http.clients import ClientController
from services.identity.http.credentials import CredentialController
from services.identity.http.tokens import TokenController
from services.identity.http.users import UserController
from services.identity.messages import FILTERS, HANDLERS, answers
from services.identity.model.errors import CredentialRejected, TooManyFailures, WrongPair
from services.identity.settings import IdentitySettings
from services.identity.token_use import TokenUse
from shared.database import Database
from shared.messaging.bus import Bus
from shared.messaging.messenger import Messenger
from shared.web.app import run_process, service_app
from shared.web.problems import RATE_LIMITED, UNAUTHENTICATED, Kind

NAME = "identity"
PROBLEMS: dict[type[Exception], Kind] = {
    WrongPair: UNAUTHENTICATED,
    CredentialRejected: UNAUTHENTICATED,
    TooManyFailures: RATE_LIMITED,
}


def create_app(config: IdentitySettings) -> Litestar:
    """The service, not yet started."""
    database = Database.configured(config, name=NAME)
    bus = Bus(process=NAME, url=config.nats_url)
    messenger = _messenger(config, database, bus)
    passwords = Passwords(at_once=config.password_checks_at_once)
    token_use = TokenUse(database)
    closer = Closer(database, bus)
    announcements = Announcements(database, bus)
    messenger.outbox.on_published = announcements.published
    given = {"database": database, "config": config, "passwords": passwords, "token_use": token_use, "closer": closer}
    given["announcements"] = announcements

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        await database.open()
        async with messenger.running(token_use.run(), forget_for_ever(database), closer.sweep()):
            yield
        await database.close()

    return service_app(
        NAME,
        config,
        routes=[AuthController, ClientController, UserController, TokenController, CredentialController],
        state={"database": database, "config": config, "internal_keys": config.internal_keys},
        dependencies=given,
        probes={"database": database.is_there, **messenger.probes},
        gauges=[database.gauges, messenger.gauges],
        problem_kinds=PROBLEMS,
        lifespan=[lifespan],
        after_request=announcements.announced,
    )


def _messenger(config: IdentitySettings, database: Database, bus: Bus) -> Messenger:
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
    run_process(NAME, IdentitySettings, create_app)
