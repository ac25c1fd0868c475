"""The command `serx replicas rebuild`: copies of other services' data, made anew from the truth while all runs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from cyclopts import App, Parameter

from deploy.failure import Failure
from deploy.operators import showing, site
from deploy.operators.options import AsJson, DataDir, Service
from deploy.operators.site import Site
from services.conversations.store import rebuilding as conversations
from services.engagements.store import rebuilding as engagements
from services.engagements.store import states as of_engagements
from services.identity.store import states as of_identity
from services.orders.store import rebuilding as orders
from services.proposals.store import rebuilding as proposals
from services.proposals.store import states as of_proposals
from shared.contracts.engagements import EngagementState, ProjectState
from shared.contracts.identity import ClientState, UserState
from shared.contracts.proposals import TemplateState
from shared.database import Database

_PAGE = 500

app = App(name="replicas", help="Copies of other services' data: make them anew.")


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Something that one service owns and others keep copies of: how to read all of it."""

    owner: str
    of: str
    shape: type[Any]
    ids: str
    states: str


class Replica(msgspec.Struct, frozen=True, kw_only=True):
    """A table of copies in one service, of one source or several."""

    service: str
    name: str
    sources: tuple[Source, ...]
    statements: Any
    """The service's `store.rebuilding`."""
    bind: str | None = None
    """What makes anew what hangs on the copies with these ids, where something does."""


class Rebuilt(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a replica: rows that the owners told, those that differed, those that no owner knows."""

    service: str
    replica: str
    owners: list[str]
    rows: int
    mended: int
    unknown: int
    removed: int


class _Version(msgspec.Struct, frozen=True):
    id: UUID
    version: int


def _source(owner: str, of: str, shape: type[Any], statements: Any) -> Source:
    return Source(owner=owner, of=of, shape=shape, ids=statements.IDS[of], states=statements.STATES[of])


_CLIENTS: Final = _source("identity", "clients", ClientState, of_identity)
_USERS: Final = _source("identity", "users", UserState, of_identity)
_TEMPLATES: Final = _source("proposals", "templates", TemplateState, of_proposals)
_ENGAGEMENTS: Final = _source("engagements", "engagements", EngagementState, of_engagements)
_PROJECTS: Final = _source("engagements", "projects", ProjectState, of_engagements)
REPLICAS: Final = tuple(
    Replica(
        service=service,
        name=name,
        sources=sources,
        statements=statements,
        bind=proposals.BIND.get(name) if statements is proposals else None,
    )
    for service, statements, name, sources in (
        ("proposals", proposals, "clients", (_CLIENTS,)),
        ("engagements", engagements, "clients", (_CLIENTS,)),
        ("engagements", engagements, "templates", (_TEMPLATES,)),
        ("orders", orders, "clients", (_CLIENTS,)),
        ("orders", orders, "staff", (_USERS,)),
        ("orders", orders, "templates", (_TEMPLATES,)),
        ("orders", orders, "engagements", (_ENGAGEMENTS,)),
        ("conversations", conversations, "projects", (_PROJECTS,)),
        ("conversations", conversations, "senders", (_CLIENTS, _USERS)),
    )
)


@app.command(name="rebuild")
def rebuild_(
    *,
    service: Service = None,
    replica: Annotated[str | None, Parameter(help="Only the copies of that name, such as clients.")] = None,
    remove_unknown: Annotated[
        bool, Parameter(negative="", help="Take out copies of what no owner knows; they are kept and counted if not.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make copies of other services' data equal to the truth again, while everything runs.

    All that the owners have is read, page by page, tombstones included, and written where the copy differs. What an
    event has told meanwhile is newer and stays. Nothing is emptied first, so nobody misses anything.
    """
    chosen = [each for each in REPLICAS if service in (None, each.service) and replica in (None, each.name)]
    if not chosen:
        there = ", ".join(f"{each.service} {each.name}" for each in REPLICAS)
        raise Failure(f"There are no such copies. There are: {there}.")
    installation = site.found(data_dir, os.environ)
    done = asyncio.run(_rebuild_all(installation, chosen, remove_unknown=remove_unknown))
    if as_json:
        showing.json(done)
        return
    columns = ("Service", "Copies of", "Owner", "Rows", "Mended", "Unknown to the owner")
    rows = [
        (
            each.service,
            each.replica,
            ", ".join(each.owners),
            str(each.rows),
            str(each.mended),
            f"{each.unknown}, removed" if each.removed else str(each.unknown),
        )
        for each in done
    ]
    showing.table("Copies made anew", columns, rows)


async def rebuild(installation: Site, replica: Replica, *, remove_unknown: bool = False) -> Rebuilt:
    """Make one replica equal to what its owners have."""
    rows = mended = removed = 0
    async with installation.database(replica.service) as copies:
        # Before the owners are read: what is made meanwhile is not taken for unknown.
        unknown = set(await _ids(copies, replica.statements.IDS[replica.name]))
        for source in replica.sources:
            async with installation.database(source.owner) as owner:
                owned = await _ids(owner, source.ids)
                unknown -= set(owned)
                rows += len(owned)
                for page in _pages(owned):
                    mended += await _mend(copies, replica, owner, source, page)
        if unknown and remove_unknown:
            async with copies.transaction_across_organisations() as tx:
                removed = await tx.run(replica.statements.REMOVE[replica.name], list(unknown))
    return Rebuilt(
        service=replica.service,
        replica=replica.name,
        owners=sorted({source.owner for source in replica.sources}),
        rows=rows,
        mended=mended,
        unknown=len(unknown),
        removed=removed,
    )


async def _rebuild_all(installation: Site, chosen: Sequence[Replica], *, remove_unknown: bool) -> list[Rebuilt]:
    return [await rebuild(installation, each, remove_unknown=remove_unknown) for each in chosen]


async def _mend(copies: Database, replica: Replica, owner: Database, source: Source, page: list[UUID]) -> int:
    """Write a page of what the owner has; returns how many copies differed."""
    async with copies.transaction_across_organisations() as tx:
        rows = await tx.rows(_Version, replica.statements.VERSIONS[replica.name], page)
    seen = {row.id: row.version for row in rows}
    # Read after the copies were: a copy that is ahead of this is no later word of the owner's, but wrong.
    async with owner.transaction_across_organisations() as tx:
        states = await tx.rows(source.shape, source.states, page)
    ahead = [state.id for state in states if seen.get(state.id, 0) > state.version]
    async with copies.transaction_across_organisations() as tx:
        told = msgspec.json.encode(states)
        mended = await tx.run(replica.statements.MEND[replica.name], told, ahead, [seen[each] for each in ahead])
        if replica.bind is not None:
            await tx.run(replica.bind, page)
    return mended


async def _ids(database: Database, statement: str) -> list[UUID]:
    async with database.transaction_across_organisations() as tx:
        return await tx.value(statement)


def _pages(ids: Sequence[UUID]) -> Iterator[list[UUID]]:
    left = iter(ids)
    while page := list(islice(left, _PAGE)):
        yield page
