"""Calls that many tests make."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from shared.web.actor import Actor
from tests.component.orders.owners import Owners
from tests.support import actors
from tests.support.services import Service


async def made(service: Service, owners: Owners, staff: Actor, **changes: Any) -> dict[str, Any]:
    """An order that staff made, of a client of its own unless told otherwise."""
    body: dict[str, Any] = {"service": "Website Redesign"} | changes
    if "user_id" not in body:
        body["user_id"] = str(owners.client(staff.org_id).id)
    answer = await service.call(staff, "POST", "/api/orders", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def added(service: Service, staff: Actor, order: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A task that staff added to the order."""
    answer = await service.call(staff, "POST", f"/api/orders/{order['id']}/tasks", json={"name": "Brief"} | changes)
    assert answer.status_code == 201, answer.text
    return answer.json()


def whose(staff: Actor, order: dict[str, Any]) -> Actor:
    """The client of the order."""
    return actors.client(staff.org_id, id=UUID(order["user_id"]))
