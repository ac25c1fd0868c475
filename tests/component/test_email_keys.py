"""One rule says which e-mail addresses are the same, in every database and wherever an address is compared."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from deploy.provisioning import login_dsn, owner_role
from services.identity.domain.passwords import hash_password
from shared.database import Database
from shared.ids import new_id
from shared.messaging.topology import SERVICES
from tests.component.identity.people import PASSWORD, PASSWORD_HASH, Agency, Gateway, add_client, found
from tests.support import actors
from tests.support.builders import sent_proposal
from tests.support.databases import PASSWORD as OWNERS_PASSWORD
from tests.support.databases import Databases, opened
from tests.support.servers import Broker
from tests.support.services import Service, running

ROOT = Path(__file__).resolve().parents[2]
KEY = ROOT / "shared/database/migrations/20261201001201_keys_planned_once.sql"
KEYS = ROOT / "services/identity/store/migrations/20261201000302_email_keys.sql"

SAME = [
    ("Jane@Roe.Example", "jane@roe.example"),
    ("ΓΙΩΡΓΟΣ.1Σ@ex.example", "γιωργος.1ς@ex.example"),
    ("γιωργοσ.1σ@ex.example", "γιωργος.1ς@ex.example"),
    ("ren\u00e9@ex.example", "rene\u0301@ex.example"),
    ("REN\u00c9@ex.example", "rene\u0301@ex.example"),
    ("\u1e9e@ex.example", "\u00df@ex.example"),
    ("\ua7dc@ex.example", "\u019b@ex.example"),  # of Unicode 16, which no Python before 3.14 knows
]
OTHERS = [
    ("\u0130x@d.example", "i\u0307x@d.example"),
    ("\u0130x@d.example", "ix@d.example"),
    ("\u0131x@d.example", "ix@d.example"),
    ("straße@d.example", "strasse@d.example"),
    ("rene@ex.example", "rené@ex.example"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def proposals(databases: Databases, shared_broker: Broker) -> AsyncIterator[Service]:
    async with databases.fresh("proposals") as dsn, running("proposals", dsn, shared_broker) as service:
        yield service


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def identity(databases: Databases, shared_broker: Broker) -> AsyncIterator[Service]:
    async with databases.fresh("identity") as dsn, running("identity", dsn, shared_broker) as service:
        yield service


def in_sql(path: Path) -> tuple[str, str]:
    """A migration's way up and its way down."""
    up, _, down = path.read_text().partition("-- migrate:down")
    return up.removeprefix("-- migrate:up"), down


@pytest.mark.parametrize(
    "locale", ["locale_provider libc locale 'C'", "locale_provider builtin builtin_locale 'C.UTF-8'"]
)
async def test_the_key_is_the_same_whatever_the_clusters_locale(databases: Databases, locale: str) -> None:
    admin = await asyncpg.connect(databases.admin_dsn)
    await admin.execute("drop database if exists serx_other_locale with (force)")
    await admin.execute(f"create database serx_other_locale template template0 encoding 'UTF8' lc_ctype 'C' {locale}")
    other = await asyncpg.connect(f"{databases.admin_dsn.rpartition('/')[0]}/serx_other_locale")
    try:
        await other.execute(in_sql(KEY)[0])
        for one, same in SAME:
            assert await other.fetchval("select email_key_of($1) = email_key_of($2)", one, same), (one, same)
        for one, another in OTHERS:
            assert await other.fetchval("select email_key_of($1) <> email_key_of($2)", one, another), (one, another)
    finally:
        await other.close()
        await admin.execute("drop database serx_other_locale with (force)")
        await admin.close()


@pytest.mark.parametrize("service", SERVICES)
async def test_every_key_of_an_address_is_made_by_the_one_rule(databases: Databases, service: str) -> None:
    async with databases.fresh(service) as dsn:
        connection = await asyncpg.connect(databases.as_administrator(dsn))
        keys = await connection.fetch(
            "select table_name || '.' || column_name as name, generation_expression as made from "
            "information_schema.columns where table_schema = 'public' and column_name ~ 'e?mail_key$'"
        )
        await connection.close()
    assert [key["name"] for key in keys if "email_key_of" not in key["made"] or "lower" in key["made"]] == []
    assert bool(keys) == (service in ("identity", "proposals"))


def test_nothing_else_folds_an_address() -> None:
    """Neither SQL nor Python: a statement compares keys, and lets the database make them."""
    folds = re.compile(r"(lower|upper|casefold)\([^)]*e?mail|e?mail\w*\.(lower|upper|casefold)\(", re.IGNORECASE)
    places = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for folder in ("services", "shared", "gateway", "deploy")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line in path.read_text().splitlines()
        if folds.search(line)
    ]
    assert places == []


@pytest.mark.parametrize(("one", "same"), SAME)
async def test_two_spellings_of_an_address_are_one_client_and_log_in(identity: Service, one: str, same: str) -> None:
    agency = await found(identity.app.state.database, email=f"{new_id()}@agency.example")
    body = {"name_f": "Jane", "name_l": "Roe", "email": one, "password": PASSWORD}
    assert (await identity.call(agency.admin, "POST", "/api/clients", json=body)).status_code == 201
    for spelling in (one, same):
        taken = await identity.call(agency.admin, "POST", "/api/clients", json=body | {"email": spelling})
        assert taken.status_code == 409
        staff = {"name_f": "S", "name_l": "T", "email": spelling, "role": "member", "password": PASSWORD}
        assert (await identity.call(agency.admin, "POST", "/api/users", json=staff)).status_code == 409
        address = f"192.0.2.{len(one)}"
        answer = await Gateway(identity).login(spelling, PASSWORD, address=address, org=agency.org_id)
        assert answer.status_code == 200


