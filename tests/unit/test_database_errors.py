"""Each SQLSTATE means one thing to callers: away, busy, or a fault that stays."""

from __future__ import annotations

import asyncpg
import pytest

from shared.database import DatabaseAway, DatabaseBusy
from shared.database.errors import translated

AWAY = (
    asyncpg.ConnectionFailureError,
    asyncpg.ConnectionDoesNotExistError,
    asyncpg.ProtocolViolationError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidPasswordError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.StatementCompletionUnknownError,
    asyncpg.InsufficientResourcesError,
    asyncpg.DiskFullError,
    asyncpg.OutOfMemoryError,
    asyncpg.TooManyConnectionsError,
    asyncpg.ConfigurationLimitExceededError,
    asyncpg.OperatorInterventionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.DatabaseDroppedError,
    asyncpg.IdleSessionTimeoutError,
    asyncpg.PostgresSystemError,
    asyncpg.PostgresIOError,
    asyncpg.ConfigFileError,
    asyncpg.DataCorruptedError,
    asyncpg.IndexCorruptedError,
)
BUSY = (
    asyncpg.TransactionRollbackError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.ObjectInUseError,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    asyncpg.InternalServerError,
    asyncpg.InvalidCachedStatementError,
)
FAULTS = (
    asyncpg.InFailedSQLTransactionError,
    asyncpg.TransactionIntegrityConstraintViolationError,
    asyncpg.ForeignKeyViolationError,
    asyncpg.CheckViolationError,
    asyncpg.DivisionByZeroError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.UndefinedTableError,
    asyncpg.PostgresSyntaxError,
    asyncpg.ProgramLimitExceededError,
    asyncpg.ObjectNotInPrerequisiteStateError,
    asyncpg.CantChangeRuntimeParamError,
    asyncpg.RaiseError,
)


@pytest.mark.parametrize(
    ("error", "wanted"),
    [(each, DatabaseAway) for each in AWAY]
    + [(each, DatabaseBusy) for each in BUSY]
    + [(each, each) for each in FAULTS]
    + [(OSError, DatabaseAway), (TimeoutError, DatabaseAway), (asyncpg.InterfaceError, DatabaseAway)],
    ids=lambda each: each.__name__,
)
def test_an_error_is_translated_by_its_sqlstate(error: type[Exception], wanted: type[Exception]):
    with pytest.raises(wanted) as caught, translated():
        raise error("whatever")
    assert type(caught.value) is wanted
