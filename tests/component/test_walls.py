"""Every process tries every subject, and every service every database, that is another's: all of it is refused."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from deploy.provisioning import login_dsn, provision, service_role
from shared.ids import new_id
from shared.messaging.topology import COMMANDS, EVENTS, PROCESSES, SERVICES, USERS, acks_prefix, permissions
from tests.support.databases import PASSWORD, Databases
from tests.support.servers import Broker, until
from tests.unit.test_shared_topology import may

STREAM_CALLS = (
    *("CREATE", "UPDATE", "DELETE", "PURGE", "SNAPSHOT", "RESTORE", "MSG.GET", "MSG.DELETE"),
    *("LEADER.STEPDOWN", "PEER.REMOVE"),
)
CONSUMER_CALLS = (
    *("CREATE", "DURABLE.CREATE", "DELETE", "MSG.NEXT", "PAUSE", "UNPIN", "RESET", "NAMES", "LIST"),
    "LEADER.STEPDOWN",
)


def spelled(subject: str) -> str:
    """A subject that somebody could really say, for a pattern."""
    return subject.replace("*", str(new_id())).replace(">", "any.thing")


def every_subject() -> tuple[set[str], set[str]]:
    """All that anybody says or hears by the topology, and what the broker itself would do for its operator."""
    said = {spelled(each) for user in USERS for each in permissions(user).publish}
    heard = {each for user in USERS for each in permissions(user).subscribe}
    for stream in (COMMANDS, EVENTS):
        said |= {f"$JS.API.STREAM.{call}.{stream}" for call in STREAM_CALLS}
        said |= {f"$JS.API.CONSUMER.{call}.{stream}.{process}" for process in PROCESSES for call in CONSUMER_CALLS}
        said |= {f"$JS.API.DIRECT.GET.{stream}", f"$JS.API.CONSUMER.CREATE.{stream}.orders.evt.>"}
        said |= {f"$JS.ACK.{stream}.{process}.1.1.1.1.1" for process in PROCESSES}
    said |= {f"{acks_prefix(process)}.{new_id().hex}.0" for process in PROCESSES}
    said |= {"$JS.API.INFO", "$JS.API.META.LEADER.STEPDOWN", "$JS.API.SERVER.REMOVE", "$JS.API.ACCOUNT.PURGE.$G"}
    said |= {"$SYS.REQ.SERVER.PING", "$JS.API.STREAM.LIST", "$JS.API.STREAM.CREATE.MINE"}
    heard |= {">", "cmd.>", "evt.>", "ask.>", "rep.>", "deliver.>", "_INBOX.>", "$JS.>", "$SYS.>"}
    heard |= {f"cmd.{service}.*" for service in SERVICES}
    return said, heard


def is_foreign(process: str, pattern: str) -> bool:
    """Whether nothing that the process may hear covers the pattern."""
    return not may(permissions(process).subscribe, pattern)


async def refusals(broker: Broker, process: str, said: set[str], heard: set[str]) -> list[str]:
    """What the broker refuses when the process tries them all."""
    told: list[str] = []

    async def note(error: Exception) -> None:
        told.append(str(error))

    connection = await broker.connection(process, error_cb=note, pending_size=8 * 1024 * 1024)
    try:
        for subject in sorted(said):
            await connection.publish(subject, b"{}")
        for subject in sorted(heard):
            await connection.subscribe(subject)
        await until(lambda: len(told) >= len(said) + len(heard), within_seconds=20)
    finally:
        await connection.close()
    return told


async def test_every_process_is_refused_every_subject_that_is_anothers(
    shared_broker: Broker, record_property: Callable[[str, object], None], capsys: pytest.CaptureFixture[str]
):
    if not shared_broker.seeds:
        pytest.skip("needs a broker with a user for each process")
    said, heard = every_subject()
    tried = 0
    for process in PROCESSES:
        foreign = {subject for subject in said if not may(permissions(process).publish, subject)}
        secret = {pattern for pattern in heard if is_foreign(process, pattern)}
        told = await refusals(shared_broker, process, foreign, secret)
        assert len([each for each in told if "permissions violation" in each.lower()]) == len(foreign) + len(secret)
        tried += len(told)
    record_property("subjects_tried", tried)
    with capsys.disabled():
        sys.stdout.write(f" {tried} foreign subjects tried, all refused;")
    assert tried > 500


async def test_every_service_is_refused_every_database_that_is_anothers(
    databases: Databases, record_property: Callable[[str, object], None], capsys: pytest.CaptureFixture[str]
):
    async with AsyncExitStack() as stack:
        dsns = {service: await stack.enter_async_context(_provisioned(databases, service)) for service in SERVICES}
        pairs = [(one, other) for one in SERVICES for other in SERVICES if one != other]
        outcomes = await asyncio.gather(*(_tries(dsns[one], dsns[other]) for one, other in pairs))
        foreign = {pair: outcome for pair, outcome in zip(pairs, outcomes, strict=True) if outcome is not None}
        assert foreign == {}
        for service in SERVICES:
            assert await _tries(dsns[service], dsns[service]) == "let in", "its own one is open to it"
    record_property("databases_tried", len(pairs))
    with capsys.disabled():
        sys.stdout.write(f" {len(pairs)} foreign databases tried, all refused;")
    assert len(pairs) == 20


@asynccontextmanager
async def _provisioned(databases: Databases, service: str) -> AsyncIterator[str]:
    """As an installation has it: a copy of a template would not have the rights of the original."""
    name = f"serx_wall_{new_id().hex[-12:]}_{service}"
    await provision(databases.admin_dsn, service, PASSWORD, PASSWORD, database=name)
    try:
        yield login_dsn(databases.admin_dsn, user=service_role(service), password=PASSWORD, database=name)
    finally:
        admin = await asyncpg.connect(databases.admin_dsn)
        await admin.execute(f"drop database {name} with (force)")
        await admin.close()


async def _tries(own: str, other: str) -> str | None:
    """Log in to the other's database with one's own role: None when that is refused."""
    login = urlunsplit(urlsplit(own)._replace(path=urlsplit(other).path))
    try:
        connection = await asyncpg.connect(login)
    except asyncpg.InsufficientPrivilegeError:
        return None
    await connection.close()
    return "let in"