@pytest.mark.parametrize(("one", "another"), OTHERS)
async def test_addresses_that_only_look_alike_are_two_clients(identity: Service, one: str, another: str) -> None:
    agency = await found(identity.app.state.database, email=f"{new_id()}@agency.example")
    for email in (one, another):
        body = {"name_f": "Jane", "name_l": "Roe", "email": email}
        assert (await identity.call(agency.admin, "POST", "/api/clients", json=body)).status_code == 201


async def test_no_spelling_of_an_address_has_failures_of_its_own(identity: Service) -> None:
    spellings = ["ΣΟΦΟΣ@ex.example", "σοφος@ex.example", "σοφοσ@ex.example", "Σοφος@EX.example", "σΟΦΟς@ex.example"]
    for number, spelling in enumerate(spellings * 2):
        assert (await Gateway(identity).login(spelling, "wrong", address=f"198.51.100.{number}")).status_code == 401
    for number, spelling in enumerate(spellings):
        assert (await Gateway(identity).login(spelling, "wrong", address=f"198.51.100.1{number}")).status_code == 429


@pytest.mark.parametrize(("one", "same"), SAME)
async def test_a_filter_finds_an_address_in_every_spelling(proposals: Service, one: str, same: str) -> None:
    staff = actors.admin()
    proposal = await sent_proposal(proposals, staff, client_email=one)
    for spelling in (one, same):
        listed = await proposals.call(staff, "GET", "/api/proposals", params={"client_email": spelling})
        assert [each["id"] for each in listed.json()["data"]] == [proposal]


@pytest.mark.parametrize(("one", "another"), OTHERS)
async def test_a_filter_finds_no_address_that_only_looks_alike(proposals: Service, one: str, another: str) -> None:
    staff = actors.admin()
    await sent_proposal(proposals, staff, client_email=one)
    listed = await proposals.call(staff, "GET", "/api/proposals", params={"client_email": another})
    assert listed.json()["data"] == []


async def test_accounts_whose_addresses_become_one_both_stay(databases: Databases, shared_broker: Broker) -> None:
    """The migration neither fails on them nor loses one: both log in, and nobody else gets the address."""
    async with databases.fresh("identity") as dsn, opened(dsn) as database:
        agency = await as_the_migration_finds_them(databases, dsn, database)
        async with running("identity", dsn, shared_broker) as service:
            gateway = Gateway(service)
            clients = (await gateway.call(agency.admin, "GET", "/api/clients?sort=created_at:asc")).json()["data"]
            users = (await gateway.call(agency.admin, "GET", "/api/users")).json()["data"]
            assert [each["email"] for each in clients] == ["ΑΒΣ@s.example", "αβς@s.example"]
            assert {each["email"] for each in users} >= {"ΔΣ@s.example", "δς@s.example"}
            for number in range(2):
                login = await gateway.login("αβσ@s.example", f"{PASSWORD} {number}")
                assert login.json()["user"]["id"] == clients[number]["id"]
            taken = {"name_f": "J", "name_l": "R", "email": "Αβς@s.example"}
            assert (await gateway.call(agency.admin, "POST", "/api/clients", json=taken)).status_code == 409
            for each in clients:
                path = f"/api/clients/{each['id']}"
                same = await gateway.call(agency.admin, "PUT", path, json={"email": each["email"], "phone": "1"})
                assert same.status_code == 200
                other = await gateway.call(agency.admin, "PUT", path, json={"email": "Αβς@s.example"})
                assert other.status_code == 409
            await a_namesake_becomes_one_of_its_own(gateway, agency, clients)


async def a_namesake_becomes_one_of_its_own(gateway: Gateway, agency: Agency, clients: list[dict[str, Any]]) -> None:
    """With an address of its own it is like everybody; then the other may take any spelling of theirs."""
    one, two = (f"/api/clients/{each['id']}" for each in clients)
    moved = await gateway.call(agency.admin, "PUT", two, json={"email": "new@s.example"})
    assert moved.status_code == 200
    assert (await gateway.call(agency.admin, "PUT", one, json={"email": "αβς@s.example"})).status_code == 200
    taken = {"name_f": "J", "name_l": "R", "email": "NEW@s.example"}
    assert (await gateway.call(agency.admin, "POST", "/api/clients", json=taken)).status_code == 409


async def as_the_migration_finds_them(databases: Databases, dsn: str, database: Database) -> Agency:
    """Two clients and two members of staff whose addresses were two under the old rule, then the migration."""
    name = dsn.rpartition("/")[2]
    connection = await asyncpg.connect(
        login_dsn(databases.admin_dsn, user=owner_role("identity"), password=OWNERS_PASSWORD, database=name)
    )
    up, down = in_sql(KEYS)
    await connection.execute(f"begin; {down}; commit")
    agency = await found(database)
    for number, email in enumerate(("ΑΒΣ@s.example", "αβς@s.example")):
        client = await add_client(database, agency.org_id, email=email)
        await set_password(database, agency.org_id, client, f"{PASSWORD} {number}")
    for email in ("ΔΣ@s.example", "δς@s.example"):
        async with database.transaction(agency.org_id) as tx:
            await tx.run(
                "insert into users (org_id, id, name_f, name_l, email, role, password_hash, created_at, updated_at) "
                "values ($1, gen_random_uuid(), 'S', 'T', $2, 'member', $3, now(), now())",
                agency.org_id,
                email,
                PASSWORD_HASH,
            )
    await connection.execute(f"begin; {up}; commit")
    await connection.close()
    return agency


async def set_password(database: Database, org: UUID, client: UUID, password: str) -> None:
    async with database.transaction(org) as tx:
        await tx.run(
            "update clients set password_hash = $3 where org_id = $1 and id = $2", org, client, hash_password(password)
        )
