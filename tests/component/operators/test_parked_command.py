"""`serx parked` and `serx outbox`: what the order service could not handle is found, delivered again, dropped."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, Literal

import pytest
import pytest_asyncio
from msgspec.structs import replace

from deploy.failure import Failure
from deploy.operators import outbox, parked, sagas
from deploy.operators.site import Site
from services.identity.domain.clients import changed
from services.proposals.domain import interventions
from services.proposals.model.interventions import Intervention
from shared import clock
from shared.contracts.identity import ClientState
from shared.contracts.orders import PlaceOrder
from shared.ids import new_id
from shared.messaging import topology
from shared.messaging.outbox import put
from shared.web.actor import Actor
from tests.support import actors
from tests.support.builders import sent_proposal
from tests.support.commands import Orchestrator, cancel_order, client_state, orchestrating, place_order
from tests.support.databases import opened
from tests.support.neighbours import Neighbours, is_silent, played
from tests.support.servers import Broker, until
from tests.support.services import Service


@pytest_asyncio.fixture(loop_scope="session")
async def orchestrator(orders: Service, shared_broker: Broker) -> AsyncIterator[Orchestrator]:
    await until(orders.is_well)
    async with orchestrating(shared_broker) as player:
        yield player


@pytest.fixture
def staff() -> Actor:
    return actors.admin()


def intervention(action: Literal["retry_parked", "drop_parked"]) -> Intervention:
    return Intervention(action=action, actor="ada", reason="It is mended.", at=clock.now())


async def poisoned(orchestrator: Orchestrator, staff: Actor) -> tuple[PlaceOrder, str]:
    """A second order of one proposal, by another flow: parked, because the first one stands in its way."""
    first = place_order(staff.org_id)
    assert (await orchestrator.ask("orders", "place", first, key=f"{first.saga_id}.order")).outcome == "done"
    second = replace(place_order(staff.org_id), proposal_id=first.proposal_id, client=first.client)
    key = f"{second.saga_id}.order"
    assert (await orchestrator.ask("orders", "place", second, key=key)).outcome == "parked"
    return first, key


async def test_a_parked_command_is_listed_by_service_age_and_organisation(
    site: Site, orchestrator: Orchestrator, staff: Actor
):
    _, key = await poisoned(orchestrator, staff)
    (found,) = await parked.listed(site, "parked", org=staff.org_id)
    assert (found.key, found.service, found.status, found.type) == (key, "orders", "parked", "orders.place.v1")
    assert "one_order_a_signature" in found.error
    assert await parked.listed(site, "parked", org=staff.org_id, service="orders") == [found]
    assert await parked.listed(site, "parked", org=staff.org_id, service="identity") == []
    assert await parked.listed(site, "parked", org=new_id()) == []
    assert await parked.listed(site, "parked", older_than=timedelta(hours=1), org=staff.org_id) == []
    assert [each.body for each in await parked.shown(site, key, None)] == [found.body]


async def test_a_parked_message_that_is_delivered_again_is_done_once_what_stood_in_its_way_is_gone(
    site: Site, orchestrator: Orchestrator, staff: Actor
):
    first, key = await poisoned(orchestrator, staff)
    await orchestrator.ask("orders", "cancel", cancel_order(first), key=f"{first.saga_id}.order.cancel")
    assert await parked.settled(site, key, None, intervention("retry_parked")) == "orders"
    assert b'"done"' in (await orchestrator.replies(key, times=2))[1]
    assert await parked.listed(site, "parked", org=staff.org_id) == []
    (kept,) = await parked.listed(site, "retried", org=staff.org_id)
    assert (kept.key, kept.by, kept.reason) == (key, "ada", "It is mended.")


async def test_a_message_that_fails_again_is_parked_again_and_the_earlier_retry_is_still_told(
    site: Site, orchestrator: Orchestrator, staff: Actor
):
    _, key = await poisoned(orchestrator, staff)
    await parked.settled(site, key, "orders", intervention("retry_parked"))
    await orchestrator.replies(key, times=2)
    assert [each.status for each in await parked.shown(site, key, None)] == ["retried", "parked"]


async def test_a_message_that_cannot_even_be_read_is_delivered_again_as_it_came(
    site: Site, orchestrator: Orchestrator, staff: Actor
):
    key = f"{new_id()}.order"
    assert (await orchestrator.ask("orders", "place", b"{\xff", key=key)).outcome == "parked"
    (shown,) = await parked.shown(site, key, "orders")
    assert (shown.is_body_base64, shown.body, shown.org_id) == (True, "e/8=", None)
    await parked.settled(site, key, None, intervention("retry_parked"))
    await orchestrator.replies(key, times=2)
    again = (await parked.shown(site, key, "orders"))[-1]
    assert (again.status, again.body) == ("parked", "e/8=")


async def test_a_dropped_message_is_gone_and_who_when_and_why_are_kept(
    site: Site, orchestrator: Orchestrator, staff: Actor
):
    _, key = await poisoned(orchestrator, staff)
    done = intervention("drop_parked")
    await parked.settled(site, key, None, done)
    assert await parked.listed(site, "parked", org=staff.org_id) == []
    (kept,) = await parked.shown(site, key, None)
    assert (kept.status, kept.by, kept.reason, kept.at) == ("dropped", "ada", "It is mended.", done.at)
    with pytest.raises(Failure, match=f"No message with the key {key} is parked"):
        await parked.settled(site, key, None, done)


async def test_an_event_that_was_parked_is_delivered_again(site: Site, orchestrator: Orchestrator, staff: Actor):
    id = new_id()
    client = client_state(staff.org_id, id=id)
    subject = topology.event_subject(staff.org_id, "client", "changed")
    await orchestrator.tell(subject, "client.changed.v9", client, id=id)
    (found,) = await until(lambda: parked.listed(site, "parked", org=staff.org_id, service="orders"))
    assert "client.changed.v9 is not known here" in found.error
    await parked.settled(site, str(id), "orders", intervention("retry_parked"))

    async def is_parked_again() -> bool:
        return len(await parked.shown(site, str(id), "orders")) == 2

    await until(is_parked_again)


@pytest_asyncio.fixture(loop_scope="session")
async def participants(proposals: Service, orders: Service, shared_broker: Broker) -> AsyncIterator[Neighbours]:
    """Identity and engagements, played; the order service is the real one."""
    async with played(shared_broker) as players:
        players.answers |= {"orders.place": is_silent, "orders.cancel": is_silent}
        yield players


async def blocked(orchestrator: Orchestrator, proposals: Service, staff: Actor) -> tuple[str, PlaceOrder]:
    """A proposal that is being signed, and an order that stands in its way."""
    proposal = await sent_proposal(proposals, staff)
    first = replace(place_order(staff.org_id), proposal_id=proposal)
    assert (await orchestrator.ask("orders", "place", first, key=f"{first.saga_id}.order")).outcome == "done"
    answer = await proposals.call(staff, "POST", f"/api/proposals/{proposal}/sign", headers={"prefer": "wait=0"})
    assert answer.status_code == 202
    return proposal, first


async def report_with(proposals: Service, staff: Actor, proposal: str, **wanted: str) -> dict[str, Any]:
    async def reached() -> dict[str, Any] | None:
        report = (await proposals.call(staff, "GET", f"/api/proposals/{proposal}/sign")).json()
        order = next(step for step in report["steps"] if step["name"] == "order")
        told = {"status": report["status"], "order": order["status"]}
        return report if told | wanted == told else None

    return await until(reached, within_seconds=20)


async def test_a_flow_whose_command_was_parked_completes_once_that_is_delivered_again_and_its_report_says_so(
    site: Site, orchestrator: Orchestrator, proposals: Service, participants: Neighbours, staff: Actor
):
    proposal, first = await blocked(orchestrator, proposals, staff)
    report = await report_with(proposals, staff, proposal, order="parked")
    await orchestrator.ask("orders", "cancel", cancel_order(first), key=f"{first.saga_id}.order.cancel")
    await parked.settled(site, f"{report['saga_id']}.order", None, intervention("retry_parked"))
    report = await report_with(proposals, staff, proposal, status="completed")
    (told,) = report["interventions"]
    assert (told["action"], told["step"], told["by"]) == ("retry_parked", "order", "ada")


async def test_a_forward_command_of_a_flow_that_is_over_or_turning_back_is_never_brought_back(
    site: Site, orchestrator: Orchestrator, proposals: Service, participants: Neighbours, staff: Actor
):
    proposal, _ = await blocked(orchestrator, proposals, staff)
    report = await report_with(proposals, staff, proposal, order="parked")
    (line,) = await sagas.listed(
        site, sagas.Filters(statuses=["running"], org_id=staff.org_id), service="orders", limit=5
    )
    cancelled = Intervention(action="cancel", actor="ada", reason="It is a mistake.", at=clock.now())
    async with site.database("proposals") as database, database.transaction_across_organisations() as tx:
        await interventions.cancel(tx, line.saga_id, cancelled)
    await report_with(proposals, staff, proposal, status="rejected")
    key = f"{report['saga_id']}.order"
    with pytest.raises(Failure, match="is rejected: it is over"):
        await parked.settled(site, key, None, intervention("retry_parked"))
    await parked.settled(site, key, None, intervention("drop_parked"))
    report = await report_with(proposals, staff, proposal, status="rejected")
    assert [(each["action"], each["step"]) for each in report["interventions"]] == [
        ("cancel", None),
        ("drop_parked", "order"),
    ]


async def test_what_waits_in_an_outbox_is_counted_and_listed(site: Site, dsns: dict[str, str], staff: Actor):
    """Identity does not run here, so what it says waits."""
    client: ClientState = client_state(staff.org_id)
    async with opened(dsns["identity"]) as database, database.transaction(staff.org_id) as tx:
        await put(tx, changed(new_id(), client))
    (found,) = await outbox.looked_into(site, None, org=staff.org_id, service="identity", limit=10)
    assert (found.service, [each.type for each in found.waiting]) == ("identity", ["client.changed.v1"])
    assert found.standing.waiting >= 1
    assert found.standing.oldest_at is not None
    (other,) = await outbox.looked_into(site, None, org=new_id(), service="identity", limit=10)
    assert other.waiting == []
    everywhere = await outbox.looked_into(site, clock.now() - timedelta(hours=1), org=None, service=None, limit=10)
    assert [each.service for each in everywhere] == list(topology.SERVICES)
    assert all(each.waiting == [] for each in everywhere)
