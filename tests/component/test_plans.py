"""The plan of every list, in each order and by each filter: it reads its organisation's rows by an index, no others."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
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


def listed(store: Any, name: str, *filters: tuple[str, ...], also: tuple[str, ...] = ()) -> Iterator[Statement]:
    """Every order of a list, counted, with no filter and with each; `also` are arguments that it always has."""
    for chosen in product(*filters):
        for order, sql in store.PAGE.items():
            yield f"{name} by {' '.join(order)} {chosen}", sql, (ORG, *chosen, *also, *PAGE)


def of_conversations() -> Iterator[Statement]:
    for reader, status in product(conversations.READERS, (NULL, "1")):
        me = ID if reader == conversations.CLIENT else NULL
        inboxes = [
            (ORG, me, status, project, engagement) for project, engagement in ((NULL, NULL), (ID, NULL), (NULL, ID))
        ]
        for (whose, *order), sql in conversations.PAGE_OF_PROJECT.items():
            if whose == reader:
                yield f"of a project by {order} {reader}", sql, (ORG, me, status, ID, *PAGE)
        for (whose, *order), sql in conversations.PAGE_OF_INBOX.items():
            if whose == reader:
                yield from ((f"inbox by {order} {arguments}", sql, (*arguments, *PAGE)) for arguments in inboxes)
    for shows_internal in ("true", "false"):
        yield "messages", messages.PAGE, (ORG, ID, shows_internal, *PAGE)
    yield from (("of an engagement", conversations.OF_ENGAGEMENT, (ORG, me, ID)) for me in (NULL, ID))


STATEMENTS: dict[str, list[Statement]] = {
    "identity": [*listed(clients, "clients"), *listed(users, "users"), *listed(tokens, "tokens")],
    "proposals": [
        *listed(templates, "templates", (NULL, "true"), (NULL, "1")),
        *listed(proposals, "proposals", (NULL, EMAIL), (NULL, "1", "5"), (NULL, EMAIL), also=(AT,)),
    ],
    "engagements": [
        *listed(engagements, "engagements", (NULL, ID), (NULL, "1"), (NULL, ID)),
        *listed(projects, "projects", (NULL, ID), (NULL, "1"), (NULL, "2"), (NULL, ID)),
        ("of an engagement", projects.OF_ENGAGEMENT, (ORG, ID)),
    ],
    "conversations": list(of_conversations()),
    "orders": [
        *listed(orders, "orders", (NULL, ID), (NULL, "1"), (NULL, ID), (NULL, ID)),
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
