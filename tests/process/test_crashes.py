"""Processes are killed at the worst moment; each signature still ends with exactly one of everything."""

from __future__ import annotations

import asyncio
import shutil

import httpx
import pytest

from shared import failpoints
from shared.ids import new_id
from tests.support.exactly_once import has_exactly_one_of_everything, nothing_is_left_open
from tests.support.installation import Installation
from tests.support.servers import until

SIGNATURES = 50


async def signs_whatever_happens(installation: Installation, proposal: str) -> None:
    """Sign as an honest client would: again when the gateway is away; a 409 says that it is signed, or about to be."""
    while True:
        try:
            answer = await installation.sign(proposal)
        except httpx.TransportError:
            answer = None
        if answer is not None and answer.status_code in (200, 202, 409):
            return
        assert answer is None or answer.status_code == 503, answer.text
        await asyncio.sleep(0.05)  # an honest client does not ask again without a pause


@pytest.mark.parametrize(
    ("point", "service"),
    [
        ("engagements.before_commit", "engagements"),
        ("engagements.after_commit", "engagements"),
        ("engagements.after_reply", "engagements"),
        ("orders.before_commit", "orders"),
        ("orders.after_commit", "orders"),
        ("orders.after_reply", "orders"),
        ("identity.after_commit", "identity"),
        ("proposals.before_t1_commit", "proposals"),
        ("proposals.after_t1", "proposals"),
        ("proposals.after_send.engagement", "proposals"),
        ("proposals.before_t3", "proposals"),
        ("proposals.after_t3", "proposals"),
    ],
)
async def test_a_process_is_killed_at(installation: Installation, point: str, service: str):
    proposal = await installation.sent_proposal(client_email=f"{new_id()}@roe.example")
    before = failpoints.hits(installation.failpoints, point)
    pid = installation.ready["services"][service]["pid"]
    failpoints.set_trap(installation.failpoints, point, "kill")
    await signs_whatever_happens(installation, proposal)
    signed = await installation.signed(proposal)
    assert failpoints.hits(installation.failpoints, point) == before + 1
    await installation.replaced(service, pid)
    await has_exactly_one_of_everything(installation, signed)
    await nothing_is_left_open(installation)


@pytest.mark.parametrize(
    ("point", "service"),
    [
        ("proposals.before_tc", "proposals"),
        ("proposals.after_tc", "proposals"),
        ("proposals.before_tu", "proposals"),
        ("engagements.before_commit", "engagements"),
        ("engagements.after_commit", "engagements"),
        ("orders.before_commit", "orders"),
        ("orders.after_commit", "orders"),
    ],
)
async def test_a_flow_that_is_being_undone_is_undone_when_a_process_is_killed_at(
    installation: Installation, point: str, service: str
):
    proposal = await installation.sent_proposal(client_email=installation.ready["demo"]["admin_email"])
    pid = installation.ready["services"][service]["pid"]
    failpoints.set_trap(installation.failpoints, point, "kill")
    before = failpoints.hits(installation.failpoints, point)
    await signs_whatever_happens(installation, proposal)

    async def is_undone() -> bool:
        report = await installation.call("GET", f"/api/proposals/{proposal}/sign")
        return report.status_code == 200 and report.json()["status"] == "rejected"

    await until(is_undone, within_seconds=30)
    assert failpoints.hits(installation.failpoints, point) == before + 1
    await installation.replaced(service, pid)
    assert (await installation.call("GET", f"/api/proposals/{proposal}")).json()["status"] == "Sent"
    for owner, table in (("engagements", "engagements"), ("orders", "orders")):
        query = f"select id from {table} where proposal_id = $1::uuid and cancelled_at is null"
        assert await installation.rows(owner, query, proposal) == []
    await nothing_is_left_open(installation)


@pytest.mark.parametrize(
    "victim", ["gateway", "identity", "proposals", "engagements", "conversations", "orders", "nats", "postgres"]
)
async def test_any_single_process_is_killed_during_fifty_signatures(installation: Installation, victim: str):
    proposals = [await installation.sent_proposal(client_email=f"{n}@{victim}.example") for n in range(SIGNATURES)]
    signing = [asyncio.create_task(signs_whatever_happens(installation, proposal)) for proposal in proposals]
    await asyncio.wait(signing, return_when=asyncio.FIRST_COMPLETED)
    pid = installation.kill(victim)
    await asyncio.gather(*signing)
    await installation.replaced(victim, pid)
    for proposal in proposals:
        await has_exactly_one_of_everything(installation, await installation.signed(proposal))
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
    for proposal in proposals:
        await has_exactly_one_of_everything(installation, await installation.signed(proposal))
    await nothing_is_left_open(installation)
