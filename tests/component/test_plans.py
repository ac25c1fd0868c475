"""The plan of every list, in each order, by each filter, from each start: an index finds its organisation's rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import asyncpg
import pytest

from services.conversations.store import conversations, messages
from services.engagements.store import engagements, projects
from services.identity.store import clients, tokens, users
from services.orders.store import orders, tasks
from services.proposals.store import proposals, templates
from shared.database.listing import Choice, Pages
from shared.database.windows import Order, Start
from tests.support.crowds import crowd
from tests.support.databases import Databases
from tests.support.plans import plan_of

ORG = "'00000000-0000-7000-8000-000000000007'"
ID = "'00000000-0000-7000-8000-0000000000cf'"
"""207, which is something of each kind in that organisation."""
EMAIL = "'207@roe.example'"
NULL = "null"
AT = "'2026-01-01 00:30:00+00'"

MOMENT = "'2026-01-01 00:10:00+00'"
VALUES = {
    **dict.fromkeys(("created_at", "updated_at", "sent_at", "signed_at", "last_message_at"), MOMENT),
    **dict.fromkeys(("id",), ID),
    **dict.fromkeys(("status", "phase", "recurring", "sort_order", "price", "total"), "'1'"),
    **dict.fromkeys(("name", "name_f", "name_l", "subject", "number"), "'F5'"),
    **dict.fromkeys(("email", "client_email"), EMAIL),
    "public": "'true'",
}
"""Something of each kind that a list is sorted by, as text."""

LARGE = """
select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace and reltuples > $1
"""

Statement = tuple[str, str, tuple[str, ...]]


def window(order: Order, start: Start) -> tuple[str, ...]:
    """The last arguments of a page."""
    if start is Start.FIRST:
        return ("21",)
    if start is Start.OFFSET:
        return ("21", "1")
    return ("21", VALUES[order[0]] if start is Start.VALUE else NULL, ID)


def each(name: str, pages: Pages, given: Callable[[Choice], tuple[str, ...]]) -> Iterator[Statement]:
    """Every statement of a list; `given` are its arguments but for the last ones, by what it is narrowed to."""
    for (chosen, order, start), sql in pages.items():
        told = f"{name} by {' '.join(order)} from {start}, given {sorted(chosen)}"
        yield told, sql, (ORG, *given(chosen), *window(order, start))


def listed(store: Any, name: str, also: tuple[str, ...] = (), **filters: str) -> Iterator[Statement]:
    """Every order of a list, counted, by every choice of `filters`; `also` are arguments that it always has."""
    assert frozenset(filters) in {chosen for chosen, _, _ in store.PAGES}
    return each(name, store.PAGES, lambda chosen: (*narrowed(chosen, filters), *also))


def narrowed(chosen: Choice, filters: dict[str, str]) -> tuple[str, ...]:
    return tuple(value if filter in chosen else NULL for filter, value in filters.items())


def of_conversations() -> Iterator[Statement]:
    filters = {"status": "1", "project_id": ID, "engagement_id": ID}
    for reader in conversations.READERS:
        me = ID if reader == conversations.CLIENT else NULL
        of_project, inbox = conversations.PAGES_OF_PROJECT[reader], conversations.PAGES_OF_INBOX[reader]
        yield from each(f"of a project, {reader}", of_project, lambda chosen, me=me: (me, "1" if chosen else NULL, ID))
        yield from each(f"inbox, {reader}", inbox, lambda chosen, me=me: (me, *narrowed(chosen, filters)))
    yield from each("messages", messages.PAGES, lambda chosen: (ID, "false" if chosen else "true"))
    yield from (("of an engagement", conversations.OF_ENGAGEMENT, (ORG, me, ID)) for me in (NULL, ID))


STATEMENTS: dict[str, list[Statement]] = {
    "identity": [*listed(clients, "clients"), *listed(users, "users"), *listed(tokens, "tokens")],
    "proposals": [
        *listed(templates, "templates", is_public="true", recurring="1"),
        *listed(proposals, "proposals", (AT,), only_of=ID, status="1", client_email=EMAIL),
        *listed(proposals, "proposals, expired ones", (AT,), only_of=ID, status="5", client_email=EMAIL),
    ],
    "engagements": [
        *listed(engagements, "engagements", only_of=ID, status="1", client_id=ID),
        *listed(projects, "projects", only_of=ID, status="1", phase="2", engagement_id=ID),
        ("of an engagement", projects.OF_ENGAGEMENT, (ORG, ID)),
    ],
    "conversations": list(of_conversations()),
    "orders": [
        *listed(orders, "orders", only_of=ID, status="1", client_id=ID, engagement_id=ID, number="'ABCD1234'"),
        *(("tasks of an order", tasks.OF_ORDER, (ORG, me, ID)) for me in (NULL, ID)),
    ],
}


def faults(plan: dict[str, Any]) -> Iterator[str]:
    """What in a plan reads rows of others: a whole table, or an index past its organisation."""
    kind, table = plan["Node Type"], plan.get("Relation Name") or plan.get("Index Name")
    if kind == "Seq Scan":
        yield f"reads all of {table}"
    condition = plan.get("Index Cond", "")
    if plan.get("Index Name") in ("users_login", "users_namesakes") and "email_key" in condition:
        return  # whoever has that very address, in however many organisations
    if "Index Name" in plan and not plan["Index Name"].endswith("_pkey") and "org_id" not in condition:
        yield f"reads {plan['Index Name']} past the organisation"
    if plan.get("Index Name", "").endswith("_pkey") and not condition:
        yield f"reads all of {plan['Index Name']}"
    for inner in plan.get("Plans", []):
        yield from faults(inner)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("service", STATEMENTS)
async def test_every_list_reads_its_organisation_by_an_index(databases: Databases, service: str):
    async with databases.fresh(service) as dsn:
        await crowd(databases.as_administrator(dsn), service)
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


THE_ONLY_ONE = "'00000000-0000-7000-8000-000000000000'"
FEW_ROWS = 1000


def by_default(statements: list[Statement]) -> list[Statement]:
    """Those in the order that a list has when none is asked for, but for pages that are counted off.

    Of the inbox only the first page: those without a message come last in it, and a quarter of the crowd has none.
    """
    first = "last_message_at desc from first"
    told = {"inbox, staff": first, "inbox, client": first, "messages": "created_at asc"}

    def is_default(name: str) -> bool:
        of, _, order = name.partition(" by ")
        return not order or (order.startswith(told.get(of, "created_at desc")) and " from offset" not in order)

    return [statement for statement in statements if is_default(statement[0])]


def reads_all_of(plan: dict[str, Any], large: set[str]) -> Iterator[str]:
    """The large tables that a plan reads from one end to the other."""
    if plan["Node Type"] == "Seq Scan" and plan["Relation Name"] in large:
        yield plan["Relation Name"]
    for inner in plan.get("Plans", []):
        yield from reads_all_of(inner, large)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("service", STATEMENTS)
async def test_a_page_of_one_large_organisation_does_not_read_all_of_it(databases: Databases, service: str):
    """The plan that a service has is made without knowing how few rows a page has: it must be told."""
    found: dict[str, list[str]] = {}
    async with databases.fresh(service) as dsn:
        admin_dsn = databases.as_administrator(dsn)
        await crowd(admin_dsn, service, organisations=1)
        connection = await asyncpg.connect(dsn)
        try:
            large = {row[0] for row in await connection.fetch(LARGE, FEW_ROWS)}
            await connection.execute(f"set app.org = {THE_ONLY_ONE}; set plan_cache_mode = force_generic_plan")
            for name, sql, (_, *arguments) in by_default(STATEMENTS[service]):
                plan = await plan_of(connection, sql, (THE_ONLY_ONE, *arguments))
                if wrong := list(reads_all_of(plan, large)):
                    found[name] = wrong
        finally:
            await connection.close()
    assert large
    assert len(by_default(STATEMENTS[service])) > 2
    assert found == {}
