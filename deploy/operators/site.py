"""Which installation a command works on: a data folder of `serx up`, or the databases that the environment names."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import asyncpg
import nats.errors
import nats.js.errors
from nats.js import JetStreamContext

from deploy.environment import setting
from deploy.failure import Failure
from deploy.local import credentials, existing
from deploy.local.environment import Addresses
from deploy.local.folder import DataFolder
from shared.database import Database, DatabaseAway, DatabaseBusy
from shared.errors import DomainError
from shared.messaging.connection import connected
from shared.messaging.topology import SERVICES

DEFAULT_FOLDER = Path(".serx")
_BROKER = "SERX_NATS_URL"
_CONNECT_SECONDS = 5


class Site:
    """One installation: how to log in to each service's database, as that service, and to its broker as operator."""

    def __init__(self, dsns: Mapping[str, str], broker: str | None, hint: str) -> None:
        self._dsns = dsns
        self._broker = broker
        self._hint = hint

    @property
    def broker(self) -> str | None:
        """Its URL, as a user who may do everything; None when that is not known."""
        return self._broker

    @property
    def hint(self) -> str:
        """What to look at when it cannot be reached."""
        return self._hint

    def dsns(self) -> dict[str, str]:
        """Of every service, as that service. Raises Failure when one is not known."""
        missing = [variable(service) for service in SERVICES if service not in self._dsns]
        if missing:
            raise Failure(f"Every service's database is needed: set {', '.join(missing)}.")
        return dict(self._dsns)

    @asynccontextmanager
    async def database(self, service: str) -> AsyncIterator[Database]:
        """The database of a service. Raises Failure when it cannot be used, and for what a rule refuses."""
        if service not in self._dsns:
            raise Failure(f"Where the database of {service} is, is not known: set {variable(service)}.")
        database = Database(self._dsns[service], pool_size=1, wait_seconds=_CONNECT_SECONDS, name="serx operator")
        await database.open()
        try:
            yield database
        except DomainError as refusal:
            raise Failure(refusal.detail) from refusal
        except DatabaseAway as error:
            if isinstance(error.__cause__, asyncpg.InvalidAuthorizationSpecificationError):
                raise Failure(f"The database of {service} does not let us in: {error.__cause__}.") from error
            raise Failure(f"The database of {service} cannot be reached ({error}). {self._hint}") from error
        except DatabaseBusy as error:
            raise Failure(f"The database of {service} is busy ({error}); nothing was changed, try again.") from error
        except asyncpg.UndefinedTableError as error:
            raise Failure(f"The database of {service} lacks something: {error}. Run `serx migrate` first.") from error
        finally:
            await database.close()

    @asynccontextmanager
    async def stream(self) -> AsyncIterator[JetStreamContext]:
        """JetStream, as a user who may publish everything. Raises Failure when the broker does not keep it."""
        if self._broker is None:
            raise Failure(f"Where the broker is, is not known: set {_BROKER}, with a user who may publish everything.")
        async with AsyncExitStack() as stack:
            connecting = connected(self._broker, name="serx operator", connect_timeout=_CONNECT_SECONDS)
            try:
                connection = await stack.enter_async_context(connecting)
            except (nats.errors.Error, OSError, TimeoutError) as error:
                cause = str(error) or type(error).__name__
                raise Failure(f"The broker cannot be reached ({cause}). {self._hint}") from error
            try:
                yield connection.jetstream(timeout=_CONNECT_SECONDS)
            except (nats.errors.Error, nats.js.errors.Error, TimeoutError) as error:
                raise Failure(f"The broker did not take the message ({error!r}); nothing was changed.") from error


def variable(service: str) -> str:
    """The variable that says where a service's database is: `SERX_ORDERS_DATABASE_DSN`."""
    return f"SERX_{service.upper()}_DATABASE_DSN"


def found(data_dir: Path | None, environ: Mapping[str, str]) -> Site:
    """The data folder that was named, else what the environment or its secrets name, else `.serx`.

    Raises Failure for none.
    """
    if data_dir is None and (named := _named(environ)):
        return Site(named, setting(_BROKER, environ=environ), "The environment says where it is.")
    folder = DataFolder((data_dir or DEFAULT_FOLDER).absolute())
    if data_dir is not None or existing.is_there(folder.marker):
        return _of_folder(existing.made(folder.root))
    raise Failure(
        f"There is no installation here: no data folder {folder.root}, and no database in the environment.",
        [
            "Name the folder of a running `serx up` with --data-dir,",
            f"or set {variable('proposals')} and the like, as the services' own roles, and {_BROKER}.",
        ],
    )


def _named(environ: Mapping[str, str]) -> dict[str, str]:
    return {service: dsn for service in SERVICES if (dsn := setting(variable(service), environ=environ))}


def _of_folder(folder: DataFolder) -> Site:
    if not existing.is_there(folder.secrets):
        raise Failure(f"The data folder {folder.root} is not complete yet: there is no {folder.secrets.name}.")
    secrets = credentials.found(folder)
    known = existing.ports_of(folder, "postgres", "nats")
    addresses = Addresses(folder, known, secrets)
    dsns = {service: addresses.database(service) for service in SERVICES}
    return Site(dsns, addresses.nats_operator, f"Is `serx up` running on {folder.root}?")
