"""The plan of every list, in each order and by each filter: it reads its organisation's rows by an index, no others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import asyncpg
import msgspec
import pytest

from services.conversations.store import conversations, messages
from services.engagements.store import engagements, projects
from services.identity.store import clients, tokens, users
from services.orders.store import orders, tasks
from services.proposals.store import proposals, templates
from tests.support.crowds import crowd
from tests.support.databases import Databases

ORG = "'00000000-0000-7000-8000-000000000007'"
ID = "'00000000-0000-7000-8000-0000000000cf'"
"""207, which is something of each kind in that organisation."""
EMAIL = "'207@roe.example'"
NULL, PAGE = "null", ("20", "0")
AT = "'2026-01-01 00:30:00+00'"

Statement = tuple[str, str, tuple[str, ...]]


def listed(store: Any, name: str, also: tuple[str, ...] = (), **filters: str) -> Iterator[Statement]:
    """Every order of a list, counted, by every choice of `filters`; `also` are arguments that it always has."""
    for (chosen, order), sql in store.PAGE.items():
        assert chosen <= filters.keys()
        given = (value if filter in chosen else NULL for filter, value in filters.items())
        yield f"{name} by {' '.join(order)}, given {sorted(chosen)}", sql, (ORG, *given, *also, *PAGE)


def unfiltered(store: Any, name: str) -> Iterator[Statement]:
    """Every order of a list that has no filters, counted."""
    for order, sql in store.PAGE.items():
        yield f"{name} by {' '.join(order)}", sql, (ORG, *PAGE)


def of_conversations() -> Iterator[Statement]:
    narrowed = {"status": "1", "project_id": ID, "engagement_id": ID}
    for reader in conversations.READERS:
        me = ID if reader == conversations.CLIENT else NULL
        for (chosen, order), sql in conversations.PAGE_OF_PROJECT[reader].items():
            status = "1" if chosen else NULL
            yield f"of a project by {order} {reader}, given {sorted(chosen)}", sql, (ORG, me, status, ID, *PAGE)
        for (chosen, order), sql in conversations.PAGE_OF_INBOX[reader].items():
            given = (value if filter in chosen else NULL for filter, value in narrowed.items())
            yield f"inbox by {order} {reader}, given {sorted(chosen)}", sql, (ORG, me, *given, *PAGE)
    for shows_internal in ("true", "false"):
        yield "messages", messages.PAGE, (ORG, ID, shows_internal, *PAGE)
    yield from (("of an engagement", conversations.OF_ENGAGEMENT, (ORG, me, ID)) for me in (NULL, ID))


STATEMENTS: dict[str, list[Statement]] = {
    "identity": [*unfiltered(clients, "clients"), *unfiltered(users, "users"), *unfiltered(tokens, "tokens")],
    "proposals": [
        *listed(templates, "templates", is_public="true", recurring="1"),
        *listed(proposals, "proposals", (AT,), only_sent_to=EMAIL, status="1", client_email=EMAIL),
        *listed(proposals, "proposals, expired ones", (AT,), only_sent_to=EMAIL, status="5", client_email=EMAIL),
    ],
    "engagements": [
        *listed(engagements, "engagements", only_of=ID, status="1", client_id=ID),
        *listed(projects, "projects", only_of=ID, status="1", phase="2", engagement_id=ID),
        ("of an engagement", projects.OF_ENGAGEMENT, (ORG, ID)),
    ],
    "conversations": list(of_conversations()),
    "orders": [
        *listed(orders, "orders", only_of=ID, status="1", client_id=ID, engagement_id=ID),
        *(("tasks of an order", tasks.OF_ORDER, (ORG, me, ID)) for me in (NULL, ID)),
    ],
}


def faults(plan: dict[str, Any]) -> Iterator[str]:
    """What in a plan reads rows of others: a whole table, or an index past its organisation."""
    kind, table = plan["Node Type"], plan.get("Relation Name") or plan.get("Index Name")
    if kind == "Seq Scan":
        yield f"reads all of {table}"
    condition = plan.get("Index Cond", "")
    if "Index Name" in plan and not plan["Index Name"].endswith("_pkey") and "org_id" not in condition:
        yield f"reads {plan['Index Name']} past the organisation"
    if plan.get("Index Name", "").endswith("_pkey") and not condition:
        yield f"reads all of {plan['Index Name']}"
    for inner in plan.get("Plans", []):
        yield from faults(inner)


async def plan_of(connection: asyncpg.Connection, sql: str, arguments: tuple[str, ...]) -> dict[str, Any]:
    await connection.execute(f"prepare looked_at as {sql}")
    try:
        told = await connection.fetchval(f"explain (format json) execute looked_at({', '.join(arguments)})")
    finally:
        await connection.execute("deallocate looked_at")
    return (msgspec.json.decode(told) if isinstance(told, str) else told)[0]["Plan"]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("service", STATEMENTS)
async def test_every_list_reads_its_organisation_by_an_index(databases: Databases, service: str):
    async with databases.fresh(service) as dsn:
        await crowd(f"{databases.admin_dsn.rpartition('/')[0]}/{dsn.rpartition('/')[2]}", service)
        connection = await asyncpg.connect(dsn)
        found: dict[str, list[str]] = {}
        try:
            await connection.execute(f"set app.org = {ORG}")
            # As PostgreSQL plans for these very values, and once for all.
            for mode in ("force_custom_plan", "force_generic_plan"):
                await connection.execute(f"set plan_cache_mode = {mode}")
                for name, sql, arguments in STATEMENTS[service]:
                    if wrong := list(faults(await plan_of(connection, sql, arguments))):
                        found[f"{name} ({mode})"] = wrong
        finally:
            await connection.close()
    assert found == {}
    assert len(STATEMENTS[service]) > 20
