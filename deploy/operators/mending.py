"""After a restore from backups of different moments: what flows made is made again, what no flow made is taken out.

The flows' rows are the truth. A completed one whose engagement, order or client is in no database has its commands said
again, with the same ids; an engagement or order of a flow that is not there, or was undone, is cancelled. The services
do it, as they did the first time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec.structs import replace

from deploy.operators.site import Site
from services.engagements.store import states as of_engagements
from services.identity.store import states as of_identity
from services.orders.store import states as of_orders
from services.proposals.model.interventions import Intervention
from services.proposals.model.proposals import Plan
from services.proposals.sign_flow import SIGN_FLOW, Replies, client_of, ensure_client
from services.proposals.store import interventions, sagas
from shared import clock
from shared.contracts.engagements import CancelEngagement
from shared.contracts.identity import ClientState
from shared.contracts.orders import CancelOrder, OrderPlaced, PlaceOrder
from shared.ids import new_id
from shared.messaging.envelope import Envelope, spell_time
from shared.messaging.saga import CANCEL_SUFFIX, Command, SagaStatus
from shared.messaging.topology import command_subject

CLIENT: Final = "client"
_PARTICIPANTS: Final = {"engagements": "engagement", "orders": "order"}
_STATEMENTS: Final = {"engagements": of_engagements.OF_FLOWS, "orders": of_orders.OF_FLOWS}
_CANCELS: Final = {"engagements": CancelEngagement, "orders": CancelOrder}


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """A command that was said: `step` of the flow `saga_id`, or its cancel."""

    saga_id: UUID
    service: str
    step: str


class _Made(msgspec.Struct, frozen=True):
    saga_id: UUID
    org_id: UUID
    client_id: UUID


class _Standing(msgspec.Struct, frozen=True):
    id: UUID
    org_id: UUID
    status: SagaStatus


async def mend(installation: Site, done: Intervention) -> list[Said]:
    """Say what has to be said, once each, and keep with each completed flow who did it. Can be repeated.

    Raises Failure when a database or the broker is away; what was said until then stays said.
    """
    # What was made first, the flows then: a flow's row is there before anything is made for it.
    made = {service: await _made(installation, service) for service in _PARTICIPANTS}
    flows = await _flows(installation)
    clients = await _clients(installation)
    said: list[Said] = []
    for service, rows in made.items():
        ours = {id for id, flow in flows.items() if flow.status is not SagaStatus.REJECTED}
        said += [await _cancel(installation, service, rows[saga]) for saga in rows.keys() - ours]
    for saga, flow in flows.items():
        if flow.status is SagaStatus.COMPLETED:
            lacking = [_PARTICIPANTS[service] for service, rows in made.items() if saga not in rows]
            known = [rows[saga].client_id for rows in made.values() if saga in rows]
            if lacking or any(client not in clients for client in known):
                said += await _say_again(installation, flow, lacking, clients, done)
    return said


async def _made(installation: Site, service: str) -> dict[UUID, _Made]:
    async with installation.database(service) as database, database.transaction_across_organisations() as tx:
        return {row.saga_id: row for row in await tx.rows(_Made, _STATEMENTS[service])}


async def _flows(installation: Site) -> dict[UUID, _Standing]:
    async with installation.database("proposals") as database, database.transaction_across_organisations() as tx:
        return {row.id: row for row in await tx.rows(_Standing, sagas.STANDING)}


async def _clients(installation: Site) -> set[UUID]:
    async with installation.database("identity") as database, database.transaction_across_organisations() as tx:
        return set(await tx.value(of_identity.IDS["clients"]))


async def _say_again(
    installation: Site, flow: _Standing, lacking: list[str], clients: set[UUID], done: Intervention
) -> list[Said]:
    async with installation.database("proposals") as database:
        async with database.transaction_across_organisations() as tx:
            run = await interventions.lock(tx, flow.id)
            assert run is not None, "a completed flow is never deleted"
            plan, replies = run.plan, run.progress.replies
            client = client_of(plan, replies)
            steps = [CLIENT, *lacking] if client.id not in clients else lacking
            for step in steps:
                await interventions.note(tx, flow.org_id, flow.id, replace(done, step=step))
        said: list[Said] = []
        for step in SIGN_FLOW.steps:
            if step.name in steps:
                command = _again(step.name, step.does, plan, replies, client)
                said.append(await _say(installation, flow.id, step.service, step.name, command))
        return said


def _again(step: str, does: Any, plan: Plan, replies: Replies, client: ClientState) -> Command:
    """The command of a step as it was, with what was drawn then: the client's id, the order's number."""
    if step == CLIENT:
        return Command("ensure-client", replace(ensure_client(plan, replies).body, client_id=client.id, is_bound=False))
    command: Command = does(plan, replies)
    if isinstance(command.body, PlaceOrder):
        placed = msgspec.json.decode(replies[step].result, type=OrderPlaced)
        number = msgspec.json.decode(placed.order, type=dict[str, Any])["number"]
        return replace(command, body=replace(command.body, number=number))
    return command


async def _cancel(installation: Site, service: str, made: _Made) -> Said:
    step = _PARTICIPANTS[service]
    key = f"{made.saga_id}.{step}"
    body = _CANCELS[service](org_id=made.org_id, saga_id=made.saga_id, key=key, at=clock.now())
    return await _say(installation, made.saga_id, service, step + CANCEL_SUFFIX, Command("cancel", body))


async def _say(installation: Site, saga: UUID, service: str, step: str, command: Command) -> Said:
    key = f"{saga}.{step}"
    envelope = Envelope(
        id=key, type=f"{service}.{command.name}.v1", source="operator", time=spell_time(clock.now()), key=key
    )
    headers: Mapping[str, str] = envelope.headers(f"{key}.{new_id()}")
    async with installation.stream() as stream:
        subject = command_subject(service, command.name)
        await stream.publish(subject, msgspec.json.encode(command.body), headers=dict(headers))
    return Said(saga_id=saga, service=service, step=step)
