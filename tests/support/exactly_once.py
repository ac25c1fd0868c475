"""The invariant: a Signed proposal has exactly one engagement, one order, and one project per item, in their order."""

from __future__ import annotations

from typing import Any

from tests.support.installation import Installation


async def has_exactly_one_of_everything(installation: Installation, proposal: dict[str, Any]) -> None:
    """Asserts it from the owners' tables, cancelled attempts left out, and from the API."""
    engagements = await installation.rows(
        "engagements",
        "select id from engagements where proposal_id = $1::uuid and cancelled_at is null",
        proposal["id"],
    )
    assert [str(row["id"]) for row in engagements] == [proposal["converted_engagement_id"]]
    orders = await installation.rows(
        "orders",
        "select id, price from orders where proposal_id = $1::uuid and cancelled_at is null",
        proposal["id"],
    )
    assert [(str(row["id"]), str(row["price"])) for row in orders] == [
        (proposal["converted_order_id"], proposal["total"])
    ]
    projects = await installation.rows(
        "engagements",
        "select name from projects where engagement_id = $1::uuid and cancelled_at is null order by created_at, id",
        proposal["converted_engagement_id"],
    )
    assert [row["name"] for row in projects] == [item["name"] for item in proposal["items"]]
    engagement = await installation.call("GET", f"/api/engagements/{proposal['converted_engagement_id']}")
    assert [project["name"] for project in engagement.json()["projects"]] == [row["name"] for row in projects]


async def nothing_is_left_open(installation: Installation) -> None:
    """Asserts that no flow is unfinished and no message was parked."""
    open_flows = await installation.rows(
        "proposals", "select id, status from sagas where status in ('running', 'compensating')"
    )
    assert open_flows == []
    for service in ("identity", "proposals", "engagements", "conversations", "orders"):
        assert await installation.rows(service, "select key, error from parked_messages") == []
