"""The promises of the sign flow (docs/model.md), held against a world."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from services.engagements.domain.opening import CLIENT_IS_GONE
from services.proposals.model.proposals import Proposal, ProposalStatus
from services.proposals.sign_flow import SIGN_FLOW, client_of
from services.proposals.views import StepView
from shared.messaging.saga import CANCEL_SUFFIX, SagaStatus
from tests.support.saga_model import calm
from tests.support.saga_model.desk import Told
from tests.support.saga_model.journal import Saga
from tests.support.saga_model.maker import Row
from tests.support.saga_model.parts import Hole, PromiseBroken
from tests.support.saga_model.world import REPLICAS, World

MAKER_OF = {step.name: step.service for step in SIGN_FLOW.steps if step.undo}


def hold_now(world: World) -> None:
    """What must be so at any moment: G1, G2, G8. Raises PromiseBroken."""
    for told in world.desk.told:
        _hold_answer(world, told)
    for proposal in world.journal.proposals.values():
        _hold_proposal(world, proposal)
        _hold_owner(world, proposal)
    for saga in world.journal.sagas.values():
        _hold_report(world, saga)
        _hold_cause(world, saga)


def hold_in_the_end(world: World) -> None:
    """What must be so once this world has calmed down, in either order: G3, and G4. The world stays as it is."""
    for order in calm.Order:
        _settle_and_hold(world.fork(), order)


def hold_without_the_broker(world: World) -> None:
    """The same, after the broker's store is gone and every process has died at once: G7. The world stays."""
    twin = world.fork()
    twin.lose_store()
    for replica in REPLICAS:
        twin.crash_replica(replica)
    for name in twin.participants:
        twin.crash_service(name)
    twin.desk.writes.clear()
    twin.broker.answers.clear()
    _settle_and_hold(twin, calm.Order.OLDEST_FIRST)


def _settle_and_hold(world: World, order: calm.Order) -> None:
    calm.settle(world, order)
    _hold_at_rest(world)
    for saga in list(world.journal.sagas.values()):
        if saga.is_open:  # parked: an operator's word
            world.journal.retry(saga.run.id)
    calm.settle(world, order)
    _hold_at_rest(world)
    _require(not any(saga.is_open for saga in world.journal.sagas.values()), "G3: a flow is left open")
    is_signing = [
        proposal for proposal in world.journal.proposals.values() if proposal.status is ProposalStatus.SIGNING
    ]
    _require(not is_signing, "G3: a proposal is left Signing")


def _hold_at_rest(world: World) -> None:
    hold_now(world)
    _require(not world.broker.commands, "G3: commands are left in the stream")
    for name, outbox in world.outboxes.items():
        _require(not outbox.left_behind(), f"G4: {name} has not published everything")
        _require(outbox.facts.keys() <= world.heard_outside, f"G4: an event of {name} was never heard")
    for client in world.identity.clients.values():
        _require(world.journal.clients.get(client.id, client) == client, "G4: the proposals' copy of a client is stale")
        for name, maker in world.makers.items():
            gate = maker.gates.get(client.id)
            _require(gate is None or gate.version == client.version, f"G4: the copy of a client at {name} is stale")
            hangs = client.is_deleted and any(row.client == client.id for row in maker.active())
            _require(not hangs, f"a deleted client has something at {name}")
    for proposal in world.journal.proposals.values():
        is_open = proposal.status is ProposalStatus.SENT and proposal.client_id is None
        client = world.journal.client_of(proposal.client_email)
        _require(not is_open or client is None, "its client is known, and the proposal belongs to nobody")
    _require(world.orders.engagements == world.engagements.rows, "G4: the orders' copy of an engagement is stale")


def _hold_answer(world: World, told: Told) -> None:
    """G1: what a caller was told of an end stays so."""
    if told.outcome is None:
        return
    _require(told.outcome == world.journal.outcome(told.saga), "G1: an end that was told is another now")
    if told.outcome.status is SagaStatus.COMPLETED:
        proposal = world.journal.proposals[told.proposal]
        _require(proposal.status is ProposalStatus.SIGNED, "G1: told 200, but the proposal is not Signed")
        _require(_ids_of(told.outcome.result) == _ids_there(world, proposal), "G1: told other ids than there are")


