"""A process stands still, another replica goes on without it, and what it does when it resumes changes nothing."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import asyncpg
import httpx
import pytest
import pytest_asyncio

from deploy.proof.checker import check
from deploy.proof.evidence import gather
from deploy.proof.setting import agencies
from deploy.proof.signers import Agency
from deploy.proof.stack import Stack, is_supported, standing
from shared import failpoints
from shared.ids import new_id
from shared.messaging.topology import ACK_WAIT_SECONDS
from tests.support.builders import proposal_body
from tests.support.servers import until

pytestmark = pytest.mark.skipif(not is_supported(), reason="the stack of the proof needs Linux")

FROZEN_SECONDS = ACK_WAIT_SECONDS + 2
"""Longer than a run's lease (2 s), and than AckWait: what was given to the process is given to its other replica."""
DISABLED = -1
"""Of the agency's `barred`, the client whom identity refuses."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """Two replicas of every process."""
    async with standing(tmp_path_factory.mktemp("stack"), random.Random(0)) as stands:
        yield stands


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def agency(stack: Stack) -> Agency:
    return (await agencies(stack))[0]


@pytest_asyncio.fixture(loop_scope="session")
async def api(stack: Stack, agency: Agency) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"authorization": f"Bearer {agency.token}", "prefer": "wait=30"}
    async with httpx.AsyncClient(base_url=stack.gateways[0], headers=headers, timeout=60) as client:
        yield client


async def sent_proposal(api: httpx.AsyncClient, email: str) -> str:
    """The id of a proposal that can be signed."""
    written = await api.post("/api/proposals", json=proposal_body(client_email=email))
    proposal = written.json()["id"]
    assert (await api.post(f"/api/proposals/{proposal}/send")).status_code == 200
    return proposal


async def status_of_flow(stack: Stack, proposal: str) -> str | None:
    """As its row has it: the API may be behind the process that stands still."""
    link = await asyncpg.connect(stack.dsns["proposals"])
    try:
        return await link.fetchval("select status from sagas where proposal_id = $1::uuid", proposal)
    finally:
        await link.close()


async def all_is_well(stack: Stack) -> bool:
    return check(await gather(stack.dsns, stack.nats_operator)) == []


@pytest.mark.parametrize(
    ("point", "status"),
    [
        ("proposals.before_t3", "completed"),
        ("proposals.before_tc", "rejected"),
        ("proposals.before_tu", "rejected"),
    ],
)
async def test_another_replica_ends_the_flow_meanwhile_and_the_one_that_resumes_is_told_so(
    stack: Stack, agency: Agency, api: httpx.AsyncClient, point: str, status: str
):
    email = agency.barred[DISABLED] if status == "rejected" else f"{new_id()}@roe.example"
    proposal = await sent_proposal(api, email)
    failpoints.set_trap(stack.failpoints, point, f"freeze:{FROZEN_SECONDS}")
    signing = asyncio.create_task(api.post(f"/api/proposals/{proposal}/sign"))
    await until(lambda: failpoints.hits(stack.failpoints, point))

    async def has_ended() -> bool:
        return await status_of_flow(stack, proposal) == status

    await until(has_ended, within_seconds=FROZEN_SECONDS - 1)
    assert not signing.done()  # whoever took it in stands still
    answer = await signing
    assert answer.status_code == (200 if status == "completed" else 409), answer.text
    assert await status_of_flow(stack, proposal) == status
    report = (await api.get(f"/api/proposals/{proposal}/sign")).json()
    assert (report["status"], "waiting" in {step["status"] for step in report["steps"]}) == (status, False)
    await until(stack.is_ready)
    await until(lambda: all_is_well(stack), within_seconds=20)


@pytest.mark.parametrize(
    "point",
    ["engagements.before_commit", "engagements.after_commit", "orders.before_commit", "orders.after_commit"],
)
async def test_a_participant_that_resumes_does_not_do_again_what_its_other_replica_was_given_meanwhile(
    stack: Stack, agency: Agency, api: httpx.AsyncClient, point: str
):
    proposal = await sent_proposal(api, agency.clients[0])
    failpoints.set_trap(stack.failpoints, point, f"freeze:{FROZEN_SECONDS}")
    answer = await api.post(f"/api/proposals/{proposal}/sign")
    assert failpoints.hits(stack.failpoints, point) == 1
    assert answer.status_code == 200, answer.text
    await until(stack.is_ready, within_seconds=20)  # it has resumed
    await until(lambda: all_is_well(stack), within_seconds=20)
