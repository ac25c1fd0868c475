"""What can go wrong between us and PostgreSQL, in the terms that callers act on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg


class DatabaseAway(Exception):
    """The database cannot be reached, is starting or stopping, or no connection came free in time; try later."""


class DatabaseBusy(Exception):
    """The statement lost a race (serialisation, deadlock, lock or statement timeout); the same call may pass later."""


class CommitUnknown(DatabaseAway):
    """The connection broke while COMMIT was under way: the transaction is committed or it is not; look."""


class UniqueViolated(Exception):
    """A unique key is taken; `constraint` names it."""

    def __init__(self, constraint: str) -> None:
        super().__init__(constraint)
        self.constraint = constraint


LINK_ERRORS = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # "cannot switch to state …": the server went away while asyncpg was busy with it
)
"""What a connection of one's own raises, to a database that goes away or is being started."""
_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InsufficientResourcesError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
_BUSY = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
)


@contextmanager
def translated() -> Iterator[None]:
    """Raise our errors in place of the driver's; a programming error in SQL passes as it is."""
    try:
        yield
    except asyncpg.UniqueViolationError as error:
        raise UniqueViolated(error.constraint_name or "") from error
    except _BUSY as error:
        raise DatabaseBusy(type(error).__name__) from error
    except _AWAY as error:
        raise DatabaseAway(type(error).__name__) from error
