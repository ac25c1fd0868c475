"""What can go wrong between us and PostgreSQL, in the terms that callers act on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import MappingProxyType
from typing import Final

import asyncpg


class DatabaseAway(Exception):
    """The database cannot be reached, is starting, stopping or read-only, or no connection came free; try later."""


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
_AWAY: Final = "away"
_BUSY: Final = "busy"
_OTHER: Final = "other"
"""A rule was broken, or a statement is wrong: it fails the next time as well."""
_KINDS: Final = MappingProxyType(
    {
        "08": _AWAY,  # connection exceptions
        "25006": _AWAY,  # read-only: demoted, or not promoted yet
        "25P03": _AWAY,  # idle in transaction for too long: the server has hung up
        "25P04": _AWAY,  # so it has when a transaction took too long
        "28": _AWAY,  # a login that is refused: passwords are being rotated
        "3D000": _AWAY,  # no such database: it is being restored
        "40": _BUSY,  # serialisation, deadlock
        "40002": _OTHER,  # a deferred constraint
        "40003": _AWAY,  # completion unknown
        "53": _AWAY,  # disk full, out of memory, too many connections
        "55006": _BUSY,  # object in use
        "55P03": _BUSY,  # a lock that did not come in time
        "57": _AWAY,  # shutdown, crash, starting, database dropped
        "57014": _BUSY,  # cancelled, by a time limit or an operator
        "58": _AWAY,  # input and output errors
        "72000": _BUSY,  # snapshot too old
        "F0": _AWAY,  # configuration file
        "XX000": _BUSY,  # internal, such as "tuple concurrently updated"
        "XX": _AWAY,  # corrupted data or index: an operator mends it; no process ends of it
    }
)
"""What a SQLSTATE means to callers, by its longest beginning that is here; all else is `_OTHER`."""
_LOST = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError)


@contextmanager
def translated() -> Iterator[None]:
    """Raise our errors in place of the driver's; a programming error in SQL passes as it is."""
    try:
        yield
    except asyncpg.UniqueViolationError as error:
        raise UniqueViolated(error.constraint_name or "") from error
    except asyncpg.InvalidCachedStatementError as error:  # a migration has changed what it reads
        raise DatabaseBusy(type(error).__name__) from error
    except asyncpg.PostgresError as error:
        if (kind := kind_of(error.sqlstate or "")) == _OTHER:
            raise
        raise (DatabaseAway if kind == _AWAY else DatabaseBusy)(type(error).__name__) from error
    except _LOST as error:
        raise DatabaseAway(type(error).__name__) from error


def kind_of(sqlstate: str) -> str:
    """What it means to callers: `away` (passes by itself, or is mended), `busy` (lost a race), or `other`."""
    return next((_KINDS[begin] for length in (5, 2) if (begin := sqlstate[:length]) in _KINDS), _OTHER)
