"""Every list, in each order and by each filter: its pages, one after the other, are the list, and its total is so long.

The statements themselves, over the rows of a crowd; `test_plans.py` looks at how they are found.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest

from services.conversations.store import conversations, messages
from services.engagements.store import engagements, projects
from services.identity.store import clients, tokens, users
from services.orders.store import orders
from services.proposals.store import proposals, templates
from shared.database import Database
from shared.database.listing import NO_FILTERS, Choice, Pages
from shared.database.windows import MOST_ROWS, After, Order, Start, Window
from shared.errors import InvalidInput
from tests.support.crowds import crowd
from tests.support.databases import Databases, opened

ROWS = 20_000
ORG = UUID("00000000-0000-7000-8000-000000000007")
SOMETHING = UUID("00000000-0000-7000-8000-0000000000cf")
"""207, of which there is one of each kind in that organisation."""
EMAIL = "207@roe.example"
AT = datetime(2026, 1, 1, 2, 30, tzinfo=UTC)
"""Half of the proposals are past their time."""


class Row(msgspec.Struct, frozen=True):
    id: UUID


class List(msgspec.Struct, frozen=True):
    """A list; its filters with a value each, in the order of its arguments, and what comes before and after these."""

    pages: Pages
    filters: dict[str, Any] = {}  # msgspec copies it
    before: tuple[Any, ...] = ()
    after: tuple[Any, ...] = ()

    def arguments(self, given: Choice) -> tuple[Any, ...]:
        narrowed = (value if name in given else None for name, value in self.filters.items())
        return (ORG, *self.before, *narrowed, *self.after)


BY_CLIENT = {"only_of": SOMETHING, "status": 1, "client_id": SOMETHING}
SENT = {"only_of": SOMETHING, "status": 1, "client_email": EMAIL}
INBOX = {"status": 1, "project_id": SOMETHING, "engagement_id": SOMETHING}
STAFF, CLIENT = conversations.STAFF, conversations.CLIENT
LISTS: dict[str, tuple[str, List]] = {
    "clients": ("identity", List(clients.PAGES)),
    "users": ("identity", List(users.PAGES)),
    "tokens": ("identity", List(tokens.PAGES)),
    "templates": ("proposals", List(templates.PAGES, {"is_public": True, "recurring": 1})),
    "proposals": ("proposals", List(proposals.PAGES, SENT, after=(AT,))),
    "proposals, drafts": ("proposals", List(proposals.PAGES, SENT | {"status": 0}, after=(AT,))),
    "proposals, expired": ("proposals", List(proposals.PAGES, SENT | {"status": 5}, after=(AT,))),
    "engagements": ("engagements", List(engagements.PAGES, BY_CLIENT)),
    "projects": (
        "engagements",
        List(projects.PAGES, {"only_of": SOMETHING, "status": 2, "phase": 2, "engagement_id": SOMETHING}),
    ),
    "orders": ("orders", List(orders.PAGES, BY_CLIENT | {"engagement_id": SOMETHING, "number": "0000002A"})),
    "inbox of staff": ("conversations", List(conversations.PAGES_OF_INBOX[STAFF], INBOX, (None,))),
    "inbox of a client": ("conversations", List(conversations.PAGES_OF_INBOX[CLIENT], INBOX, (SOMETHING,))),
    "of a project": (
        "conversations",
        List(conversations.PAGES_OF_PROJECT[STAFF], {"status": 1}, (None,), (SOMETHING,)),
    ),
    "of a client's project": (
        "conversations",
        List(conversations.PAGES_OF_PROJECT[CLIENT], {"status": 1}, (SOMETHING,), (SOMETHING,)),
    ),
}


async def read(database: Database, of: List, given: Choice, window: Window) -> tuple[list[UUID], int, After | None]:
    async with database.single() as tx:
        page = await tx.page(Row, of.pages, given, window, *of.arguments(given))
    return [row.id for row in page.items], page.total, page.end


async def walked(database: Database, of: List, given: Choice, order: Order, limit: int) -> list[UUID]:
    """The whole list, page by page, each from where the one before ended."""
    seen: list[UUID] = []
    after: After | None = None
    while True:
        ids, _, after = await read(database, of, given, Window(order, limit, after=after))
        seen += ids
        if after is None:
            return seen
        assert len(ids) == limit


async def counted_off(database: Database, of: List, given: Choice, order: Order, limit: int) -> list[UUID]:
    """The whole list, page by page, each after as many rows as those before it have."""
    seen: list[UUID] = []
    while ids := (await read(database, of, given, Window(order, limit, len(seen))))[0]:
        seen += ids
    return seen


@pytest.mark.timeout(300)
@pytest.mark.parametrize("service", ["identity", "proposals", "engagements", "conversations", "orders"])
async def test_the_pages_of_a_list_are_the_list(databases: Databases, service: str):
    starts = set[Start]()
    async with databases.fresh(service) as dsn:
        await crowd(databases.as_administrator(dsn), service, ROWS)
        async with opened(dsn) as database:
            for name, of in [(name, of) for name, (where, of) in LISTS.items() if where == service]:
                for given, order in sorted({(given, order) for given, order, _ in of.pages}, key=repr):
                    whole, total, end = await read(database, of, given, Window(order, MOST_ROWS))
                    told = (name, sorted(given), order)
                    assert (len(whole), len(set(whole)), end) == (total, total, None), told
                    a_few = max(1, total // 4)
                    assert await walked(database, of, given, order, a_few) == whole, told
                    assert await counted_off(database, of, given, order, a_few) == whole, told
                    assert total or given, told
                starts |= {start for _, _, start in of.pages}
    assert starts >= {Start.FIRST, Start.OFFSET, Start.VALUE}


async def test_pages_of_the_other_reader_differ(databases: Databases):
    """The test above sees what it claims to see: a client's inbox is shorter, and in an order of its own."""
    async with databases.fresh("conversations") as dsn:
        await crowd(databases.as_administrator(dsn), "conversations", ROWS)
        async with opened(dsn) as database:
            window = Window(("last_message_at", "desc"), MOST_ROWS)
            staffs, everything, _ = await read(database, LISTS["inbox of staff"][1], NO_FILTERS, window)
            clients_own, few, _ = await read(database, LISTS["inbox of a client"][1], NO_FILTERS, window)
    assert 0 < few < everything < ROWS // 200  # what hangs on deleted projects is in neither
    assert set(clients_own) < set(staffs)


