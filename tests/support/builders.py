"""Bodies that are right, to be made wrong in one place."""

from __future__ import annotations

from typing import Any

from services.proposals.store import clients
from shared.contracts.identity import Billing, ClientState
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


async def known(service: Service, client: Actor, **changes: Any) -> Actor:
    """The client, of whom the proposal service has heard."""
    state = {"version": 1, "name_f": "Jane", "name_l": "Roe", "email": client.email, "billing": Billing()} | changes
    async with service.app.state.database.transaction(client.org_id) as tx:
        await clients.keep(tx, ClientState(org_id=client.org_id, id=client.id, **state))
    return client
