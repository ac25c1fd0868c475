"""`serx sagas`: a flow that does not get on is found, shown, made due and turned back; the test plays participants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from deploy.failure import Failure
from deploy.operators import sagas
from deploy.operators.sagas import FlowLine
from deploy.operators.site import Site
from services.proposals.domain import interventions
from services.proposals.model.interventions import Intervention
from services.proposals.store.interventions import Filters
from shared import clock
from shared.contracts.reply import Reply
from shared.web.actor import Actor
from tests.support import actors
from tests.support.builders import sent_proposal
from tests.support.neighbours import Neighbours, is_silent, places, played, refuses
from tests.support.servers import Broker, until
from tests.support.services import Service

OPEN = Filters(statuses=["running", "compensating"])


@pytest_asyncio.fixture(loop_scope="session")
async def neighbours(proposals: Service, shared_broker: Broker) -> AsyncIterator[Neighbours]:
    async with played(shared_broker) as players:
        yield players


@pytest.fixture
def staff() -> Actor:
    return actors.admin()


def intervention(action: Any, **changes: Any) -> Intervention:
    return Intervention(
        **{"action": action, "actor": "ada", "reason": "The client called.", "at": clock.now()} | changes
    )


async def act(site: Site, what: Any, saga: UUID, done: Intervention) -> None:
    async with site.database("proposals") as database, database.transaction_across_organisations() as tx:
        await what(tx, saga, done)


async def begun(proposals: Service, staff: Actor) -> str:
    """The id of a proposal whose signing is under way."""
    proposal = await sent_proposal(proposals, staff)
    answer = await proposals.call(staff, "POST", f"/api/proposals/{proposal}/sign", headers={"prefer": "wait=0"})
    assert answer.status_code == 202, answer.text
    return proposal


async def report_of(proposals: Service, actor: Actor, proposal: str) -> dict[str, Any]:
    return (await proposals.call(actor, "GET", f"/api/proposals/{proposal}/sign")).json()


async def comes_to(proposals: Service, staff: Actor, proposal: str, status: str) -> dict[str, Any]:
    """The report, once it has that status."""

    async def reached() -> dict[str, Any] | None:
        report = await report_of(proposals, staff, proposal)
        return report if report["status"] == status else None

    return await until(reached)


async def of(site: Site, staff: Actor, *, filters: Filters = OPEN, service: str | None = None) -> list[FlowLine]:
    narrowed = Filters(
        statuses=filters.statuses,
        is_parked=filters.is_parked,
        org_id=staff.org_id,
        started_before=filters.started_before,
    )
    return await sagas.listed(site, narrowed, service=service, limit=10)


async def parked(proposals: Service, site: Site, staff: Actor, neighbours: Neighbours) -> tuple[str, UUID]:
    """A proposal, and its flow, whose order was parked."""
    neighbours.answers["orders.place"] = lambda _: Reply(outcome="parked", cause="ValueError: poison")
    proposal = await begun(proposals, staff)
    waiting = Filters(statuses=OPEN.statuses, is_parked=True)
    (line,) = await until(lambda: of(site, staff, filters=waiting))
    return proposal, line.saga_id


async def test_a_stuck_flow_is_listed_with_the_step_and_the_service_that_it_waits_for(
    proposals: Service, site: Site, staff: Actor, neighbours: Neighbours
):
    neighbours.answers["orders.place"] = is_silent
    proposal = await begun(proposals, staff)

    async def waits_for_orders_alone() -> FlowLine | None:
        (line,) = await of(site, staff)
        return line if [step.name for step in line.waits_for] == ["order"] else None

    line = await until(waits_for_orders_alone)
    assert (str(line.proposal_id), line.report.status, line.is_parked) == (proposal, "running", False)
    assert await of(site, staff, service="orders") == [line]
    assert await of(site, staff, service="engagements") == []
    assert await of(site, actors.admin()) == []
    hour_ago = Filters(statuses=OPEN.statuses, started_before=clock.now() - timedelta(hours=1))
    assert await of(site, staff, filters=hour_ago) == []


async def test_a_flow_is_shown_by_its_own_id_and_by_its_proposals(
    proposals: Service, site: Site, staff: Actor, neighbours: Neighbours
):
    neighbours.answers["orders.place"] = is_silent
    proposal = await begun(proposals, staff)
    (line,) = await of(site, staff)
    by_proposal = await sagas.shown(site, UUID(proposal))
    assert by_proposal.saga_id == line.saga_id == (await sagas.shown(site, line.saga_id)).saga_id
    with pytest.raises(Failure, match="There is no flow"):
        await sagas.shown(site, staff.org_id)


async def test_a_cancelled_flow_is_undone_by_the_running_service_and_the_report_says_who_when_and_why(
    proposals: Service, site: Site, staff: Actor, neighbours: Neighbours
):
    neighbours.answers["orders.place"] = is_silent
    proposal = await begun(proposals, staff)
    (line,) = await of(site, staff)
    done = intervention("cancel")
    await act(site, interventions.cancel, line.saga_id, done)
    report = await comes_to(proposals, staff, proposal, "rejected")
    (told,) = report["interventions"]
    assert (told["action"], told["by"], told["reason"]) == ("cancel", "ada", "The client called.")
    assert told["at"] == done.at.isoformat().replace("+00:00", "Z")
    assert neighbours.commands("engagements.cancel")
    assert neighbours.commands("orders.cancel")
    assert (await proposals.call(staff, "GET", f"/api/proposals/{proposal}")).json()["status"] == "Sent"


async def test_a_client_who_was_asked_for_and_never_came_is_cancelled_with_the_flow(
    proposals: Service, site: Site, staff: Actor, neighbours: Neighbours
):
    neighbours.answers["identity.ensure-client"] = is_silent
    proposal = await begun(proposals, staff)
    (line,) = await of(site, staff)
    await act(site, interventions.cancel, line.saga_id, intervention("cancel"))
    report = await comes_to(proposals, staff, proposal, "rejected")
    assert {step["name"]: step["status"] for step in report["steps"]} == dict.fromkeys(
        ("client", "engagement", "order", "engagement.cancel", "order.cancel"), "cancelled"
    )


async def test_whoever_waits_for_a_signature_is_told_that_it_was_cancelled_but_not_why(
    proposals: Service, site: Site, staff: Actor, neighbours: Neighbours
):
    neighbours.answers["orders.place"] = is_silent
    proposal = await sent_proposal(proposals, staff)
    signing = asyncio.create_task(proposals.call(staff, "POST", f"/api/proposals/{proposal}/sign"))
    (line,) = await until(lambda: of(site, staff))
    await act(site, interventions.cancel, line.saga_id, intervention("cancel"))
    refused = await signing
    assert (refused.status_code, refused.json()["detail"]) == (409, "The signature was cancelled by an operator.")


async def test_a_client_is_not_told_of_operators(proposals: Service, site: Site, staff: Actor, neighbours: Neighbours):
    neighbours.answers["orders.place"] = is_silent
    proposal = await begun(proposals, staff)
    (line,) = await of(site, staff)
    assert "interventions" not in await report_of(proposals, staff, proposal)
    await act(site, interventions.retry, line.saga_id, intervention("retry"))
    assert len((await report_of(proposals, staff, proposal))["interventions"]) == 1
    assert "interventions" not in await report_of(proposals, actors.client(staff.org_id), proposal)


async def test_a_parked_flow_that_is_retried_asks_the_parked_step_again_and_completes(
    proposals: Service, site: Site, staff: Actor, neighbours: Neighbours
):
    proposal, saga = await parked(proposals, site, staff, neighbours)
    neighbours.answers["orders.place"] = places
    await act(site, interventions.retry, saga, intervention("retry"))
    report = await comes_to(proposals, staff, proposal, "completed")
    order = next(step for step in report["steps"] if step["name"] == "order")
    assert (order["status"], order["error"], order["attempts"]) == ("done", None, 2)
    assert report["interventions"][0]["action"] == "retry"
    opened = [command for command in neighbours.commands("engagements.open") if command["proposal_id"] == proposal]
    assert len(opened) == 1
    assert [(each["number"], each["error"]) for each in order["tries"]] == [(1, "ValueError: poison"), (2, None)]
    assert all(each["answered_at"] >= each["sent_at"] and each["duration_ms"] >= 0 for each in order["tries"])


async def test_until_a_retried_step_is_answered_the_report_does_not_say_that_it_has_finished(
    proposals: Service, site: Site, staff: Actor, neighbours: Neighbours
):
    proposal, saga = await parked(proposals, site, staff, neighbours)
    neighbours.answers["orders.place"] = is_silent
    await act(site, interventions.retry, saga, intervention("retry"))
    order = next(s for s in (await report_of(proposals, staff, proposal))["steps"] if s["name"] == "order")
    assert (order["status"], order["finished_at"], order["error"]) == ("waiting", None, None)


async def test_a_parked_flow_can_be_cancelled(proposals: Service, site: Site, staff: Actor, neighbours: Neighbours):
    proposal, saga = await parked(proposals, site, staff, neighbours)
    await act(site, interventions.cancel, saga, intervention("cancel"))
    await comes_to(proposals, staff, proposal, "rejected")


async def test_a_flow_that_is_being_undone_can_be_retried_but_not_cancelled_again(
    proposals: Service, site: Site, staff: Actor, neighbours: Neighbours
):
    neighbours.answers["orders.place"] = is_silent
    neighbours.answers["orders.cancel"] = is_silent
    proposal = await begun(proposals, staff)
    (line,) = await of(site, staff)
    await act(site, interventions.cancel, line.saga_id, intervention("cancel"))
    with pytest.raises(Failure, match="being undone already"):
        await act(site, interventions.cancel, line.saga_id, intervention("cancel"))
    await act(site, interventions.retry, line.saga_id, intervention("retry"))
    await neighbours.hears("orders.cancel")
    assert [step.name for step in (await sagas.shown(site, line.saga_id)).waits_for][-1] == "order.cancel"
    report = await report_of(proposals, staff, proposal)
    assert [each["action"] for each in report["interventions"]] == ["cancel", "retry"]


@pytest.mark.parametrize("ending", ["completed", "rejected"])
async def test_a_flow_that_is_over_refuses_to_be_retried_and_to_be_cancelled(
    proposals: Service, site: Site, staff: Actor, neighbours: Neighbours, ending: str
):
    if ending == "rejected":
        neighbours.answers["orders.place"] = refuses("No.")
    proposal = await begun(proposals, staff)
    report = await comes_to(proposals, staff, proposal, ending)
    for what in (interventions.retry, interventions.cancel):
        with pytest.raises(Failure, match=f"is {ending}: it is over"):
            await act(site, what, UUID(report["saga_id"]), intervention("retry"))
    assert "interventions" not in await report_of(proposals, staff, proposal)


async def test_a_flow_that_does_not_exist_is_said_to_be_none(site: Site, staff: Actor):
    with pytest.raises(Failure, match="There is no such flow"):
        await act(site, interventions.retry, staff.org_id, intervention("retry"))