def _hold_proposal(world: World, proposal: Proposal) -> None:
    """G2: Signed, with one of each, or not, with none; while it is Signing anything may be under way."""
    if proposal.status is ProposalStatus.SIGNING:
        return
    made = {name: _of(maker.active(), proposal) for name, maker in world.makers.items()}
    if proposal.status is not ProposalStatus.SIGNED:
        left = [name for name, rows in made.items() if rows]
        _require(
            not left, f"G2: proposal {proposal.id.int} is {proposal.status.label}, with something active at {left}"
        )
        return
    engagements, orders = made["engagements"], made["orders"]
    _require((len(engagements), len(orders)) == (1, 1), "G2: Signed, without exactly one engagement and one order")
    _require(engagements[0].id == proposal.converted_engagement_id, "G2: the engagement is not the answer's")
    _require(orders[0].id == proposal.converted_order_id, "G2: the order is not the answer's")
    _require(len(engagements[0].projects) == len(proposal.items), "G2: not one project per item")
    _require(engagements[0].client == orders[0].client, "G2: the engagement and the order have different clients")
    _require(engagements[0].client in world.identity.clients, "G2: the client does not exist")
    told = world.journal.outbox.facts["proposal", proposal.id, proposal.version]
    _require(told.state["client_id"] == str(engagements[0].client), "G2: others are told another client")


def _hold_owner(world: World, proposal: Proposal) -> None:
    """A proposal belongs to one client, for whom alone it is signed, whatever becomes of addresses."""
    if proposal.client_id is None:
        _require(proposal.status is not ProposalStatus.SIGNED, "a Signed proposal belongs to nobody")
        _require(
            proposal.id not in world.journal.owners or world.hole is Hole.SIGNED_BY_ADDRESS,
            "a proposal does not belong to its client any more",
        )
        return
    owner = world.journal.owners.setdefault(proposal.id, proposal.client_id)
    _require(owner == proposal.client_id, "a proposal belongs to another client than before")
    if proposal.status is ProposalStatus.SIGNED:
        clients = {row.client for row in _of(world.engagements.active(), proposal)}
        _require(clients == {owner}, "a proposal was signed for another client than its own")


def _hold_cause(world: World, saga: Saga) -> None:
    """G8: who is said to be deleted is deleted."""
    for step, reply in saga.run.progress.replies.items():
        if reply.outcome == "refused" and reply.cause == CLIENT_IS_GONE:
            plan = saga.run.plan
            is_named = step == "client" and plan.proposal.client_id is not None
            client = plan.proposal.client_id if is_named else None
            if step != "client":
                client = client_of(plan, saga.run.progress.replies).id
            deleted = client is None or world.identity.clients[client].is_deleted
            _require(deleted, "G8: refused because the client was deleted, who was not")


def _hold_report(world: World, saga: Saga) -> None:
    """G8: what the report says of a step is recorded at its participant, and no step of a flow that is over waits."""
    report = world.journal.report(saga.run.id)
    for step in report.steps:
        if step.status == "done":
            world.journal.told_done.add((saga.run.id, step.name))
        elif (saga.run.id, step.name) in world.journal.told_done:
            _require(step.status == "cancelled", f"G8: {step.name} was reported done, and now {step.status}")
        name = step.name.partition(".")[0]
        if name in MAKER_OF and step.status != "waiting":
            _hold_step(world, saga, name, step)
    if report.status == "completed":
        _require(all(step.status == "done" for step in report.steps), "G8: completed, with a step that is not done")
    if report.status == "rejected":
        cancels = [step.status for step in report.steps if step.name.endswith(CANCEL_SUFFIX)]
        _require(set(cancels) == {"cancelled"}, "G8: rejected, with a step that is not undone")
        _require(all(step.status != "waiting" for step in report.steps), "G8: rejected, with a step that waits")


def _hold_step(world: World, saga: Saga, name: str, step: StepView) -> None:
    rows = [row for row in world.makers[MAKER_OF[name]].rows.values() if row.saga == saga.run.id]
    if step.status == "done":
        _require(len(rows) == 1, f"G8: {name} is reported done, and is not there")
    if step.status == "done" and saga.status in (SagaStatus.RUNNING, SagaStatus.COMPLETED):
        _require(not rows[0].is_cancelled, f"G8: {name} is reported done, and was undone")
    if step.status == "cancelled":
        _require(all(row.is_cancelled for row in rows), f"G8: {name} is reported undone, and is there")


def _ids_of(result: bytes) -> tuple[Any, ...]:
    """The ids in the answer as callers read it."""
    answer: Mapping[str, Any] = msgspec.json.decode(result)
    return answer["engagement"]["id"], answer["order"]["id"], [project["id"] for project in answer["projects"]]


def _ids_there(world: World, proposal: Proposal) -> tuple[Any, ...] | None:
    engagements = _of(world.engagements.active(), proposal)
    orders = _of(world.orders.active(), proposal)
    if len(engagements) != 1 or len(orders) != 1:
        return None
    return str(engagements[0].id), str(orders[0].id), [str(project) for project in engagements[0].projects]


def _of(rows: Iterable[Row], proposal: Proposal) -> list[Row]:
    return [row for row in rows if row.proposal == proposal.id]


def _require(holds: bool, promise: str) -> None:  # noqa: FBT001
    if not holds:
        raise PromiseBroken(promise)
