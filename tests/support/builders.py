"""Bodies that are right, to be made wrong in one place."""

from __future__ import annotations

from typing import Any

from shared.web.actor import Actor
from tests.support.services import Service

LONG_AGO = "2020-01-01T00:00:00Z"


def proposal_body(**changes: Any) -> dict[str, Any]:
    body = {
        "client_email": "jane@roe.example",
        "client_name_f": "Jane",
        "client_name_l": "Roe",
        "items": [
            {"name": "Website Redesign", "description": "All of it", "price": "8500.00"},
            {"name": "SEO", "description": "Half a year", "price": 1200.5},
        ],
    }
    return body | changes


async def sent_proposal(service: Service, actor: Actor, **changes: Any) -> str:
    """The id of a proposal that was written and sent."""
    written = await service.call(actor, "POST", "/api/proposals", json=proposal_body(**changes))
    assert written.status_code == 201, written.text
    proposal = written.json()["id"]
    sent = await service.call(actor, "POST", f"/api/proposals/{proposal}/send")
    assert sent.status_code == 200, sent.text
    return proposal


async def expired_proposal(service: Service, actor: Actor, **changes: Any) -> str:
    """The id of a proposal that was sent, and whose time has passed since."""
    proposal = await sent_proposal(service, actor, **changes)
    answer = await service.call(actor, "PUT", f"/api/proposals/{proposal}", json={"valid_until": LONG_AGO})
    assert (answer.status_code, answer.json()["status"]) == (200, "Expired"), answer.text
    return proposal
