"""Copies of other services' data: in whatever order their versions are heard, the newest is what is kept."""

from __future__ import annotations

from decimal import Decimal
from importlib import import_module
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest

from shared.contracts.engagements import EngagementState, ProjectState
from shared.contracts.identity import ClientState, UserState
from shared.contracts.proposals import TemplateState
from shared.database import Database
from shared.ids import new_id
from tests.support.databases import Databases, opened

TABLES: dict[tuple[str, type[Any]], str] = {
    ("proposals", ClientState): "clients",
    ("engagements", ClientState): "clients",
    ("engagements", TemplateState): "templates",
    ("conversations", ProjectState): "projects",
    ("conversations", ClientState): "senders",
    ("conversations", UserState): "senders",
    ("orders", ClientState): "clients",
    ("orders", UserState): "staff",
    ("orders", TemplateState): "templates",
    ("orders", EngagementState): "engagements",
}
GONE = {
    **dict.fromkeys((ClientState, TemplateState, ProjectState), "is_deleted"),
    EngagementState: "is_cancelled",
}
"""What says of a kind that it is gone; of staff, it is that they are not enabled."""


class Undone(Exception):  # no error: it rolls back
    """Ends a transaction without a trace."""


def heard(service: str) -> dict[type[Any], Any]:
    """The kinds of state that a service hears in events, with what it does then."""
    handlers = import_module(f"services.{service}.messages").HANDLERS
    return {each.shape: each.use_case for each in handlers.values() if "version" in each.shape.__struct_fields__}


def state(shape: type[Any], org: UUID, id: UUID, version: int, *, is_gone: bool) -> Any:
    """The version of a thing; all that can differ differs from the other versions."""
    person = {"name_f": f"F{version}", "name_l": f"L{version}", "email": f"{version}@roe.example"}
    fields: dict[type[Any], dict[str, Any]] = {
        ClientState: {**person, "company": f"C{version}"},
        UserState: {**person, "is_enabled": not is_gone},
        TemplateState: {"name": f"T{version}", "price": Decimal(version), "currency": "USD"},
        ProjectState: {"name": f"P{version}", "engagement_id": id, "client_id": id},
        EngagementState: {"name": f"E{version}", "client_id": id, "proposal_id": None, "status": version},
    }
    gone = {GONE[shape]: is_gone} if shape in GONE else {}
    return shape(org_id=org, id=id, version=version, **fields[shape], **gone)


async def kept(database: Database, service: str, told: list[Any]) -> str | None:
    """What is kept once these were heard, in that order; nothing of it stays."""
    handle, found = heard(service)[type(told[0])], None
    try:
        async with database.transaction(told[0].org_id) as tx:
            for each in told:
                await handle(tx, each, None)
            table = TABLES[service, type(told[0])]
            found = await tx.value(f"select to_jsonb(t)::text from {table} t where id = $1", told[0].id)
            raise Undone
    except Undone:
        return found


def test_each_copy_that_is_heard_of_is_in_the_table():
    services = ("identity", "proposals", "engagements", "conversations", "orders")
    assert {(service, shape) for service in services for shape in heard(service)} == set(TABLES)


@pytest.mark.parametrize(
    ("service", "shape"), TABLES, ids=lambda value: value if isinstance(value, str) else value.__name__
)
async def test_the_newest_version_stays_in_whatever_order_they_are_heard(
    databases: Databases, service: str, shape: type[Any]
):
    org, id = new_id(), new_id()
    async with databases.fresh(service) as dsn, opened(dsn) as database:
        for is_gone in (False, True):  # a tombstone stays too, of what was never seen before as well
            versions = [state(shape, org, id, version, is_gone=is_gone and version == 3) for version in (1, 2, 3)]
            newest = await kept(database, service, versions[-1:])
            assert newest
            for order in permutations([*versions, versions[-1]]):
                assert await kept(database, service, list(order)) == newest, [each.version for each in order]
            assert newest != await kept(database, service, versions[:1])
