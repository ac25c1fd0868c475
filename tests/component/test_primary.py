"""A connection is to a server that takes writes, and that has given its standby all that can be read there."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import contextmanager
from datetime import datetime
from time import monotonic
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from deploy.local.ports import HOST
from deploy.provisioning import login_dsn, owner_role, provision
from shared.database import Database, DatabaseAway
from shared.database.connections import Connections
from shared.database.errors import LINK_ERRORS, translated
from shared.database.migrate import MigrationFailed, migrate
from shared.database.primary import HEAD_START_SECONDS, Primary
from tests.support import actors
from tests.support.builders import proposal_body, sent_proposal
from tests.support.databases import PASSWORD, Databases
from tests.support.own_postgres import OwnPostgres, own_postgres
from tests.support.servers import Broker, until
from tests.support.services import running

WRITE = "insert into written values ($1::text)"
COUNT = "select count(*) from written where what = $1::text"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OwnPostgres]:
    async with own_postgres(tmp_path_factory.mktemp("primary") / "data") as running_server:
        await running_server.ask("create table written (what text)")
        yield running_server


@pytest_asyncio.fixture(loop_scope="session")
async def database(server: OwnPostgres) -> AsyncIterator[Database]:
    async for each in made(server.dsn):
        yield each


async def made(dsn: str, wait_seconds: float = 2.0) -> AsyncIterator[Database]:
    database = Database(dsn, pool_size=4, wait_seconds=wait_seconds, name="primary")
    await database.open()
    try:
        yield database
    finally:
        await database.close()


async def write(database: Database, what: str) -> None:
    async with database.single() as tx:
        await tx.run(WRITE, what)


async def count(database: Database, what: str) -> int:
    async with database.single() as tx:
        return await tx.value(COUNT, what)


async def lost(database: Database, server: OwnPostgres, what: str) -> None:
    """A row that is committed on the server and has not reached the standby; nobody has been told of it."""
    await count(database, what)
    await server.lose_standby()
    writing = asyncio.create_task(write(database, what))
    await until(server.waiting)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    assert await server.ask(COUNT, what) == 0


async def crash(server: OwnPostgres) -> None:
    await server.stop()
    await server.start()


async def crash_of_a_backend(server: OwnPostgres) -> None:
    """The server recovers, and goes on as the same process."""
    started, reset = await server.ask("select pg_postmaster_start_time()"), await reset_at(server)
    connection = await asyncpg.connect(server.dsn)
    server.kill_backend(connection.get_server_pid())
    await until(lambda: has_recovered(server, reset), within_seconds=30)
    assert await server.ask("select pg_postmaster_start_time()") == started


async def reset_at(server: OwnPostgres) -> datetime:
    return await server.ask("select pg_stat_get_bgwriter_stat_reset_time()")


async def has_recovered(server: OwnPostgres, before: datetime) -> bool:
    try:
        return await reset_at(server) != before
    except LINK_ERRORS:
        return False


@pytest.mark.parametrize("recovery", [crash, crash_of_a_backend], ids=lambda way: way.__name__)
async def test_what_recovery_shows_is_read_when_the_standby_has_it(recovery, server: OwnPostgres, database: Database):
    what = recovery.__name__
    try:
        await lost(database, server, what)
        await recovery(server)
        assert await server.ask(COUNT, what) == 1  # it can be seen, and is nowhere else
        for _ in range(2):
            with pytest.raises(DatabaseAway):
                await count(database, what)
        outcomes = await asyncio.gather(*(count(database, what) for _ in range(4)), return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {DatabaseAway}
        assert await server.waiting() == 1  # and not one for each who asked
    finally:
        await server.regain_standby()
    assert await count(database, what) == 1


async def test_reads_go_on_over_new_connections_while_the_standby_is_away(server: OwnPostgres, database: Database):
    await write(database, "before")
    await server.lose_standby()
    try:
        await server.ask("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'primary'")
        await until(lambda: is_read(database, "before"))
        assert await server.waiting() == 0
    finally:
        await server.regain_standby()


async def is_read(database: Database, what: str) -> bool:
    try:
        return await count(database, what) == 1
    except DatabaseAway:  # of a connection that was kept
        return False


async def test_a_role_that_waits_for_nothing_waits_all_the_same(server: OwnPostgres, database: Database):
    await server.ask("alter role postgres set synchronous_commit = off")
    await write(database, "eager")
    await server.lose_standby()
    try:
        writing = asyncio.create_task(write(database, "lazy"))
        await until(server.waiting)
        assert not writing.done()
    finally:
        await server.regain_standby()
        await server.ask("alter role postgres reset synchronous_commit")
    await writing


@contextmanager
def silent():
    """A host that takes connections and says nothing."""
    with socket.create_server((HOST, 0)) as listening:
        yield f"{HOST}:{listening.getsockname()[1]}"


async def test_a_silent_host_is_passed_over_and_tried_last_from_then_on(server: OwnPostgres):
    place = f"{HOST}:{server.port}"
    with silent() as dead:
        primary = Primary(server.dsn.replace(place, f"{dead},{place}"), wait_seconds=10)
        began = monotonic()
        connection = await primary.connect()
        assert HEAD_START_SECONDS <= monotonic() - began < 5
        assert connection.place == (HOST, server.port)
        assert primary.order[0] == (HOST, server.port)
        connection.terminate()


async def test_migrations_go_to_the_host_that_takes_writes(server: OwnPostgres):
    await provision(server.dsn, "orders", PASSWORD, PASSWORD, database="serx_many")
    owner = login_dsn(server.dsn, user=owner_role("orders"), password=PASSWORD, database="serx_many")
    place = f"{HOST}:{server.port}"
    with silent() as dead:
        await migrate(owner.replace(place, f"{dead},{place}") + "?target_session_attrs=read-write", "orders")
    assert await has_table(owner, "orders")
    with socket.create_server((HOST, 0)) as closed:
        gone = f"{HOST}:{closed.getsockname()[1]}"
    with pytest.raises(MigrationFailed, match="takes writes"):
        await migrate(owner.replace(place, f"{gone},{gone}"), "orders")


async def has_table(dsn: str, name: str) -> bool:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval("select to_regclass($1) is not null", name)
    finally:
        await connection.close()


async def test_a_service_lives_through_a_database_that_is_read_only(server: OwnPostgres, shared_broker: Broker):
    ended: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: ended.append(number))
    try:
        async with (
            Databases(server.dsn, "_ro").fresh("proposals") as dsn,
            running("proposals", dsn, shared_broker, SERX_DATABASE_WAIT_SECONDS="1") as service,
        ):
            staff = actors.admin()
            await sent_proposal(service, staff)
            seen = await sessions(server)
            await server.set("default_transaction_read_only", "on")
            try:
                answers = [await service.call(staff, "POST", "/api/proposals", json=proposal_body()) for _ in range(3)]
                await until(lambda: has_tried_again(server, seen + 5), within_seconds=30)
            finally:
                await server.set("default_transaction_read_only", "off")
            assert {(answer.status_code, "retry-after" in answer.headers) for answer in answers} == {(503, True)}
            await until(service.is_well)
            await sent_proposal(service, staff)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ended == []


async def test_a_connection_that_is_left_is_broken_at_whatever_moment(server: OwnPostgres):
    primary = Primary(server.dsn, wait_seconds=5)
    connections = Connections(primary.connect, size=1, wait_seconds=5)
    broken = 0

    async def use(number: int, taken: asyncio.Event) -> None:
        connection = await connections.take()
        taken.set()
        try:
            with translated():
                for each in range(3):  # each is parsed, and then run
                    await connection.fetch(f"select {number}, {each}, $1::text", "x")
        finally:
            connections.throw_away(connection)

    for number in range(60):
        using = asyncio.create_task(use(number, taken := asyncio.Event()))
        await taken.wait()
        for _ in range(number):
            await asyncio.sleep(0)
        connections.leave_all_but("another")
        try:
            await using
        except DatabaseAway:
            broken += 1
    assert broken > 20


async def test_a_change_is_refused_when_the_standby_has_what_was_read(server: OwnPostgres, shared_broker: Broker):
    """A primary that is cut off does not know what the other side has: it refuses nothing because of its own rows."""
    staff, nowhere = actors.admin(), f"/api/proposals/{uuid4()}"
    async with (
        Databases(server.dsn, "_cut").fresh("proposals") as dsn,
        running("proposals", dsn, shared_broker) as service,
    ):
        proposal = await sent_proposal(service, staff)
        refused = (
            ("POST", f"{nowhere}/sign", 404),
            ("DELETE", nowhere, 404),
            ("PUT", nowhere, 404),
            ("POST", f"/api/proposals/{proposal}/send", 409),
        )

        async def statuses() -> list[int]:
            calls = (service.call(staff, method, path, json={"currency": "EUR"}) for method, path, _ in refused)
            return [answer.status_code for answer in await asyncio.gather(*calls)]

        assert await statuses() == [status for _, _, status in refused]
        await server.lose_standby()
        try:
            assert await statuses() == [503] * len(refused)
            assert await server.waiting() == 1, "they share one write, which goes on waiting"
            assert (await service.call(staff, "GET", nowhere)).status_code == 404, "reads go on"
            assert (await service.call(staff, "POST", "/api/proposals", json={})).status_code == 400, "no row says so"
        finally:
            await server.regain_standby()
        assert await statuses() == [status for _, _, status in refused]


async def sessions(server: OwnPostgres) -> int:
    return await server.ask("select sum(sessions)::int from pg_stat_database where datname like '%proposals'")


async def has_tried_again(server: OwnPostgres, wanted: int) -> bool:
    return await sessions(server) >= wanted
