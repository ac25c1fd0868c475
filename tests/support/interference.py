"""What goes wrong around a service, at the test's word; and how to see that somebody waits."""

from __future__ import annotations

from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg
import nats

from tests.support.databases import Databases
from tests.support.servers import Broker


@asynccontextmanager
async def away(databases: Databases, dsn: str):
    """The database lets nobody in until the block is left."""
    name = _name(dsn)
    admin = await asyncpg.connect(databases.admin_dsn)
    try:
        await admin.execute(f"alter database {name} connection limit 0")
        await admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", name)
        yield
    finally:
        await admin.execute(f"alter database {name} connection limit -1")
        await admin.close()


async def is_waiting_for_a_lock(databases: Databases, dsn: str) -> bool:
    """Whether some statement on the database waits for a lock that another one holds."""
    admin = await asyncpg.connect(databases.admin_dsn)
    try:
        return await admin.fetchval(
            "select count(*) > 0 from pg_stat_activity where datname = $1 and wait_event_type = 'Lock'", _name(dsn)
        )
    finally:
        await admin.close()


async def has_delivered_again(broker: Broker, stream: str, consumer: str) -> bool:
    """Whether the consumer holds a message that it was given more than once."""
    connection = await nats.connect(broker.operator)
    try:
        info = await connection.jetstream().consumer_info(stream, consumer)
        return bool(info.num_redelivered)
    finally:
        await connection.close()


def _name(dsn: str) -> str:
    return urlsplit(dsn).path.removeprefix("/")
