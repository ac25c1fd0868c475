"""Nobody reads or writes across organisations, and hot queries use their indexes."""

from __future__ import annotations

import asyncpg
import pytest

from services.identity.store.accounts import CANDIDATES
from services.identity.store.clients import PAGES as CLIENTS
from services.identity.store.tokens import GET_HOLDER, PAGES
from services.identity.store.users import PAGES as USERS
from shared.database import Database
from shared.database.listing import NO_FILTERS
from shared.database.windows import Start
from shared.ids import new_id
from tests.component.identity.people import add_client, found

TABLES = ("organisations", "users", "clients", "sessions", "api_tokens")


@pytest.mark.parametrize("table", TABLES)
async def test_the_service_role_sees_nothing_without_an_organisation(dsn: str, database: Database, table: str) -> None:
    await _two_organisations(database)
    connection = await asyncpg.connect(dsn)
    assert await connection.fetchval(f"select count(*) from {table}") == 0
    await connection.close()


@pytest.mark.parametrize("table", TABLES)
async def test_an_organisation_sees_and_changes_only_its_own_rows(database: Database, table: str) -> None:
    one, _ = await _two_organisations(database)
    async with database.transaction(one) as tx:
        assert await tx.value(f"select array_agg(distinct org_id) from {table}") == [one]
        assert await tx.run(f"update {table} set org_id = org_id") == 1


async def test_a_row_of_another_organisation_cannot_be_written(database: Database) -> None:
    one, other = await _two_organisations(database)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with database.transaction(one) as tx:
            await tx.run("update users set org_id = $1 where org_id = $2", other, one)


async def test_the_service_role_cannot_change_the_schema(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute("alter table users disable row level security")
    await connection.close()


@pytest.mark.parametrize(
    ("sql", "arguments", "index"),
    [
        (GET_HOLDER, (b"x", "now"), "api_tokens_secret"),
        (CANDIDATES, ("ada@agency.example", None), "users_login"),
        (PAGES[NO_FILTERS, ("created_at", "desc"), Start.FIRST], ("org", 20), "api_tokens_of_organisation"),
        (PAGES[NO_FILTERS, ("name", "asc"), Start.FIRST], ("org", 20), "api_tokens_by_name"),
        (CLIENTS[NO_FILTERS, ("created_at", "desc"), Start.FIRST], ("org", 20), "clients_of_organisation"),
        (CLIENTS[NO_FILTERS, ("name_f", "asc"), Start.FIRST], ("org", 20), "clients_by_name_f"),
        (CLIENTS[NO_FILTERS, ("name_l", "desc"), Start.FIRST], ("org", 20), "clients_by_name_l"),
        (CLIENTS[NO_FILTERS, ("email", "desc"), Start.FIRST], ("org", 20), "clients_email"),
        (CLIENTS[NO_FILTERS, ("id", "desc"), Start.FIRST], ("org", 20), "clients_pkey"),
        (USERS[NO_FILTERS, ("created_at", "desc"), Start.FIRST], ("org", 20), "users_of_organisation"),
    ],
)
async def test_hot_queries_use_their_index(
    dsn: str, database: Database, sql: str, arguments: tuple[object, ...], index: str
) -> None:
    agency = await found(database)
    named = {"org": agency.org_id, "now": agency.founding.at}
    connection = await asyncpg.connect(dsn)
    await connection.execute(f"set app.org = '{agency.org_id}'; set enable_seqscan = off; set enable_sort = off")
    plan = await connection.fetch(f"explain {sql}", *(named.get(value, value) for value in arguments))  # type: ignore[call-overload]
    assert index in "\n".join(row[0] for row in plan)
    await connection.close()


async def _two_organisations(database: Database):
    """Two organisations with one row in each table."""
    agencies = [await found(database), await found(database, email="eve@other.example")]
    for agency in agencies:
        await add_client(database, agency.org_id)
        async with database.transaction(agency.org_id) as tx:
            await tx.run(
                "insert into sessions (org_id, id, user_id, created_at, expires_at) values ($1, $2, $3, now(), now())",
                agency.org_id,
                new_id(),
                agency.founding.user_id,
            )
    return [agency.org_id for agency in agencies]
