"""Negative controls: each rule of the protocol is switched off once, and the checker sees what comes of it.

Each scene is played twice: with the rule, and nothing is wrong; without it, and the promise that it keeps is broken.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from uuid import UUID

import msgspec
import pytest
import pytest_asyncio

from deploy.proof.violations import Kind, Violation
from services.engagements.domain import opening
from services.proposals.sign_desk import SignJournal
from services.proposals.store import sagas
from shared import failpoints
from shared.contracts.identity import ClientState
from shared.contracts.reply import Reply
from shared.ids import new_id
from shared.messaging.consumer import Delivery
from shared.messaging.journal import Run
from shared.messaging.saga import Progress, SagaStatus
from shared.web.actor import Actor
from tests.support.commands import cancel_engagement, open_engagement, orchestrating
from tests.support.databases import Databases, opened
from tests.support.house import House, spelled, standing
from tests.support.interference import is_waiting_for_a_lock
from tests.support.servers import NATS_URL, Broker, until

pytestmark = pytest.mark.skipif(bool(NATS_URL), reason="the broker is killed, so it has to be ours")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(
    databases: Databases, shared_broker: Broker, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    async with standing(databases, shared_broker, tmp_path_factory.mktemp("failpoints")) as built:
        yield built


def an_email() -> str:
    return f"{new_id()}@roe.example"


async def an_event_fails_once_before_its_commit(house: House, _: Databases) -> None:
    staff = await house.agency()
    before = failpoints.hits(house.failpoints, "orders.before_commit")
    failpoints.set_trap(house.failpoints, "orders.before_commit", "raise")
    await house.client(staff, an_email())
    await until(lambda: failpoints.hits(house.failpoints, "orders.before_commit") > before)


async def commands_come_again(house: House, _: Databases) -> None:
    staff = await house.agency()
    first = len(house.commands)
    assert (await house.sign(staff, await house.sent(staff, an_email()))).status_code == 200
    for message in house.commands[first:]:
        await house.say_again(message)


async def the_orchestrator_loses_the_replies(house: House, _: Databases) -> None:
    """Those to what was said directly, and then those to the first copies that a stream has had."""
    staff = await house.agency()
    proposal = await house.sent(staff, an_email())
    for lose in (house.sign(staff, proposal, wait_seconds=0), asyncio.sleep(0)):
        before = failpoints.hits(house.failpoints, "proposals.before_t3")
        failpoints.set_trap(house.failpoints, "proposals.before_t3", "raise")
        await lose
        await until(lambda before=before: failpoints.hits(house.failpoints, "proposals.before_t3") > before)
    await house.ends(staff, proposal)


async def a_create_comes_after_its_cancel(house: House, _: Databases) -> None:
    staff = await house.agency()
    await _late_create(house, staff, await _undone(house, staff))


async def a_cancel_comes_while_the_create_commits(house: House, databases: Databases) -> None:
    staff = await house.agency()
    command = open_engagement(staff.org_id, client=await _client(house, staff))
    key = f"{command.saga_id}.engagement"
    async with orchestrating(house.broker) as orchestrator:
        async with house.database("engagements").transaction(staff.org_id) as tx:
            await opening.open_engagement(tx, command, Delivery(new_id(), key))
            await orchestrator.say("engagements", "cancel", cancel_engagement(command), key=f"{key}.cancel")
            await until(lambda: is_waiting_for_a_lock(databases, house.dsns["engagements"]))
        await orchestrator.replies(f"{key}.cancel")


async def a_flow_is_undone(house: House, _: Databases) -> None:
    staff = await house.agency()
    proposal = await house.sent(staff, staff.email)
    await house.sign(staff, proposal, wait_seconds=0)
    await house.ends(staff, proposal)


async def a_participant_commits_and_does_not_reply(house: House, _: Databases) -> None:
    staff = await house.agency()
    email = an_email()
    await house.client(staff, email)
    await house.quiet()
    failpoints.set_trap(house.failpoints, "engagements.after_commit", "raise")
    proposal = await house.sent(staff, email)
    await house.sign(staff, proposal, wait_seconds=0)
    await house.ends(staff, proposal)


async def two_flows_make_one_client(house: House, _: Databases) -> None:
    staff, email = await house.agency(), an_email()
    proposals = [await house.sent(staff, email) for _ in range(2)]
    answers = await asyncio.gather(*(house.sign(staff, proposal) for proposal in proposals))
    assert [answer.status_code for answer in answers] == [200, 200]


async def a_create_comes_long_after_its_cancel(house: House, _: Databases) -> None:
    staff = await house.agency()
    saga = await _undone(house, staff)
    await house.quiet()
    await house.stop("engagements")
    await house.start("engagements")  # which prunes at once
    if failpoints.without("old_inbox"):
        await until(lambda: _is_pruned(house))
    await _late_create(house, staff, saga)


async def a_driver_completes_what_was_undone_meanwhile(house: House, _: Databases) -> None:
    staff, email = await house.agency(), an_email()
    await house.client(staff, email)
    failpoints.set_trap(house.failpoints, "proposals.before_t3", "raise")
    proposal = await house.sent(staff, email)
    before = failpoints.hits(house.failpoints, "proposals.before_t3")
    await house.sign(staff, proposal, wait_seconds=0)
    await until(lambda: failpoints.hits(house.failpoints, "proposals.before_t3") > before)
    journal = SignJournal(house.database("proposals"))
    stale = await _as_it_was_before_t3(house, staff.org_id, proposal)
    assert await journal.compensate(stale, "An operator cancelled it.")
    assert await house.ends(staff, proposal) == "rejected"
    await journal.complete(stale)


async def the_brokers_store_is_lost_with_events_in_it(house: House, _: Databases) -> None:
    staff = await house.agency()
    await house.stop("conversations")
    await house.sign(staff, await house.sent(staff, an_email()))

    async def is_all_published() -> bool:
        return all(event.is_published for event in (await house.evidence()).events)

    await until(is_all_published)
    await house.broker.kill()
    house.broker.forget()
    await house.broker.start()
    await house.start("conversations")
    await until(house["proposals"].is_well)
    await house.sign(staff, await house.sent(staff, an_email()))


Scene = Callable[[House, Databases], Awaitable[None]]

CONTROLS: dict[str, tuple[Scene, Kind]] = {
    "ack_after_commit": (an_event_fails_once_before_its_commit, Kind.LOST),
    "inbox": (commands_come_again, Kind.STUCK),
    "attempt_in_message_id": (the_orchestrator_loses_the_replies, Kind.STUCK),
    "tombstone": (a_create_comes_after_its_cancel, Kind.DOUBLED),
    "second_snapshot": (a_cancel_comes_while_the_create_commits, Kind.DOUBLED),
    "key_of_its_own": (a_flow_is_undone, Kind.STUCK),
    "reply_to_duplicates": (a_participant_commits_and_does_not_reply, Kind.STUCK),
    "order_of_steps": (two_flows_make_one_client, Kind.UNTRUE),
    "old_inbox": (a_create_comes_long_after_its_cancel, Kind.DOUBLED),
    "fence": (a_driver_completes_what_was_undone_meanwhile, Kind.LOST),
    "republication": (the_brokers_store_is_lost_with_events_in_it, Kind.LOST),
}
"""A rule, the scene that needs it, and what is wrong without it."""


@pytest.mark.parametrize("rule", CONTROLS)
async def test_without_this_rule_a_promise_is_broken_and_with_it_none(house: House, databases: Databases, rule: str):
    scene, kind = CONTROLS[rule]
    before = await house.violations()
    await scene(house, databases)
    assert await _settled(house, before) == []
    switch = house.failpoints / f"without.{rule}"
    switch.touch()
    try:
        await scene(house, databases)
        await house.quiet()
        wrong = await house.violations() - before
    finally:
        switch.unlink()
    assert kind in {violation.kind for violation in wrong}, spelled(wrong)


async def _settled(house: House, before: set[Violation]) -> list[str]:
    """What is wrong that was not before, once everything is quiet."""
    await house.quiet()
    left: list[str] = []

    async def is_right() -> bool:
        left[:] = spelled(await house.violations() - before)
        return not left

    try:
        await until(is_right)
    except TimeoutError:
        return left
    return []


async def _undone(house: House, staff: Actor) -> UUID:
    """The saga of a flow that was refused and undone before it opened anything."""
    proposal = await house.sent(staff, staff.email)
    assert (await house.sign(staff, proposal)).status_code == 409
    return UUID((await house.report(staff, proposal))["saga_id"])


async def _late_create(house: House, staff: Actor, saga: UUID) -> None:
    command = open_engagement(staff.org_id, saga_id=saga, client=await _client(house, staff))
    async with orchestrating(house.broker) as orchestrator:
        await orchestrator.ask("engagements", "open", command, key=f"{saga}.engagement")


async def _client(house: House, staff: Actor) -> ClientState:
    """A client that there is, as a command names them."""
    known = await house.client(staff, an_email())
    return ClientState(
        org_id=staff.org_id, id=UUID(known["id"]), version=1, name_f="Jane", name_l="Roe", email=known["email"]
    )


async def _as_it_was_before_t3(house: House, org: UUID, proposal: str) -> Run:
    """The run with its replies, as the driver had it that was stopped there."""
    async with house.database("proposals").transaction(org) as tx:
        latest = await sagas.latest(tx, org, UUID(proposal))
    assert latest is not None
    replies = {}
    for service, step in (("engagements", "engagement"), ("orders", "order")):
        async with opened(house.dsns[service]) as database, database.transaction_across_organisations() as tx:
            kept = await tx.value("select reply from inbox where key = $1", f"{latest.id}.{step}")
        replies[step] = msgspec.json.decode(kept, type=Reply)
    progress = Progress(SagaStatus.RUNNING, replies)
    return Run(id=latest.id, plan=latest.plan, progress=progress, marks={}, attempt=1, traceparent="")


async def _is_pruned(house: House) -> bool:
    async with house.database("engagements").transaction_across_organisations() as tx:
        query = "select count(*) from inbox where at < now() - $1::interval"
        return not await tx.value(query, timedelta(0))
