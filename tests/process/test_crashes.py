"""Processes are killed at the worst moment; each signature still ends with exactly one of everything."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from shared import failpoints
from shared.ids import new_id
from tests.support.exactly_once import has_exactly_one_of_everything, nothing_is_left_open
from tests.support.installation import Installation
from tests.support.servers import until

SIGNATURES = 20


@asynccontextmanager
async def broken(installation: Installation, point: str, action: str) -> AsyncIterator[None]:
    """A point is armed within the block, and was hit, once, at its end; whoever was killed there is back."""
    service = point.partition(".")[0]
    before = failpoints.hits(installation.failpoints, point)
    pid = installation.ready["services"][service]["pid"]
    failpoints.set_trap(installation.failpoints, point, action)
    yield
    assert failpoints.hits(installation.failpoints, point) == before + 1
    if action == "kill":
        await installation.replaced(service, pid)


async def signs_whatever_happens(installation: Installation, proposal: str) -> None:
    """Sign as an honest client would: again when the gateway is away; a 409 says that it is signed, or about to be.

    A 500 is what a point that raises within the request is answered.
    """
    while True:
        try:
            answer = await installation.sign(proposal)
        except httpx.TransportError:
            answer = None
        if answer is not None and answer.status_code in (200, 202, 409):
            return
        assert answer is None or answer.status_code in (500, 503), answer.text
        await asyncio.sleep(0.05)  # an honest client does not ask again without a pause


FORWARD = (
    "engagements.before_commit",
    "engagements.after_commit",
    "engagements.after_reply",
    "orders.before_commit",
    "orders.after_commit",
    "orders.after_reply",
    "identity.before_commit",
    "identity.after_commit",
    "identity.after_reply",
    "proposals.before_t1_commit",
    "proposals.after_t1",
    "proposals.after_send.client",
    "proposals.after_send.engagement",
    "proposals.after_send.order",
    "proposals.before_t3",
    "proposals.after_t3",
)
"""Every boundary of the steps of a flow that goes through."""
BACK = (
    "proposals.before_tc",
    "proposals.after_tc",
    "proposals.before_tu",
    "engagements.before_commit",
    "engagements.after_commit",
    "engagements.after_reply",
    "orders.before_commit",
    "orders.after_commit",
    "orders.after_reply",
)
"""Every boundary of a flow that is undone."""
ACTIONS = ("kill", "raise", f"freeze:{os.environ.get('SERX_TEST_FREEZE_SECONDS', '2.2')}")
"""Frozen for longer than a run's lease (2 s), so that it is swept up. 10 s are longer than AckWait (5 s) too: what the
process holds is delivered again. The storm freezes so long while there is a second replica, to which it goes."""


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("point", FORWARD)
async def test_a_signature_goes_through_though_a_process_is_broken_at(
    installation: Installation, point: str, action: str
):
    proposal = await installation.sent_proposal(client_email=f"{new_id()}@roe.example")
    async with broken(installation, point, action):
        await signs_whatever_happens(installation, proposal)
        signed = await installation.signed(proposal)
    await has_exactly_one_of_everything(installation, signed)
    await nothing_is_left_open(installation, acks=False)


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("point", BACK)
async def test_a_flow_that_is_being_undone_is_undone_though_a_process_is_broken_at(
    installation: Installation, point: str, action: str
):
    proposal = await installation.sent_proposal(client_email=installation.ready["demo"]["admin_email"])

    async def is_undone() -> bool:
        report = await installation.call("GET", f"/api/proposals/{proposal}/sign")
        return report.status_code == 200 and report.json()["status"] == "rejected"

    async with broken(installation, point, action):
        await signs_whatever_happens(installation, proposal)
        await until(is_undone, within_seconds=30)
    assert (await installation.call("GET", f"/api/proposals/{proposal}")).json()["status"] == "Sent"
    for owner, table in (("engagements", "engagements"), ("orders", "orders")):
        query = f"select id from {table} where proposal_id = $1::uuid and cancelled_at is null"
        assert await installation.rows(owner, query, proposal) == []
    await nothing_is_left_open(installation, acks=False)


async def test_after_all_that_no_command_waits_for_anybody(installation: Installation):
    await nothing_is_left_open(installation)


@pytest.mark.parametrize(
    "victim", ["gateway", "identity", "proposals", "engagements", "conversations", "orders", "nats", "postgres"]
)
async def test_any_single_process_is_killed_during_twenty_signatures(installation: Installation, victim: str):
    proposals = [await installation.sent_proposal(client_email=f"{n}@{victim}.example") for n in range(SIGNATURES)]
    signing = [asyncio.create_task(signs_whatever_happens(installation, proposal)) for proposal in proposals]
    await asyncio.wait(signing, return_when=asyncio.FIRST_COMPLETED)
    pid = installation.kill(victim)
    await asyncio.gather(*signing)
    await installation.replaced(victim, pid)
    await has_exactly_one_of_everything(installation, *[await installation.signed(each) for each in proposals])
    await nothing_is_left_open(installation)


async def test_the_broker_is_killed_and_comes_back_with_an_empty_store(installation: Installation):
    proposals = [await installation.sent_proposal(client_email=f"{n}@store.example") for n in range(20)]
    signing = [asyncio.create_task(signs_whatever_happens(installation, proposal)) for proposal in proposals]
    await asyncio.wait(signing, return_when=asyncio.FIRST_COMPLETED)
    with installation.unsupervised():
        pid = installation.kill("nats")
        await installation.dead(pid)
        shutil.rmtree(installation.folder / "nats" / "jetstream")
    await asyncio.gather(*signing)
    await installation.replaced("nats", pid)
    await has_exactly_one_of_everything(installation, *[await installation.signed(each) for each in proposals])
    await nothing_is_left_open(installation)
