"""Requests made of the OpenAPI document, by chance and at its boundaries, as staff and as a client.

No answer is outside of the document, and none is a server error. `SERX_TEST_FUZZ_EXAMPLES` is how many examples a
route; the boundaries alone are thousands of requests, and below 100 examples only staff make those.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.support.builders import proposal_body
from tests.support.complaints import complaints
from tests.support.fuzzing import Caller, Outcome, fuzzed
from tests.support.installation import Installation, installed

HOURS = 3600


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def unlimited(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    """An installation of its own, which is left full of nonsense; 429 would hide what there is to see."""
    async with installed(tmp_path_factory.mktemp("unlimited"), SERX_RATE_LIMIT="0") as running:
        yield running


async def things_of(running: Installation, admin: str) -> dict[str, str]:
    """One thing of each kind in the administrator's organisation, by the name of its path parameter."""

    async def made(path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = await running.call_as(admin, "POST", path, json=body)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    proposal = (await made("/api/proposals", proposal_body()))["id"]  # for the demo's client
    await made(f"/api/proposals/{proposal}/send")
    signed = await made(f"/api/proposals/{proposal}/sign")
    project, order = signed["projects"][0]["id"], signed["order"]["id"]
    conversation = (await made(f"/api/projects/{project}/conversations", {"subject": "Hello"}))["id"]
    messages = f"/api/projects/{project}/conversations/{conversation}/messages"
    return {
        "proposal_id": proposal,
        "engagement_id": signed["engagement"]["id"],
        "project_id": project,
        "order_id": order,
        "conversation_id": conversation,
        "message_id": (await made(messages, {"content": "Hello"}))["id"],
        "task_id": (await made(f"/api/orders/{order}/tasks", {"name": "Logo", "for_client": True}))["id"],
    }


async def ids_of(running: Installation, admin: str) -> tuple[str, ...]:
    """What a run must leave alone to stay who it is."""
    me = (await running.call_as(admin, "GET", "/api/auth/me")).json()["id"]
    tokens = (await running.call_as(admin, "GET", "/api/tokens?limit=100")).json()["data"]
    return (me, *(token["id"] for token in tokens))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def outcomes(unlimited: Installation, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """A client of one organisation and the staff of another at the same time, so that neither disturbs the other."""
    demo, another = unlimited.ready["demo"], await unlimited.another_organisation()
    client = Caller(demo["client_token"], await things_of(unlimited, demo["admin_token"]), is_client=True)
    staff = Caller(another, await things_of(unlimited, another), kept=await ids_of(unlimited, another))
    runs = [
        fuzzed(unlimited.ready["gateway_url"], caller, tmp_path_factory.mktemp("fuzzed")) for caller in (client, staff)
    ]
    return dict(zip(("client", "staff"), await asyncio.gather(*runs), strict=True))


@pytest.mark.timeout(10 * HOURS)
@pytest.mark.parametrize("who", ["client", "staff"])
async def test_nobody_is_answered_outside_of_the_document(outcomes: dict[str, Outcome], who: str):
    assert outcomes[who].code == 0, outcomes[who].output


@pytest.mark.timeout(10 * HOURS)
async def test_nothing_that_was_sent_made_a_process_log_an_error(outcomes: dict[str, Outcome], unlimited: Installation):
    """A log that a caller can fill hides what there is to see, and what the database refuses should not reach it."""
    assert len(outcomes) == 2
    assert complaints(unlimited.folder, {}) == []
