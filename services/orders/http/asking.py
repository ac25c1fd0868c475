"""Asks the owners of what a body names and no replica has, before the transaction that uses it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from litestar import Request
from litestar.di import NamedDependency

from services.orders.domain import references
from services.orders.store.replicas import Named, State
from shared.contracts.engagements import EngagementQuestion, EngagementState
from shared.contracts.identity import ClientQuestion, ClientState, UserQuestion, UserState
from shared.contracts.proposals import TemplateQuestion, TemplateState
from shared.database import Database
from shared.ids import OrgId
from shared.messaging.bus import Bus
from shared.messaging.questions import ask
from shared.web.bodies import look_for_resource

Broker = NamedDependency[Bus]
"""The bus, on which the owners are asked."""


async def hear_of(
    request: Request[Any, Any, Any], database: Database, bus: Bus, org: OrgId, named: Sequence[Named]
) -> None:
    """Have the replicas hear of everything in `named` that exists.

    Raises NotFound when something would have to be asked for a resource that is not there, BrokerAway when an owner
    does not answer.
    """
    if not named:
        return
    async with database.transaction(org) as tx:
        unknown = await references.unheard_of(tx, org, named)
    if not unknown:
        return
    await look_for_resource(request)
    answers = await asyncio.gather(*(_ask(bus, org, each) for each in unknown))
    async with database.transaction(org) as tx:
        for state in answers:
            if state is not None:
                await references.keep(tx, state)


async def _ask(bus: Bus, org: OrgId, named: Named) -> State | None:
    match named.kind:
        case "client":
            return await ask(bus, "identity", "client", ClientQuestion(org_id=org, id=named.id), ClientState)
        case "user":
            return await ask(bus, "identity", "user", UserQuestion(org_id=org, id=named.id), UserState)
        case "template":
            return await ask(bus, "proposals", "template", TemplateQuestion(org_id=org, id=named.id), TemplateState)
        case _:
            question = EngagementQuestion(org_id=org, id=named.id)
            return await ask(bus, "engagements", "engagement", question, EngagementState)