@pytest.mark.parametrize("shows_internal", [True, False])
async def test_the_messages_of_a_conversation_are_walked_oldest_first(databases: Databases, *, shows_internal: bool):
    given = NO_FILTERS if shows_internal else messages.ONLY_PUBLIC
    of = List(messages.PAGES, before=(SOMETHING, shows_internal))
    async with databases.fresh("conversations") as dsn:
        admin = databases.as_administrator(dsn)
        await crowd(admin, "conversations", ROWS)
        async with opened(dsn) as database:
            whole, _, _ = await read(database, of, given, Window(("created_at", "asc"), MOST_ROWS))
            assert await walked(database, of, given, ("created_at", "asc"), 2) == whole
    assert len(whole) == (5 if shows_internal else 3)


@pytest.mark.parametrize(
    ("order", "after"),
    [
        (("created_at", "desc"), After("yesterday, or so", SOMETHING)),
        (("created_at", "desc"), After("", SOMETHING)),
        (("created_at", "desc"), After(None, SOMETHING)),
        (("price", "asc"), After("1e999999", SOMETHING)),
        (("price", "asc"), After("NULL", SOMETHING)),
        (("name", "asc"), After("\0", SOMETHING)),
        (("recurring", "asc"), After("40000", SOMETHING)),
        (("public", "asc"), After("2026-01-01", SOMETHING)),
    ],
)
async def test_what_is_no_place_in_the_list_is_refused_by_name(databases: Databases, order: Order, after: After):
    async with databases.fresh("proposals") as dsn, opened(dsn) as database:
        await crowd(databases.as_administrator(dsn), "proposals", 400)
        with pytest.raises(InvalidInput) as refused:
            await read(database, LISTS["templates"][1], NO_FILTERS, Window(order, 20, after=after))
        assert list(refused.value.errors) == ["after"]
        assert len((await read(database, LISTS["templates"][1], NO_FILTERS, Window(order, 20)))[0]) == 2


async def test_a_value_that_cannot_be_sent_is_an_error_and_no_reason_to_try_again(databases: Databases):
    """The driver's refusal to encode is ours to mend; as an absent database it would be tried again for ever."""
    async with databases.fresh("proposals") as dsn, opened(dsn) as database:
        with pytest.raises(asyncpg.DataError, match="int32"):
            async with database.single() as tx:
                await tx.value("select $1::int", 2**40)
        assert await database.is_there()
