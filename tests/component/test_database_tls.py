"""TLS to the database by its DSN, with a certificate of one's own authority.

The wheel's PostgreSQL is built without TLS, so a relay before it speaks PostgreSQL's SSLRequest
(https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-SSL).
"""

from __future__ import annotations

import asyncio
import shutil
import ssl
import struct
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from deploy.local.ports import HOST
from deploy.nats_config import Certificate
from shared.database import DatabaseAway
from tests.component.test_tls import certificate
from tests.support.databases import Databases, opened
from tests.support.servers import until

__all__ = ["certificate"]

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
SSL_REQUEST = struct.pack("!ii", 8, 80877103)


@asynccontextmanager
async def relay(dsn: str, certificate: Certificate) -> AsyncIterator[str]:
    """A DSN of the same database, by TLS; whoever does not ask for TLS is cut off."""
    place = urlsplit(dsn)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.chain, certificate.key)
    under_way: set[asyncio.Task[None]] = set()

    async def serve(reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        under_way.add(task)
        try:
            if await reader.readexactly(8) == SSL_REQUEST:
                writer.write(b"S")
                await writer.start_tls(context)
                inner_reader, inner_writer = await asyncio.open_connection(place.hostname, place.port)
                await asyncio.gather(_pipe(reader, inner_writer), _pipe(inner_reader, writer))
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client does not trust us, and goes: what the test is about
        finally:
            writer.close()
            under_way.discard(task)

    server = await asyncio.start_server(serve, HOST, 0)
    port = server.sockets[0].getsockname()[1]
    login = place.netloc.rpartition("@")[0]
    try:
        yield urlunsplit(place._replace(netloc=f"{login}@{HOST}:{port}"))
    finally:
        server.close()
        await until(lambda: not under_way)


async def _pipe(reader: StreamReader, writer: StreamWriter) -> None:
    while part := await reader.read(65536):
        writer.write(part)
        await writer.drain()
    writer.close()


async def test_a_database_is_reached_by_tls_and_only_one_whose_certificate_is_trusted(
    databases: Databases, certificate: Certificate
):
    async with databases.fresh("orders") as dsn, relay(dsn, certificate) as by_tls:
        trusting = f"{by_tls}?sslmode=verify-full&sslrootcert={certificate.chain}"
        async with opened(trusting) as database, database.transaction_across_organisations() as tx:
            assert await tx.value("select count(*) from orders") == 0
        async with opened(f"{by_tls}?sslmode=verify-full") as database:
            with pytest.raises((DatabaseAway, ssl.SSLError)):
                async with database.transaction_across_organisations() as tx:
                    await tx.value("select 1")


async def test_whoever_wants_tls_does_not_take_less(databases: Databases):
    plain = await asyncpg.connect(databases.admin_dsn)
    has_tls = await plain.fetchval("show ssl") == "on"
    await plain.close()
    if has_tls:
        pytest.skip("this PostgreSQL speaks TLS")
    async with databases.fresh("orders") as dsn, opened(f"{dsn}?sslmode=verify-full") as database:
        with pytest.raises((DatabaseAway, ssl.SSLError)):
            async with database.transaction_across_organisations() as tx:
                await tx.value("select 1")
