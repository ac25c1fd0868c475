"""PostgreSQL: the pool, transactions under one organisation, rows as structs, migrations."""

from shared.database.errors import CommitUnknown, DatabaseAway, DatabaseBusy, UniqueViolated
from shared.database.pool import Database
from shared.database.transaction import Joint, Single, Tx

__all__ = ["CommitUnknown", "Database", "DatabaseAway", "DatabaseBusy", "Joint", "Single", "Tx", "UniqueViolated"]
